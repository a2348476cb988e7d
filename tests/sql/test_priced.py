"""Whatever can be planned can be priced: `ask/selections.py` knows every word of a plan."""

from noisegate import sql
from noisegate.ask.selections import selections_of
from noisegate.ask.specificity import factor
from noisegate.catalog.model import Specificity

from .catalogs import CATALOG
from .golden import GOLDEN, cases_of


def test_every_plan_of_the_golden_files_has_a_price() -> None:
    questions = [case.question for file in (GOLDEN / "plans").glob("*.sql") for case in cases_of(file)]
    assert len(questions) > 100
    for text in questions:
        selections = selections_of(sql.read(text, CATALOG), CATALOG)
        assert factor(selections, [], Specificity()).value >= 1

"""A query whose rows are noisy already: the private part, estimates, and what is done with them since."""

from dataclasses import dataclass

from noisegate.privacy.after import NamedEstimate, Step
from noisegate.privacy.question import Aggregation
from noisegate.sql.facts import Known
from noisegate.sql.scope import Visible


@dataclass(frozen=True, slots=True)
class Noisy:
    """See the module. `columns` stand for columns of the rows after the last step."""

    private: Aggregation
    estimates: tuple[NamedEstimate, ...]
    steps: tuple[Step, ...]
    columns: tuple[Visible, ...]
    known: Known

"""Privacy statements say what NIST SP 800-226 asks to disclose, of everything, and what they say is so."""

import json
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from noisegate.catalog.model import Catalog, Every, Specificity
from noisegate.gate.access import RIGHTS, Right
from noisegate.gate.statement.dataset import dataset_statement, odds
from noisegate.gate.statement.markdown import markdown
from noisegate.gate.statement.release import DRAWN_BY, release_statement
from noisegate.gate.statement.shape import GROUNDS, TITLES, WEAKNESSES, Item, Statement
from noisegate.ledger.accounts import AccountState
from noisegate.ledger.records import ReceiptKind, Role
from noisegate.privacy import noise, selection
from noisegate.privacy.mechanism import Noise, _words
from noisegate.privacy.staircase import Staircase

from .statements import BODIES, NOW, accounts_of, body, catalog_in, of_dataset, of_release, public, receipt

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "statements"
F = Fraction
# What the guideline asks, and a word by which the statement of every kind answers it.
ASKED: Mapping[Item, str] = {
    Item.UNIT: "A person: all rows",
    Item.NEIGHBOURS: "Add or remove one person",
    Item.PARAMETERS: "differentially private",
    Item.CONTRIBUTIONS: "Of a person's rows no more count",
    Item.COMPOSITION: "privacy filter",
    Item.MECHANISMS: "whole noise",
    Item.ACCURACY: "95 %",
    Item.BIAS: "Clamping",
    Item.TRUST: "Central",
    Item.SIDE_CHANNELS: "times and failures",
    Item.ACCESS: "custodian",
    Item.DATA: "immutable snapshot",
    Item.NOT_COVERED: "not added up",
}


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return catalog_in(tmp_path)


@pytest.fixture(params=["ward", "clinic", *BODIES])
def statement(request: pytest.FixtureRequest, catalog: Catalog) -> Mapping[str, Any]:
    """The statement of every kind of dataset and release."""
    if request.param in BODIES:
        return of_release(catalog, BODIES[request.param])
    return of_dataset(catalog, request.param)


def said(statement: Mapping[str, Any], item: Item) -> str:
    return " ".join(statement["sections"][item.value]["says"])


def facts(statement: Mapping[str, Any], item: Item) -> Any:
    return statement["sections"][item.value]["facts"]


def test_everything_that_is_asked_is_answered_for_every_dataset_and_release(
    statement: Mapping[str, Any],
) -> None:
    assert list(statement["sections"]) == [item.value for item in Item]
    for item, word in ASKED.items():
        assert word in said(statement, item), item
    assert json.loads(json.dumps(statement, allow_nan=False)) == statement


def test_the_markdown_says_all_that_the_json_says(statement: Mapping[str, Any]) -> None:
    text = markdown(statement)
    assert re.findall("^## (.*)$", text, re.M) == list(TITLES.values())
    flat = text.replace("\\", "")
    for section in statement["sections"].values():
        for sentence in section["says"]:
            assert f"- {sentence}\n" in flat
        for weakness in section["weaknesses"]:
            assert f'{weakness["number"]} "{weakness["name"]}"' in flat
    rules = [len(line.split("|")) for line in text.splitlines() if line.startswith("|---")]
    assert len(rules) >= 6


def test_every_known_weakness_is_disclosed_under_its_number_and_name(statement: Mapping[str, Any]) -> None:
    table = (ROOT / "TRUST.md").read_text().partition("## Known weaknesses")[2]
    known = {int(n): name.rstrip(".") for n, name in re.findall(r"^\| (\d+) \| \*\*([^*]+)\*\*", table, re.M)}
    assert len(known) >= 20
    assert known == WEAKNESSES
    shown = facts(statement, Item.NOT_COVERED)["known_weaknesses"]
    assert {row["number"]: row["weakness"] for row in shown} == known
    # Each is named beside what it bears on, too.
    assert {n for grounds in GROUNDS.values() for n in grounds.weaknesses} == set(known)


def test_the_proofs_that_are_named_exist() -> None:
    headings = set(re.findall("^## (.+)$", (ROOT / "PROOFS.md").read_text(), re.M))
    named = {heading for grounds in GROUNDS.values() for heading in grounds.proofs}
    assert named <= headings
    assert set(GROUNDS) == set(TITLES) == set(Item)


def test_a_statement_without_an_item_cannot_be_made(catalog: Catalog) -> None:
    dataset = catalog.dataset("ward")
    assert dataset is not None
    whole = dataset_statement(dataset, 1, catalog, accounts_of(catalog, "ward"), NOW)
    with pytest.raises(ValueError, match="one section for each item"):
        replace(whole, sections=whole.sections[1:])
    with pytest.raises(ValueError, match="says nothing on Bias"):
        replace(whole.sections[list(Item).index(Item.BIAS)], says=())
    assert isinstance(whole, Statement)


def test_limits_periods_and_their_sums_are_the_accounts_own(catalog: Catalog) -> None:
    plain = of_dataset(catalog, "ward")
    assert said(plain, Item.PARAMETERS).count("(ε 3, δ 1e-06)-differentially private") == 2
    assert "e^ε, that is 20.09, " in said(plain, Item.PARAMETERS)
    [root, own] = facts(plain, Item.PARAMETERS)["accounts"]
    assert (root["account"], own["account"], own["epsilon"], own["delta"]) == ("town", "town/ward", 3.0, 1e-6)
    assert own["delta_for_private_keys"] == 1e-7

    third = of_dataset(catalog, "ward", period=3, until=1_800_000_000)
    assert "number 3, which ends 2027-01-15 08:00:00 UTC" in said(third, Item.PARAMETERS)
    assert "Over all 3 periods of town/ward so far it is (ε 9, δ 3e-06)" in said(third, Item.PARAMETERS)
    [_, periods] = facts(third, Item.COMPOSITION)["periods"]
    assert (periods["period"], periods["lifetime_epsilon"], periods["lifetime_delta"]) == (3, 9.0, 3e-6)
    assert periods["until"] == "2027-01-15T08:00:00+00:00"

    blocked = of_dataset(catalog, "ward", state=AccountState.SUSPENDED)
    assert "town/ward is suspended at present" in said(blocked, Item.COMPOSITION)
    over = of_dataset(catalog, "ward", until=NOW)
    assert "town/ward is expired at present" in said(over, Item.COMPOSITION)
    assert facts(over, Item.PARAMETERS)["accounts"][1]["state"] == "expired"


def test_a_calendar_of_renewals_is_told(catalog: Catalog) -> None:
    monthly = replace(
        catalog,
        datasets=tuple(replace(d, budget=replace(d.budget, every=Every.MONTH)) for d in catalog.datasets),
    )
    assert "The budget of town/ward is one of each month" in said(
        of_dataset(monthly, "ward"), Item.COMPOSITION
    )
    assert "one of each" not in said(of_dataset(catalog, "ward"), Item.COMPOSITION)


def test_an_account_without_delta_promises_pure_privacy_and_draws_no_gaussian(catalog: Catalog) -> None:
    pure = of_dataset(replace(catalog, populations={"town": catalog.datasets[1].budget}), "clinic")
    assert "(ε 2)-differentially private" in said(pure, Item.PARAMETERS)
    kinds = {row["noise"] for row in facts(pure, Item.MECHANISMS)["mechanisms"]}
    assert kinds == {"laplace", "staircase", "permute-and-flip", "exponential mechanism"}
    kinds = {row["noise"] for row in facts(of_dataset(catalog, "ward"), Item.MECHANISMS)["mechanisms"]}
    assert {"gaussian", "laplace with a threshold"} <= kinds


def test_spending_stands_only_where_the_reader_may_see_it(catalog: Catalog) -> None:
    hidden = of_dataset(catalog, "ward")
    assert "spent" not in json.dumps(hidden["sections"][Item.PARAMETERS.value]["facts"])
    assert "lifetime_spent" not in json.dumps(hidden)
    shown = of_dataset(catalog, "ward", spent=True, period=2)
    own = facts(shown, Item.PARAMETERS)["accounts"][1]
    life = facts(shown, Item.COMPOSITION)["periods"][1]
    assert (own["spent"], own["charges"]) == (2.0, 4)
    assert (life["lifetime_spent"], life["lifetime_charges"]) == (4.0, 8)
    assert "estimate" in said(shown, Item.PARAMETERS)


def test_bounds_come_with_who_said_so(catalog: Catalog) -> None:
    found = facts(of_dataset(catalog, "ward"), Item.CONTRIBUTIONS)
    assert [(row["table"], row["rows_a_person"], row["groups_a_person"]) for row in found["persons"]] == [
        ("ward.people", 1, 1),
        ("ward.tests", 60, 6),
    ]
    assert found["persons"][0]["source"] == "verified at registration"
    assert found["persons"][1]["source"] == "declared by the custodian, enforced in every question"
    ranges = {
        (row["table"], *row["columns"], row["where"]): (row["low"], row["high"]) for row in found["values"]
    }
    assert ranges == {
        ("ward.people", "age", ""): (0, 100),
        ("ward.tests", "value", "test = sbp"): (60, 260),
        ("ward.tests", "value", "test = hdl"): (10, 150),
    }
    none = of_dataset(catalog, "clinic")
    assert "No column has bounds" in said(none, Item.CONTRIBUTIONS)


def test_nothing_that_is_not_public_stands_in_a_statement(statement: Mapping[str, Any]) -> None:
    whole = json.dumps(statement) + markdown(statement)
    assert "secret-place" not in whole  # where files lie
    assert "digest" not in whole


def test_a_restricted_column_is_named_and_nothing_more(catalog: Catalog) -> None:
    stated = of_dataset(catalog, "ward")
    assert "Nobody may ask about ward.people.note." in said(stated, Item.ACCESS)
    assert facts(stated, Item.ACCESS)["restricted_columns"] == ["ward.people.note"]
    assert "No column is closed" in said(of_dataset(catalog, "clinic"), Item.ACCESS)


def test_policy_and_roles_are_those_in_force(catalog: Catalog) -> None:
    policy = replace(catalog.policy, specificity=Specificity(max_factor=F(7), lock_after=2))
    stated = of_dataset(replace(catalog, policy=policy), "ward")
    assert "up to 7 times" in said(stated, Item.ACCESS)
    assert "After 2 restricted questions" in said(stated, Item.ACCESS)
    found = facts(stated, Item.ACCESS)
    assert set(found["price"]) == {f.name for f in fields(Specificity)}
    tiers = {row["tier"]: row["max_epsilon"] for row in found["tiers"]}
    assert tiers["demographic"] == 2
    assert {row["role"] for row in found["roles"]} == {role.value for role in Role}
    assert Right.ASK not in RIGHTS[Role.CUSTODIAN]  # as the sentence above the table says


def test_expected_numbers_of_people_are_owned_up_to(catalog: Catalog) -> None:
    assert facts(of_dataset(catalog, "ward"), Item.NEIGHBOURS)["expected_people"] == {"ward.people": 400}
    assert "No number of people" in said(of_dataset(catalog, "clinic"), Item.NEIGHBOURS)


def test_a_release_is_stated_by_its_receipt(catalog: Catalog) -> None:
    stated = of_release(catalog, body())
    about: Any = stated["about"]
    assert (about["receipt"], about["outcome"], about["datasets"]) == ("ward:17", "answer", ["ward"])
    assert about["hash"] == receipt(body()).hash
    assert "By itself the release is (ε 0.5)-differentially private." in said(stated, Item.PARAMETERS)
    assert "1.65" in said(stated, Item.PARAMETERS)
    assert "In this release each person counts with one row in one group." in said(stated, Item.CONTRIBUTIONS)
    assert "In this release: values below 0 count as 0, above 100 as 100." in said(stated, Item.BIAS)
    assert [row["drawn_by"] for row in facts(stated, Item.MECHANISMS)["mechanisms"]] == [
        "OpenDP, exact and discrete"
    ] * 2
    charged = facts(stated, Item.COMPOSITION)["charged_to"]
    assert charged[1] == {"account": "town/ward", "period": 2}
    assert "Asked by ana, in the role of analyst." in said(stated, Item.ACCESS)
    assert facts(stated, Item.DATA)["versions"][0]["version"] == 2

    gaussian = of_release(catalog, BODIES["Gaussian noise"])
    assert "(ε 0.4575, δ 1e-06)-differentially private" in said(gaussian, Item.PARAMETERS)
    assert "no bound takes anything away" in said(gaussian, Item.BIAS)
    unknown = of_release(catalog, public(clamping=None))
    assert "In this release" not in said(unknown, Item.BIAS)
    dearer = of_release(catalog, BODIES["a surcharge"])
    assert "1.25 times the loss; the rest of it is on town/ward/default/ana" in said(dearer, Item.ACCESS)
    assert facts(dearer, Item.ACCESS)["price"][0]["adds"] == 0.25
    assert "5 conditions, 3 are free" in markdown(dearer)
    assert "100 steps" in said(of_release(catalog, BODIES["a job"]), Item.COMPOSITION)


def test_a_release_of_rows_states_its_own_neighbours(catalog: Catalog) -> None:
    rows = of_release(catalog, public(neighbours="one person's whole row is replaced", people=1_252))
    assert said(rows, Item.NEIGHBOURS).startswith("Replace one person")
    assert "1,252 places" in said(rows, Item.NEIGHBOURS)
    assert facts(rows, Item.NEIGHBOURS)["relation"] == "replace one person"
    question = of_release(catalog, body())
    assert said(question, Item.NEIGHBOURS).startswith("Add or remove one person")


@pytest.mark.parametrize(
    "kind", [None, ReceiptKind.ANSWER, ReceiptKind.FAILED, ReceiptKind.LOST, ReceiptKind.FINISHED]
)
def test_what_became_of_a_release_is_told(catalog: Catalog, kind: ReceiptKind | None) -> None:
    about: Any = of_release(catalog, body(), kind)["about"]
    assert about["outcome"] == ("open" if kind is None else kind.value)
    assert ("nothing was released" in about["result"]) == (kind in (ReceiptKind.FAILED, ReceiptKind.LOST))


def test_data_are_stated_as_they_were_declared_then(catalog: Catalog) -> None:
    then: dict[str, Any] = json.loads(json.dumps(of_release(catalog, body())))
    assert [row["rows_a_person"] for row in facts(then, Item.CONTRIBUTIONS)["persons"]] == [1, 60]
    declared: dict[str, Any] = {
        "name": "ward",
        "title": "As it was",
        "population": "town",
        "synthetic": False,
        "tables": [
            {
                "in_sql": "ward.people",
                "public": False,
                "unit": "person",
                "rows_per_unit": 9,
                "groups_per_unit": 2,
                "columns": [],
            }
        ],
    }
    earlier = release_statement(receipt(body()), [declared], NOW).as_json()
    assert [row["rows_a_person"] for row in facts(earlier, Item.CONTRIBUTIONS)["persons"]] == [9]


@pytest.mark.parametrize(
    "drawn",
    [
        noise.Laplace(F(2)),
        noise.Gaussian(F(2)),
        Staircase(3, F(2), 1),
        selection.PermuteAndFlip(F(2), None, 1),
        selection.PermuteAndFlip(F(2), F(4), 1),
    ],
)
def test_who_drew_it_is_known_of_every_noise_that_receipts_name(drawn: Noise) -> None:
    assert any(_words(drawn).startswith(start) for start in DRAWN_BY)


def test_odds_are_rounded_up() -> None:
    assert [odds(F(e)) for e in (0, 1, 3)] == ["1", "2.72", "20.09"]
    assert odds(F(10)) == "22,027"
    assert odds(F(10**6)) == "1.0e+304"


def test_text_of_others_cannot_become_markup(catalog: Catalog) -> None:
    stated = of_release(catalog, public(question="SELECT '```'\n# <b>big</b>", asker="eve*|<i>"))
    text = markdown(stated)
    assert "````sql\nSELECT '```'\n# <b>big</b>\n````" in text
    assert "eve\\*" in text
    assert "<i>" not in text.replace("\\<i>", "")


@pytest.mark.parametrize("name", ["dataset", "release"])
def test_a_statement_reads_as_its_golden_file(
    name: str, catalog: Catalog, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("terms", "shape"):
        monkeypatch.setattr(
            f"noisegate.gate.statement.{module}.version", {"opendp": "0.16.0", "noisegate": "0.1.0"}.get
        )
    found = of_dataset(catalog, "ward", spent=True, period=2, until=1_800_000_000)
    text = markdown(found if name == "dataset" else of_release(catalog, body()))
    path = GOLDEN / f"{name}.md"
    if request.config.getoption("--write-golden"):
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")

"""What custodians do about budgets: what stands afterwards, who may, and what is refused."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from noisegate.app import budgets
from noisegate.catalog.model import Every
from noisegate.errors import BadInput, Blocked, BudgetExhausted, Conflict, Forbidden, NoisegateError, NotFound
from noisegate.gate.access import Asker
from noisegate.ledger.accounts import Account, AccountState
from noisegate.ledger.records import ReceiptKind

from .conftest import ANA, AUDITOR, BOSS, BOTH, START, WARDEN, House, at

OWN = "town/ward/default/ana"
JUNE, JULY = at("2026-06-01"), at("2026-07-01")


def grant(
    house: House, analyst: str | None = "ana", epsilon: object = 1, who: Asker = BOSS, **more: Any
) -> Any:
    asked: dict[str, Any] = {"delta": None, "project": "default", "until": None, "every": None} | more
    dataset, delta = asked.pop("dataset", "ward"), asked.pop("delta")
    return budgets.grant(house.desk, who, dataset, analyst, Fraction(str(epsilon)), delta, **asked)


def renew(house: House, name: str, who: Asker = BOSS, reason: str = "more", **more: Any) -> Any:
    asked: dict[str, Any] = {"until": None, "every": None, "epsilon": None, "delta": None} | more
    limits = asked.pop("epsilon"), asked.pop("delta")
    return budgets.renew(house.desk, who, name, reason, *limits, **asked)


def transfer(house: House, epsilon: object, giver: str = "ana", taker: str = "ben", **more: Any) -> Any:
    who = more.pop("who", BOSS)
    asked = {"project": "default"} | more
    return budgets.transfer(house.desk, who, "ward", giver, taker, Fraction(str(epsilon)), **asked)


def kinds(house: House, chain: str = "ward") -> list[ReceiptKind]:
    return [r.kind for r in house.ledger.receipts(chain, limit=1_000)]


# Grants


def test_a_grant_opens_an_account_with_its_own_limits_and_the_end_above_it(monthly: House) -> None:
    granted = grant(monthly, epsilon="0.5")
    assert granted["opened"]
    assert (granted["account"], granted["epsilon"], granted["delta"]) == (OWN, 0.5, 1e-6)
    assert monthly.ledger.find_account(OWN).period.until == JUNE


def test_a_grant_without_an_analyst_is_the_project_s(house: House) -> None:
    with pytest.raises(Conflict, match="project 'stroke' has no budget") as refused:
        grant(house, project="stroke")
    assert "budget grant ward --project stroke" in refused.value.hint
    assert grant(house, None, 2, project="stroke")["account"] == "town/ward/stroke"
    assert grant(house, "ana", 1, project="stroke")["account"] == "town/ward/stroke/ana"


def test_a_grant_on_an_open_account_is_a_new_period_and_says_what_is_forfeited(house: House) -> None:
    grant(house, epsilon=2)
    house.charge(OWN, "0.5")
    again = grant(house, epsilon=1)
    assert not again["opened"]
    assert again["forfeited"] == pytest.approx(1.5, abs=0.01)
    assert (again["epsilon"], again["spent"], again["period"]["number"]) == (1.0, 0.0, 2)
    assert again["lifetime"]["epsilon"] == 3.0
    assert again["lifetime"]["delta"] == pytest.approx(2e-6)
    assert again["lifetime"]["charges"] == 1
    assert again["lifetime"]["spent"] == pytest.approx(0.5, abs=0.01)
    entry = house.ledger.receipts("ward", limit=1_000)[-1]
    assert entry.kind is ReceiptKind.RENEWED
    assert entry.content()["by"] == "boss"
    assert len(str(entry.content()["signature"])) == 128


def test_the_same_grant_again_changes_nothing_until_something_was_charged(house: House) -> None:
    grant(house, epsilon=2)
    assert grant(house, epsilon=2)["period"]["number"] == 1
    assert grant(house, epsilon="2.0", every="month")["period"]["number"] == 2
    house.charge(OWN, "0.5")
    assert grant(house, epsilon=2, every="month")["period"]["number"] == 3


def test_a_raise_keeps_the_end_and_the_delta_that_the_account_has(house: House) -> None:
    grant(house, epsilon=1, delta=Fraction(1, 10**8), until="2026-06-10")
    raised = grant(house, epsilon=2)
    assert raised["delta"] == 1e-8
    assert raised["period"]["until"] == "2026-06-10T00:00:00+00:00"


def test_a_grant_to_an_account_that_ended_lasts_as_long_as_the_one_above(house: House) -> None:
    grant(house, epsilon=1, until="2026-05-21")
    house.clock.now = at("2026-05-22")
    assert grant(house, epsilon=1)["period"]["until"] is None
    renew(house, "town/ward/default", until="2026-06-10")
    grant(house, epsilon=1, until="2026-05-23")
    house.clock.now = at("2026-05-24")
    assert grant(house, epsilon=1)["period"]["until"] == "2026-06-10T00:00:00+00:00"


def test_nothing_is_granted_beneath_an_account_that_has_ended(monthly: House) -> None:
    monthly.clock.now = JUNE
    with pytest.raises(Conflict, match="has ended") as refused:
        grant(monthly)
    assert "budget renew town/ward/default" in refused.value.hint


def test_periods_end_when_they_were_told_to(house: House) -> None:
    grant(house, every="week")
    assert house.ledger.find_account(OWN).period.until == at("2026-05-25")
    house.clock.now = at("2026-05-24T23:59:59")
    house.charge(OWN, "0.1")
    house.clock.now += 1
    with pytest.raises(Blocked, match="ended"):
        house.charge(OWN, "0.1")


# Renewals


def test_an_ended_period_is_renewed_with_its_limits_for_as_long_as_the_catalog_says(monthly: House) -> None:
    monthly.clock.now = at("2026-06-03")
    (renewed,) = renew(monthly, "town", reason="June")["accounts"][-1:]
    assert (renewed["account"], renewed["period"]["number"]) == ("town", 2)
    assert renewed["period"]["until"] == "2026-07-01T00:00:00+00:00"
    entry = monthly.ledger.receipts("population/town", limit=1_000)[-1].content()
    assert (entry["by"], entry["reason"]) == ("boss", "June")


def test_a_renewal_takes_along_what_ended_beneath_it_and_nothing_else(monthly: House) -> None:
    grant(monthly, "ana", 1)
    grant(monthly, "ben", 1, until="2026-12-31")
    monthly.charge(OWN, "0.5")
    monthly.clock.now = JUNE
    with pytest.raises(Blocked):
        monthly.charge(OWN, "0.5")
    renewed = renew(monthly, "ward")["accounts"]
    assert {a["account"] for a in renewed} == {"town/ward", "town/ward/default", OWN}
    assert renewed[-1]["account"] == "town/ward"
    assert {a["period"]["until"] for a in renewed} == {"2026-07-01T00:00:00+00:00"}
    (own,) = (a for a in renewed if a["account"] == OWN)
    assert (own["epsilon"], own["forfeited"]) == (1.0, pytest.approx(0.5, abs=0.01))
    with pytest.raises(Blocked, match="'town' ended"):
        monthly.charge(OWN, "0.5")
    assert {a["account"] for a in renew(monthly, "population/town")["accounts"]} == {
        "town",
        "town/clinic",
        "town/clinic/default",
    }
    monthly.charge(OWN, "0.5")
    monthly.charge("town/ward/default/ben", "0.5")
    assert monthly.ledger.find_account("town/ward/default/ben").period.number == 1


def test_a_period_that_runs_is_not_renewed_by_accident(monthly: House) -> None:
    for name in ("ward", "clinic", "town/ward/default"):
        with pytest.raises(Conflict, match="runs until 2026-06-01") as refused:
            renew(monthly, name)
        assert "--epsilon" in refused.value.hint
    renew(monthly, "ward", until="2026-05-30")
    with pytest.raises(Conflict, match="runs until 2026-05-30"):
        renew(monthly, "ward")
    assert monthly.ledger.find_account("town/ward").period.number == 2


def test_an_account_without_end_is_renewed_when_asked_to(house: House) -> None:
    with pytest.raises(Conflict, match="has no end"):
        renew(house, "ward")
    (raised,) = renew(house, "ward", epsilon=Fraction(5))["accounts"]
    assert (raised["epsilon"], raised["delta"], raised["period"]["until"]) == (5.0, 1e-6, None)
    (lasting,) = renew(house, "ward", every="month")["accounts"]
    assert (lasting["epsilon"], lasting["period"]["until"]) == (5.0, "2026-06-01T00:00:00+00:00")
    (tight,) = renew(house, "ward", delta=Fraction(0))["accounts"]
    assert (tight["epsilon"], tight["delta"], tight["period"]["until"]) == (
        5.0,
        0.0,
        "2026-06-01T00:00:00+00:00",
    )
    assert tight["lifetime"]["epsilon"] == 18.0


def test_where_nothing_says_how_long_a_renewal_asks(house: House) -> None:
    renew(house, "town", until="2026-05-21")
    house.clock.now = JUNE
    with pytest.raises(BadInput, match="nothing says when"):
        renew(house, "town")
    grant(house, "ana", 1, until="2026-06-02")
    house.clock.now = at("2026-06-02")
    with pytest.raises(BadInput, match="nothing says when"):
        renew(house, OWN)
    renew(house, "town/ward/default", until="2026-07-01")
    assert house.ledger.find_account(OWN).period.until == JULY


def test_an_analyst_s_account_lasts_as_long_as_its_dataset_by_the_catalog(house: House) -> None:
    grant(house, "ana", 1, until="2026-05-21")
    house.clock.now = JUNE
    house.declare(ward=Every.YEAR)
    (own,) = renew(house, OWN)["accounts"]
    assert own["period"]["until"] == "2027-01-01T00:00:00+00:00"


def test_a_renewal_opens_no_suspended_account(house: House) -> None:
    budgets.suspend(house.desk, BOSS, "ward", "a complaint")
    (renewed,) = renew(house, "ward", epsilon=Fraction(9))["accounts"]
    assert (renewed["state"], renewed["reason"]) == ("suspended", "a complaint")
    grant(house)
    with pytest.raises(Blocked, match="suspended"):
        house.charge(OWN, "0.1")


def test_two_custodians_at_once_renew_once(monthly: House) -> None:
    monthly.clock.now = JUNE

    def one(number: int) -> str:
        try:
            renew(monthly, "ward", replace(BOSS, name=f"boss{number}"))
        except Conflict:
            return "late"
        return "renewed"

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(one, range(8)))
    assert outcomes.count("renewed") == 1
    for account in ("town/ward", "town/ward/default"):
        balance = monthly.ledger.find_account(account)
        assert (balance.period.number, balance.lifetime.epsilon) == (2, 6)
    assert kinds(monthly).count(ReceiptKind.RENEWED) == 2


def test_two_custodians_at_once_open_an_account_once(house: House) -> None:
    def one(number: int) -> str:
        try:
            grant(house, "ana", 1 + number)
        except Conflict:
            return "late"
        return "granted"

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(one, range(8)))
    assert kinds(house).count(ReceiptKind.OPENED) == 1 + 2  # the dataset's and the project's
    balance = house.ledger.find_account(OWN)
    assert balance.period.number == outcomes.count("granted")


def test_a_renewal_that_broke_off_may_be_repeated(monthly: House, monkeypatch: pytest.MonkeyPatch) -> None:
    grant(monthly)
    monthly.clock.now = JUNE
    plain, renewed = monthly.ledger.renew, []

    def breaks(account: str, *rest: Any, **more: Any) -> Any:
        if account == "town/ward":
            monkeypatch.setattr(monthly.ledger, "renew", plain)
            raise NoisegateError("the network is gone")
        renewed.append(account)
        return plain(account, *rest, **more)

    monkeypatch.setattr(monthly.ledger, "renew", breaks)
    with pytest.raises(NoisegateError, match="network"):
        renew(monthly, "ward")
    assert renewed == [OWN, "town/ward/default"]
    (last,) = renew(monthly, "ward")["accounts"]
    assert last["account"] == "town/ward"
    assert {
        monthly.ledger.find_account(a).period.number for a in (OWN, "town/ward", "town/ward/default")
    } == {2}


# Transfers


def test_a_transfer_moves_what_is_left_and_begins_a_period_for_both(house: House) -> None:
    grant(house, "ana", 2, until="2026-06-10")
    grant(house, "ben", 1)
    house.charge(OWN, "0.5")
    ana, ben = transfer(house, "0.25")["accounts"]
    assert ana["epsilon"] == pytest.approx(1.25, abs=0.01)
    assert ben["epsilon"] == 1.25
    assert (ana["period"]["number"], ben["period"]["number"]) == (2, 2)
    assert ana["period"]["until"] == "2026-06-10T00:00:00+00:00"
    assert kinds(house)[-2:] == [ReceiptKind.TRANSFERRED] * 2


def test_more_than_is_left_cannot_be_given(house: House) -> None:
    grant(house, "ana", 1)
    grant(house, "ben", 1)
    house.charge(OWN, "0.5")
    for epsilon in ("0.6", "1", "5"):
        with pytest.raises(BudgetExhausted, match="left"):
            transfer(house, epsilon)
    assert house.ledger.find_account(OWN).period.number == 1


NONSENSE: Sequence[tuple[Mapping[str, Any], type[NoisegateError], str]] = [
    ({"epsilon": 0}, BadInput, "above 0"),
    ({"epsilon": -1}, BadInput, "above 0"),
    ({"taker": "ana"}, BadInput, "themselves"),
    ({"taker": "eve"}, NotFound, "eve has no account"),
    ({"giver": "eve"}, NotFound, "eve has no account"),
    ({"project": "stroke"}, NotFound, "project 'stroke'"),
    ({"taker": "ben/x"}, BadInput, "cannot be a name"),
    ({"taker": "../ben"}, BadInput, "cannot be a name"),
    ({"project": "a/b"}, BadInput, "cannot be a name"),
]


def test_a_transfer_that_makes_no_sense_is_refused(house: House) -> None:
    grant(house, "ana", 1)
    grant(house, "ben", 1)
    for change, error, said in NONSENSE:
        with pytest.raises(error, match=said):
            transfer(house, **({"epsilon": "0.1"} | change))
    assert {house.ledger.find_account(f"town/ward/default/{n}").period.number for n in ("ana", "ben")} == {1}


# Suspension


@pytest.mark.parametrize("name", ["ward", "town", "population/town", "town/ward/default", OWN])
def test_a_suspended_account_bears_no_charge_until_it_is_resumed(house: House, name: str) -> None:
    grant(house)
    suspended = budgets.suspend(house.desk, BOSS, name, "a complaint")
    assert (suspended["state"], suspended["reason"]) == ("suspended", "a complaint")
    with pytest.raises(Blocked, match="a complaint"):
        house.charge(OWN, "0.1")
    with pytest.raises(Conflict, match="already"):
        budgets.suspend(house.desk, BOSS, name, "another")
    assert budgets.resume(house.desk, BOSS, name)["state"] == "open"
    house.charge(OWN, "0.1")
    with pytest.raises(Conflict, match="is open"):
        budgets.resume(house.desk, BOSS, name)


def test_resuming_forgets_strikes(house: House) -> None:
    grant(house)
    for _ in range(2):
        house.ledger.strike((OWN,), "restricted_column", 2, {})
    assert house.ledger.find_account(OWN).state is AccountState.LOCKED
    resumed = budgets.resume(house.desk, BOSS, OWN)
    assert (resumed["state"], resumed["strikes"]) == ("open", 0)


# Who may, and bad input

ACTS: tuple[Callable[[House, Asker], Any], ...] = (
    lambda house, who: grant(house, who=who),
    lambda house, who: renew(house, "ward", who, epsilon=Fraction(1)),
    lambda house, who: transfer(house, 1, who=who),
    lambda house, who: budgets.suspend(house.desk, who, "ward", "x"),
    lambda house, who: budgets.resume(house.desk, who, "ward"),
)


def test_only_custodians_change_budgets(house: House) -> None:
    before = kinds(house)
    for act in ACTS:
        for who in (ANA, AUDITOR):
            with pytest.raises(Forbidden):
                act(house, who)
    assert kinds(house) == before


def test_a_custodian_reaches_the_datasets_of_their_grants_alone(house: House) -> None:
    grant(house, who=WARDEN)
    renew(house, "ward", WARDEN, epsilon=Fraction(1))
    for name in ("clinic", "town/clinic", "town/clinic/default", "town", "population/town"):
        with pytest.raises(NotFound):
            renew(house, name, WARDEN, epsilon=Fraction(1))
        with pytest.raises(NotFound):
            budgets.suspend(house.desk, WARDEN, name, "x")
    with pytest.raises(NotFound):
        grant(house, dataset="clinic", who=WARDEN)


def test_a_population_s_account_needs_a_custodian_of_all_its_datasets(house: House) -> None:
    renew(house, "town", BOTH, epsilon=Fraction(4))
    house.ledger.open_account(Account.at("town/attic", house.ledger.find_account("town").limits))
    with pytest.raises(NotFound):  # a dataset that left the catalog still has its people in the population
        renew(house, "town", BOTH, epsilon=Fraction(4))
    renew(house, "town", BOSS, epsilon=Fraction(4))


def test_an_account_that_is_not_there_is_not_found(house: House) -> None:
    for name in ("", "/", "nobody", "town/", "town/ward/default/nobody", "town/ward/x/y/z", "\x00"):
        with pytest.raises(NotFound):
            budgets.suspend(house.desk, BOSS, name, "x")


NO_GRANTS: Sequence[Mapping[str, Any]] = [
    {"epsilon": 0},
    {"epsilon": -1},
    {"epsilon": "1e-10"},
    {"delta": Fraction(1)},
    {"delta": Fraction(-1, 10)},
    {"until": "2026-05-20"},
    {"until": "soon"},
    {"every": "fortnight"},
    {"until": "2027-01-01", "every": "month"},
    {"analyst": "a b"},
    {"analyst": "a/b"},
    {"analyst": ""},
    {"analyst": "ä"},
    {"analyst": "a" * 101},
    {"project": "a/b"},
    {"project": ""},
]


def test_a_grant_that_cannot_be_is_bad_input(house: House) -> None:
    before = kinds(house)
    for wrong in NO_GRANTS:
        with pytest.raises(BadInput):
            grant(house, **wrong)
    assert kinds(house) == before


NO_RENEWALS: Sequence[Mapping[str, Any]] = [
    {"epsilon": Fraction(0)},
    {"epsilon": Fraction(1, 10**10)},
    {"delta": Fraction(2)},
    {"until": "2026-05-20T11:59Z"},
    {"every": "aeon"},
    {"until": "2027-01-01", "every": "month"},
    {"epsilon": Fraction(1), "reason": ""},
    {"epsilon": Fraction(1), "reason": " "},
    {"epsilon": Fraction(1), "reason": "x" * 501},
]


def test_a_renewal_that_cannot_be_is_bad_input(house: House) -> None:
    before = kinds(house)
    for wrong in NO_RENEWALS:
        with pytest.raises(BadInput):
            renew(house, "ward", **wrong)
    assert kinds(house) == before


def test_a_suspension_has_a_reason(house: House) -> None:
    for reason in ("", "\n", "x" * 501):
        with pytest.raises(BadInput):
            budgets.suspend(house.desk, BOSS, "ward", reason)


def test_the_books_hold_after_all_of_it(house: House) -> None:
    grant(house, "ana", 2)
    grant(house, "ben", 1)
    house.charge(OWN, "0.5")
    transfer(house, "0.5")
    renew(house, "town", until="2026-06-01")
    budgets.suspend(house.desk, BOSS, "ward", "x")
    budgets.resume(house.desk, BOSS, "ward")
    house.clock.now = JUNE
    renew(house, "town", every="month")
    house.charge(OWN, "0.5")
    report = house.ledger.verify()
    assert report.whole, report.fault


assert START < JUNE < JULY


@pytest.mark.parametrize("name", ["", ".", "..", "...", "a/b", "é", "x" * 101, "a b"])
def test_a_name_is_no_path(name: str) -> None:
    """Over HTTP a path with a part of dots alone would mean the account above."""
    with pytest.raises(BadInput):
        budgets.name_of(name)


@pytest.mark.parametrize("name", ["ana", "a.b", ".a", "a..", "ana@example.org", "-_-"])
def test_names_are_taken_as_they_are(name: str) -> None:
    assert budgets.name_of(name) == name

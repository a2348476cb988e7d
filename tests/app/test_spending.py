"""What budgets show, and to whom."""

from fractions import Fraction
from typing import Any

import pytest

from noisegate.app import budgets, spending
from noisegate.errors import BadInput, LedgerUnavailable, NotFound
from noisegate.gate.access import Asker, Role
from noisegate.ledger.records import Charge
from noisegate.privacy.curves import gaussian, pure
from noisegate.privacy.filter import Limits
from noisegate.server.http.budget_bodies import AccountsReply, OdometerReply

from .conftest import ANA, AUDITOR, BOSS, BOTH, WARDEN, House, at

OWN = "town/ward/default/ana"


@pytest.fixture
def spent(house: House) -> House:
    """Ana and Ben asked on two days, Ana of two tiers, Ben of two datasets."""
    for name in ("ana", "ben"):
        account = f"town/ward/default/{name}"
        budgets.grant(
            house.desk, BOSS, "ward", name, Fraction(2), None, project="default", until=None, every=None
        )
        house.charge(account, "0.1")
    house.clock.now += 86_400
    house.charge(OWN, "0.2", "genomic")
    budgets.grant(
        house.desk, BOSS, "clinic", "ben", Fraction(1), None, project="default", until=None, every=None
    )
    house.charge("town/clinic/default/ben", "0.3")
    return house


def shown(house: House, who: Asker, name: str | None = None) -> dict[str, Any]:
    found: Any = spending.budget(house.desk, who, name)
    AccountsReply.model_validate(found, strict=True)
    return {a["account"]: a for a in found["accounts"]}


def told(house: House, who: Asker, by: str, name: str | None = None, days: int | None = None) -> list[Any]:
    found: Any = spending.odometer(house.desk, who, by, name, days)
    OdometerReply.model_validate(found, strict=True)
    readings: list[Any] = found["readings"]
    return readings


def test_everybody_sees_what_they_may(spent: House) -> None:
    every = {b.id for b in spent.ledger.accounts()}
    assert set(shown(spent, BOSS)) == set(shown(spent, AUDITOR)) == set(shown(spent, BOTH)) == every
    assert set(shown(spent, WARDEN)) == {a for a in every if a.startswith("town/ward")}
    assert set(shown(spent, ANA)) == {OWN}


def test_an_analyst_sees_their_own_accounts_and_no_other_s(spent: House) -> None:
    ben = Asker("ben", Role.ANALYST, None)
    assert set(shown(spent, ben)) == {"town/ward/default/ben", "town/clinic/default/ben"}
    assert {r["dataset"]: r["charges"] for r in told(spent, ben, "dataset")} == {"clinic": 1, "ward": 1}
    for name in (OWN, "town/ward", "town", "population/town"):
        with pytest.raises(NotFound):
            shown(spent, ben, name)
        with pytest.raises(NotFound):
            told(spent, ben, "day", name)
    assert set(shown(spent, ben, "ward")) == {"town/ward/default/ben"}
    assert [r["of"] for r in told(spent, ben, "analyst")] == ["ben", "ben"]


def test_an_account_that_is_not_open_is_shown_as_it_will_be(house: House) -> None:
    eve = Asker("eve", Role.ANALYST, frozenset({"ward"}))
    (own,) = shown(house, eve).values()
    assert (own["account"], own["spent"], own["left"], own["charges"]) == (
        "town/ward/default/eve",
        0.0,
        3.0,
        0,
    )
    house.ledger.renew(
        "town/ward/default", Limits.of(Fraction(1), Fraction(0)), until=at("2026-06-01"), by="c"
    )
    (own,) = shown(house, eve).values()
    assert (own["epsilon"], own["delta"], own["period"]["until"]) == (1.0, 0.0, "2026-06-01T00:00:00+00:00")
    assert shown(house, Asker("eve", Role.ANALYST, None, "stroke")) == {}
    assert house.ledger.find_account("town/ward/default/eve") is None


def test_one_account_is_shown_with_what_is_beneath_it(spent: House) -> None:
    ward = {a for a in shown(spent, BOSS) if a.startswith("town/ward")}
    assert set(shown(spent, BOSS, "ward")) == set(shown(spent, BOSS, "town/ward")) == ward
    assert set(shown(spent, BOSS, "town")) == set(shown(spent, BOSS))
    assert set(shown(spent, BOSS, OWN)) == {OWN}
    with pytest.raises(NotFound):
        shown(spent, WARDEN, "clinic")


def test_a_name_that_a_dataset_and_its_population_share_means_the_dataset(house: House) -> None:
    for path in ("solo", "solo/solo"):
        account = house.ledger.find_account("town/ward").account
        house.ledger.open_account(type(account).at(path, account.limits))
    assert set(shown(house, BOSS, "solo")) == {"solo/solo"}
    assert set(shown(house, BOSS, "population/solo")) == {"solo", "solo/solo"}


def test_spending_is_told_apart_within_each_dataset(spent: House) -> None:
    def parts(by: str, **more: Any) -> list[tuple[str, str, int]]:
        return [(r["dataset"], r["of"], r["charges"]) for r in told(spent, BOSS, by, **more)]

    assert parts("dataset") == [("clinic", "", 1), ("ward", "", 3)]
    assert parts("analyst") == [("clinic", "ben", 1), ("ward", "ana", 2), ("ward", "ben", 1)]
    assert parts("tier") == [("clinic", "clinical", 1), ("ward", "clinical", 2), ("ward", "genomic", 1)]
    days = [("clinic", "2026-05-21", 1), ("ward", "2026-05-20", 2), ("ward", "2026-05-21", 1)]
    assert parts("day") == days
    assert parts("day", days=1) == [d for d in days if d[1] == "2026-05-21"]
    assert parts("analyst", name=OWN) == [("ward", "ana", 2)]
    assert [r["dataset"] for r in told(spent, WARDEN, "dataset")] == ["ward"]


def test_each_part_is_told_as_the_epsilon_of_its_own_loss(spent: House) -> None:
    (clinic, ward) = told(spent, BOSS, "dataset")
    accounts = shown(spent, BOSS)
    assert ward["epsilon"] == pytest.approx(accounts["town/ward"]["spent"])
    assert clinic["epsilon"] == pytest.approx(accounts["town/clinic"]["spent"])
    by_tier = {r["of"]: r["epsilon"] for r in told(spent, BOSS, "tier", "ward")}
    assert by_tier["genomic"] == pytest.approx(0.2)


def test_a_loss_without_a_bound_at_the_account_s_delta_is_null(house: House) -> None:
    house.ledger.renew("town/ward/default", Limits.of(Fraction(3), Fraction(1, 10**6)), until=None, by="c")
    budgets.grant(
        house.desk, BOSS, "ward", "ana", Fraction(2), None, project="default", until=None, every=None
    )
    paths = ("town", "town/ward", "town/ward/default", OWN)
    loss = gaussian(Fraction(1, 100))
    house.ledger.charge(
        Charge(accounts=paths, loss=loss, datasets=("ward",), fingerprint="g", tier="clinical")
    )
    pure_only = Limits.of(Fraction(3), Fraction(0))
    house.ledger.renew("town/ward", pure_only, until=None, by="c")
    assert shown(house, BOSS)["town/ward"]["lifetime"]["spent"] is None
    assert told(house, BOSS, "dataset")[0]["epsilon"] is None


def test_states_are_told_in_a_word(monthly: House) -> None:
    assert {a["state"] for a in shown(monthly, BOSS).values()} == {"open"}
    monthly.clock.now = at("2026-06-01")
    monthly.ledger.suspend("town/clinic", "x", by="c")
    states = {path: a["state"] for path, a in shown(monthly, BOSS).items()}
    assert states["town/clinic"] == "suspended"
    assert {s for p, s in states.items() if p != "town/clinic"} == {"expired"}


def test_the_forecast_ends_with_the_period(monthly: House) -> None:
    delta = Fraction(0)
    budgets.grant(
        monthly.desk, BOSS, "ward", "ana", Fraction(1), delta, project="default", until=None, every=None
    )
    monthly.charge(OWN, "0.2")
    found = shown(monthly, BOSS)
    # A fifth of 1 a day lasts four days more; of 3 it lasts until the month has ended.
    assert found[OWN]["runs_out"] == {"on": "2026-05-24", "because": "spent"}
    assert found[OWN]["more_like_average"] == 4
    assert found["town/ward"]["runs_out"] == {"on": "2026-06-01", "because": "period ends"}
    assert found["town/clinic"]["runs_out"] is None


def test_an_account_is_the_same_whichever_way_it_is_asked_for(spent: House) -> None:
    every = shown(spent, BOSS)
    assert every[OWN]["runs_out"] is not None
    for name in ("town", "ward", "town/ward/default", OWN, "clinic", "town/clinic/default/ben"):
        for path, account in shown(spent, BOSS, name).items():
            assert account == every[path], (name, path)
    assert shown(spent, WARDEN)[OWN] == every[OWN] == shown(spent, ANA)[OWN]


def test_a_surcharge_is_told_apart_from_the_loss(house: House) -> None:
    budgets.grant(
        house.desk, BOSS, "ward", "ana", Fraction(2), Fraction(0), project="default", until=None, every=None
    )
    paths = ("town", "town/ward", "town/ward/default", OWN)
    tenth = pure(Fraction(1, 10))
    house.ledger.charge(
        Charge(
            accounts=paths,
            loss=tenth,
            surcharges={OWN: tenth.times(2)},
            datasets=("ward",),
            fingerprint="s",
            tier="clinical",
        )
    )
    own = shown(house, BOSS)[OWN]
    assert (own["spent"], own["surcharge"], own["left"]) == pytest.approx((0.3, 0.2, 1.7))
    assert own["lifetime"]["spent"] == pytest.approx(0.1)
    (reading,) = told(house, ANA, "dataset")
    assert (reading["epsilon"], reading["surcharge"]) == pytest.approx((0.1, 0.2))


@pytest.mark.parametrize("by", ["", "month", "account", "Day"])
def test_spending_is_told_apart_by_known_words_alone(house: House, by: str) -> None:
    with pytest.raises(BadInput, match="dataset, analyst, tier, day"):
        spending.odometer(house.desk, BOSS, by, None, None)


def test_the_front_page_shows_periods_and_their_sums_and_no_spending(monthly: House) -> None:
    monthly.ledger.renew("town/ward", None, until=at("2026-07-01"), by="c")
    ward = spending.overview_json(monthly.desk, monthly.desk.catalog.datasets[0])
    assert ward == {
        "name": "ward",
        "title": "A ward",
        "synthetic": False,
        "epsilon": 3.0,
        "delta": 1e-6,
        "until": "2026-07-01T00:00:00+00:00",
        "periods": 2,
        "lifetime_epsilon": 6.0,
        "lifetime_delta": 2e-6,
    }


def test_without_a_ledger_the_front_page_shows_what_is_declared(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(account: str) -> None:
        raise LedgerUnavailable(f"no {account}")

    monkeypatch.setattr(house.ledger, "find_account", down)
    ward = spending.overview_json(house.desk, house.desk.catalog.datasets[0])
    assert (ward["epsilon"], ward["periods"], ward["until"]) == (3.0, 1, None)

"""What the database adds up, against adding up the tallies one by one."""

from collections import defaultdict
from dataclasses import replace
from fractions import Fraction

import pytest

from noisegate.ledger.spending import Group, Spending
from noisegate.ledger.store import Ledger
from noisegate.privacy.curves import gaussian, pure
from noisegate.privacy.loss import INFINITE, ORDERS, ZERO, Loss

DAY = 86_400
LEAVES = (
    "olmsted/liver/default/ana",
    "olmsted/liver/default/ben",
    "olmsted/liver/stroke/ana",
    "olmsted/liver-2/default/ana",
    "olmsted/panel/default/ana",
)
# Above half of 64 bits at one order, so that a few of them leave 64 bits; admitted by the others.
HUGE = Loss((2**62, *(1,) * (len(ORDERS) - 1)), 7)


def slow(ledger: Ledger, account: str, group: Group, since: int) -> dict[str | int, Spending]:
    """The sums, one tally after the other."""
    parts = defaultdict(list)
    for tally in ledger.tallies():
        if tally.day >= since and (not account or f"{tally.account}/".startswith(f"{account}/")):
            parts[getattr(tally, group.value)].append(tally)
    found = {}
    for of, tallies in parts.items():
        spent, surcharge = ZERO, ZERO
        for tally in tallies:
            spent, surcharge = spent + tally.spent, surcharge + tally.surcharge
        first = min(t.day for t in tallies)
        found[of] = Spending(of, first, sum(t.charges for t in tallies), spent, surcharge)
    return found


@pytest.fixture(params=["huge", "usual"])
def spent(timed, request):
    for leaf in LEAVES:
        timed.open_path(leaf)
    last = HUGE if request.param == "huge" else gaussian(Fraction(1, 700))
    losses = (pure(Fraction(1, 100)), gaussian(Fraction(1, 500)), last)
    for number in range(24):
        leaf = LEAVES[number % 5]
        surcharges = {leaf: timed.cent.times(number)} if number % 3 else {}
        charge = timed.wanted(f"f{number}", losses[number % 3], (leaf,), surcharges)
        timed.ledger.charge(replace(charge, tier=("clinical", "genomic")[number % 2], asker="ana"))
        if number % 5 == 4:
            timed.clock.seconds += DAY
    return timed


@pytest.mark.parametrize("group", Group)
def test_the_database_adds_up_what_adding_one_by_one_gives(spent, group):
    today = spent.clock() // DAY
    for account in ("", "olmsted", "olmsted/liver", "olmsted/liver/default", LEAVES[0], "olmsted/liv", "x"):
        for since in (0, today - 2, today + 1):
            found = spent.ledger.spending(account, group, since)
            assert {part.of: part for part in found} == slow(spent.ledger, account, group, since)
            assert len({part.of for part in found}) == len(found)


@pytest.mark.parametrize("spent", ["huge"], indirect=True)
def test_sums_that_leave_64_bits_saturate(spent):
    (whole,) = (p for p in spent.ledger.spending("", Group.TIER) if p.of == "clinical")
    assert whole.spent.renyi[0] == INFINITE  # four times 2^62, and more
    assert whole.spent.renyi[-1] == INFINITE  # of the Gaussian ones
    assert 0 < whole.spent.renyi[5] < INFINITE
    assert whole.spent.delta == 4 * 7


def test_before_the_first_charge_there_is_nothing_to_add_up(timed):
    assert [timed.ledger.spending("", group) for group in Group] == [(), (), ()]

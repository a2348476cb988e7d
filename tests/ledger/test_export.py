"""What a ledger exports verifies, and says the same as its rows."""

import io
import json
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noisegate.errors import InternalError, NoisegateError
from noisegate.ledger.accounts import AccountState
from noisegate.ledger.checkpoints import file_of, signed, take
from noisegate.ledger.export import export
from noisegate.ledger.records import Charge, JobState
from noisegate.ledger.store import Account, Ledger
from noisegate.privacy.curves import gaussian, pure, with_delta
from noisegate.privacy.filter import Limits
from noisegate.privacy.loss import ZERO, Loss
from noisegate.verifier import Report, verify

ANA = "olmsted/liver/default/ana"
BEN = "olmsted/panel/default/ben"


def verified(ledger: Ledger, chains: set[str] | None = None) -> Report:
    name, content = file_of(signed(ledger.signer, take(ledger).as_json()))
    file = io.BytesIO(b"".join(export(ledger, chains)))
    return verify(file, keys=[ledger.signer.public], checkpoints={name: content})


def test_an_export_verifies_and_is_one_state_of_the_ledger(house):
    ledger = house.ledger
    house.open_path(BEN)
    ledger.register_version("liver", "[liver]", "d1")
    house.answer("a")
    pieces = export(ledger)
    begun = [next(pieces)]
    at_the_beginning = ledger.heads()
    for i in range(5):
        house.answer(f"more {i}")
    ledger.close(ledger.charge(house.wanted("both", leaves=(ANA, BEN))).id, '"c"')
    report = verify(io.BytesIO(b"".join([*begun, *pieces])), keys=[ledger.signer.public])
    assert report.fault is None
    assert report.heads == {chain: head[:2] for chain, head in at_the_beginning.items()}
    assert (report.charges, report.ledger, report.every_chain) == (1, ledger.id, True)
    assert verified(ledger).heads != report.heads


def test_a_long_chain_is_exported_in_pieces(house, monkeypatch):
    monkeypatch.setattr("noisegate.ledger.export._PAGE", 5)
    for i in range(10):
        house.answer(f"question {i}")
    pieces = list(export(house.ledger))
    assert len(pieces) > 4
    assert all(piece.endswith(b"\n") for piece in pieces)
    assert verify(io.BytesIO(b"".join(pieces))).charges == 10


def test_one_chain_alone_verifies_too(house):
    house.open_path(BEN)
    house.ledger.charge(house.wanted("both", leaves=(ANA, BEN)))
    for chain in ("liver", "panel", "population/olmsted"):
        report = verified(house.ledger, {chain})
        assert (report.fault, report.every_chain, list(report.heads)) == (None, False, [chain])
    assert verified(house.ledger, {"nowhere"}).heads == {}


def test_each_line_says_what_its_receipt_does(house):
    house.answer("a")
    lines = b"".join(export(house.ledger)).decode().splitlines()
    said = [json.loads(line) for line in lines[1:-1]]
    receipts = [r for chain in ("population/olmsted", "liver") for r in house.ledger.receipts(chain)]
    assert [(s["chain"], s["number"], s["hash"], s["body"]) for s in said] == [
        (r.dataset, r.seq, r.hash, r.body) for r in receipts
    ]


def test_an_export_that_cannot_be_finished_has_no_end(house, monkeypatch):
    for i in range(3):
        house.answer(f"question {i}")
    read = house.ledger.receipts
    monkeypatch.setattr(house.ledger, "receipts", lambda chain, after, most: read(chain, after, most)[:2])
    assert verify(io.BytesIO(b"".join(export(house.ledger)))).whole
    monkeypatch.setattr(
        house.ledger, "receipts", lambda chain, after, most: () if after else read(chain, after, most)[:2]
    )
    got = []
    with pytest.raises(InternalError, match="does not lead to its head"):
        got.extend(export(house.ledger))
    assert "ends before its signed last line" in verify(io.BytesIO(b"".join(got))).fault


# Any history

ROOT = Limits.of(Fraction(4), Fraction(1, 10**6))
SHARE = Limits.of(Fraction(1), Fraction(1, 10**6))
PURE = Limits.of(Fraction(1), Fraction(0))
LEAVES = ("p/a/x/ana", "p/a/x/ben", "p/b/x/ana")
ACCOUNTS = ("p", "p/a", "p/b", "p/a/x", "p/b/x", *LEAVES)
LOSSES = (
    ZERO,
    pure(Fraction(1, 10)),
    pure(Fraction(1, 2)),
    gaussian(Fraction(1, 500)),
    with_delta(pure(Fraction(1, 100)), Fraction(1, 10**8)),
    Loss((2**63 - 1, *pure(Fraction(1, 10)).renyi[1:])),
)
PLANS = ("q", "r", "s", "t", "u", "v", "w")
# How often each step is taken; whatever the ledger then says to it.
STEPS = {
    "charge": 16,
    "close": 8,
    "fail": 1,
    "unsuspend": 2,
    "draw": 4,
    "end": 3,
    "renew": 2,
    "transfer": 2,
    "suspend": 1,
    "resume": 4,
    "strike": 2,
    "register": 1,
    "wait": 2,
    "reopen": 1,
}


class History:
    """Does steps on a ledger, whatever it says to them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now = 1_700_000_000
        self.ledger = Ledger.open(directory, clock=lambda: self.now)
        self.charges: list[int] = []
        for name in ACCOUNTS:
            self.ledger.open_account(Account.at(name, ROOT if name == "p" else SHARE), by="cus")

    def do(self, random: Random) -> None:
        """Take one step."""
        (kind,) = random.choices(list(STEPS), list(STEPS.values()))
        with suppress(NoisegateError):
            getattr(self, kind)(random)

    def charge(self, random: Random) -> None:
        leaves = random.sample(LEAVES, random.choice((1, 1, 2)))
        surcharge = random.choice((None, None, *LOSSES[:2]))
        accounts = {"/".join(leaf.split("/")[:i]) for leaf in leaves for i in range(1, 5)}
        datasets = sorted({leaf.split("/")[1] for leaf in leaves})
        made = Charge(
            accounts=tuple(sorted(accounts)),
            loss=random.choice(LOSSES),
            surcharges={} if surcharge is None else {min(leaves): surcharge},
            datasets=tuple(datasets),
            fingerprint=f"{random.choice(PLANS)} of {datasets}",
            body={"question": "how many, ε?", "epsilon": 0.1},
            asker="ana",
            tier="clinical",
            steps=random.choice((None, None, 1, 3)),
        )
        self.charges.append(self.ledger.charge(made).id)

    def close(self, random: Random) -> None:
        self.ledger.close(random.choice([*self.charges[-4:], 1]), f'"answer {random.random()}"')

    def fail(self, random: Random) -> None:
        self.ledger.fail(random.choice([*self.charges[-4:], 1]), "timeout")

    def unsuspend(self, _: Random) -> None:
        for suspended in self.ledger.suspended():
            self.ledger.unsuspend(suspended.fingerprint)

    def draw(self, random: Random) -> None:
        for job in self.ledger.jobs()[:2]:
            self.ledger.draw(job.charge, random.choice(LOSSES))

    def end(self, random: Random) -> None:
        states = (JobState.FINISHED, JobState.FAILED, JobState.CANCELLED)
        for job in self.ledger.jobs()[:1]:
            self.ledger.end_job(job.charge, random.choice(states), '"trained"')

    def renew(self, random: Random) -> None:
        until = random.choice((None, None, self.now + 5))
        limits = random.choice((None, SHARE, PURE))
        self.ledger.renew(random.choice(ACCOUNTS), limits, until=until, by="cus", reason="a test")

    def transfer(self, random: Random) -> None:
        giver, taker = random.choice(
            (LEAVES[:2], LEAVES[1::-1], ("p/a", "p/b"), ("p/b", "p/a"), ("p", "p/a"))
        )
        self.ledger.transfer(giver, taker, Fraction(1, random.choice((3, 10))), by="cus")

    def suspend(self, random: Random) -> None:
        self.ledger.suspend(random.choice(ACCOUNTS), "a test", by="cus")

    def resume(self, _: Random) -> None:
        for balance in self.ledger.accounts():
            if balance.state is not AccountState.OPEN:
                self.ledger.resume(balance.id, by="cus")

    def strike(self, random: Random) -> None:
        self.ledger.strike((random.choice(LEAVES),), "restricted", 2, {"question": "who?"})

    def register(self, random: Random) -> None:
        self.ledger.register_version(random.choice("ab"), "[declared]", "digest")

    def wait(self, random: Random) -> None:
        self.now += random.choice((0, 1, 4))

    def reopen(self, _: Random) -> None:
        self.ledger.shut()
        self.ledger = Ledger.open(self.directory, clock=lambda: self.now)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_any_history_verifies_and_adds_up_to_the_rows(place, seed):
    random = Random(seed)
    history = History(Path(tempfile.mkdtemp(dir=place)))
    try:
        for _ in range(random.randrange(80)):
            history.do(random)
        ledger = history.ledger
        report = verified(ledger)
        assert report.fault is None
        present = {share.account: share for share in report.shares}  # the last of each
        saturated = 2**63 - 1
        for balance in ledger.accounts():
            share = present[balance.id]
            assert (share.number, share.charges) == (balance.period.number, balance.charges)
            # The ledger's sums stop at "no bound" and stay there; the verifier's need not.
            for ours, theirs in zip(share.spent, balance.spent.renyi, strict=True):
                assert ours == theirs or theirs == saturated
            assert share.spent_delta == balance.spent.delta
            assert share.counted() == list(balance.counted.renyi) or saturated in balance.counted.renyi
            lifetime = sum(s.epsilon for s in report.shares if s.account == balance.id)
            assert lifetime == balance.lifetime.epsilon
        for chains in ({"a"}, {"b", "population/p"}):
            assert verified(ledger, chains).fault is None
    finally:
        history.ledger.shut()

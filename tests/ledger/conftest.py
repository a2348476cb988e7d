"""A ledger of two datasets of one population, and what the tests do with it all the time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import pytest

from noisegate.ledger.store import Account, Charge, IdempotencyKey, Ledger
from noisegate.privacy.curves import pure
from noisegate.privacy.filter import Limits
from noisegate.privacy.loss import Loss

ROOMY = Limits.of(Fraction(100), Fraction(1, 10**6))


@dataclass(slots=True)
class House:
    """A ledger and shorthands. `cent` is pure ε = 0.01."""

    ledger: Ledger
    directory: Path
    url: str | None = None
    clock: Callable[[], int] | None = None
    cent: Loss = field(default_factory=lambda: pure(Fraction(1, 100)))
    roomy: Limits = ROOMY

    def open_path(self, path: str, limits: Limits = ROOMY) -> None:
        """Open an account and its ancestors, where they are not open yet, all with the same limits."""
        parts = path.split("/")
        for i in range(1, len(parts) + 1):
            ancestor = "/".join(parts[:i])
            if self.ledger.find_account(ancestor) is None:
                self.ledger.open_account(Account.at(ancestor, limits))

    def path_to(self, *leaves: str) -> tuple[str, ...]:
        """Return the leaves with all their ancestors."""
        return tuple(
            sorted(
                {"/".join(leaf.split("/")[: i + 1]) for leaf in leaves for i in range(leaf.count("/") + 1)}
            )
        )

    def wanted(
        self,
        fingerprint: str,
        loss: Loss | None = None,
        leaves: Sequence[str] = ("olmsted/liver/default/ana",),
        surcharges: dict[str, Loss] | None = None,
        idempotency: IdempotencyKey | None = None,
    ) -> Charge:
        """Return a charge for the leaves' paths."""
        return Charge(
            accounts=self.path_to(*leaves),
            loss=self.cent if loss is None else loss,
            surcharges=surcharges or {},
            datasets=tuple(sorted({leaf.split("/")[1] for leaf in leaves})),
            fingerprint=fingerprint,
            idempotency=idempotency,
            body={"question": "SELECT count(*) FROM liver.patients", "asker": "ana"},
        )

    def answer(self, fingerprint: str, text: str = '{"rows":[]}') -> int:
        """Charge and close one question, and return the charge."""
        charged = self.ledger.charge(self.wanted(fingerprint))
        self.ledger.close(charged.id, text)
        return charged.id

    def reopen(self) -> None:
        """Shut the ledger and open it again."""
        self.ledger.shut()
        self.ledger = Ledger.open(self.directory, url=self.url, clock=self.clock)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> str:
    """Name the store. A module of tests for one of them says so: `indirect=True`, with its name."""
    return str(request.param)


@pytest.fixture
def make_url(store: str, request: pytest.FixtureRequest) -> Callable[[], str | None]:
    """Return a maker of places for ledgers: None for SQLite in the state directory, or a server's URL."""
    if store == "sqlite":
        return lambda: None
    make: Callable[[], str] = request.getfixturevalue("postgres").make_ledger
    return make


@pytest.fixture
def make_house(tmp_path: Path, make_url: Callable[[], str | None]) -> Iterator[Callable[[Limits], House]]:
    """Return a maker of ledgers with one analyst, ana, whose whole path has the same limits."""
    made: list[House] = []

    def make(limits: Limits) -> House:
        directory, url = tmp_path / f"state{len(made)}", make_url()
        house = House(Ledger.open(directory, url=url), directory, url)
        made.append(house)
        house.open_path("olmsted/liver/default/ana", limits)
        return house

    yield make
    for house in made:
        house.ledger.shut()


@pytest.fixture
def house(make_house: Callable[[Limits], House]) -> House:
    """Return a ledger with one analyst and room for many questions."""
    return make_house(ROOMY)


@dataclass(slots=True)
class Clock:
    """A clock that stands still until it is set: seconds since 1970 UTC."""

    seconds: int = 20_000 * 86_400 + 12 * 3_600

    def __call__(self) -> int:
        return self.seconds


@pytest.fixture
def timed(tmp_path: Path, make_url: Callable[[], str | None]) -> Iterator[House]:
    """Return a ledger with one analyst and room for many questions, whose clock starts at a noon."""
    clock, directory, url = Clock(), tmp_path / "timed", make_url()
    house = House(Ledger.open(directory, url=url, clock=clock), directory, url, clock)
    house.open_path("olmsted/liver/default/ana")
    yield house
    house.ledger.shut()

"""A workshop over tiny stores of made-up people, and a ledger with a budget: sharing without a gateway."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from noisegate.gate.access import Asker
from noisegate.gate.door import Gate
from noisegate.genomics.declared import Declarations
from noisegate.genomics.keys import KeyStore
from noisegate.genomics.proposal import Proposal, propose
from noisegate.genomics.recipe import Method, PanelName, Recipe
from noisegate.genomics.releases import Shelf
from noisegate.genomics.scheduler import Scheduler, Threads
from noisegate.genomics.share import Workshop
from noisegate.genotypes.packed import Calls, pack
from noisegate.genotypes.store import Store, Writer
from noisegate.genotypes.variants import Variants
from noisegate.ledger.accounts import Account
from noisegate.ledger.records import Role
from noisegate.ledger.store import Ledger
from noisegate.privacy.filter import Limits

BOSS = Asker("boss", Role.CUSTODIAN, frozenset({"panel"}))
PRIVATE, PUBLIC = PanelName("panel", "snps", 1), PanelName("panel", "open", 1)
LIMITS = Limits.of(Fraction(10_000), Fraction(1, 10**5))


def variants_of(count: int) -> Variants:
    return Variants.of(
        ["1"] * count,
        [1_000 + 100 * i for i in range(count)],
        [f"rs{i}" for i in range(count)],
        ["A"] * count,
        ["G"] * count,
    )


def calls_of(variants: int, people: int, seed: int, missing: float = 0.0) -> Calls:
    """Made-up calls, int8 of shape (variants, people)."""
    draw = np.random.default_rng(seed)
    shares = draw.uniform(0.1, 0.9, (variants, 1))
    calls = draw.binomial(2, shares, (variants, people)).astype(np.int8)
    calls[draw.uniform(size=calls.shape) < missing] = -1
    return calls


def store_of(path: Path, calls: Calls, *, public: bool = False, prefix: str = "p") -> Store:
    variants, people = calls.shape
    writer = Writer.create(
        path,
        samples=[f"{prefix}{i}" for i in range(people)],
        variants=variants_of(variants),
        build="GRCh37",
        public=public,
    )
    for chunk in writer.chunks():
        start, stop = writer.bounds(chunk)
        writer.write(chunk, pack(calls[start:stop]))
    return writer.finish()


@dataclass
class Lab:
    """A workshop, the sources that recipes name, and what was drawn and wiped."""

    home: Path
    ledger: Ledger
    shop: Workshop
    declared: Declarations
    stores: dict[PanelName, Store] = field(default_factory=dict)
    declared_named: set[PanelName] = field(default_factory=set)

    def store(self, panel: PanelName) -> Store:
        return Store.open(self.stores[panel].path)

    def families(self, digest: str) -> tuple[tuple[str, ...], ...]:
        return self.declared.read_families(digest)

    def sealed(self, names: Sequence[str]) -> str:
        return self.declared.sealed(names)

    def named(self, panel: PanelName) -> bool:
        return panel in self.declared_named

    def cases(self, digest: str) -> frozenset[str]:
        return self.declared.read_cases(digest)

    def frequencies(self, digest: str) -> dict[str, float]:
        return self.declared.read_frequencies(digest)

    def released(self, release: str) -> tuple[Recipe, Path]:
        found = self.shop.shelf.find(release)
        held = found.summary["recipe"]
        assert isinstance(held, dict)
        return Recipe.of_json(held), self.shop.shelf.place(release)

    def propose(self, recipe: Recipe, chunk: int | None = None) -> Proposal:
        return propose(recipe, "genomes", self, chunk)


def recipe(method: Method = Method.XOR, epsilon: Fraction | int = 50, **more: object) -> Recipe:
    return Recipe(dataset="panel", table="snps", version=1, method=method, epsilon=Fraction(epsilon), **more)


@contextmanager
def lab(
    home: Path,
    *,
    people: int = 30,
    variants: int = 40,
    scheduler: Scheduler | None = None,
    missing: float = 0.02,
) -> Iterator[Lab]:
    """Open a lab in a directory; opened again, it goes on with what is there."""
    home.mkdir(exist_ok=True)
    with Ledger.open(home) as ledger:
        for path in ("genomes", "genomes/panel", "genomes/panel/default"):
            if ledger.find_account(path) is None:
                ledger.open_account(Account.at(path, LIMITS))
        shop = Workshop(
            Gate(ledger, {"panel": LIMITS}), Shelf(home), KeyStore(home / "keys"), scheduler or Threads(2)
        )
        made = Lab(home, ledger, shop, Declarations(home, b"k" * 32))
        for name, count, seed in ((PRIVATE, people, 1), (PUBLIC, 50, 2)):
            path = home / f"{name.table}.zarr"
            public = name == PUBLIC
            calls = calls_of(variants, count, seed, 0.0 if public else missing)
            made.stores[name] = (
                Store.open(path)
                if path.exists()
                else store_of(path, calls, public=public, prefix="q" if public else "p")
            )
        yield made

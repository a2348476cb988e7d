"""What a recipe of genomes names, found for who may know of it: tables, panels, declared things, releases.

What reads genotypes is loaded when it is first needed.
"""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisegate.app.state import DATA, digest_key
from noisegate.ask.desk import Desk
from noisegate.catalog.model import Dataset, Table
from noisegate.config import Config
from noisegate.errors import BadInput, Forbidden, NotFound
from noisegate.gate.access import Asker
from noisegate.genomics.recipe import Format, Method, PanelName, Recipe, Request, Restoration
from noisegate.genomics.releases import Release, Shelf
from noisegate.genotypes.extra import genome_libraries

if TYPE_CHECKING:
    from noisegate.genomics.declared import Declarations
    from noisegate.genomics.proposal import Proposal
    from noisegate.genotypes.store import Store


class Names:
    """Makes recipes of requests, and finds what recipes name; it is `genomics.mechanism.Sources`."""

    def __init__(
        self, desk: Desk, config: Config, shelf: Shelf, find: Callable[[Asker, str], Release]
    ) -> None:
        """Take what asking needs, where things lie, and what finds a release that an asker may know of."""
        self._desk = desk
        self._config = config
        self._shelf = shelf
        self._find = find

    def recipe(self, asker: Asker, request: Request) -> Recipe:
        """Return what is asked for as a recipe: versions pinned, what is declared kept under its digest."""
        dataset, table = self._table(asker, request.genotypes)
        method, restoration = _word(Method, request.method), _word(Restoration, request.restore)
        target = request.target
        if restoration is Restoration.PUBLIC:
            target = self.public(asker, target or request.reference).name
        if restoration is Restoration.DECLARED and request.frequencies:
            target = self._declared.frequencies(request.frequencies)
        if restoration is Restoration.RELEASED and target:
            target = self._find(asker, target).id
        return Recipe(
            dataset=dataset.name,
            table=table.name,
            version=self._desk.versions[dataset.name],
            method=method,
            epsilon=Fraction(request.epsilon),
            delta=Fraction(request.delta),
            reference=self.public(asker, request.reference).name if request.reference else "",
            manifest=self.public(asker, request.manifest).name if request.manifest else "",
            coupling=Fraction(request.coupling),
            families=self._declared.families(request.families) if request.families else "",
            restoration=restoration,
            target=target,
            statement=request.statement,
            cases=self._cases(dataset, table, request.cases) if request.cases else "",
            formats=tuple(_word(Format, word) for word in request.formats),
        )

    def _cases(self, dataset: Dataset, table: Table, names: Sequence[str]) -> str:
        """Keep who is a case; what is wrong with the list is told before anything is charged.

        Raises:
            BadInput: somebody who is no part of the cohort is named.
        """
        with genome_libraries():
            version = self._desk.versions[dataset.name]
            roster = set(self.store(PanelName(dataset.name, table.name, version)).samples)
        absent = [name for name in names if name not in roster]
        if absent:
            raise BadInput(
                f"{len(absent):,} of the cases are not in {dataset.name}.{table.name}, such as {absent[0]!r}",
                "write names as the genotypes have them",
            )
        return self._declared.cases(names)

    def propose(self, asker: Asker, recipe: Recipe) -> "Proposal":
        """Work a recipe out, for somebody who may know of its dataset."""
        from noisegate.genomics.proposal import propose

        dataset = self._desk.catalog.dataset(recipe.dataset)
        if dataset is None or not asker.may_see(dataset.name):
            raise NotFound(f"there is no dataset {recipe.dataset!r} here")
        return propose(recipe, dataset.population, self)

    def _table(self, asker: Asker, name: str) -> tuple[Dataset, Table]:
        """Return the genotypes of a name `dataset.table`, where the asker may know of them."""
        first, _, second = name.partition(".")
        dataset = self._desk.catalog.dataset(first)
        table = None if dataset is None else dataset.table(second)
        if dataset is None or table is None or not asker.may_see(dataset.name) or table.genotypes is None:
            raise NotFound(
                f"there are no genotypes {name!r} here",
                "they are named dataset.table, under [DATASET.genotypes.TABLE] in the catalog",
            )
        return dataset, table

    def genotypes(self, asker: Asker, name: str) -> PanelName:
        """Return genotypes that the asker may know of, at their present version."""
        dataset, table = self._table(asker, name)
        return PanelName(dataset.name, table.name, self._desk.versions[dataset.name])

    def public(self, asker: Asker, name: str) -> PanelName:
        """Return a public panel at its present version.

        Raises:
            Forbidden: it is not marked as public.
        """
        dataset, table = self._table(asker, name)
        if table.genotypes is None or not table.genotypes.public:
            raise Forbidden(
                f"{name} is not marked as public, so nothing may lean on it for free",
                "name a panel that is, with public = true in the catalog",
            )
        return PanelName(dataset.name, table.name, self._desk.versions[dataset.name])

    def store(self, panel: PanelName) -> "Store":
        """Return registered genotypes."""
        from noisegate.engines.register import genotype_store

        return genotype_store(self._config.state / DATA, panel.dataset, panel.version, panel.table)

    def families(self, digest: str) -> tuple[tuple[str, ...], ...]:
        """Return declared pedigrees."""
        return self._declared.read_families(digest)

    def sealed(self, names: Sequence[str]) -> str:
        """Return a keyed digest of names of people."""
        return self._declared.sealed(names)

    def named(self, panel: PanelName) -> bool:
        """Whether who is in registered genotypes is declared public."""
        dataset = self._desk.catalog.dataset(panel.dataset)
        table = None if dataset is None else dataset.table(panel.table)
        return table is not None and table.genotypes is not None and table.genotypes.named

    def cases(self, digest: str) -> frozenset[str]:
        """Return who is a case."""
        return self._declared.read_cases(digest)

    def frequencies(self, digest: str) -> dict[str, float]:
        """Return a table that is declared to be published."""
        return self._declared.read_frequencies(digest)

    def released(self, release: str) -> tuple[Recipe, Path]:
        """Return the recipe of an earlier release, and its directory."""
        found = self._shelf.find(release)
        return recipe_of(found), self._shelf.place(found.id)

    @cached_property
    def _declared(self) -> "Declarations":
        from noisegate.genomics.declared import Declarations

        return Declarations(self._config.state, digest_key(self._config.state))


def _word(words: Any, word: str) -> Any:
    """Return a word of an enumeration."""
    try:
        return words(word)
    except ValueError:
        known = ", ".join(w.value for w in words)
        raise BadInput(f"{word!r} is none of {known}") from None


def recipe_of(release: Release) -> Recipe:
    """Return the recipe that is on a release's record."""
    held = release.summary["recipe"]
    if not isinstance(held, Mapping):
        raise TypeError("a recipe is an object of JSON")
    return Recipe.of_json(dict(held))

"""What the commands do with stores on this machine, without a gateway: advice, attacks, the old recipe."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisegate.ask.question import parse_number
from noisegate.config import Config
from noisegate.genotypes.extra import genome_libraries

if TYPE_CHECKING:
    from noisegate.genotypes.store import Store

Json = dict[str, Any]


def advise_on(
    panel: Path, people: int, variants: int, epsilon: str, delta: str, progress: Callable[[float], None]
) -> Json:
    """Compare all methods on a public store."""
    with genome_libraries():
        from noisegate.genomics.consult import consulted
        from noisegate.genotypes.store import Store

        return consulted(
            Store.open(panel),
            people=people,
            variants=variants,
            epsilon=parse_number("epsilon", epsilon) or Fraction(0),
            delta=parse_number("delta", delta) or Fraction(0),
            progress=progress,
        ).as_json()


def attacked(config: Config, release: str, members: Path, controls: Path, reference: Path) -> Json:
    """Attack a release of a state directory, or a noisy store."""
    with genome_libraries():
        from noisegate.genomics.attack import attack, outcomes_json
        from noisegate.genomics.releases import Shelf
        from noisegate.genotypes.store import Store

        stores = (Store.open(path) for path in (members, controls, reference))
        return outcomes_json(attack(Shelf(config.state), release, *stores))


def identified(
    config: Config,
    probe: Path,
    within: str,
    controls: Path,
    members: Path | None,
    level: float,
    progress: Callable[[float], None],
) -> Json:
    """Look for people in a store, in the folder of a release, or in a release of a state directory."""
    with genome_libraries():
        from noisegate.genomics.attack import rows_of
        from noisegate.genomics.kin import identified_json, identify_in
        from noisegate.genomics.releases import Shelf
        from noisegate.genotypes.store import Store

        rows, inside = rows_of(Shelf(config.state), within), None
        if members is not None:
            inside = Store.open(members)
        elif not Path(within).is_dir():
            inside = _source_of(config, within)
        sought = Store.open(probe)
        found, variants = identify_in(
            sought, rows, Store.open(controls), members=inside, level=level, progress=progress
        )
        return identified_json(found, variants, sought.samples, rows.samples)


def _source_of(config: Config, release: str) -> "Store":
    """Return the genotypes that a release of a state directory was made from."""
    from noisegate.app.genome_names import recipe_of
    from noisegate.app.state import DATA
    from noisegate.engines.register import genotype_store
    from noisegate.genomics.releases import Shelf

    recipe = recipe_of(Shelf(config.state).find(release))
    return genotype_store(config.state / DATA, recipe.dataset, recipe.version, recipe.table)


def verified(
    findings: Path, folder: Path, reference: Path, progress: Callable[[float], None], **settings: Any
) -> Json:
    """Hold findings against a copy by the published recipe, with the store that shaped it as controls."""
    with genome_libraries():
        from noisegate.genomics.verifying.evidence import of_folder
        from noisegate.genomics.verifying.findings import read_findings
        from noisegate.genomics.verifying.verdict import verify
        from noisegate.genotypes.store import Store

        controls = Store.open(reference)
        return verify(
            read_findings(findings),
            of_folder(folder, controls),
            controls,
            told=lambda done, of: progress(done / max(of, 1)),
            **settings,
        ).as_json()


def share_as_published(target: Path, reference: Path, epsilon: Fraction, restore: str, out: Path) -> Json:
    """Make a copy of a public store by the published recipe."""
    with genome_libraries():
        from noisegate.genomics.as_published import share_as_published as share
        from noisegate.genotypes.store import Store

        return share(Store.open(target), Store.open(reference), epsilon, restore, out)

"""What the commands do with stores on this machine, without a gateway: advice, attacks, the old recipe."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from noisegate.ask.question import parse_number
from noisegate.config import Config
from noisegate.genotypes.extra import genome_libraries

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


def share_as_published(target: Path, reference: Path, epsilon: Fraction, restore: str, out: Path) -> Json:
    """Make a copy of a public store by the published recipe."""
    with genome_libraries():
        from noisegate.genomics.as_published import share_as_published as share
        from noisegate.genotypes.store import Store

        return share(Store.open(target), Store.open(reference), epsilon, restore, out)

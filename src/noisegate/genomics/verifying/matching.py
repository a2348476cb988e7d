"""Which findings are of which variants of a release."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import BadInput
from noisegate.genomics.association import LEVEL
from noisegate.genomics.verifying.findings import Findings
from noisegate.genomics.verifying.statistic import Test
from noisegate.genotypes.variants import Variants

Flags = NDArray[np.bool_]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Matched:
    """Findings that release and controls have: places among the findings, and in the release."""

    findings: Counts
    places: Counts
    towards: NDArray[np.int8]
    absent: tuple[str, ...]
    above_level: int


def matched(findings: Findings, variants: Variants, usable: Flags, test: Test) -> Matched:
    """Return which findings are of which variants, and the direction of the alternate allele.

    Raises:
        BadInput: there is none of both, or none reports significance.
    """
    names = variants.names().tolist()
    borne = Counter(names)
    # Of two variants of one name it is not clear which is meant: a finding of it is as good as absent.
    place_of = {name: place for place, name in enumerate(names) if borne[name] == 1}
    found: list[tuple[int, int, int]] = []
    absent: list[str] = []
    above = 0
    for i, name in enumerate(findings.variants):
        place = place_of.get(name)
        if not findings.p[i] < LEVEL:
            above += 1
        elif place is None or not usable[place]:
            absent.append(name)
        else:
            ref, alt = str(variants.ref[place]).upper(), str(variants.alt[place]).upper()
            sign = int(findings.direction[i])
            match findings.allele[i].upper():
                case "" if test is not Test.ODDS or sign == 0:
                    pass
                case allele if allele in ("", alt):
                    pass
                case allele if allele == ref and test is not Test.ODDS:
                    sign = -sign
                case _:
                    sign = 0
            found.append((i, place, sign))
    if not found:
        raise BadInput(
            f"none of {len(findings.variants):,} findings is significant and of a variant that release and "
            "reference have",
            "name variants as the release does; p-values of 0.05 and above are no findings",
        )
    which, places, towards = (np.array(part, np.int64) for part in zip(*found, strict=True))
    return Matched(which, places, towards.astype(np.int8), tuple(absent), above)

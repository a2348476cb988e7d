"""Laws of the noise that is put on genotypes, in whole numbers.

TRUSTED. Every probability is threshold / 2**64 for an unsigned 64-bit threshold, so the law that is drawn
(perturb.py) and the law that is accounted for (account.py) are the same one. Row order of the bits of a
person: hi of variant 0, lo of variant 0, hi of variant 1, …, so bit 2v is hi of variant v and there are
two bits a variant. "Noise" is the word that is XORed onto that row. PROOFS.md, "Laws of flips".
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Thresholds = NDArray[np.uint64]

HALF = 2**63
SMALLEST_FAMILY = 2
LARGEST_FAMILY = 5
# keep >= change / 2: past this, another genotype would be likelier than the true one.
MOST_CHANGE = 2**65 // 3 // 2 * 2


@dataclass(frozen=True, slots=True, eq=False)
class Independent:
    """Bit j of everybody is flipped with probability flip[j] / 2**64, all bits independently.

    `flip` is uint64 of shape (bits,), each from 1 to 2**63.
    """

    flip: Thresholds

    def __post_init__(self) -> None:
        object.__setattr__(self, "flip", _frozen(self.flip, 1))
        _two_bits_a_variant(len(self.flip))
        if self.flip.size and int(self.flip.max()) > HALF:
            raise ValueError("a bit is flipped with probability 1/2 at most")

    @property
    def variants(self) -> int:
        """How many variants there are."""
        return len(self.flip) // 2

    def slice(self, start: int, stop: int) -> "Independent":
        """Return the law of variants start to stop."""
        _check_range(start, stop, self.variants)
        return Independent(self.flip[2 * start : 2 * stop])

    def digest(self) -> str:
        """Return the SHA-256 of the whole law, hexadecimal."""
        return _digest("independent", self.flip)

    def as_json(self) -> dict[str, object]:
        """Return what a report says of the law."""
        return _summary("independent", self.variants, self.digest(), flip=_spread(self.flip))


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """Noise bits in order form a Markov chain, the same for everybody, people independently.

    P(bit j = 1 | bit j-1 = 0) = first[j] / 2**64 and P(bit j = 1 | bit j-1 = 1) = after[j] / 2**64. Every
    such chain is a quadratic-exponential law with a tridiagonal matrix, and the other way round.

    Attributes:
        first: uint64, shape (bits,), each from 1 to 2**64 - 1.
        after: the same shape and range.
        starts: ascending variants at which noise begins afresh, the first of them 0: there first equals
            after at the variant's first bit, so what stands before has no say.
    """

    first: Thresholds
    after: Thresholds
    starts: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "first", _frozen(self.first, 1))
        object.__setattr__(self, "after", _frozen(self.after, 1))
        _two_bits_a_variant(len(self.first))
        if self.first.shape != self.after.shape:
            raise ValueError("both thresholds are there for every bit")
        begins = _starts(self.starts, self.variants)
        if not np.array_equal(self.first[2 * begins], self.after[2 * begins]):
            raise ValueError("where noise begins afresh, both thresholds are the same")

    @property
    def variants(self) -> int:
        """How many variants there are."""
        return len(self.first) // 2

    def slice(self, start: int, stop: int) -> "Chain":
        """Return the law of variants start to stop, of which `start` begins afresh."""
        _check_range(start, stop, self.variants)
        inside = _starts_within(self.starts, start, stop)
        return Chain(self.first[2 * start : 2 * stop], self.after[2 * start : 2 * stop], inside)

    def digest(self) -> str:
        """Return the SHA-256 of the whole law, hexadecimal."""
        return _digest("chain", self.first, self.after, _numbers(self.starts))

    def as_json(self) -> dict[str, object]:
        """Return what a report says of the law."""
        spreads = {"first": _spread(self.first), "after": _spread(self.after)}
        return _summary("chain", self.variants, self.digest(), segments=len(self.starts), **spreads)


@dataclass(frozen=True, slots=True, eq=False)
class Response:
    """A genotype is replaced by one of the two others, each with probability change[v] / 2**65.

    `change` is uint64 of shape (variants,), even, from 2 to MOST_CHANGE: change[v] / 2**64 is the probability
    that variant v of a person changes at all. Variants and people are independent. Missing calls are none.
    """

    change: Thresholds

    def __post_init__(self) -> None:
        object.__setattr__(self, "change", _frozen(self.change, 2))
        if self.change.ndim != 1:
            raise ValueError("there is one threshold a variant")
        if self.change.size and (int(self.change.max()) > MOST_CHANGE or np.any(self.change & np.uint64(1))):
            raise ValueError("a change is even, and no genotype is likelier than the true one")

    @property
    def variants(self) -> int:
        """How many variants there are."""
        return len(self.change)

    def slice(self, start: int, stop: int) -> "Response":
        """Return the law of variants start to stop."""
        _check_range(start, stop, self.variants)
        return Response(self.change[start:stop])

    def digest(self) -> str:
        """Return the SHA-256 of the whole law, hexadecimal."""
        return _digest("response", self.change)

    def as_json(self) -> dict[str, object]:
        """Return what a report says of the law."""
        return _summary("response", self.variants, self.digest(), change=_spread(self.change))


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """Noise of declared families is drawn jointly; everybody else follows `single`.

    The state of a column (a bit) in a family is a number of r bits; bit i belongs to groups[g][i]. A column
    is drawn after the one before it, bit 0 of the state first: thresholds[j, s, 2**k - 1 + u] / 2**64 is the
    probability that bit k of the state of column j is 1, given that the column before had state s and that
    bits 0 to k - 1 of this state are those of the number u < 2**k. At column 0 and at every start the
    thresholds are the same for all s.

    Attributes:
        single: the law of the people in no family; it has the same variants, and for a Chain the same starts.
        thresholds: uint64, shape (bits, 2**r, 2**r - 1), each from 1 to 2**64 - 1; r from 2 to 5.
        groups: families, of r people each, as their places in the store; nobody is in two.
        starts: as in Chain.
    """

    single: Independent | Chain
    thresholds: Thresholds
    groups: tuple[tuple[int, ...], ...]
    starts: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "thresholds", _frozen(self.thresholds, 1))
        if self.thresholds.ndim != 3 or len(self.thresholds) != 2 * self.single.variants:
            raise ValueError("a family has thresholds for each bit, state before and node")
        states = self.thresholds.shape[1]
        if self.thresholds.shape[2] != states - 1 or states not in _STATES:
            raise ValueError("a family of r has 2**r states and 2**r - 1 nodes, r from 2 to 5")
        begins = 2 * _starts(self.starts, self.variants)
        if not np.array_equal(self.thresholds[begins], np.repeat(self.thresholds[begins, :1], states, 1)):
            raise ValueError("where noise begins afresh, thresholds are the same after every state")
        if isinstance(self.single, Chain) and self.single.starts != self.starts:
            raise ValueError("families and other people begin afresh at the same variants")
        members = [person for group in self.groups for person in group]
        if any(len(group) != self.size for group in self.groups):
            raise ValueError(f"a family of this law has {self.size} people")
        if len(set(members)) != len(members) or any(person < 0 for person in members):
            raise ValueError("a person is in one family at most")

    @property
    def size(self) -> int:
        """How many people a family has."""
        return int(self.thresholds.shape[1]).bit_length() - 1

    @property
    def variants(self) -> int:
        """How many variants there are."""
        return self.single.variants

    def slice(self, start: int, stop: int) -> "Family":
        """Return the law of variants start to stop, of which `start` begins afresh."""
        single = self.single.slice(start, stop)
        inside = _starts_within(self.starts, start, stop)
        return Family(single, self.thresholds[2 * start : 2 * stop], self.groups, inside)

    def digest(self) -> str:
        """Return the SHA-256 of the whole law, hexadecimal."""
        people = np.array(self.groups, "<i8").reshape(len(self.groups), self.size)
        single = np.frombuffer(bytes.fromhex(self.single.digest()), "u1")
        return _digest("family", single, self.thresholds, people, _numbers(self.starts))

    def as_json(self) -> dict[str, object]:
        """Return what a report says of the law."""
        counts = {"size": self.size, "families": len(self.groups), "segments": len(self.starts)}
        return _summary("family", self.variants, self.digest(), **counts, single=self.single.as_json())


Law = Independent | Chain | Family | Response

_STATES = tuple(2**r for r in range(SMALLEST_FAMILY, LARGEST_FAMILY + 1))


def _frozen(thresholds: Thresholds, least: int) -> Thresholds:
    """Return thresholds that nobody else can write into."""
    if thresholds.dtype != np.uint64:
        raise ValueError("thresholds are uint64")
    if thresholds.size and int(thresholds.min()) < least:
        raise ValueError(f"a threshold is {least} at least: less would be no noise")
    if thresholds.flags.writeable or not thresholds.flags.c_contiguous:
        thresholds = np.array(thresholds, np.uint64, order="C")
        thresholds.flags.writeable = False
    return thresholds


def _two_bits_a_variant(bits: int) -> None:
    if bits % 2:
        raise ValueError("there are two bits a variant")


def _starts(starts: tuple[int, ...], variants: int) -> NDArray[np.int64]:
    """Return the variants at which noise begins afresh, checked; none where there is no variant."""
    found = np.array(starts, np.int64)
    if variants == 0:
        return found[:0]
    if not starts or starts[0] != 0 or starts[-1] >= variants or np.any(np.diff(found) <= 0):
        raise ValueError("starts ascend from 0 and are variants")
    return found


def _starts_within(starts: tuple[int, ...], start: int, stop: int) -> tuple[int, ...]:
    if start not in starts:
        raise ValueError("noise does not begin afresh at this variant")
    return tuple(s - start for s in starts if start <= s < max(stop, start + 1))


def _check_range(start: int, stop: int, variants: int) -> None:
    if not 0 <= start <= stop <= variants:
        raise ValueError(f"no variants {start} to {stop} among {variants}")


def _numbers(numbers: Iterable[int]) -> NDArray[np.int64]:
    return np.array(tuple(numbers), "<i8")


def _digest(kind: str, *arrays: NDArray[np.generic]) -> str:
    whole = hashlib.sha256(f"noisegate law 1 {kind}".encode())
    for array in arrays:
        whole.update(f" {array.shape} ".encode())
        whole.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
    return whole.hexdigest()


def _spread(thresholds: Thresholds) -> dict[str, float]:
    """Return the smallest, middle and largest probability, for people to read; not for accounts."""
    if not thresholds.size:
        return {}
    chances = {"least": thresholds.min(), "median": np.median(thresholds), "most": thresholds.max()}
    return {name: float(value) / 2**64 for name, value in chances.items()}


def _summary(kind: str, variants: int, digest: str, **more: object) -> dict[str, object]:
    return {"kind": kind, "variants": variants, "digest": digest, **more}

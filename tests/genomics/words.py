"""Every word of noise with its exact chance: the slow, obvious twin of accounts and samplers."""

import itertools
import math
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np

from noisegate.genomics.laws import Chain, Family, Independent

SCALE = 2**64


def nodes(law):
    """Return thresholds in the layout of families, whatever the law."""
    match law:
        case Family():
            return law.thresholds
        case Chain():
            return np.stack([law.first, law.after], axis=1)[:, :, None]
        case Independent():
            return np.stack([law.flip, law.flip], axis=1)[:, :, None]


def words(law):
    """Return the chance of each word: a tuple of states, bit i of a state being the noise of row i."""
    table = nodes(law).tolist()
    rows = len(table[0]).bit_length() - 1
    found = {(): Fraction(1)}
    for column in table:
        longer = {}
        for word, chance in found.items():
            tree = column[word[-1] if word else 0]
            for state in range(2**rows):
                step = chance
                for k in range(rows):
                    one = Fraction(tree[2**k - 1 + (state & (2**k - 1))], SCALE)
                    step *= one if state >> k & 1 else 1 - one
                longer[*word, state] = step
        found = longer
    assert sum(found.values()) == 1
    return found


def changed(word, difference):
    return tuple(a ^ b for a, b in zip(word, difference, strict=True))


def differences(bits, row=0, within=None, most=None):
    """Yield what the noise of two databases may differ by, if one row of them changes."""
    for marks in itertools.product((0, 1), repeat=bits):
        if within is not None and any(m and j // 2 != within for j, m in enumerate(marks)):
            continue
        if most is None or sum(marks) <= most:
            yield tuple(m << row for m in marks)


def worst(chances, differences):
    """Return the largest log ratio of chances of a word and that word changed, to 50 digits."""
    differences = list(differences)
    ratio = max(chances[w] / chances[changed(w, d)] for w in chances for d in differences)
    return ln(ratio)


def ln(ratio):
    with localcontext(prec=60):
        return Fraction((Decimal(ratio.numerator) / Decimal(ratio.denominator)).ln())


def renyi(chances, differences, order):
    """Return the largest Rényi divergence between the noise and itself changed."""
    logs = {w: float(ln(p)) for w, p in chances.items()}
    return max(divergence([(logs[w], logs[changed(w, d)]) for w in logs], order) for d in differences)


def divergence(pairs, order):
    """Return the Rényi divergence of two laws, from the logarithms of their chances."""
    terms = [order * p + (1 - order) * q for p, q in pairs]
    top = max(terms)
    return (top + math.log(math.fsum(math.exp(t - top) for t in terms))) / (order - 1)


def random_chain(rng, variants, starts=(0,), least=2**56):
    """Return a chain of random thresholds."""
    first, after = rng.integers(least, SCALE - least, (2, 2 * variants), dtype=np.uint64)
    begins = 2 * np.array(starts)
    after[begins] = first[begins]
    return Chain(first, after, starts)


def random_family(rng, size, variants, starts=(0,), least=2**56, single=None):
    """Return a family law of random thresholds, with one family: the first people."""
    states = 2**size
    table = rng.integers(least, SCALE - least, (2 * variants, states, states - 1), dtype=np.uint64)
    for start in starts:
        table[2 * start] = table[2 * start, :1]
    quiet = single or Independent(np.full(2 * variants, 2**63, np.uint64))
    return Family(quiet, table, (tuple(range(size)),), starts)

"""The adaptive price: the more a question singles out few people, the more of its asker's budget it takes.

A pure function of the plan, the catalog and the asker's earlier questions: public facts, never rows. The true
loss is charged to every account whatever the factor is; what the factor adds is a surcharge on the asker's
own accounts. It is governance, not the guarantee, which is the filter's over true losses.

Claim: adding a conjunct to any WHERE, of the question or of a sub-query, never lowers the factor. A share
follows from its own condition; conditions on one value are intersected; and what a question shares with an
earlier one is asked of subsets of its conditions. The order of questions matters, as it must then: the wider
of two questions, asked last, is not seen to take the narrower one apart.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from noisegate.ask.selections import Selection
from noisegate.ask.similar import UNIT, Comparison, Earlier, Link, weighted
from noisegate.catalog.model import Specificity
from noisegate.privacy.loss import INFINITE, ZERO, Loss

_MOST_NAMED = 6


@dataclass(frozen=True, slots=True)
class Line:
    """One reason for a price: `adds` to the factor, 0 where the policy leaves it free."""

    what: str
    why: str
    adds: Fraction


@dataclass(frozen=True, slots=True)
class Factor:
    """How many times its true loss a question takes from its asker, at least 1, and why."""

    value: Fraction
    lines: tuple[Line, ...]

    def lines_json(self) -> list[dict[str, object]]:
        """Return the lines as JSON values."""
        return [{"what": line.what, "why": line.why, "adds": float(line.adds)} for line in self.lines]

    def surcharge(self, loss: Loss) -> Loss:
        """Return what the factor adds to a loss: (factor - 1) times it at each order, rounded up.

        The δ of private keys is not scaled: it has a limit of its own, and with every order already dearer a
        scaled δ would only refuse groups sooner, not questions that single out.
        """
        more = self.value - 1
        if more == 0:
            return ZERO
        return Loss(tuple(r if r == INFINITE else min(math.ceil(r * more), INFINITE) for r in loss.renyi))


def factor(selections: Sequence[Selection], earlier: Sequence[Earlier], policy: Specificity) -> Factor:
    """Return the factor of a question.

    Args:
        selections: whom it singles out, one for each different number of its answer.
        earlier: the asker's earlier questions, newest first.
        policy: the custodian's.
    """
    lines = (
        _conditions(selections, policy),
        _share(selections, policy),
        _similar(selections, earlier, policy),
    )
    return Factor(1 + sum((line.adds for line in lines), Fraction(0)), lines)


def _conditions(selections: Sequence[Selection], policy: Specificity) -> Line:
    most = max(([c for c in s.conditions if c.demands] for s in selections), key=len)
    count = len(most)
    names = [c.said for c in most[:_MOST_NAMED]] + ["…"] * (count > _MOST_NAMED)
    why = f"{_many(count, 'condition')}, {policy.free_conditions} are free"
    if names:
        why += f": {'; '.join(names)}"
    return Line("conditions", why, policy.per_condition * max(count - policy.free_conditions, 0))


def _share(selections: Sequence[Selection], policy: Specificity) -> Line:
    most = max(selections, key=_bits)
    bits = Fraction(_bits(most), UNIT)
    rarest = sorted(most.conditions, key=weighted, reverse=True)[:_MOST_NAMED]
    named = [f"{c.said} 1 in {_count(1 / c.share)}" for c in rarest if c.share < 1]
    why = f"{float(bits):.1f} bits of the declared domain, {_number(policy.free_bits)} are free"
    if named:
        why += f": {'; '.join(named)}"
    return Line("share", why, policy.per_bit * max(bits - policy.free_bits, Fraction(0)))


def _bits(selection: Selection) -> int:
    return sum(weighted(c) for c in selection.conditions)


def _similar(selections: Sequence[Selection], earlier: Sequence[Earlier], policy: Specificity) -> Line:
    small = math.ceil(policy.free_bits * UNIT)
    comparisons = [Comparison(s, policy.near, small) for s in selections if s.conditions]
    asked = {e.identity: e for e in earlier} if comparisons else {}
    times = Counter(e.identity for e in earlier)
    found = 0
    for identity, before in asked.items():
        if found >= policy.most_similar:
            break
        links = [c.link(selection) for c in comparisons for selection in before.selections]
        if Link.BUILDS in links:
            found += times[identity]
        elif Link.HOLDS in links:
            # Who asks the same over and over, such as at another ε, repeats it from the second time on.
            found += times[identity] - 1
    found = min(found, policy.most_similar)
    at_least = "at least " if found and found == policy.most_similar else ""
    why = f"builds on {at_least}{_many(found, 'earlier question')} about nearly the same people"
    return Line("similar", why, policy.per_similar * found)


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _count(value: Fraction) -> str:
    return f"{float(value):,.3g}" if value < 100 else f"{round(value):,}"


def _number(value: Fraction) -> str:
    return f"{float(value):g}"

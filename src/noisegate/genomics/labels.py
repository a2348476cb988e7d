"""Who is a case, who a control, and who takes no part: from members of private relations to labels.

TRUSTED. A person's label depends on their own rows alone: it says whether they have one in a relation.
PROOFS.md, "Members".
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import InternalError
from noisegate.privacy.members import Members, _open

Labels = NDArray[np.int8]
Flags = NDArray[np.bool_]
CASE, CONTROL, NO_PART = 1, 0, -1


def labels(roster: Sequence[str], cases: Members, among: Members | None = None, *, population: str) -> Labels:
    """Return what each person on the roster is. Private: for what adds noise alone.

    Claim: a person's label is a function of the rows of the unit of that name, and of public facts.
    Needs: the relations are of the plan that is charged.
    Argued in PROOFS.md, "Members".

    Args:
        roster: names of people, in the order of their genotypes.
        cases: who is a case.
        among: who takes part; None for everybody. A case who is not among them takes no part.
        population: of the genotypes.

    Returns:
        int8, shape (people,): CASE, CONTROL or NO_PART.

    Raises:
        InternalError: members of another population, or two people of one name; the text is constant.
    """
    if len(set(roster)) != len(roster):
        raise InternalError("two people have one name, so one might be taken for the other")
    if any(members is not None and members.population != population for members in (cases, among)):
        raise InternalError("cases are of another population than the genotypes; nothing was released")
    found = np.where(_is_in(roster, cases), CASE, CONTROL)
    if among is not None:
        found[~_is_in(roster, among)] = NO_PART
    return found.astype(np.int8)


def _is_in(roster: Sequence[str], members: Members) -> Flags:
    """Return whose name is that of a member: bool, shape (people,).

    A whole number is named by its decimal digits, with a minus below 0 and no zeros before it; so two units
    never share a name.
    """
    units = _open(members)
    if units.dtype == np.object_:
        named = set(roster).intersection(units)
        return np.array([name in named for name in roster], np.bool_)
    places = {name: place for place, name in enumerate(roster)}
    numbers = {place: int(name) for name, place in places.items() if _is_number(name)}
    found = np.zeros(len(roster), np.bool_)
    which = np.array(list(numbers), np.intp)
    found[which] = np.isin(np.array(list(numbers.values()), np.int64), units)
    return found


def _is_number(name: str) -> bool:
    """Whether a name is how Python writes a number of 64 bits."""
    digits = name.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 20):
        return False
    return str(int(name)) == name and -(2**63) <= int(name) < 2**63

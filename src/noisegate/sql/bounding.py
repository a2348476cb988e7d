"""How much one unit may contribute, from what the custodian declared."""

from math import prod

from noisegate.errors import TooLarge
from noisegate.privacy.question import MAX_GROUPS, Bounding, Key
from noisegate.privacy.relations import constant_within_unit
from noisegate.sql.scope import Rows

MOST = 2**20


def bounding_of(rows: Rows, keys: tuple[Key, ...]) -> Bounding:
    """Return the bounding of an aggregation.

    A unit keeps as many rows in a group as the declarations of the joined tables multiply to, and stands
    in as many groups as the keys that vary within it have values, or as were declared.

    Raises:
        TooLarge: more groups than can be answered.
    """
    shape = rows.relation.shape
    groups = prod(len(k.domain) for k in keys if k.domain is not None)
    if groups > MAX_GROUPS and all(k.domain is not None for k in keys):
        raise TooLarge(
            f"the question has {groups} groups, at most {MAX_GROUPS} can be answered",
            "group by fewer columns, or by coarser ones",
        )
    most_rows = 1 if shape.single else max(1, min(rows.rows, MOST))
    varying = [k for k in keys if not constant_within_unit(k.expression, shape)]
    if not varying:
        return Bounding(most_rows, 1, most_rows)
    most_groups = max(1, min(rows.groups, MOST))
    if all(k.domain is not None for k in varying):
        most_groups = min(most_groups, prod(len(k.domain) for k in varying if k.domain is not None))
    # What is declared is how many rows a unit has in all, whatever groups they fall into.
    return Bounding(most_rows, most_groups, most_rows)

"""An expression's value on one row of constants, for finite domains of derived keys.

Only words whose meaning is the same in every engine are evaluated; for the others the caller has to
find a domain another way. A wrong value here could only leave a group empty.
"""

import math
from collections.abc import Mapping

from noisegate.privacy.expressions import (
    INT64_MAX,
    Call,
    Case,
    ColumnRef,
    Expression,
    Function,
    Literal,
    Scalar,
)


class NotEvaluated(Exception):
    """The expression holds a word that is not evaluated here."""


def evaluate(expression: Expression, row: Mapping[str, Scalar]) -> Scalar:
    """Return the value of an expression on a row.

    Raises:
        NotEvaluated: the value depends on the engine.

    >>> from noisegate.privacy.expressions import Type
    >>> age = ColumnRef("age", Type.INT)
    >>> evaluate(Call(Function.INT_DIVIDE, (age, Literal(10, Type.INT))), {"age": 47})
    4
    """
    match expression:
        case ColumnRef(name=name):
            return row[name]
        case Literal(value=value):
            return value
        case Case(branches=branches, otherwise=otherwise):
            for condition, result in branches:
                if evaluate(condition, row) is True:
                    return evaluate(result, row)
            return evaluate(otherwise, row)
        case Call(function=function, args=args):
            return _call(function, [evaluate(a, row) for a in args])


def _call(function: Function, args: list[Scalar]) -> Scalar:
    match function:
        case Function.COALESCE:
            return next((a for a in args if a is not None), None)
        case Function.IS_NULL:
            return args[0] is None
        case Function.SAME:
            return args[0] == args[1]
        case Function.AND:
            return False if False in args else None if None in args else True
        case Function.OR:
            return True if True in args else None if None in args else False
        case Function.NULLIF:
            return None if args[0] == args[1] else args[0]
        case _:
            if None in args:
                return None
    try:
        value = _strict(function, args)
        # What leaves 64 bits is NULL in the engine.
        return None if isinstance(value, int) and abs(value) > INT64_MAX else value
    except (OverflowError, ValueError, ZeroDivisionError):
        return None
    except TypeError:
        raise NotEvaluated from None


def _strict(function: Function, args: list[Scalar]) -> Scalar:
    first: object = args[0]
    match function, args:
        case Function.ADD, [int() | float() as a, int() | float() as b]:
            return a + b
        case Function.SUBTRACT, [int() | float() as a, int() | float() as b]:
            return a - b
        case Function.MULTIPLY, [int() | float() as a, int() | float() as b]:
            return a * b
        case Function.DIVIDE, [int() | float() as a, int() | float() as b]:
            return float(a) / float(b)
        case Function.INT_DIVIDE, [int() as a, int() as b]:
            return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
        case Function.MODULO, [int() as a, int() as b]:
            return int(math.fmod(a, b)) if max(abs(a), abs(b)) < 2**53 else None
        case Function.NEGATE, [int() | float() as a]:
            return -a
        case Function.ABS, [int() | float() as a]:
            return abs(a)
        case Function.SIGN, [int() as a]:
            return (a > 0) - (a < 0)
        case Function.FLOOR, [int() | float() as a]:
            return a if isinstance(a, int) else float(math.floor(a))
        case Function.CEIL, [int() | float() as a]:
            return a if isinstance(a, int) else float(math.ceil(a))
        case Function.LEAST, [*numbers]:
            return min(numbers)  # type: ignore[type-var]
        case Function.GREATEST, [*numbers]:
            return max(numbers)  # type: ignore[type-var]
        case Function.EQ, [a, b]:
            return a == b
        case Function.NE, [a, b]:
            return a != b
        case Function.LT, [a, b]:
            return bool(a < b)  # type: ignore[operator]
        case Function.LE, [a, b]:
            return bool(a <= b)  # type: ignore[operator]
        case Function.GT, [a, b]:
            return bool(a > b)  # type: ignore[operator]
        case Function.GE, [a, b]:
            return bool(a >= b)  # type: ignore[operator]
        case Function.NOT, [bool() as a]:
            return not a
        case Function.IN, [a, *rest]:
            return a in rest
        case Function.LOWER, [str() as a] if a.isascii():
            return a.lower()
        case Function.UPPER, [str() as a] if a.isascii():
            return a.upper()
        case Function.CONCAT, [*texts]:
            return "".join(str(t) for t in texts)
        case Function.STARTS_WITH, [str() as a, str() as b]:
            return a.startswith(b)
        case Function.ENDS_WITH, [str() as a, str() as b]:
            return a.endswith(b)
        case Function.CONTAINS, [str() as a, str() as b]:
            return b in a
        case Function.LEFT, [str() as a, int() as n] if n >= 0 and a.isascii():
            return a[:n]
        case Function.TO_INT, [int() as a]:
            return int(a)
        case Function.TO_FLOAT, [int() | float() as a]:
            return float(a)
        case Function.TO_STR, [str() as a]:
            return a
        case Function.TO_STR, [int() as a] if not isinstance(a, bool):
            return str(a)
        case _:
            raise NotEvaluated(f"{function.value} of {type(first).__name__}")

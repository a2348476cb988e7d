"""Arithmetic written down for DuckDB. TRUSTED: nothing here may fail, whatever the numbers."""

from collections.abc import Callable

from noisegate.engines.bindings import Bindings
from noisegate.engines.quote import literal
from noisegate.privacy.expressions import Expression, Function, Literal, PlanError, Type

ARITHMETIC = frozenset(
    {
        Function.ADD,
        Function.SUBTRACT,
        Function.MULTIPLY,
        Function.DIVIDE,
        Function.INT_DIVIDE,
        Function.MODULO,
        Function.NEGATE,
        Function.ABS,
        Function.SIGN,
        Function.ROUND,
        Function.FLOOR,
        Function.CEIL,
        Function.SQRT,
        Function.LN,
        Function.LOG10,
        Function.EXP,
        Function.POWER,
    }
)


def whole(bind: Bindings, function: Function, args: tuple[Expression, ...], sql: list[str]) -> str:
    """Return arithmetic of INTs: in 128 bits, which two 64-bit numbers cannot overflow; NULL past 64 bits.

    The engine raises where an integer is divided by zero, so the divisor is NULL instead.
    """
    a = sql[0]
    wide = [f"CAST({s} AS HUGEINT)" for s in sql]
    match function:
        case Function.ADD:
            result = f"{wide[0]} + {wide[1]}"
        case Function.SUBTRACT:
            result = f"{wide[0]} - {wide[1]}"
        case Function.MULTIPLY:
            result = f"{wide[0]} * {wide[1]}"
        case Function.INT_DIVIDE | Function.MODULO:
            sign = "//" if function is Function.INT_DIVIDE else "%"
            by = args[1]
            if isinstance(by, Literal) and by.value is not None and by.value not in (0, -1):
                return f"({a} {sign} {sql[1]})"
            result = bind.let(wide[1], lambda b: f"{wide[0]} {sign} nullif({b}, 0)")
        case Function.NEGATE:
            result = f"-{wide[0]}"
        case Function.ABS:
            result = f"abs({wide[0]})"
        case Function.SIGN:
            return f"CAST(sign({a}) AS BIGINT)"
        case Function.FLOOR | Function.CEIL:
            return a
        case Function.ROUND:
            digits = _digits(args)
            if digits is not None and digits <= -20:
                return f"(CASE WHEN {a} IS NOT NULL THEN CAST(0 AS BIGINT) END)"
            if digits is None or digits >= 0:
                return a if digits is not None or len(args) == 1 else literal(None, Type.INT)
            result = f"round({wide[0]}, {digits})"
        case _:
            raise PlanError(f"{function.value} is not arithmetic of whole numbers")
    return f"TRY_CAST({result} AS BIGINT)"


def real(
    bind: Bindings,
    function: Function,
    args: tuple[Expression, ...],
    numbers: list[str],
    cleaned: Callable[[int], str],
) -> str:
    """Return arithmetic of DOUBLEs, loose: NaN and infinities stand for NULL, and -0.0 for 0.0.

    IEEE 754 arithmetic never fails, and by these templates what is not finite stays so: where a function
    would make a finite number of an infinite one, it gets the cleaned argument instead of the loose one.

    Args:
        bind: names for long texts.
        function: one of ARITHMETIC.
        args: the arguments.
        numbers: their texts, which may be loose.
        cleaned: gives the text of one of them that is NULL where it is not finite.
    """
    a = numbers[0]
    match function:
        case Function.ADD:
            return f"({a} + {numbers[1]})"
        case Function.SUBTRACT:
            return f"({a} - {numbers[1]})"
        case Function.MULTIPLY:
            return f"({a} * {numbers[1]})"
        case Function.DIVIDE:
            return bind.let(cleaned(1), lambda b: f"({a} / nullif({b}, 0e0))")
        case Function.MODULO:
            return bind.let(cleaned(1), lambda b: f"({a} % nullif({b}, 0e0))")
        case Function.NEGATE:
            return f"(-{a})"
        case Function.ABS | Function.FLOOR | Function.CEIL:
            return f"{function.value}({a})"
        case Function.SIGN:
            return f"CAST(sign({cleaned(0)}) AS DOUBLE)"
        case Function.ROUND:
            digits = _digits(args)
            if len(args) == 1:
                return f"round({a})"
            if digits is None:
                return literal(None, Type.FLOAT)
            return f"round({cleaned(0)}, {min(max(digits, -308), 308)})"
        case Function.SQRT | Function.LN | Function.LOG10:
            return f"{function.value}({a})"
        case Function.EXP:
            return f"exp({cleaned(0)})"
        case Function.POWER:
            return f"power({cleaned(0)}, {cleaned(1)})"
        case _:
            raise PlanError(f"{function.value} is not arithmetic of real numbers")


def _digits(args: tuple[Expression, ...]) -> int | None:
    """Return the digits ROUND is given: a constant, None where it is NULL or left out."""
    if len(args) == 2 and isinstance(args[1], Literal) and isinstance(args[1].value, int):
        return args[1].value
    return None

"""The functions and operators that can be planned: one reader for each class of syntax node.

A reader names the arguments it knows, translates what is inside, and builds the word of our own that
means the same. The table at the end is the whole allow-list.
"""

from collections.abc import Callable

from sqlglot import exp

from noisegate.errors import BadInput
from noisegate.privacy.expressions import Call, Case, Expression, Function, Literal, Type
from noisegate.sql.dates import DATE_READERS, add_or_subtract_days, date_part
from noisegate.sql.literals import as_date, constant, fit, is_null, negated, null
from noisegate.sql.nodes import bare, chain, need, only, refusal, shown

Inner = Callable[[exp.Expr], Expression]
Reader = Callable[[exp.Expr, Inner], Expression]
_BALANCED = 8  # longer sums are built as balanced trees, so that scores over many variants stay shallow


def _number(node: exp.Expr, _inner: Inner) -> Expression:
    return constant(node)


def _raw_text(node: exp.Expr, _inner: Inner) -> Expression:
    return Literal(str(node.this), Type.STR)


def _truth(node: exp.Expr, _inner: Inner) -> Expression:
    return Literal(bool(node.this), Type.BOOL)


def _null(_node: exp.Expr, _inner: Inner) -> Expression:
    return null()


def _condition(node: exp.Expr, inner: Inner) -> Expression:
    found = inner(node)
    if found.type is Type.BOOL:
        return found
    if is_null(found):
        return null(Type.BOOL)
    if isinstance(found, Literal) and found.type is Type.INT and found.value in (0, 1):
        return Literal(found.value == 1, Type.BOOL)
    raise BadInput(f"{shown(node)} is not a condition", "compare it with something")


def _logic(function: Function) -> Reader:
    def read(node: exp.Expr, inner: Inner) -> Expression:
        return Call(function, tuple(_condition(part, inner) for part in chain(node, type(node))))

    return read


def _not(node: exp.Expr, inner: Inner) -> Expression:
    only(node, "this")
    return Call(Function.NOT, (_condition(node.this, inner),))


def _comparison(function: Function) -> Reader:
    def read(node: exp.Expr, inner: Inner) -> Expression:
        only(node, "this", "expression")
        left, right = fit([inner(need(node, "this")), inner(need(node, "expression"))], node)
        if function is not Function.SAME and (is_null(left) or is_null(right)):
            raise BadInput(f"{shown(node)} is never true", "write IS NULL or IS NOT NULL")
        return Call(function, (left, right))

    return read


def _different(node: exp.Expr, inner: Inner) -> Expression:
    return Call(Function.NOT, (_comparison(Function.SAME)(node, inner),))


def _is(node: exp.Expr, inner: Inner) -> Expression:
    only(node, "this", "expression")
    value = inner(need(node, "this"))
    right = bare(need(node, "expression"))
    if isinstance(right, exp.Null):
        return Call(Function.IS_NULL, (value,))
    if isinstance(right, exp.Boolean):
        if value.type is not Type.BOOL:
            raise BadInput(f"{shown(node)} does not test a condition")
        return Call(Function.SAME, (value, Literal(bool(right.this), Type.BOOL)))
    raise refusal(shown(node), "IS takes NULL, TRUE, FALSE or DISTINCT FROM")


def _between(node: exp.Expr, inner: Inner) -> Expression:
    only(node, "this", "low", "high")
    value, low, high = fit(
        [inner(need(node, "this")), inner(need(node, "low")), inner(need(node, "high"))], node
    )
    return Call(Function.AND, (Call(Function.GE, (value, low)), Call(Function.LE, (value, high))))


def _in(node: exp.Expr, inner: Inner) -> Expression:
    only(node, "this", "expressions")
    value, *members = fit([inner(need(node, "this")), *(inner(e) for e in node.expressions)], node)
    if not all(isinstance(m, Literal) for m in members):
        same = tuple(Call(Function.EQ, (value, m)) for m in members)
        return same[0] if len(same) == 1 else Call(Function.OR, same)
    kept = tuple(m for m in members if not is_null(m))
    if len(kept) < len(members):
        raise BadInput(f"NULL stands in the list of {shown(node)}", "write … OR column IS NULL")
    if not kept:
        raise refusal(shown(node), "IN lists at least one value")
    return Call(Function.IN, (value, *kept))


def _like(function: Function) -> Reader:
    def read(node: exp.Expr, inner: Inner) -> Expression:
        only(node, "this", "expression", "negate")
        pattern = inner(need(node, "expression"))
        if not isinstance(pattern, Literal) or pattern.type is not Type.STR:
            raise BadInput(f"the pattern of {shown(node)} is not a text constant")
        found = Call(function, (inner(need(node, "this")), pattern))
        return Call(Function.NOT, (found,)) if node.args.get("negate") else found

    return read


def _plus(node: exp.Expr, inner: Inner) -> Expression:
    parts = chain(node, exp.Add)
    if any(isinstance(bare(p), exp.Interval) for p in parts):
        return add_or_subtract_days(node, inner, 1)
    values = [inner(p) for p in parts]
    if values[0].type is Type.DATE:
        total: Expression = values[0]
        for value in values[1:]:
            total = Call(Function.ADD_DAYS, (total, value))
        return total
    return _balanced(values) if len(values) > _BALANCED else _left_deep(values)


def _left_deep(values: list[Expression]) -> Expression:
    total = values[0]
    for value in values[1:]:
        total = Call(Function.ADD, (total, value))
    return total


def _balanced(values: list[Expression]) -> Expression:
    while len(values) > 1:
        pairs = [values[i : i + 2] for i in range(0, len(values), 2)]
        values = [Call(Function.ADD, (p[0], p[1])) if len(p) == 2 else p[0] for p in pairs]
    return values[0]


def _minus(node: exp.Expr, inner: Inner) -> Expression:
    only(node, "this", "expression")
    if isinstance(bare(need(node, "expression")), exp.Interval):
        return add_or_subtract_days(node, inner, -1)
    left, right = inner(need(node, "this")), inner(need(node, "expression"))
    if left.type is Type.DATE and right.type is Type.DATE:
        return Call(Function.DAYS_BETWEEN, (right, left))
    if left.type is Type.DATE and right.type is Type.INT:
        return Call(Function.ADD_DAYS, (left, negated(right)))
    return Call(Function.SUBTRACT, (left, right))


def _negate(node: exp.Expr, inner: Inner) -> Expression:
    only(node, "this")
    return negated(inner(need(node, "this")))


def _plain(function: Function, *names: str, allowed: tuple[str, ...] = ()) -> Reader:
    """Read a function whose arguments stand under these names; later ones may be missing."""

    def read(node: exp.Expr, inner: Inner) -> Expression:
        only(node, *names, *allowed)
        args = [inner(node.args[name]) for name in names if node.args.get(name) is not None]
        return Call(function, tuple(args))

    return read


def _listed(function: Function, *allowed: str) -> Reader:
    """Read a function of any number of values of one type."""

    def read(node: exp.Expr, inner: Inner) -> Expression:
        only(node, "this", "expressions", *allowed)
        nodes = [n for n in (node.args.get("this"), *node.expressions) if n is not None]
        return Call(function, tuple(fit([inner(n) for n in nodes], node)))

    return read


def _nullif(node: exp.Expr, inner: Inner) -> Expression:
    only(node, "this", "expression")
    return Call(
        Function.NULLIF, tuple(fit([inner(need(node, "this")), inner(need(node, "expression"))], node))
    )


def _if(node: exp.Expr, inner: Inner) -> Expression:
    only(node, "this", "true", "false")
    otherwise = node.args.get("false")
    values = fit([inner(need(node, "true")), inner(otherwise) if otherwise is not None else null()], node)
    return Case(((_condition(node.this, inner), values[0]),), values[1])


def _case(node: exp.Expr, inner: Inner) -> Expression:
    only(node, "this", "ifs", "default")
    subject = inner(need(node, "this")) if node.this is not None else None
    conditions: list[Expression] = []
    for branch in node.args["ifs"]:
        if subject is None:
            conditions.append(_condition(branch.this, inner))
        else:
            conditions.append(Call(Function.EQ, tuple(fit([subject, inner(branch.this)], branch))))
    default = node.args.get("default")
    results = [inner(need(b, "true")) for b in node.args["ifs"]]
    *values, otherwise = fit([*results, inner(default) if default is not None else null()], node)
    return Case(tuple(zip(conditions, values, strict=True)), otherwise)


_CASTS = {
    **dict.fromkeys(
        ("TINYINT", "SMALLINT", "INT", "BIGINT", "UTINYINT", "USMALLINT", "UINT"), Function.TO_INT
    ),
    **dict.fromkeys(("FLOAT", "DOUBLE"), Function.TO_FLOAT),
    **dict.fromkeys(("TEXT", "VARCHAR", "CHAR"), Function.TO_STR),
    "BOOLEAN": Function.TO_BOOL,
    "DATE": Function.TO_DATE,
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMPNTZ", "DATETIME"), Function.TO_TIMESTAMP),
}
_DATE_CASTS = {Function.TO_DATE: Type.DATE, Function.TO_TIMESTAMP: Type.TIMESTAMP}


def _cast(node: exp.Expr, inner: Inner) -> Expression:
    only(node, "this", "to", "safe")
    target = need(node, "to")
    function = _CASTS.get(target.this.value if hasattr(target.this, "value") else "")
    if target.this is exp.DataType.Type.DECIMAL:
        return _to_decimal(target, inner(need(node, "this")))
    if function is None or target.expressions:
        raise refusal(
            f"the type {shown(target)}", "cast to INTEGER, DOUBLE, VARCHAR, BOOLEAN, DATE or TIMESTAMP"
        )
    value = inner(need(node, "this"))
    if is_null(value):
        return null(Call(function, (value,)).type)
    if isinstance(value, Literal) and value.type is Type.STR and function in _DATE_CASTS:
        return as_date(value, _DATE_CASTS[function])
    cast = Call(function, (value,))
    return value if cast.type is value.type else cast


def _to_decimal(target: exp.Expr, value: Expression) -> Expression:
    """A DECIMAL(p, s) is a real number rounded to s digits."""
    digits = [int(p.name) for p in target.expressions if p.name.isdigit()]
    scale = digits[1] if len(digits) > 1 else 0 if digits else 3
    return Call(Function.ROUND, (Call(Function.TO_FLOAT, (value,)), Literal(min(scale, 18), Type.INT)))


def _log(node: exp.Expr, inner: Inner) -> Expression:
    only(node, "this", "expression")
    argument = node.args.get("expression")
    if argument is None:
        return Call(Function.LOG10, (inner(need(node, "this")),))
    base = inner(need(node, "this"))
    if not isinstance(base, Literal) or not isinstance(base.value, int | float) or base.value <= 1:
        raise refusal(shown(node), "write ln(x), log10(x) or log2(x)")
    if base.value == 10:
        return Call(Function.LOG10, (inner(argument),))
    return Call(
        Function.DIVIDE,
        (Call(Function.LN, (inner(argument),)), Call(Function.LN, (Literal(float(base.value), Type.FLOAT),))),
    )


def _round(node: exp.Expr, inner: Inner) -> Expression:
    only(node, "this", "decimals")
    digits = node.args.get("decimals")
    args = (inner(need(node, "this")),) if digits is None else (inner(need(node, "this")), inner(digits))
    return Call(Function.ROUND, args)


def _trim(node: exp.Expr, inner: Inner) -> Expression:
    only(node, "this", "position")
    side = str(node.args.get("position") or "BOTH")
    function = {"BOTH": Function.TRIM, "LEADING": Function.LTRIM, "TRAILING": Function.RTRIM}[side]
    return Call(function, (inner(need(node, "this")),))


def _text(value: Expression) -> Expression:
    return value if value.type is Type.STR else Call(Function.TO_STR, (value,))


def _concat(node: exp.Expr, inner: Inner) -> Expression:
    """CONCAT skips NULLs."""
    only(node, "expressions", "safe", "coalesce")
    empty = Literal("", Type.STR)
    values = [_text(inner(e)) for e in node.expressions]
    parts = tuple(v if isinstance(v, Literal) else Call(Function.COALESCE, (v, empty)) for v in values)
    return parts[0] if len(parts) == 1 else Call(Function.CONCAT, parts)


def _pipes(node: exp.Expr, inner: Inner) -> Expression:
    """A || b is NULL where either is."""
    only(node, "this", "expression", "safe")
    return Call(Function.CONCAT, tuple(_text(inner(p)) for p in chain(node, exp.DPipe)))


def _power(node: exp.Expr, inner: Inner) -> Expression:
    only(node, "this", "expression")
    return Call(Function.POWER, (inner(need(node, "this")), inner(need(node, "expression"))))


def _one(function: Function) -> Reader:
    return _plain(function, "this")


def _two(function: Function, *allowed: str) -> Reader:
    return _plain(function, "this", "expression", allowed=allowed)


def _named(node: exp.Expr, inner: Inner) -> Expression:
    """Read a function that the parser knows by its name only."""
    name = str(node.this).casefold()
    args = node.expressions
    if name in ("date_part", "datepart") and len(args) == 2:
        return date_part(args[0], inner(args[1]), node)
    if name in ("prefix", "suffix") and len(args) == 2:
        function = Function.STARTS_WITH if name == "prefix" else Function.ENDS_WITH
        return Call(function, (inner(args[0]), inner(args[1])))
    if name == "square" and len(args) == 1:
        value = inner(args[0])
        return Call(Function.MULTIPLY, (value, value))
    raise refusal(
        f"the function {name[:40]}()", "it is not among the functions that can be planned privately"
    )


READERS: dict[type[exp.Expr], Reader] = {
    exp.Literal: _number,
    exp.RawString: _raw_text,
    exp.Boolean: _truth,
    exp.Null: _null,
    exp.And: _logic(Function.AND),
    exp.Or: _logic(Function.OR),
    exp.Not: _not,
    exp.EQ: _comparison(Function.EQ),
    exp.NEQ: _comparison(Function.NE),
    exp.LT: _comparison(Function.LT),
    exp.LTE: _comparison(Function.LE),
    exp.GT: _comparison(Function.GT),
    exp.GTE: _comparison(Function.GE),
    exp.NullSafeEQ: _comparison(Function.SAME),
    exp.NullSafeNEQ: _different,
    exp.Is: _is,
    exp.Between: _between,
    exp.In: _in,
    exp.Like: _like(Function.LIKE),
    exp.ILike: _like(Function.ILIKE),
    exp.Add: _plus,
    exp.Sub: _minus,
    exp.Mul: _two(Function.MULTIPLY),
    exp.Div: _two(Function.DIVIDE, "typed", "safe"),
    exp.IntDiv: _two(Function.INT_DIVIDE),
    exp.Mod: _two(Function.MODULO),
    exp.Pow: _power,
    exp.Neg: _negate,
    exp.Abs: _one(Function.ABS),
    exp.Sign: _one(Function.SIGN),
    exp.Round: _round,
    exp.Floor: _one(Function.FLOOR),
    exp.Ceil: _one(Function.CEIL),
    exp.Sqrt: _one(Function.SQRT),
    exp.Ln: _one(Function.LN),
    exp.Log: _log,
    exp.Exp: _one(Function.EXP),
    exp.Least: _listed(Function.LEAST, "ignore_nulls"),
    exp.Greatest: _listed(Function.GREATEST, "ignore_nulls"),
    exp.Coalesce: _listed(Function.COALESCE, "is_nvl", "is_null"),
    exp.Nullif: _nullif,
    exp.If: _if,
    exp.Case: _case,
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.StartsWith: _two(Function.STARTS_WITH),
    exp.EndsWith: _two(Function.ENDS_WITH),
    exp.Contains: _two(Function.CONTAINS),
    exp.Lower: _one(Function.LOWER),
    exp.Upper: _one(Function.UPPER),
    exp.Trim: _trim,
    exp.Length: _one(Function.LENGTH),
    exp.Substring: _plain(Function.SUBSTRING, "this", "start", "length"),
    exp.Replace: _plain(Function.REPLACE, "this", "expression", "replacement"),
    exp.Concat: _concat,
    exp.DPipe: _pipes,
    exp.Left: _two(Function.LEFT),
    exp.Right: _two(Function.RIGHT),
    exp.Anonymous: _named,
    **DATE_READERS,
}

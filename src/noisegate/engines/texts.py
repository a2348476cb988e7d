"""Functions of texts, bounded in what they make and in the time they take. TRUSTED.

Arguments and results are SQL for DuckDB; each argument may stand in the result more than once.
"""

from noisegate.engines.bindings import Bindings
from noisegate.engines.quote import quoted
from noisegate.privacy.expressions import Expression, Literal, PlanError

MAX_TEXT_BYTES = 16_384  # four bytes for each of the 4,096 characters a stored text may have
MAX_PATTERN = 1_000
MAX_WILDCARDS = 32


def concat(a: str, b: str) -> str:
    """Return `a || b`, NULL where that is longer than texts may be."""
    return f"(CASE WHEN strlen({a}) + strlen({b}) <= {MAX_TEXT_BYTES} THEN {a} || {b} END)"


def replace(x: str, old: str, new: str) -> str:
    """Return REPLACE, NULL where every character replaced would make a text longer than texts may be."""
    fits = f"strlen({x}) * greatest(strlen({new}), 1) <= {MAX_TEXT_BYTES}"
    # `new` may be NULL, which greatest would pass over.
    return f"(CASE WHEN {new} IS NOT NULL AND {fits} THEN replace({x}, {old}, {new}) END)"


def position(bind: Bindings, node: Expression, sql: str) -> str:
    """Return a place in a text, moved to where the engine's functions take it and every text has ended."""
    if isinstance(node, Literal) and isinstance(node.value, int) and abs(node.value) <= MAX_TEXT_BYTES:
        return str(node.value)
    far = 4 * MAX_TEXT_BYTES
    return bind.let(
        sql, lambda n: f"(CASE WHEN {n} > {far} THEN {far} WHEN {n} < -{far} THEN -{far} ELSE {n} END)"
    )


def substring(bind: Bindings, text: str, start: str, length: str | None) -> str:
    """Return SQL's SUBSTRING: characters start .. start + length - 1, those of them that there are.

    Characters count from 1, so a start before 1 uses up length. A negative length gives the empty text.
    """
    if length is None:
        return bind.let(start, lambda s: f"substring({text}, {_first(s)})")

    def of(s: str, n: str) -> str:
        count = f"({s} + {n} - {_first(s)})"
        return f"substring({text}, {_first(s)}, (CASE WHEN {count} < 0 THEN 0 ELSE {count} END))"

    return bind.both(start, length, of)


def _first(start: str) -> str:
    return f"(CASE WHEN {start} < 1 THEN 1 ELSE {start} END)"


def like(a: str, pattern: str, any_case: bool) -> str:
    """Return LIKE without an escape character, in time linear in the text.

    DuckDB matches % alone piece by piece, but _ by backtracking, exponential in the number of %: those
    patterns go to RE2.
    """
    wildcards = sum(pattern.count(c) for c in "%_")
    if len(pattern) > MAX_PATTERN or ("_" in pattern and wildcards > MAX_WILDCARDS):
        raise PlanError(
            f"a LIKE pattern has at most {MAX_PATTERN} characters, and {MAX_WILDCARDS} wildcards if _ is one"
        )
    if any_case:
        a, pattern = f"lower({a})", pattern.lower()
    if "_" not in pattern:
        return f"({a} LIKE {quoted(pattern)})"
    regex = "".join(".*" if c == "%" else "." if c == "_" else _escaped(c) for c in pattern)
    return f"regexp_full_match({a}, {quoted(regex)}, 's')"


def _escaped(character: str) -> str:
    """Return a character that stands for itself in RE2."""
    if character == "\x00":
        return r"\x00"
    if character.isascii() and not character.isalnum() and character.isprintable():
        return "\\" + character
    return character

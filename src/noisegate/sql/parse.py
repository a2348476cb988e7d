"""Text to syntax tree: one SELECT, of a size and depth that the readers after this can take.

Limits are checked on characters and on tokens, before the parser sees them: the parser recurses with
every bracket and prefix, and takes time exponential in the number of JOINs that lack an ON.
"""

import logging
import re

from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from noisegate.errors import BadInput, TooLarge, UnsupportedSql

# The parser's warnings quote the question, which belongs in no log.
logging.getLogger("sqlglot").disabled = True

MAX_TEXT = 64 * 1024  # bytes of UTF-8
MAX_DEPTH = 100
MAX_TOKENS = 20_000
MAX_JOINS = 32
MAX_OPEN_JOINS = 8  # JOINs in a row without ON or USING
MAX_QUERIES = 64  # SELECTs in one question
MAX_AGGREGATES = 64
MAX_IN_LIST = 1_000

# Control characters, lone surrogates, and characters that reorder or hide text.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
_OPEN = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE, TokenType.CASE})
_CLOSE = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE, TokenType.END})
_OPERANDS = frozenset({TokenType.VAR, TokenType.IDENTIFIER, TokenType.NUMBER, TokenType.STRING}) | _CLOSE
_TEXTS = frozenset({TokenType.STRING, TokenType.RAW_STRING, TokenType.HEREDOC_STRING})
_BEGINS = frozenset({TokenType.SELECT, TokenType.WITH, TokenType.FROM, TokenType.L_PAREN})
_CHAINED = (exp.And, exp.Or, exp.Add, exp.Union, exp.Paren)


def parse(text: str) -> exp.Query:
    """Return the syntax tree of the one SELECT in the text.

    Raises:
        BadInput: characters that no question needs.
        TooLarge: longer, deeper or wider than the limits above.
        UnsupportedSql: not SQL, not one statement, or not a SELECT.
    """
    _check_text(text)
    try:
        tokens = DuckDB().tokenize(text)
    except SqlglotError:
        raise UnsupportedSql(
            "the question cannot be read as SQL: a quote or comment is left open",
            "close every ' and \" and /*",
        ) from None
    tokens = _without_last_semicolon(tokens)
    _check_tokens(tokens)
    try:
        trees = DuckDB().parser().parse(tokens, text)
    except SqlglotError as error:
        raise UnsupportedSql(_where(error), "write it as DuckDB would take it") from None
    except RecursionError:
        raise TooLarge(f"the question nests deeper than {MAX_DEPTH} levels") from None
    except TypeError:  # the parser's own slip on an operator without operands
        raise UnsupportedSql("the question cannot be read as SQL: an operator lacks an operand") from None
    tree = trees[0] if len(trees) == 1 else None
    if not isinstance(tree, exp.Query):
        raise UnsupportedSql("only one SELECT, with WITH before it if need be, can be asked")
    _check_tree(tree)
    return tree


def _check_text(text: str) -> None:
    if len(text) > MAX_TEXT:
        raise TooLarge(f"a question has at most {MAX_TEXT} bytes")
    odd = _UNPRINTABLE.search(text)
    if odd is not None:
        raise BadInput(
            f"the question holds the character U+{ord(odd.group()):04X} at position {odd.start() + 1}",
            "take out control characters and characters that cannot be seen",
        )
    if len(text.encode()) > MAX_TEXT:
        raise TooLarge(f"a question has at most {MAX_TEXT} bytes")


def _without_last_semicolon(tokens: list[Token]) -> list[Token]:
    end = len(tokens)
    while end and tokens[end - 1].token_type is TokenType.SEMICOLON:
        end -= 1
    return tokens[:end]


def _check_tokens(tokens: list[Token]) -> None:
    if not tokens:
        raise UnsupportedSql("the question is empty", "ask with SELECT")
    if len(tokens) > MAX_TOKENS:
        raise TooLarge(f"a question has at most {MAX_TOKENS} words")
    if tokens[0].token_type not in _BEGINS:
        raise UnsupportedSql(
            f"{tokens[0].text[:20].upper()} is not supported", "ask with SELECT, or WITH … SELECT"
        )
    depth = prefixes = joins = open_joins = selects = 0
    for token in tokens:
        kind = token.token_type
        if kind is TokenType.SEMICOLON:
            raise UnsupportedSql("several statements in one question", "ask them one by one")
        if kind not in _TEXTS and not token.text.isascii():
            raise UnsupportedSql(
                f"the word {token.text[:40]!r} is not plain ASCII", "names of tables, columns and aliases are"
            )
        # What neither closes nor ends an operand may open one: count it as a level until an operand comes.
        prefixes = 0 if kind in _OPERANDS or kind is TokenType.COMMA else prefixes + 1
        if kind in _OPEN:
            depth += 1
        elif kind in _CLOSE:
            depth = max(depth - 1, 0)
        elif kind is TokenType.JOIN:
            joins, open_joins = joins + 1, open_joins + 1
        elif kind in (TokenType.ON, TokenType.USING):
            open_joins = 0
        elif kind is TokenType.SELECT:
            selects += 1
        if depth > MAX_DEPTH or prefixes > 2 * MAX_DEPTH:
            raise TooLarge(f"the question nests deeper than {MAX_DEPTH} levels")
        if open_joins > MAX_OPEN_JOINS:
            raise UnsupportedSql("a JOIN lacks its condition", "write ON or USING after every JOIN")
    if joins > MAX_JOINS or selects > MAX_QUERIES:
        raise TooLarge(f"a question has at most {MAX_JOINS} joins and {MAX_QUERIES} SELECTs")


def _check_tree(tree: exp.Query) -> None:
    aggregates = 0
    pending: list[tuple[exp.Expr, int]] = [(tree, 0)]
    while pending:
        node, depth = pending.pop()
        if depth > 2 * MAX_DEPTH:
            raise TooLarge(f"the question nests deeper than {MAX_DEPTH} levels")
        if isinstance(node, exp.AggFunc):
            aggregates += 1
        elif isinstance(node, exp.In) and len(node.expressions) > MAX_IN_LIST:
            raise TooLarge(f"IN lists at most {MAX_IN_LIST} values", "use BETWEEN, or join a public table")
        for child in node.iter_expressions():
            # A chain a AND b AND c is one level, however long.
            deeper = not (isinstance(node, _CHAINED) and type(child) is type(node))
            pending.append((child, depth + deeper))
    if aggregates > MAX_AGGREGATES:
        raise TooLarge(f"a question has at most {MAX_AGGREGATES} aggregates")


def _where(error: SqlglotError) -> str:
    places = getattr(error, "errors", [])
    if places and places[0].get("line"):
        first = places[0]
        near = str(first.get("highlight") or "")[:40]
        return f"cannot be read as SQL at line {first['line']}, column {first['col']}" + (
            f", near {near!r}" if near else ""
        )
    return "the question cannot be read as SQL"

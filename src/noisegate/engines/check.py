"""An independent look at rendered SQL before it runs, by the engine's own parser.

render.py and lower.py decide what runs; this file knows nothing of them but the words they may use. It
lets pass exactly one SELECT, over the stored tables that the plan scans, made of listed kinds of
expressions and listed functions. So a mistake there, or a text that found a way around quoting, stops
here: no table function, no other statement, no other table, no setting, no random().
"""
# ruff: noqa: SIM905  (lists of words are read more easily as text)

import json
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import duckdb

from noisegate.engines.locked import locked
from noisegate.errors import InternalError

Tables = frozenset[tuple[str, str]]
REMEMBERED = 1_024

_FUNCTIONS = frozenset(
    """+ - * / // % & | << >> || ~~ abs any_value bit_or bool_and bool_or ceil chr contains count count_star
    date_trunc day dense_rank exp first first_value floor greatest hash hour isfinite isodow lag last
    last_value lead least left length list_extract list_position list_transform list_value ln log10 lower
    ltrim max min month nullif power quarter rank regexp_full_match replace right round row_number rtrim
    sign sqrt starts_with strlen substring suffix sum trim unnest upper year""".split()
)
_CLASSES = frozenset(
    """BETWEEN CASE CAST COLUMN_REF COMPARISON CONJUNCTION CONSTANT FUNCTION LAMBDA OPERATOR PARAMETER
    SUBQUERY TYPE WINDOW""".split()
)
_TYPES = frozenset("BIGINT BOOLEAN DATE DOUBLE HUGEINT INTEGER TIMESTAMP UBIGINT VARCHAR".split())
# What has a type and no class: queries, what stands in FROM, and orders.
_NODES = frozenset(
    """SELECT_NODE SET_OPERATION_NODE BASE_TABLE SUBQUERY JOIN ORDER_MODIFIER DISTINCT_MODIFIER ORDER_DEFAULT
    DESCENDING""".split()
)
_TOKEN = re.compile(r'[{}\[\]:,]|"(?:[^"\\]|\\.)*"|[^\s{}\[\]:,"]+')
_VARIABLE = re.compile(r"v[0-9]+")
_SHARED = re.compile(r"[rb][0-9]+")


class Checker:
    """Checks texts in a locked database of its own, which holds nothing. Safe to share among threads."""

    def __init__(self) -> None:
        self.connection = locked({"threads": "1"})
        self.lock = threading.Lock()
        self.passed: OrderedDict[tuple[bytes, Tables], None] = OrderedDict()

    def check(self, sql: str, tables: Tables) -> None:
        """Raise InternalError unless the text is one SELECT of listed words over the given tables.

        Args:
            sql: what would run.
            tables: pairs of database and table that it may read, all in the schema "main".
        """
        # Parameters keep salts out of the text, so a plan that comes again has the same one. Texts may be
        # megabytes of constants, so their digests are remembered.
        known = (sha256(sql.encode("utf-8", "surrogatepass")).digest(), tables)
        with self.lock:
            if known in self.passed:
                self.passed.move_to_end(known)
                return
        self._check(sql, tables)
        with self.lock:
            self.passed[known] = None
            while len(self.passed) > REMEMBERED:
                self.passed.popitem(last=False)

    def _check(self, sql: str, tables: Tables) -> None:
        try:
            with self.lock:
                found = self.connection.execute("SELECT json_serialize_sql($1)", [sql]).fetchone()
            tree = parsed(found[0]) if found else {}
        except (duckdb.Error, ValueError):
            tree = {}
        statements = tree.get("statements", [])
        if tree.get("error") is not False or len(statements) != 1 or not _allowed(statements[0], tables):
            raise InternalError("a rendered plan did not pass its own check, so it was not run")


def parsed(text: str) -> dict[str, Any]:
    """Return a JSON object of any depth.

    Python's own parser is fast, but calls itself once a level and gives up before the engine does.
    """
    try:
        found = json.loads(text)
    except RecursionError:
        found = _parsed_level_by_level(text)
    return found if isinstance(found, dict) else {}


def _parsed_level_by_level(text: str) -> Any:
    root: list[Any] = []
    within: list[tuple[list[Any] | dict[str, Any], list[str]]] = [(root, [])]
    for word in _TOKEN.findall(text):
        if word in "}]":
            within.pop()
        elif word not in ",:":
            found: Any = {} if word == "{" else [] if word == "[" else json.loads(word)
            container, keys = within[-1]
            if isinstance(container, list):
                container.append(found)
            elif keys:
                container[keys.pop()] = found
            else:
                keys.append(found)
            if word in "{[":
                within.append((found, []))
    return root[0]


def _allowed(tree: object, tables: Tables) -> bool:
    pending = [tree]
    while pending:
        current = pending.pop()
        if isinstance(current, list):
            pending.extend(current)
        elif isinstance(current, dict):
            if not _node_allowed(current, tables):
                return False
            pending.extend(current.values())
    return True


def _node_allowed(node: Mapping[str, object], tables: Tables) -> bool:
    if (kind := node.get("class")) is not None:
        return kind in _CLASSES and _expression_allowed(str(kind), node)
    if (kind := node.get("type")) is None:
        return True  # a wrapper; what it holds is looked at by itself
    if kind not in _NODES:
        return False
    match kind:
        case "BASE_TABLE":
            return _table_allowed(node, tables)
        case "JOIN":
            return node.get("join_type") in ("INNER", "LEFT") and node.get("ref_type") == "REGULAR"
        case "SET_OPERATION_NODE":
            return node.get("setop_type") == "UNION" and node.get("setop_all") is True
        case "SELECT_NODE":
            return node.get("aggregate_handling") == "STANDARD_HANDLING" and not node.get("sample")
        case _:
            return not node.get("sample")


def _table_allowed(node: Mapping[str, object], tables: Tables) -> bool:
    if node.get("sample") or node.get("at_clause"):
        return False
    catalog, schema, name = (str(node.get(k) or "") for k in ("catalog_name", "schema_name", "table_name"))
    if not catalog and not schema:
        return _SHARED.fullmatch(name) is not None  # a shared sub-query; in no database is such a table
    return schema == "main" and (catalog, name) in tables


def _expression_allowed(kind: str, node: Mapping[str, object]) -> bool:
    match kind:
        case "FUNCTION" | "WINDOW":
            named = str(node.get("function_name") or _unnamed_window(node))
            return named in _FUNCTIONS and not node.get("schema") and not node.get("catalog")
        case "COLUMN_REF":
            # A name by itself could be a word like current_date; only variables are written so.
            names = node.get("column_names")
            if not isinstance(names, list):
                return False
            return len(names) == 2 or (len(names) == 1 and _VARIABLE.fullmatch(str(names[0])) is not None)
        case "TYPE":
            return node.get("type_name") in _TYPES and not node.get("schema") and not node.get("children")
        case "SUBQUERY":
            return node.get("subquery_type") in ("EXISTS", "NOT_EXISTS")
        case _:
            return True


def _unnamed_window(node: Mapping[str, object]) -> str:
    """Return the function of a window node that gives it by its type alone."""
    return str(node.get("type", "")).removeprefix("WINDOW_").lower()

"""The words in which the ledger speaks to its database mean the same on both stores."""

import re
from contextlib import closing
from itertools import permutations

import pytest
from sqlalchemy import BigInteger, bindparam, func, insert, select, update

from noisegate.errors import InternalError, LedgerUnavailable
from noisegate.ledger import postgres, schema, sqlite
from noisegate.ledger.transaction import Change, any_of, named

_t, _d = schema.tally.c, schema.data_version.c
ADD = insert(schema.data_version)
RENAME = (
    update(schema.data_version)
    .where(_d.dataset == bindparam("of"), _d.version == bindparam("which", type_=BigInteger))
    .values({_d.digest: bindparam("to")})
)
ALL = select(_d.dataset, _d.version, _d.declaration, _d.digest).order_by(_d.dataset, _d.version)
REFUSED = (ValueError, *sqlite._REFUSED, *postgres._REFUSED)
AWKWARD = [
    "plain",
    "",
    "NULL",
    'say "no"',
    "back\\slash",
    "{a,b}",
    "ε∞\U0001f9ec",
    "tab\tline\n",
    "'; --",
    "%s $1 :x ?",
]


@pytest.fixture
def session(house):
    """A session with a transaction open on it, and every tree held."""
    with closing(house.ledger._storage.connect()) as opened:
        opened.begin()
        opened.hold(None)
        yield opened


def version(dataset, number, digest="d"):
    return {"dataset": dataset, "version": number, "declaration": "[]", "digest": digest}


def add(session, *versions):
    session.change_exactly(named(ADD, versions))


def test_every_text_comes_back_as_it_went(session):
    rows = [version(text, i, text) for i, text in enumerate(AWKWARD, 1)]
    session.change_exactly(named(ADD, rows))
    for i, text in enumerate(AWKWARD, 1):
        assert session.change(ADD, **version(text, 100 + i, text)) == 1
    held = [row[0] for row in session.rows(ALL)]
    assert held == sorted([*AWKWARD, *AWKWARD])


@pytest.mark.parametrize("number", [1, 2**31, 2**63 - 1])
def test_every_64_bit_number_comes_back_as_it_went(session, number):
    add(session, version("one", number), version("two", number))
    session.change(ADD, **version("three", number))
    assert [row[1] for row in session.rows(ALL)] == [number] * 3
    assert session.row(select(func.sum(_d.version)).where(_d.dataset == "one")) == (number,)


def test_what_is_missing_stays_missing_among_many(session):
    rows = [
        {"id": f"t{i}", "name": "n", "role": "analyst", "grants": "[]", "secret_hash": "", "project": "p"}
        | {"created": 1, "expires": i or None, "revoked": None}
        for i in range(3)
    ]
    session.change_exactly(named(insert(schema.token), rows))
    held = session.rows(select(schema.token.c.expires, schema.token.c.revoked).order_by(schema.token.c.id))
    assert held == [(None, None), (1, None), (2, None)]


def test_many_updates_change_each_its_own_row(session):
    add(session, *(version("a", i) for i in range(1, 5)))
    session.change_exactly(named(RENAME, [{"of": "a", "which": i, "to": f"new{i}"} for i in (1, 3)]))
    assert [row[3] for row in session.rows(ALL)] == ["new1", "d", "new3", "d"]


def test_values_may_come_in_any_order_and_find_their_names(session):
    for names in permutations(("dataset", "version", "declaration", "digest")):
        row = version("".join(name[0] + name[1] for name in names), 1, " ".join(names))
        session.change_exactly(Change(ADD, names, [tuple(row[name] for name in names)]))
    rows = session.rows(ALL)
    assert len(rows) == 24
    assert all(digest.split()[0][:2] == dataset[:2] for dataset, _, _, digest in rows)
    for names in permutations(("of", "which", "to")):
        row = {"of": rows[0][0], "which": 1, "to": " ".join(names)}
        session.change_exactly(Change(RENAME, names, [tuple(row[name] for name in names)]))
        assert session.rows(ALL)[0][3] == " ".join(names)


def test_several_changes_and_several_questions_go_together(session):
    session.change_exactly(
        named(ADD, [version("a", 1), version("b", 1)]),
        named(ADD, []),
        named(RENAME, [{"of": "a", "which": 1, "to": "x"}]),
    )
    one, both, none = session.gather(
        (ALL.where(_d.dataset == bindparam("of")), {"of": "a"}), (ALL, {}), (ALL.where(_d.version > 7), {})
    )
    assert [row[3] for row in one] == ["x"]
    assert [row[3] for row in both] == ["x", "d"]
    assert none == []


def test_a_row_of_values_that_changes_nothing_undoes_its_savepoint(session):
    add(session, version("a", 1), version("b", 1))
    with pytest.raises(InternalError, match="not what was decided on"), session.savepoint():
        session.change_exactly(named(RENAME, [{"of": name, "which": 1, "to": "x"} for name in "ac"]))
    session.change_exactly(named(RENAME, [{"of": "b", "which": 1, "to": "y"}]))
    assert [row[3] for row in session.rows(ALL)] == ["d", "y"]


def test_constants_of_a_statement_go_with_many_rows_too(session):
    close = update(schema.data_version).where(_d.dataset == "a", _d.version == bindparam("which"))
    add(session, version("a", 1), version("a", 2), version("b", 1))
    session.change_exactly(named(close.values({_d.digest: "closed"}), [{"which": 1}, {"which": 2}]))
    assert [row[3] for row in session.rows(ALL)] == ["closed", "closed", "d"]


def test_any_of_finds_texts_and_numbers_and_nothing_among_nothing(session):
    add(session, *(version(text, i) for i, text in enumerate(AWKWARD, 1)))
    by_text = select(_d.version).where(any_of(_d.dataset, "those")).order_by(_d.version)
    by_number = select(_d.dataset).where(any_of(_d.version, "those")).order_by(_d.version)
    assert session.rows(by_text, those=session.listed(AWKWARD[1:4])) == [(2,), (3,), (4,)]
    assert session.rows(by_number, those=session.listed([1, 3, 99])) == [("plain",), ("NULL",)]
    assert session.rows(by_text, those=session.listed([])) == []


def test_a_savepoint_undoes_its_own_part_only(session):
    session.change(ADD, **version("before", 1))
    for broken in (ValueError("a bug"), None):
        with pytest.raises(REFUSED), session.savepoint():
            session.change(ADD, **version("inside", 1))
            if broken is not None:
                raise broken
            session.change(ADD, **version("inside", 1))
    with session.savepoint(), session.savepoint():
        session.change(ADD, **version("nested", 1))
    assert [row[0] for row in session.rows(ALL)] == ["before", "nested"]


def test_numbers_are_fresh_and_grow(house, session):
    first = session.numbers(schema.charge, 3)
    second = session.numbers(schema.charge, 2)
    session.rollback()
    assert len({*first, *second}) == 5
    assert [*first, *second] == sorted([*first, *second])
    taken = house.ledger.charge(house.wanted("f")).id
    session.begin()
    session.hold(frozenset())
    assert min(session.numbers(schema.charge, 4)) > taken


def test_rows_can_be_walked_without_holding_them_all(house, session):
    add(session, *(version("a", i) for i in range(1, 5_001)))
    session.commit()
    with house.ledger._reading() as reader, reader.snapshot():
        walk = reader.each(ALL.where(_d.version > bindparam("after", type_=BigInteger)), after=1_000)
        assert next(walk)[1] == 1_001
        assert reader.row(select(func.count()).select_from(schema.data_version)) == (5_000,)
        assert sum(1 for _ in walk) == 3_999
    # What is left in the middle does not stand in the way of what comes next.
    with house.ledger._reading() as reader, reader.snapshot():
        next(reader.each(ALL))
    assert house.ledger.current_version("a") == 5_000


def test_a_snapshot_shows_one_moment(house, session):
    session.rollback()
    with house.ledger._reading() as reader, reader.snapshot():
        before = reader.rows(ALL)
        house.ledger.register_version("late", "[]", "d")
        assert reader.rows(ALL) == before
    assert house.ledger.current_version("late") == 1


def test_what_reads_cannot_write(house):
    with pytest.raises(LedgerUnavailable) as refused, house.ledger._reading() as reader:
        reader.change(ADD, **version("a", 1))
    assert re.search("readonly|read-only", str(refused.value.__cause__))

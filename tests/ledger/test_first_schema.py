"""A ledger that the first schema wrote, brought to this one: nothing is lost and everything still adds up.

`first_schema.sql` is such a ledger as SQLite dumps it: two datasets, surcharges, a question over both,
answers, failures, a loss in a crash, and a charge that was open when its gateway ended.
"""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from noisegate.ledger import migrate
from noisegate.ledger.records import ReceiptKind, Role, Tally
from noisegate.ledger.sqlite import LEDGER_FILE
from noisegate.ledger.store import AccountState, Ledger, Period
from noisegate.privacy.curves import gaussian, pure, with_delta
from noisegate.privacy.loss import ZERO, Fraction

DUMP = Path(__file__).with_name("first_schema.sql")
OPENED = 1_790_000_000
ANA, BEN = "olmsted/liver/default/ana", "olmsted/liver/default/ben"
PANEL = "olmsted/panel/default/ana"
CENT = pure(Fraction(1, 100))
# What a table lost or was given by the second schema, column by column, is looked at one by one below.
KEPT = ("account", "charge", "receipt", "chain", "answer", "suspension", "data_version", "token")


@pytest.fixture
def directory(tmp_path):
    tmp_path.chmod(0o700)
    with closing(sqlite3.connect(tmp_path / LEDGER_FILE)) as connection:
        connection.executescript(DUMP.read_text())
    return tmp_path


def contents(directory, columns=None):
    """Return all rows of the tables of the first schema, by table, in the columns named or all."""
    with closing(sqlite3.connect(directory / LEDGER_FILE)) as connection:
        named = columns or {
            table: [column[1] for column in connection.execute(f"PRAGMA table_info({table})")]
            for table in KEPT
        }
        return named, {
            table: sorted(connection.execute(f"SELECT {', '.join(named[table])} FROM {table}").fetchall())
            for table in KEPT
        }


def test_no_row_of_it_is_lost_or_changed(directory):
    columns, before = contents(directory)
    with closing(migrate_alone(directory)):
        assert contents(directory, columns) == (columns, before)


def migrate_alone(directory):
    connection = sqlite3.connect(directory / LEDGER_FILE, isolation_level=None)
    migrate.migrate(connection)
    return connection


def test_its_accounts_go_on_in_their_first_period(directory):
    with Ledger.open(directory) as ledger:
        ana, ben = ledger.find_account(ANA), ledger.find_account(BEN)
        assert (ana.period, ben.period) == (Period(1, OPENED + 3), Period(1, OPENED + 4))
        spent = CENT.times(3) + gaussian(Fraction(1, 200)) + with_delta(CENT, Fraction(1, 10**8))
        assert (ana.spent, ana.surcharge, ana.charges) == (spent + CENT, CENT, 6)
        assert (ana.lifetime.spent, ana.lifetime.charges) == (ana.spent, 6)
        assert (ana.lifetime.epsilon, ana.lifetime.delta) == (10, Fraction(1, 10**6))
        assert (ben.spent, ben.charges) == (CENT, 1)
        assert {b.state for b in ledger.accounts()} == {AccountState.OPEN}
        assert ledger.verify().fault is None


def test_its_charges_are_tallied_on_the_days_they_were_made(directory):
    first, second = OPENED // 86_400, OPENED // 86_400 + 1
    with_keys = with_delta(CENT, Fraction(1, 10**8))
    with Ledger.open(directory) as ledger:
        assert ledger.tallies() == (
            Tally(ANA, first, "", 2, CENT + gaussian(Fraction(1, 200)), CENT, 0),
            Tally(ANA, second, "", 4, CENT.times(3) + with_keys, ZERO, 0),
            Tally(BEN, second, "", 1, CENT, ZERO, 0),
            Tally(PANEL, first, "", 1, gaussian(Fraction(1, 200)), ZERO, 0),
        )


def test_it_can_be_charged_renewed_and_restarted_as_any_other(directory, house):
    with Ledger.open(directory) as ledger:
        identity = ledger.id
        assert re.fullmatch("[0-9a-f]{32}", identity)
        assert [r.kind for r in ledger.receipts("liver", limit=1000)][-1] is ReceiptKind.LOST
        charged = ledger.charge(house.wanted("new"))
        ledger.close(charged.id, "{}")
        ledger.renew(ANA, None, until=None, by="cleo")
        ledger.charge(house.wanted("newer"))
        assert ledger.find_answer("a").answer == '{"rows":[1]}'
        assert ledger.is_suspended("f")
        assert ledger.current_version("liver") == 1
        [token] = ledger.list_tokens()
        assert (token.role, token.grants, token.project) == (Role.ANALYST, ("liver",), "default")
    with Ledger.open(directory) as ledger:
        assert ledger.id == identity
        report = ledger.verify()
        assert (report.fault, report.charges, report.keys) == (None, 9, {ledger.signer.public})


@pytest.fixture
def store():
    return "sqlite"


def test_its_books_are_still_checked(directory):
    Ledger.open(directory).shut()
    for change in (
        "UPDATE account SET spent_16 = spent_16 - 1 WHERE kind = 'analyst'",
        "UPDATE account SET since = since - 1 WHERE kind = 'dataset'",
        "UPDATE tally SET charges = charges - 1",
        "UPDATE charge SET at = at + 1 WHERE id = 2",
        "UPDATE charge SET population = 'rochester' WHERE id = 2",
        "UPDATE chain SET at = at - 1 WHERE dataset = 'panel'",
    ):
        with closing(sqlite3.connect(directory / LEDGER_FILE, isolation_level=None)) as connection:
            connection.execute("BEGIN")
            connection.execute(change)
            connection.execute("COMMIT")
        with Ledger.open(directory) as ledger:
            assert ledger.verify().fault is not None, change
        with closing(sqlite3.connect(directory / LEDGER_FILE, isolation_level=None)) as connection:
            back = change.replace("- 1", "~ 1").replace("+ 1", "- 1").replace("~ 1", "+ 1")
            connection.execute(back.replace("'rochester'", "'olmsted'"))
        with Ledger.open(directory) as ledger:
            assert ledger.verify().fault is None


def test_a_migration_that_fails_half_way_leaves_it_as_it_was(directory):
    with closing(sqlite3.connect(directory / LEDGER_FILE)) as connection:
        connection.execute("CREATE TABLE replica (in_the_way INTEGER)")
    before = contents(directory)
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        migrate_alone(directory)
    assert contents(directory) == before
    with closing(sqlite3.connect(directory / LEDGER_FILE)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
        connection.execute("DROP TABLE replica")
    with Ledger.open(directory) as ledger:
        assert ledger.verify().fault is None


@pytest.mark.parametrize("change", ["DELETE FROM {}", "UPDATE {} SET charge = 1"])
@pytest.mark.parametrize("table", ["receipt", "answer"])
def test_its_receipts_and_answers_still_cannot_be_changed(directory, table, change):
    with (
        closing(migrate_alone(directory)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="only ever added"),
    ):
        connection.execute(change.format(table))

"""A ledger on PostgreSQL: what it asks of a server, and what several gateways see of each other."""

import sys
import threading
import traceback
from contextlib import closing, contextmanager, suppress

import psycopg
import pytest
from sqlalchemy import insert

from noisegate.errors import LedgerUnavailable, SetupError, StateLocked
from noisegate.ledger import postgres as storage
from noisegate.ledger import schema, server
from noisegate.ledger.store import Ledger, Role
from noisegate.ledger.writer import Together

SECRET = "s3cret-Pa55"


@pytest.fixture
def store():
    """All of this is about a server."""
    return "postgresql"


@pytest.fixture
def url(postgres):
    return postgres.make_ledger()


@contextmanager
def setting(postgres, name, value):
    """Have the whole server run with a setting."""
    postgres.run(f"ALTER SYSTEM SET {name} = {value}; SELECT pg_reload_conf()")
    while postgres.run(f"SHOW {name}") != value:
        pass
    yield
    postgres.run(f"ALTER SYSTEM RESET {name}; SELECT pg_reload_conf()")
    while postgres.run(f"SHOW {name}") == value:
        pass


def refusal(directory, url):
    with pytest.raises(LedgerUnavailable) as refused:
        Ledger.open(directory, url=url)
    assert refused.value.hint
    assert refused.value.exit_code == 6
    return refused.value.message


@pytest.mark.parametrize("name", ["fsync", "full_page_writes", "synchronous_commit"])
def test_a_server_whose_commits_would_not_survive_a_power_cut_is_refused(postgres, url, tmp_path, name):
    with setting(postgres, name, "off"):
        assert f"{name} off; charges would not survive" in refusal(tmp_path, url)
    Ledger.open(tmp_path, url=url).shut()


@pytest.mark.parametrize("whose", ["ROLE hasty", "DATABASE {}"])
def test_a_role_or_a_database_that_does_not_wait_for_the_disk_is_refused(postgres, url, tmp_path, whose):
    database = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    postgres.run("DROP ROLE IF EXISTS hasty; CREATE ROLE hasty SUPERUSER LOGIN")
    postgres.run(f"ALTER {whose.format(database)} SET synchronous_commit = off")
    assert "synchronous_commit off" in refusal(tmp_path, url.replace("postgres@", "hasty@"))


def test_a_server_that_becomes_hasty_while_open_is_refused_at_the_next_connection(postgres, house):
    with setting(postgres, "fsync", "off"):
        house.ledger.charge(house.wanted("a"))
        cut_off(house.url)
        with pytest.raises(LedgerUnavailable, match="cannot be read or written"):
            house.ledger.charge(house.wanted("b"))
    house.ledger.charge(house.wanted("b"))
    assert house.ledger.verify().charges == 2


def cut_off(url):
    """End all sessions on a database, as an administrator may."""
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_standby_and_a_server_that_is_down_are_refused(make_postgres, tmp_path):
    own = make_postgres()
    assert "cannot be used" in refusal(tmp_path, own.url())
    (own.data / "standby.signal").touch()
    own.start()
    assert "is a standby" in refusal(tmp_path, own.url())
    own.stop("immediate")


def test_an_old_server_and_another_encoding_are_refused(postgres, tmp_path, monkeypatch):
    postgres.run("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    assert "encoding LATIN1" in refusal(tmp_path, postgres.url("latin"))
    monkeypatch.setattr(server, "OLDEST", 990000)
    assert "PostgreSQL 13 or later" in refusal(tmp_path, postgres.url())


def test_every_session_waits_for_the_disk_and_never_for_ever(house):
    house.ledger.charge(house.wanted("f"))
    wanted = {
        "synchronous_commit": "on",
        "lock_timeout": "5s",
        "statement_timeout": "10s",
        "idle_in_transaction_session_timeout": "10s",
        "transaction_isolation": "read committed",
        "client_encoding": "UTF8",
        "tcp_user_timeout": "0",  # not on a socket file
    }
    for connect in (house.ledger._storage.connect, house.ledger._storage.connect_to_read):
        with closing(connect()) as session:
            shown = {
                name: session._wire.rows(session._trip((f"SHOW {name}", ()))[0])[0][0] for name in wanted
            }
            assert shown == wanted


@pytest.mark.parametrize("given", ["remote_apply", "local", "remote_write"])
def test_a_session_waits_no_less_than_the_role_asks_for(postgres, url, tmp_path, given):
    postgres.run("DROP ROLE IF EXISTS patient; CREATE ROLE patient SUPERUSER LOGIN")
    postgres.run(f"ALTER ROLE patient SET synchronous_commit = {given}")
    with (
        Ledger.open(tmp_path, url=url.replace("postgres@", "patient@")) as ledger,
        closing(ledger._storage.connect()) as session,
    ):
        ((shown,),) = session._wire.rows(session._trip(("SHOW synchronous_commit", ()))[0])
    assert shown == ("remote_apply" if given == "remote_apply" else "on")


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://ana:{SECRET}%zz@localhost/ledger",
        f"postgresql://ana:{SECRET}@localhost:port/ledger",
        f"postgresql://ana:{SECRET}@localhost:1/ledger?nonsense=1",
        f"postgresql://ana:{SECRET}@localhost:1/ledger",
        f"postgresql://ana:{SECRET}@no.such.host.invalid/ledger",
        f"postgresql://ana:{SECRET}@[::1/ledger",
        f"host=localhost port=1 password='{SECRET}",
        f"{SECRET}",
        f"mysql://ana:{SECRET}@localhost/ledger",
    ],
)
def test_a_password_in_an_address_is_never_shown(tmp_path, address, capfd, caplog):
    with pytest.raises((LedgerUnavailable, SetupError)) as refused:
        Ledger.open(tmp_path, url=address)
    shown = "".join(traceback.format_exception(refused.value, chain=True))
    everything = shown + str(refused.value.as_json()) + repr(refused.value.args) + caplog.text
    assert SECRET not in everything + "".join(capfd.readouterr())
    assert refused.value.hint


def test_a_wrong_password_is_told_without_showing_it(make_postgres, tmp_path):
    own = make_postgres()
    rules = own.data / "pg_hba.conf"
    rules.write_text("local all guarded scram-sha-256\nlocal all all trust\n")
    own.start()
    own.run(f"CREATE ROLE guarded LOGIN PASSWORD '{SECRET}'; CREATE DATABASE guarded OWNER guarded")
    url = own.url("guarded")
    message = refusal(tmp_path, url.replace("postgres@", f"guarded:{SECRET}-not@"))
    assert "password authentication failed" in message
    assert SECRET not in message
    # A role that owns nothing but its own database is enough.
    with Ledger.open(tmp_path, url=url.replace("postgres@", f"guarded:{SECRET}@")) as ledger:
        ledger.register_version("liver", "[]", "d")
        assert SECRET not in repr(vars(ledger)) + repr(ledger._storage)
    own.stop("immediate")


def test_without_psycopg_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for module in tuple(f"noisegate.ledger.{name}" for name in ("postgres", "server", "wire", "arrays")):
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delattr("noisegate.ledger.postgres")
    with pytest.raises(SetupError, match="needs psycopg") as refused:
        Ledger.open(tmp_path, url="postgresql://localhost/ledger")
    assert "noisegate[postgres]" in refused.value.hint


def test_a_directory_is_shared_by_gateways_of_a_server_and_by_nobody_else(house):
    with Ledger.open(house.directory, url=house.url) as second:
        assert second.id == house.ledger.id
        with pytest.raises(StateLocked):
            Ledger.open(house.directory)
    house.ledger.shut()
    with Ledger.open(house.directory), pytest.raises(StateLocked):
        Ledger.open(house.directory, url=house.url)


def test_a_token_that_one_gateway_revokes_is_void_at_the_other_at_once(house):
    with Ledger.open(house.directory, url=house.url) as second:
        token, secret = house.ledger.create_token("ana", Role.ANALYST, "*")
        assert second.find_token(secret).name == "ana"
        house.ledger.revoke_token(token.id)
        assert second.find_token(secret) is None


def test_an_answer_that_one_gateway_stored_is_the_others_too(house):
    with Ledger.open(house.directory, url=house.url) as second:
        assert second.find_answer("f") is None
        first, late = (ledger.charge(house.wanted("f")) for ledger in (house.ledger, second))
        told = house.ledger.close(first.id, '"first"')
        assert second.find_answer("f").answer == '"first"'
        assert second.close(late.id, '"late"').answer == told.answer == '"first"'
        assert second.verify().fault is None


def test_work_that_hides_an_error_of_the_database_is_not_told_that_it_was_written(house):
    def hiding(transaction, _=None):
        with suppress(psycopg.Error):
            transaction.change(insert(schema.chain), dataset="d", seq=1, hash=None, at=1)
        return ["done"]

    house.ledger.charge(house.wanted("before"))
    with pytest.raises(LedgerUnavailable):
        house.ledger._writer.run(hiding)
    with pytest.raises(LedgerUnavailable):
        house.ledger._writer.together(Together(lambda *_: frozenset(), hiding), "request")
    house.ledger.charge(house.wanted("after"))
    assert house.ledger.verify().charges == 2


def test_a_gateway_asks_with_few_connections_however_many_threads_it_has(house):
    start, most = threading.Barrier(40), []

    def look():
        start.wait()
        for _ in range(5):
            house.ledger.find_account("olmsted")

    threads = [threading.Thread(target=look) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with closing(psycopg.connect(house.url)) as connection:
        most = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = 'noisegate'"
        ).fetchone()[0]
    assert most <= storage.READERS + 2


def test_the_clock_is_the_servers_unless_one_is_given_and_never_goes_back(house):
    with closing(psycopg.connect(house.url)) as connection:
        server_time = connection.execute("SELECT extract(epoch FROM clock_timestamp())::bigint").fetchone()[0]
    assert abs(house.ledger.now() - server_time) <= 2
    ahead = server_time + 10_000
    with Ledger.open(house.directory, url=house.url, clock=lambda: ahead) as second:
        charged = second.charge(house.wanted("f"))
        assert charged.receipts[0].at == ahead
    assert house.ledger.now() == ahead
    later = house.ledger.charge(house.wanted("g"))
    assert later.receipts[0].at == ahead
    assert house.ledger.verify().fault is None


def test_a_raw_at_sign_in_a_password_is_refused_before_its_rest_can_pass_for_a_host():
    with pytest.raises(SetupError) as refused:
        server.server_of("postgresql://ana:p@ss-w0rd@db.example/ledger")
    assert "ss-w0rd" not in str(refused.value) + refused.value.hint
    assert server.server_of("postgresql://ana:p%40ss@db.example/ledger")["password"] == "p@ss"

import hashlib
import threading
from datetime import UTC, datetime, timedelta

import pytest

from noisegate.errors import NotFound
from noisegate.ledger import tokens
from noisegate.ledger.store import Ledger, Role


def test_a_token_is_found_by_its_secret_and_by_nothing_else(house):
    token, secret = house.ledger.create_token("ana", Role.ANALYST, ("panel", "liver"))
    assert house.ledger.find_token(secret) == token
    assert (token.name, token.role, token.grants) == ("ana", Role.ANALYST, ("liver", "panel"))
    last = "0" if secret[-1] != "0" else "1"
    for wrong in (
        secret[:-1] + last,
        secret[:-1],
        secret + "0",
        token.id,
        "",
        "ng__",
        "ng_a_b",
        "\ud800",
        "x" * 9999,
    ):
        assert house.ledger.find_token(wrong) is None
    house.reopen()
    assert house.ledger.find_token(secret) == token


def test_a_secret_has_256_bits_and_names_its_token(house):
    token, secret = house.ledger.create_token("ana", Role.ANALYST, "*")
    prefix, id_, random = secret.split("_")
    assert (prefix, id_, len(bytes.fromhex(random))) == ("ng", token.id, 32)
    assert house.ledger.create_token("ana", Role.ANALYST, "*")[1] != secret


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_no_file_of_the_ledger_holds_a_secret(house):
    _, secret = house.ledger.create_token("ana", Role.ANALYST, "*")
    house.ledger.find_token(secret)
    stored = b"".join(f.read_bytes() for f in house.directory.iterdir())
    assert hashlib.sha256(secret.encode()).hexdigest().encode() in stored
    assert secret.split("_")[2].encode() not in stored


def test_grants_are_a_list_or_everything(house):
    some, _ = house.ledger.create_token("ana", Role.ANALYST, ("liver",))
    everything, secret = house.ledger.create_token("cleo", Role.CUSTODIAN, "*")
    none, _ = house.ledger.create_token("ben", Role.ANALYST, ())
    assert [t.grants for t in (some, everything, none)] == [("liver",), "*", ()]
    house.reopen()
    assert house.ledger.find_token(secret).grants == "*"
    assert {t.grants for t in house.ledger.list_tokens()} == {("liver",), "*", ()}


def test_a_revoked_token_is_refused_at_once(house):
    token, secret = house.ledger.create_token("ana", Role.ANALYST, "*")
    assert house.ledger.find_token(secret) == token
    house.ledger.revoke_token(token.id)
    assert house.ledger.find_token(secret) is None
    [listed] = house.ledger.list_tokens()
    assert listed.revoked is not None
    house.ledger.revoke_token(token.id)
    assert house.ledger.list_tokens() == (listed,)
    with pytest.raises(NotFound):
        house.ledger.revoke_token("nobody")


def test_a_token_that_is_revoked_while_it_is_being_read_is_not_remembered(house, monkeypatch):
    token, secret = house.ledger.create_token("ana", Role.ANALYST, "*")
    read, revoked = threading.Event(), threading.Event()
    original = tokens.find

    def slow(transaction, wanted):
        found = original(transaction, wanted)
        read.set()
        revoked.wait()
        return found

    monkeypatch.setattr(tokens, "find", slow)
    reader = threading.Thread(target=house.ledger.find_token, args=(secret,))
    reader.start()
    read.wait()
    house.ledger.revoke_token(token.id)
    revoked.set()
    reader.join()
    assert house.ledger.find_token(secret) is None


def test_a_token_expires_by_the_ledgers_clock_even_when_remembered(tmp_path):
    now = [1_000_000]
    with Ledger.open(tmp_path / "s", clock=lambda: now[0]) as ledger:
        ends = datetime.fromtimestamp(now[0], UTC) + timedelta(minutes=1)
        token, secret = ledger.create_token("ana", Role.ANALYST, "*", ends)
        assert ledger.find_token(secret) == token
        now[0] += 59
        assert ledger.find_token(secret) == token
        now[0] += 1
        assert ledger.find_token(secret) is None


@pytest.mark.parametrize("store", ["postgresql"], indirect=True)
@pytest.mark.parametrize("ahead", [-7200, 7200])
def test_a_token_expires_by_the_clock_of_the_server_where_the_ledger_lies_on_one(house, monkeypatch, ahead):
    ends = datetime.fromtimestamp(house.ledger.now() + 3600, UTC)
    token, secret = house.ledger.create_token("ana", Role.ANALYST, "*", ends)
    _, old = house.ledger.create_token("ben", Role.ANALYST, "*", ends - timedelta(hours=1, seconds=1))
    plain = house.ledger._clock
    monkeypatch.setattr(house.ledger, "_clock", lambda: plain() + ahead)
    assert house.ledger.find_token(secret) == token
    assert house.ledger.find_token(old) is None


def test_a_clock_that_is_set_back_revives_no_token(timed):
    ends = datetime.fromtimestamp(timed.clock() + 60, UTC)
    _, secret = timed.ledger.create_token("ana", Role.ANALYST, "*", ends)
    timed.clock.seconds += 60
    timed.ledger.register_version("liver", "[liver]", "d")
    assert timed.ledger.find_token(secret) is None
    timed.clock.seconds -= 30
    assert timed.ledger.find_token(secret) is None
    timed.reopen()
    assert timed.ledger.find_token(secret) is None


def test_a_token_names_the_project_its_bearer_asks_for(house):
    made, secret = house.ledger.create_token("ana", Role.ANALYST, "*", project="trial")
    plain, _ = house.ledger.create_token("ben", Role.ANALYST, "*")
    assert (made.project, plain.project) == ("trial", "default")
    house.reopen()
    assert house.ledger.find_token(secret) == made
    assert {t.name: t.project for t in house.ledger.list_tokens()} == {"ana": "trial", "ben": "default"}


def test_a_token_needs_a_name_and_a_time_zone(house):
    with pytest.raises(ValueError, match="name"):
        house.ledger.create_token("", Role.ANALYST, "*")
    with pytest.raises(ValueError, match="time zone"):
        house.ledger.create_token("ana", Role.ANALYST, "*", datetime(2030, 1, 1))  # noqa: DTZ001

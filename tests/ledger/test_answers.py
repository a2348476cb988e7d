from dataclasses import replace

import pytest

from noisegate.errors import Blocked, Conflict, NotFound
from noisegate.ledger import answers, charges
from noisegate.ledger.store import ChargeState, IdempotencyKey, ReceiptKind

ANA = "olmsted/liver/default/ana"
BEN = "olmsted/panel/default/ana"


def kinds(house, dataset="liver"):
    return [r.kind.value for r in house.ledger.receipts(dataset) if r.kind is not ReceiptKind.OPENED]


def test_an_answer_is_stored_under_its_fingerprint_and_recorded(house):
    charged = house.ledger.charge(house.wanted("f"))
    assert house.ledger.find_answer("f") is None
    stored = house.ledger.close(charged.id, '{"n":1}')
    assert (stored.answer, stored.charge) == ('{"n":1}', charged.id)
    assert house.ledger.find_answer("f") == stored
    assert kinds(house) == ["charge", "answer"]
    assert stored.receipt == house.ledger.receipts("liver")[-1]
    assert stored.receipt.content() == {"answer_of": charged.id, "sha256": stored.sha256}
    house.reopen()
    assert house.ledger.find_answer("f") == stored
    assert kinds(house) == ["charge", "answer"]


def test_twins_in_a_race_release_the_answer_that_was_first(house):
    first = house.ledger.charge(house.wanted("f"))
    second = house.ledger.charge(house.wanted("f"))
    house.ledger.close(second.id, '"second"')
    released = house.ledger.close(first.id, '"first"')
    assert (released.answer, released.charge) == ('"second"', second.id)
    assert released.receipt.charge == first.id
    assert house.ledger.find_answer("f").answer == '"second"'
    assert house.ledger.verify().whole


def test_closing_a_charge_again_changes_nothing(house):
    charged = house.ledger.charge(house.wanted("f"))
    once = house.ledger.close(charged.id, '"once"')
    assert house.ledger.close(charged.id, '"twice"') == once
    assert kinds(house) == ["charge", "answer"]


def test_an_answer_over_two_datasets_is_recorded_on_both(house):
    house.open_path(BEN)
    charged = house.ledger.charge(house.wanted("f", leaves=(ANA, BEN)))
    stored = house.ledger.close(charged.id, "{}")
    assert [r.dataset for r in stored.receipts] == ["liver", "panel"]
    assert kinds(house, "panel") == ["charge", "answer"]


def test_a_failure_stays_spent_and_closes_the_plan_for_everyone(house):
    house.open_path("olmsted/liver/default/ben")
    charged = house.ledger.charge(house.wanted("f"))
    house.ledger.fail(charged.id, "engine_failed")
    assert house.ledger.is_suspended("f")
    for name in ("ana", "ben"):
        with pytest.raises(Blocked):
            house.ledger.charge(house.wanted("f", leaves=(f"olmsted/liver/default/{name}",)))
    assert house.ledger.find_account(ANA).spent == house.cent
    house.ledger.charge(house.wanted("g"))
    assert kinds(house) == ["charge", "failed", "charge"]
    assert house.ledger.receipts("liver")[-2].content() == {"reason": "engine_failed"}


def test_a_failed_charge_can_never_be_answered(house):
    charged = house.ledger.charge(house.wanted("f"))
    house.ledger.fail(charged.id, "timeout")
    house.ledger.fail(charged.id, "timeout")
    with pytest.raises(Conflict, match="is failed already"):
        house.ledger.close(charged.id, "{}")
    assert house.ledger.find_answer("f") is None
    assert house.ledger.verify().whole


def test_an_answered_charge_cannot_fail(house):
    charge = house.answer("f")
    with pytest.raises(Conflict, match="is answered already"):
        house.ledger.fail(charge, "timeout")
    assert not house.ledger.is_suspended("f")


def test_the_custodian_opens_a_plan_again(house):
    for _ in range(2):
        charged = house.ledger.charge(house.wanted("f"))
        other = house.ledger.charge(house.wanted("f"))
        house.ledger.fail(charged.id, "timeout")
        house.ledger.fail(other.id, "engine_failed")
        assert house.ledger.is_suspended("f")
        assert house.ledger.verify().whole
        house.ledger.unsuspend("f")
        assert not house.ledger.is_suspended("f")
    assert house.ledger.verify().whole
    with pytest.raises(NotFound):
        house.ledger.unsuspend("f")


def test_a_charge_without_an_answer_at_opening_is_lost_and_stays_spent(house):
    key = IdempotencyKey("ana", "k", "r")
    left = house.ledger.charge(house.wanted("f", idempotency=key))
    house.answer("g")
    house.reopen()
    assert house.ledger.find_idempotent(key).state is ChargeState.LOST
    assert house.ledger.find_account(ANA).spent == house.cent.times(2)
    assert kinds(house) == ["charge", "charge", "answer", "lost"]
    with pytest.raises(Conflict, match="is lost already"):
        house.ledger.close(left.id, "{}")
    house.reopen()
    assert kinds(house)[-1] == "lost"
    assert len(kinds(house)) == 4
    assert house.ledger.verify().whole


def test_a_charge_that_does_not_exist_cannot_be_settled(house):
    for settle in (house.ledger.close, house.ledger.fail):
        with pytest.raises(NotFound):
            settle(99, "x")


def test_an_answer_is_found_however_long_it_is_and_however_many_there_are(house):
    long = '"' + "x" * 200_000 + '"'
    house.answer("long", long)
    for i in range(20):
        house.answer(f"f{i}", str(i))
    assert house.ledger.find_answer("long").answer == long
    assert [house.ledger.find_answer(f"f{i}").answer for i in range(20)] == [str(i) for i in range(20)]


def test_answers_that_are_closed_together_are_those_that_would_be_closed_one_by_one(house):
    first, twin, other, failed = (house.ledger.charge(house.wanted(f)).id for f in ("f", "f", "g", "h"))
    house.ledger.fail(failed, "timeout")
    before = len(house.ledger.receipts("liver", limit=1000))
    wanted = [
        answers.closing(charge, f'"{text}"')
        for charge, text in (
            (twin, "t"),
            (first, "f"),
            (other, "g"),
            (twin, "again"),
            (failed, "h"),
            (99, "x"),
        )
    ]
    results = house.ledger._writer.run(lambda transaction: answers.perform(transaction, wanted))
    closed, refused = results[:4], [r.error for r in results[4:]]
    assert [(s.charge, s.answer) for s in closed] == [
        (twin, '"t"'),
        (twin, '"t"'),
        (other, '"g"'),
        (twin, '"t"'),
    ]
    assert [s.receipt.charge for s in closed] == [twin, first, other, twin]
    assert closed[3] == closed[0]
    assert [type(error) for error in refused] == [Conflict, NotFound]
    assert len(house.ledger.receipts("liver", limit=1000)) == before + 3
    assert house.ledger.find_answer("f").answer == '"t"'
    assert house.ledger.find_answer("h") is None
    assert house.ledger.verify().whole


def test_recovery_settles_the_charges_of_gateways_that_are_gone_and_no_others(house):
    def as_replica(number, fingerprint):
        request = charges.request(house.wanted(fingerprint), replica=number)
        return house.ledger._writer.together(charges.TAKE, request).id

    gone, alive, job = (as_replica(number, f"f{number}") for number in (7, 8, 9))
    wanted = replace(house.wanted("job"), steps=2)
    house.ledger._writer.together(charges.TAKE, charges.request(wanted, replica=7))

    def recover(transaction):
        assert answers.replicas_with_open_charges(transaction) == {7, 8, 9}
        return answers.recover(transaction, {7, 9})

    assert house.ledger._writer.run(recover) == 2
    for charge in (gone, job):
        with pytest.raises(Conflict, match="is lost already"):
            house.ledger.close(charge, "{}")
    house.ledger.close(alive, "{}")
    assert kinds(house)[-3:] == ["lost", "lost", "answer"]
    assert house.ledger.verify().whole

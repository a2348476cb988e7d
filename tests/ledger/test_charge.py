import json
import threading
from dataclasses import replace
from fractions import Fraction

import pytest
from sqlalchemy import update

from noisegate.errors import BudgetExhausted, Conflict, InternalError, NotFound
from noisegate.ledger import balances, chain, charges, decide, schema
from noisegate.ledger.records import JobState, canonical
from noisegate.ledger.store import Account, Charge, Daily, IdempotencyKey, Kind
from noisegate.privacy.curves import gaussian, pure, with_delta
from noisegate.privacy.filter import Limits, admits, capacity
from noisegate.privacy.loss import INFINITE, NANO, ORDERS, ZERO, Loss

ANA = "olmsted/liver/default/ana"
BEN = "olmsted/panel/default/ana"


def spent(house, account):
    return house.ledger.find_account(account).spent


def test_a_charge_is_taken_from_every_account_named(house):
    charged = house.ledger.charge(house.wanted("f"))
    assert [spent(house, a) for a in house.path_to(ANA)] == [house.cent] * 4
    assert [house.ledger.find_account(a).charges for a in house.path_to(ANA)] == [1] * 4
    assert [r.dataset for r in charged.receipts] == ["liver"]
    assert not charged.earlier


def test_a_question_over_two_datasets_charges_their_population_once(house):
    house.open_path(BEN)
    charged = house.ledger.charge(house.wanted("f", leaves=(ANA, BEN)))
    assert spent(house, "olmsted") == house.cent
    assert spent(house, "olmsted/liver") == spent(house, "olmsted/panel") == house.cent
    assert [r.dataset for r in charged.receipts] == ["liver", "panel"]
    assert house.ledger.verify().whole


def test_the_sum_over_children_is_their_parent_where_each_charge_has_one_child(house):
    for name in ("ben", "cleo"):
        house.open_path(f"olmsted/liver/default/{name}")
    for i, name in enumerate(["ana", "ben", "cleo", "ana"]):
        house.ledger.charge(house.wanted(f"f{i}", leaves=(f"olmsted/liver/default/{name}",)))
    children = [b for b in house.ledger.accounts() if b.account.parent == "olmsted/liver/default"]
    total = sum((b.spent for b in children), ZERO)
    assert total == spent(house, "olmsted/liver/default") == house.cent.times(4)


def test_one_account_that_cannot_pay_keeps_all_others_untouched(house):
    small = Limits.of(Fraction(1, 200), Fraction(0))
    house.ledger.open_account(Account.at("olmsted/liver/default/ben", small))
    with pytest.raises(BudgetExhausted):
        house.ledger.charge(house.wanted("f", leaves=("olmsted/liver/default/ben",)))
    assert all(b.spent == ZERO and b.charges == 0 for b in house.ledger.accounts())
    assert [r.kind.value for r in house.ledger.receipts("liver")] == ["opened"] * 4


def test_the_refusal_says_whose_budget_what_is_left_and_what_it_takes(make_house):
    house = make_house(Limits.of(Fraction(1, 10), Fraction(0)))
    for i in range(9):
        house.ledger.charge(house.wanted(f"f{i}"))
    with pytest.raises(BudgetExhausted) as refused:
        house.ledger.charge(house.wanted("f9", pure(Fraction(1, 50))))
    assert str(refused.value) == "account 'olmsted' has ε 0.01 left of 0.1 at δ 0, this question takes ε 0.02"
    assert refused.value.hint
    assert refused.value.detail == {"account": "olmsted", "epsilon_left": 0.01, "epsilon_price": 0.02}


def test_the_refusal_of_private_keys_speaks_of_delta(house):
    with pytest.raises(BudgetExhausted, match=r"has δ 1\.00e-7 left for groups whose names are private"):
        house.ledger.charge(house.wanted("f", with_delta(house.cent, Fraction(1, 10**6))))


def test_an_infinite_loss_never_fits(house):
    with pytest.raises(BudgetExhausted, match="no bound on what it may reveal"):
        house.ledger.charge(house.wanted("f", Loss((INFINITE,) * len(ORDERS))))


def test_sums_that_leave_64_bits_saturate_in_the_database_as_in_python(house):
    # Infinite at the pure order, finite elsewhere: the sum of two such saturates, and is still admitted.
    loss = gaussian(Fraction(1, 100))
    assert loss.renyi[-1] == INFINITE
    house.ledger.charge(house.wanted("f"))
    house.ledger.charge(house.wanted("g", loss))
    house.ledger.charge(house.wanted("h", loss))
    assert spent(house, ANA) == house.cent + loss + loss
    assert spent(house, ANA).renyi[-1] == INFINITE
    assert house.ledger.verify().whole


def test_a_surcharge_counts_against_its_analyst_and_nobody_else(make_house):
    house = make_house(Limits.of(Fraction(1, 10), Fraction(0)))
    house.ledger.charge(house.wanted("f", surcharges={ANA: house.cent.times(7)}))
    analyst = house.ledger.find_account(ANA)
    assert (analyst.spent, analyst.surcharge) == (house.cent, house.cent.times(7))
    assert house.ledger.find_account("olmsted").surcharge == ZERO
    house.ledger.charge(house.wanted("g"))
    house.ledger.charge(house.wanted("h"))
    with pytest.raises(BudgetExhausted, match="default/ana'"):
        house.ledger.charge(house.wanted("i"))
    house.open_path("olmsted/liver/default/ben")
    house.ledger.charge(house.wanted("j", leaves=("olmsted/liver/default/ben",)))
    assert house.ledger.verify().whole


def test_a_surcharge_that_does_not_fit_is_refused_with_its_charge(make_house):
    house = make_house(Limits.of(Fraction(1, 10), Fraction(0)))
    with pytest.raises(BudgetExhausted, match=r"takes ε 0\.11$"):
        house.ledger.charge(house.wanted("f", surcharges={ANA: house.cent.times(10)}))
    assert spent(house, ANA) == ZERO


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"accounts": ("olmsted", "olmsted/liver/default")}, "names its ancestors too"),
        ({"accounts": ()}, "at least one"),
        ({"accounts": ("olmsted", "olmsted", "olmsted/liver")}, "each of its accounts once"),
        ({"accounts": ("olmsted", "olmsted/liver", "other")}, "one population"),
        ({"datasets": ("panel",)}, "the datasets whose accounts it charges"),
        ({"datasets": ()}, "the datasets whose accounts it charges"),
        ({"surcharges": {"olmsted": ZERO}}, "only analysts' accounts"),
        ({"surcharges": {"olmsted/liver/default/ben": ZERO}}, "only analysts' accounts"),
        ({"fingerprint": ""}, "fingerprint"),
    ],
)
def test_a_charge_that_is_not_whole_cannot_be_made(change, message):
    whole = {
        "accounts": ("olmsted", "olmsted/liver"),
        "loss": ZERO,
        "datasets": ("liver",),
        "fingerprint": "f",
    }
    Charge(**whole)
    with pytest.raises(ValueError, match=message):
        Charge(**(whole | change))


def test_the_store_checks_ancestors_by_its_own_rows(house):
    charge = house.wanted("f")
    object.__setattr__(charge, "accounts", ("olmsted", "olmsted/liver/default"))
    with pytest.raises(InternalError, match="ancestor"):
        house.ledger.charge(charge)
    assert spent(house, "olmsted") == ZERO


def test_a_charge_to_an_account_that_is_not_open_takes_nothing(house):
    with pytest.raises(NotFound, match="ben"):
        house.ledger.charge(house.wanted("f", leaves=("olmsted/liver/default/ben",)))
    assert spent(house, "olmsted") == ZERO


def test_without_the_check_in_python_the_conditional_update_refuses(make_house, monkeypatch):
    house = make_house(Limits.of(Fraction(1, 100), Fraction(0)))
    monkeypatch.setattr(decide, "admits", lambda *_: True)
    house.ledger.charge(house.wanted("f"))
    with pytest.raises(InternalError, match="not what was decided on"):
        house.ledger.charge(house.wanted("g"))
    assert spent(house, ANA) == house.cent


def test_without_either_the_check_of_the_schema_refuses(make_house, monkeypatch):
    house = make_house(Limits.of(Fraction(1, 100), Fraction(0)))
    monkeypatch.setattr(decide, "admits", lambda *_: True)
    held = (*balances._SPENT, *balances._SURCHARGE, "charges")
    monkeypatch.setattr(balances, "_TAKE", balances._set(*held))
    house.ledger.charge(house.wanted("f"))
    with pytest.raises(InternalError, match="cannot hold"):
        house.ledger.charge(house.wanted("g"))
    assert spent(house, ANA) == house.cent


def meddle(monkeypatch, module, name, statement):
    """Have a statement run in the same transaction, after `module.name` has read what will be decided on."""
    plain = getattr(module, name)

    def read(transaction, *rest):
        found = plain(transaction, *rest)
        assert transaction.change(statement) >= 1
        return found

    monkeypatch.setattr(module, name, read)


account, head = schema.account, schema.chain
CHANGED = update(account).where(account.c.id == ANA).values(version=account.c.version + 1)
MOVED = update(head).where(head.c.dataset == "liver").values(seq=head.c.seq + 1)


@pytest.mark.parametrize(
    ("module", "name", "statement"), [(balances, "lock", CHANGED), (chain, "links", MOVED)]
)
def test_what_changed_after_it_was_read_is_never_written_over(house, monkeypatch, module, name, statement):
    house.ledger.charge(house.wanted("f"))
    with monkeypatch.context() as patched:
        meddle(patched, charges, "_read", statement)
        with pytest.raises(InternalError, match="not what was decided on"):
            house.ledger.charge(house.wanted("g"))
        meddle(patched, module, name, statement)
        with pytest.raises(InternalError, match="not what was decided on"):
            house.ledger.renew(ANA, None, until=None, by="cleo")
    assert spent(house, ANA) == house.cent
    assert house.ledger.find_account(ANA).period.number == 1
    assert house.ledger.verify().whole


@pytest.mark.parametrize("delta_keys", [0, 1])
def test_python_and_the_database_draw_the_same_line_at_every_order(make_house, monkeypatch, delta_keys):
    limits = Limits(Fraction(1), Fraction(1, 10**6), Fraction(delta_keys, 10**7))
    full = capacity(limits)
    house = make_house(limits)
    monkeypatch.setattr(decide, "admits", lambda *_: True)
    for order in range(len(ORDERS)):
        for over in (0, 1):
            above = [min(c + 1, INFINITE) for c in full.renyi]
            above[order] = full.renyi[order] + over
            loss = Loss(tuple(above), full.delta_keys)
            name = f"dataset{order}.{over}"
            leaf = f"pop{order}.{over}/{name}"
            house.open_path(leaf, limits)
            if admits(full, loss):
                house.ledger.charge(house.wanted(name, loss, leaves=(leaf,)))
            else:
                with pytest.raises(InternalError):
                    house.ledger.charge(house.wanted(name, loss, leaves=(leaf,)))
    with pytest.raises(InternalError):
        house.ledger.charge(house.wanted("delta", Loss(ZERO.renyi, full.delta_keys + 1)))


def test_an_account_opens_once_and_keeps_its_limits(house):
    account = house.ledger.find_account(ANA).account
    house.ledger.open_account(account)
    with pytest.raises(Conflict, match="other limits"):
        house.ledger.open_account(Account.at(ANA, Limits.of(Fraction(101), Fraction(1, 10**6))))
    assert house.ledger.find_account(ANA).limits == house.roomy
    assert len(house.ledger.receipts("liver")) == 3


def test_limits_are_rounded_down_to_what_the_ledger_holds(house):
    third = Limits.of(Fraction(1, 3), Fraction(1, 3 * 10**6))
    house.ledger.open_account(Account.at("other", third))
    house.ledger.open_account(Account.at("other", third))
    held = house.ledger.find_account("other")
    assert held.limits.epsilon == Fraction(333_333_333, NANO)
    assert held.limits.delta < third.delta
    assert held.capacity == capacity(held.limits)


def test_an_account_needs_its_parent_and_a_dataset_one_population(house):
    with pytest.raises(NotFound, match="olmsted/kidney"):
        house.ledger.open_account(Account.at("olmsted/kidney/default", house.roomy))
    house.ledger.open_account(Account.at("rochester", house.roomy))
    with pytest.raises(Conflict, match="another population"):
        house.ledger.open_account(Account.at("rochester/liver", house.roomy))


@pytest.mark.parametrize("path", ["", "a//b", "a/b/c/d/e", "a b", "/a", "a/"])
def test_an_account_id_is_a_path_of_at_most_four_names(path, house):
    with pytest.raises(ValueError, match="account id"):
        Account.at(path, house.roomy)


def test_an_account_agrees_with_its_id(house):
    with pytest.raises(ValueError, match="is not a project"):
        Account("olmsted/liver", "olmsted", Kind.PROJECT, house.roomy)


def key(name="k", request="r", principal="ana"):
    return IdempotencyKey(principal, name, request)


def test_the_same_key_and_request_pay_once(house):
    first = house.ledger.charge(house.wanted("f", idempotency=key()))
    house.ledger.close(first.id, "{}")
    again = house.ledger.charge(house.wanted("f", idempotency=key()))
    assert again.earlier
    assert (again.id, again.receipts) == (first.id, first.receipts)
    assert spent(house, ANA) == house.cent
    assert house.ledger.find_idempotent(key()).charge == first.id


def test_a_key_serves_one_request_of_one_principal(house):
    house.ledger.charge(house.wanted("f", idempotency=key()))
    with pytest.raises(Conflict, match="another request"):
        house.ledger.charge(house.wanted("g", idempotency=key(request="s")))
    with pytest.raises(Conflict, match="another request"):
        house.ledger.find_idempotent(key(request="s"))
    assert house.ledger.find_idempotent(key(principal="ben")) is None
    house.ledger.charge(house.wanted("g", idempotency=key(request="s", principal="ben")))


def test_a_key_whose_request_has_no_answer_says_why(house):
    running = house.ledger.charge(house.wanted("f", idempotency=key()))
    with pytest.raises(Conflict, match="still running") as refused:
        house.ledger.charge(house.wanted("f", idempotency=key()))
    assert refused.value.hint
    house.ledger.fail(running.id, "timeout")
    with pytest.raises(Conflict, match="failed after it was charged"):
        house.ledger.charge(house.wanted("f", idempotency=key()))
    house.ledger.charge(house.wanted("g", idempotency=key("l")))
    house.reopen()
    with pytest.raises(Conflict, match="was cut off after it was charged"):
        house.ledger.charge(house.wanted("g", idempotency=key("l")))
    assert spent(house, ANA) == house.cent.times(2)


def test_a_refused_charge_does_not_use_up_its_key(make_house):
    house = make_house(Limits.of(Fraction(1, 100), Fraction(0)))
    with pytest.raises(BudgetExhausted):
        house.ledger.charge(house.wanted("f", pure(Fraction(1)), idempotency=key()))
    house.ledger.charge(house.wanted("f", idempotency=key()))


def test_a_receipt_tells_all_of_a_charge_as_canonical_json(timed):
    wanted = replace(
        timed.wanted("f", surcharges={ANA: timed.cent.times(2)}, idempotency=key()),
        asker="ána",
        tier="clinical",
        daily=Daily(5, 9),
        conditions='[["age",">",40]]',
        steps=3,
        body={"question": "SELECT 'é'", "title": "a model", "nested": {"b": [1, None], "a": True}},
    )
    [receipt] = timed.ledger.charge(wanted).receipts
    assert receipt.body == canonical(json.loads(receipt.body))
    assert receipt.content() == {
        "accounts": list(timed.path_to(ANA)),
        "asker": "ána",
        "conditions": '[["age",">",40]]',
        "daily": [5, 9],
        "datasets": ["liver"],
        "fingerprint": "f",
        "idempotency": ["ana", "k", "r"],
        "loss": {"delta": 0, "renyi": list(timed.cent.renyi)},
        "periods": dict.fromkeys(timed.path_to(ANA), 1),
        "public": {"question": "SELECT 'é'", "title": "a model", "nested": {"b": [1, None], "a": True}},
        "steps": 3,
        "surcharges": {ANA: {"delta": 0, "renyi": list(timed.cent.times(2).renyi)}},
        "tier": "clinical",
    }
    assert receipt.at == timed.clock()
    job = timed.ledger.job(receipt.charge)
    assert (job.asker, job.title, job.datasets) == ("ána", "a model", ("liver",))
    assert (job.reserved, job.drawn, job.steps, job.steps_drawn) == (timed.cent, ZERO, 3, 0)
    assert (job.state, job.created, job.changed) == (JobState.RUNNING, timed.clock(), timed.clock())


@pytest.mark.parametrize(
    "facts",
    [
        {"daily": Daily(1, 1), "tier": ""},
        {"steps": 0},
    ],
)
def test_a_charge_whose_facts_do_not_fit_each_other_cannot_be_made(house, facts):
    with pytest.raises(ValueError, match=r"tier|step"):
        replace(house.wanted("f"), **facts)


@pytest.mark.parametrize("amounts", [(-1, 1), (1, -1), (1, 2**63)])
def test_a_days_amounts_fit_the_ledger(amounts):
    with pytest.raises(ValueError, match="a day's amounts"):
        Daily(*amounts)


def test_a_charge_that_the_database_refuses_leaves_those_that_were_sent_with_it(make_house, monkeypatch):
    """What it would have written undoes the batch, and each charge is then taken alone."""
    house = make_house(Limits.of(Fraction(1, 10), Fraction(0)))
    monkeypatch.setattr(decide, "admits", lambda *_: True)
    held = (*balances._SPENT, *balances._SURCHARGE, "charges")
    monkeypatch.setattr(balances, "_TAKE", balances._set(*held))
    outcomes, start = {}, threading.Barrier(9)

    def ask(i):
        start.wait()
        loss = house.cent.times(50 if i == 4 else 1)
        try:
            outcomes[i] = house.ledger.charge(house.wanted(f"f{i}", loss)).id
        except InternalError as error:
            outcomes[i] = error.message

    running = [threading.Thread(target=ask, args=(i,)) for i in range(9)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert "cannot hold such an entry" in outcomes.pop(4)
    assert len(set(outcomes.values())) == 8
    assert spent(house, ANA) == house.cent.times(8)
    assert house.ledger.verify().whole

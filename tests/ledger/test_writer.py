"""Requests of one kind are carried out together, and one that cannot be does not touch the others."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from sqlalchemy import bindparam, func, insert, select, update

from noisegate.errors import InternalError, LedgerUnavailable, NotFound
from noisegate.ledger import schema
from noisegate.ledger.transaction import named
from noisegate.ledger.writer import Raised, Together

ADD = insert(schema.data_version)
_d = schema.data_version.c


@dataclass
class Recorder:
    """A kind of request that adds a row named after it, and tells in what company it came."""

    flaw: Callable[[list[str]], None] = lambda _: None
    populations: object = None
    batches: list[list[str]] = field(default_factory=list)
    times: list[int] = field(default_factory=list)

    @property
    def kind(self):
        return Together(self.populations or (lambda *_: frozenset()), self.perform)

    def perform(self, transaction, requests):
        self.batches.append(list(requests))
        self.times.append(transaction.at)
        self.flaw(requests)
        wanted = [r for r in requests if r != "refused"]
        rows = [{"dataset": r, "version": 1, "declaration": "[]", "digest": "d"} for r in wanted]
        # The CHECK refuses versions below 1, so that the database breaks the bulk write.
        added = [r | {"version": 0 if "broken" in r["dataset"] else 1} for r in rows]
        transaction.change_exactly(named(ADD, added))
        return [Raised(NotFound("no such thing")) if r == "refused" else r.upper() for r in requests]


def send(house, kind, requests):
    """Send requests from a thread each, so that they meet in one batch, and return what became of them."""
    writer, outcomes = house.ledger._writer, {}
    held, let_go = threading.Event(), threading.Event()

    def hold(_):
        held.set()
        let_go.wait()

    def ask(name, work):
        try:
            outcomes[name] = work()
        except Exception as error:  # noqa: BLE001  it is what became of the request
            outcomes[name] = error

    first = threading.Thread(target=ask, args=("first", lambda: writer.run(hold)))
    first.start()
    held.wait()
    asking = [
        threading.Thread(target=ask, args=(request, lambda request=request: writer.together(kind, request)))
        for request in requests
    ]
    for thread in asking:
        thread.start()
        while not any(p.request == requests[asking.index(thread)] for p in writer._queue):
            pass
    let_go.set()
    for thread in (first, *asking):
        thread.join()
    del outcomes["first"]
    return outcomes


def rows(house):
    with house.ledger._reading() as reader:
        return [row[0] for row in reader.rows(select(_d.dataset).order_by(_d.dataset))]


def test_requests_that_queue_up_are_carried_out_together_in_their_order(house):
    recorder = Recorder()
    told = send(house, recorder.kind, ["a", "b", "c"])
    assert told == {"a": "A", "b": "B", "c": "C"}
    assert recorder.batches == [["a", "b", "c"]]
    assert rows(house) == ["a", "b", "c"]
    assert recorder.times[0] >= house.ledger.find_account("olmsted").period.since > 0


def test_an_error_that_is_a_result_is_raised_where_it_was_asked_and_nowhere_else(house):
    recorder = Recorder()
    told = send(house, recorder.kind, ["a", "refused", "c"])
    assert isinstance(told.pop("refused"), NotFound)
    assert told == {"a": "A", "c": "C"}
    assert rows(house) == ["a", "c"]
    assert len(recorder.batches) == 1


def test_what_the_database_refuses_to_hold_is_refused_alone(house):
    recorder = Recorder()
    told = send(house, recorder.kind, ["a", "broken", "c", "refused"])
    assert isinstance(told.pop("broken"), InternalError)
    assert isinstance(told.pop("refused"), NotFound)
    assert told == {"a": "A", "c": "C"}
    assert rows(house) == ["a", "c"]
    assert recorder.batches == [["a", "broken", "c", "refused"], ["a"], ["broken"], ["c"], ["refused"]]


@pytest.mark.parametrize("text", ["nul \0", "surrogate \ud800"])
def test_a_text_that_the_database_cannot_hold_is_refused_alone_and_never_cut_short(house, text):
    told = send(house, Recorder().kind, ["a", text])
    if isinstance(told[text], InternalError | ValueError):
        assert rows(house) == ["a"]
    else:
        assert rows(house) == ["a", text]
    assert told["a"] == "A"


@pytest.mark.parametrize("broken", ["broken", "changes nothing"])
def test_what_comes_out_only_with_the_commit_is_refused_alone_too(house, broken):
    """PostgreSQL is asked to write with the commit; by then the results are made, and must not be told."""
    rename = update(schema.data_version).where(_d.dataset == bindparam("of")).values({_d.digest: "renamed"})

    def perform(transaction, requests):
        added = [
            {"dataset": r, "version": 0 if r == "broken" else 1, "declaration": "[]", "digest": "d"}
            for r in requests
        ]
        renamed = [{"of": "nowhere" if r == "changes nothing" else r} for r in requests]
        transaction.change_exactly(named(ADD, added), named(rename, renamed))
        return [r.upper() for r in requests]

    told = send(house, Together(lambda *_: frozenset(), perform), ["a", broken, "c"])
    assert isinstance(told.pop(broken), InternalError)
    assert told == {"a": "A", "c": "C"}
    assert rows(house) == ["a", "c"]


def test_a_bug_that_one_request_meets_is_told_to_it_alone(house):
    def flaw(requests):
        if "b" in requests:
            raise ZeroDivisionError

    told = send(house, Recorder(flaw).kind, ["a", "b", "c"])
    assert isinstance(told.pop("b"), ZeroDivisionError)
    assert told == {"a": "A", "c": "C"}
    assert rows(house) == ["a", "c"]


def test_a_kind_that_returns_too_little_is_a_bug_told_to_those_who_miss_something(house):
    kind = Together(lambda *_: frozenset(), lambda _, requests: [0] if len(requests) == 1 else [])
    assert send(house, kind, ["a", "b"]) == {"a": 0, "b": 0}
    kind = Together(lambda *_: frozenset(), lambda *_: [])
    assert {type(e) for e in send(house, kind, ["a", "b"]).values()} == {ValueError}


def test_a_request_whose_populations_cannot_be_told_does_not_touch_the_others(house):
    def populations(transaction, requests):
        if "b" in requests:
            transaction.change(ADD, dataset="x", version=0, declaration="", digest="")
        return frozenset()

    told = send(house, Recorder(populations=populations).kind, ["a", "b"])
    assert told == {"a": "A", "b": "B"}
    assert rows(house) == ["a", "b"]


def test_work_of_its_own_and_requests_together_share_a_commit(house):
    recorder, committed = Recorder(), []
    original = house.ledger._writer._carry_out
    house.ledger._writer._carry_out = lambda session, batch: (
        committed.append(len(batch)) or original(session, batch)
    )
    other = Recorder()
    writer = house.ledger._writer

    def nested(transaction):
        return transaction.row(select(func.count()).select_from(schema.data_version))

    outcomes = []
    held, let_go = threading.Event(), threading.Event()
    asking = [
        lambda: writer.run(lambda _: held.set() or let_go.wait()),
        lambda: writer.together(recorder.kind, "a"),
        lambda: writer.run(nested),
        lambda: writer.together(other.kind, "b"),
        lambda: writer.run(lambda _: 1 / 0),
    ]
    threads = []
    for i, ask in enumerate(asking):

        def run(ask=ask):
            try:
                outcomes.append(ask())
            except ZeroDivisionError:
                outcomes.append("divided")

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        held.wait()
        while len(writer._queue) < i:
            pass
    let_go.set()
    for thread in threads:
        thread.join()
    assert committed == [1, 4]
    assert sorted(map(str, outcomes)) == ["(1,)", "A", "B", "True", "divided"]
    assert rows(house) == ["a", "b"]


def test_a_ledger_that_is_trusted_no_more_takes_nothing_not_even_what_is_queued(house):
    writer, recorder = house.ledger._writer, Recorder()
    held, let_go = threading.Event(), threading.Event()

    def hold(_):
        held.set()
        assert let_go.wait(20)

    def queue():
        with pytest.raises(LedgerUnavailable, match="it was rolled back") as refused:
            writer.together(recorder.kind, "a")
        outcomes.append(refused)

    outcomes = []
    threads = [threading.Thread(target=writer.run, args=(hold,)), threading.Thread(target=queue)]
    threads[0].start()
    assert held.wait(20)
    threads[1].start()
    while not writer._queue:
        pass
    house.ledger.distrust("it was rolled back")
    threads[1].join()
    let_go.set()
    threads[0].join()
    assert len(outcomes) == 1
    for again in (lambda: writer.together(recorder.kind, "b"), lambda: writer.run(lambda _: None)):
        with pytest.raises(LedgerUnavailable, match="nothing more is written"):
            again()
    assert recorder.batches == []
    assert rows(house) == []

"""The verifier finds whatever is done to a file of receipts."""

import io
import json
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from noisegate.verifier import Report, verify

from .paper import ANA, CENT, ROOMY, Paper, canonical, loss_json, signed

BEN = "olmsted/panel/default/ben"


def checked(content: bytes, **given: object) -> Report:
    return verify(io.BytesIO(content), **given)  # type: ignore[arg-type]


def small() -> Paper:
    """Two chains with a charge on both, and little else: few bytes, since each of them is changed."""
    paper = Paper()
    paper.share("opened", "p", ROOMY)
    for dataset in "ab":
        paper.share("opened", f"p/{dataset}", ROOMY)
    paper.add(
        "a", "registered", {"version": 1, "declaration_sha256": "ab" * 32, "digest_commitment": "cd" * 32}
    )
    paper.answer(paper.charge("p/a", public={"question": "ε"}))
    both = paper.charge("p/a", "p/b", public={})
    paper.outcome("failed", both, {"reason": "timeout"})
    return paper


def whole_story() -> Paper:
    """Everything that receipts can tell, in order."""
    paper = Paper()
    paper.open_path(ANA)
    paper.open_path(BEN)
    for version in (1, 2):
        body = {"version": version, "declaration_sha256": "ab" * 32, "digest_commitment": "cd" * 32}
        paper.add("liver", "registered", body)
    first = paper.charge(fingerprint="q")
    twin = paper.charge(
        fingerprint="q", surcharges={ANA: loss_json(CENT)}, idempotency=["ana", "k", "ab" * 32]
    )
    paper.answer(first)
    paper.answer(twin, of=first)
    paper.outcome("lost", paper.charge(ANA, BEN), {})
    closed = paper.charge(BEN, fingerprint="f")
    paper.outcome("failed", closed, {"reason": "timeout"})
    paper.outcome("unsuspended", closed, {"fingerprint": "f"})
    paper.charge(BEN, fingerprint="f")
    paper.now += 10
    paper.share("renewed", ANA, ROOMY, reason="a new year")
    paper.share("renewed", "olmsted", ROOMY, reason="a new year")
    for kind in ("suspended", "resumed"):
        paper.add("population/olmsted", kind, {"account": "olmsted", "by": "cus", "reason": "a question"})
    told = {"account": ANA, "reason": "restricted", "strikes": 1}
    paper.add("liver", "restricted", told | {"public": {}})
    paper.add("liver", "locked", told)
    paper.add("liver", "resumed", {"account": ANA, "by": "cus"})
    job = paper.charge(ANA, BEN, loss=CENT.times(3), steps=3)
    paper.answer(job)
    back = loss_json(CENT.times(2))
    story = {"state": "finished", "steps": 3, "steps_drawn": 1, "drawn": loss_json(CENT), "returned": back}
    paper.outcome("finished", job, story | {"periods": paper.charges[job]["periods"]})
    paper.share("transferred", ANA, ROOMY, **{"from": BEN, "to": ANA, "moved": "1"})
    return paper


def test_a_true_file_is_whole_and_says_what_was_spent() -> None:
    paper = whole_story()
    report = checked(paper.export(), keys=[paper.public], checkpoints={"one.json": paper.checkpoint()})
    assert (report.fault, report.line) == (None, None)
    assert (report.receipts, report.charges, report.open_charges) == (35, 6, 1)
    assert (report.signed, report.unsigned, report.keys) == (10, 0, (paper.public,))
    assert (report.pinned, report.every_chain, report.since_newest()) == (True, True, 0)
    spent = {(s.account, s.number): (s.spent[-1], s.charges) for s in report.shares}
    cent = CENT.renyi[-1]
    assert spent[ANA, 1] == (3 * cent, 3)
    assert spent[ANA, 2] == (cent, 1)
    assert spent[ANA, 3] == (0, 0)
    assert spent[BEN, 1] == (4 * cent, 4)
    assert spent["olmsted", 1] == (5 * cent, 5)
    assert spent["olmsted", 2] == (cent, 1)
    (share,) = [s for s in report.shares if (s.account, s.number) == (ANA, 1)]
    assert share.surcharge == list(CENT.renyi)
    assert share.ended == paper.now


def test_a_report_can_be_read_by_people_and_by_programs() -> None:
    paper = whole_story()
    report = checked(paper.export(), keys=[paper.public], checkpoints={"one.json": paper.checkpoint()})
    said = json.loads(json.dumps(report.as_json()))
    assert (said["whole"], said["fault"], said["charges"], said["checkpoints"]) == (True, None, 6, 1)
    assert {(a["account"], a["period"]) for a in said["accounts"]} >= {(ANA, 3), ("olmsted", 2)}
    text = report.as_text()
    assert text.startswith("35 receipts of 6 charges: whole\n")
    assert f"signed with key {paper.public}, known beforehand" in text
    assert datetime.fromtimestamp(paper.now, UTC).strftime("%Y-%m-%d %H:%M:%S") in text
    assert (
        "  olmsted/liver/default/ana (period 1, ended): spent about ε 0.04 of 100 at δ 1e-06; charges: 3"
        in text
    )
    assert "whoever can rewrite a whole ledger" not in text
    unpinned = checked(paper.export(chains=["liver"]))
    assert unpinned.whole
    assert "whoever can rewrite a whole ledger can sign it anew" in unpinned.as_text()
    assert "chains that are not in the file" in unpinned.as_text()


def test_a_fault_is_told_with_its_line() -> None:
    content = small().export()
    lines = content.splitlines(keepends=True)
    report = checked(b"".join([*lines[:3], *lines[4:]]))
    assert not report.whole
    assert report.line == 4
    assert report.as_text().startswith("line 4: 2 receipts of 0 charges: BROKEN: ")
    assert report.as_json()["fault"] == report.fault


@pytest.mark.parametrize("bits", [0x01, 0x20, 0x80])
def test_every_single_changed_byte_is_found(bits: int) -> None:
    content = bytearray(small().export())
    assert checked(bytes(content)).whole
    assert len(content) > 5_000
    for place in range(len(content)):
        content[place] ^= bits
        assert not checked(bytes(content)).whole, f"byte {place}"
        content[place] ^= bits


def test_a_file_cut_off_anywhere_is_found() -> None:
    content = small().export()
    for end in range(len(content)):
        assert not checked(content[:end]).whole, f"cut off at byte {end}"


@pytest.mark.parametrize("more", [b"\n", b" ", b"x", b"{}\n", b"\0", b"last"])
def test_anything_behind_the_end_is_found(more: bytes) -> None:
    content = small().export()
    more = content.splitlines(keepends=True)[-1] if more == b"last" else more
    assert not checked(content + more).whole


def test_every_line_left_out_repeated_or_moved_is_found() -> None:
    lines = small().export().splitlines(keepends=True)
    for i, line in enumerate(lines):
        assert not checked(b"".join([*lines[:i], *lines[i + 1 :]])).whole
        assert not checked(b"".join([*lines[:i], line, *lines[i:]])).whole
        for j in range(i):
            moved = list(lines)
            moved[i], moved[j] = moved[j], moved[i]
            assert not checked(b"".join(moved)).whole


def signed_anew(paper: Paper, lines: list[str]) -> bytes:
    """Return receipt lines under a new end, as someone with the key could write it."""
    heads: dict[str, object] = {}
    for line in lines[1:]:
        said = json.loads(line)
        heads[said["chain"]] = [said["number"], said["hash"]]
    return paper.end(lines, heads)


def test_hashes_are_checked_even_where_the_end_was_signed_for_other_lines() -> None:
    """Who holds the key but not the patience to rewrite a chain: each field of each receipt is looked at."""
    paper = small()
    lines = paper.export().decode().splitlines()[:-1]
    assert checked(signed_anew(paper, lines)).whole
    for i, line in enumerate(lines[1:], 1):
        said = json.loads(line)
        changes = {
            "at": said["at"] + 1,
            "body": said["body"].replace(":", ": ", 1),
            "charge": 2 if said["charge"] is None else said["charge"] + 1,
            "hash": "ab" * 32,
            "kind": "lost",
            "number": said["number"] + 1,
            "previous": "ab" * 32,
        }
        for name, value in changes.items():
            forged = canonical(said | {name: value})
            assert forged != line
            assert not checked(signed_anew(paper, [*lines[:i], forged, *lines[i + 1 :]])).whole, (i, name)


@pytest.mark.parametrize(
    "forge",
    [
        lambda line: line.replace('"at":', '"at": ', 1),
        lambda line: line.replace('{"at"', '{"also":1,"at"', 1),
        lambda line: line.replace('"chain":', '"chain":"a","chain":', 1),
        lambda line: line.replace(",", ", ", 1),
        lambda line: " " + line,
        lambda line: line + "\r",
        lambda line: line.replace('"kind":', '"\\u006bind":', 1),
        lambda line: line.replace('"number":3', '"number":3.0', 1),
        lambda line: line.replace('"at":1700000000', '"at":1700000000.0', 1),
        lambda line: line.replace('"at":1700000000', '"at":true', 1),
        lambda line: line.replace('"at":1700000000', '"at":"1700000000"', 1),
        lambda line: line.replace('"at":1700000000', '"at":-1', 1),
    ],
)
def test_a_receipt_is_written_in_one_way_only(forge: object) -> None:
    paper = small()
    lines = paper.export().decode().splitlines()[:-1]
    place = next(i for i, line in enumerate(lines) if '"number":3' in line)
    lines[place] = forge(lines[place])  # type: ignore[operator]
    assert not checked(signed_anew(paper, lines)).whole


@pytest.mark.parametrize(
    "body",
    [
        '{"reason":"a","reason":"timeout"}',
        '{"reason": "timeout"}',
        '{"reason":"timeout","a":1}',
        '{"reason":"ε"}',
        '{"reason":"timeout","x":NaN}',
        '{"reason":"timeout","x":1e999}',
        '{"reason":"timeout","x":1.50}',
        '["reason"]',
        "",
        "[" * 100_000,
        '{"x":' + "9" * 5_000 + "}",
    ],
)
def test_a_body_has_one_reading_only(body: str) -> None:
    paper = small()
    charge = paper.charge("p/b")
    paper.add("b", "failed", body, charge)
    assert not checked(paper.export()).whole
    paper.chains["b"].pop()
    paper.add("b", "failed", '{"reason":"timeout"}', charge)
    assert checked(paper.export()).whole


@pytest.mark.parametrize(
    "change",
    [
        {"chains": ["population/p", "a"]},
        {"chains": ["population/p", "b", "a"]},
        {"chains": ["a", "b", "population/p"]},
        {"chains": ["population/p", "a", "b", "c"]},
        {"chains": ["population/p", "a", "a", "b"]},
        {"chains": "population/p"},
        {"chains": [1]},
        {"all": 1},
        {"all": None},
        {"ledger": 7},
        {"more": 1},
        {"format": "noisegate receipts 2"},
    ],
)
def test_the_first_line_is_checked_even_where_the_end_was_signed_for_it(change: dict[str, object]) -> None:
    paper = small()
    lines = paper.export().decode().splitlines()[:-1]
    lines[0] = canonical(json.loads(lines[0]) | change)
    assert not checked(signed_anew(paper, lines)).whole


@pytest.mark.parametrize("name", ["at", "format", "heads", "key", "ledger", "sha256", "signature"])
def test_the_last_line_needs_each_of_its_parts(name: str) -> None:
    paper = small()
    *lines, last = paper.export().decode().splitlines()
    said = json.loads(last)
    del said[name]
    assert not checked("".join(f"{line}\n" for line in [*lines, canonical(said)]).encode()).whole


def test_lines_that_the_last_one_was_not_written_for_are_found() -> None:
    content = small().export()
    assert b'"all":true' in content
    report = checked(content.replace(b'"all":true', b'"all":false', 1))
    assert "not those that the last line was written for" in str(report.fault)


@pytest.mark.parametrize(
    "change",
    [
        {"ledger": "cd" * 16},
        {"format": "noisegate checkpoint 1"},
        {"at": -1},
        {"at": None},
        {"sha256": "ab" * 32},
    ],
)
def test_a_last_line_of_another_file_is_found_though_signed(change: dict[str, object]) -> None:
    paper = small()
    *lines, last = paper.export().decode().splitlines()
    said = json.loads(last) | change
    form = str(said["format"])
    forged = canonical(
        signed(paper.key, form, {k: v for k, v in said.items() if k not in ("key", "signature")})
    )
    assert not checked("".join(f"{line}\n" for line in [*lines, forged]).encode()).whole


def test_chains_in_another_order_than_the_first_line_names_are_found() -> None:
    paper = small()
    header, *lines = paper.export().decode().splitlines()[:-1]
    by_chain = {c: [line for line in lines if f'"chain":"{c}"' in line] for c in paper.chains}
    heads = {c: paper.lines(c)[1] for c in paper.chains}
    ordered = [header, *by_chain["population/p"], *by_chain["a"], *by_chain["b"]]
    assert checked(paper.end(ordered, heads)).whole
    for wrong in (
        [header, *by_chain["population/p"], *by_chain["b"], *by_chain["a"]],
        [header, *by_chain["a"], *by_chain["population/p"], *by_chain["b"]],
        [header, *by_chain["population/p"], *by_chain["a"], *by_chain["b"], *by_chain["a"]],
    ):
        assert "does not follow in the order of the first line" in str(checked(paper.end(wrong, heads)).fault)


def test_heads_that_are_not_the_ends_are_found_though_signed() -> None:
    paper = small()
    lines = paper.export().decode().splitlines()[:-1]
    heads = {c: paper.lines(c)[1] for c in paper.chains}
    assert checked(paper.end(lines, heads)).whole
    for wrong in (
        {},
        {**heads, "c": [1, "ab" * 32]},
        {c: h for c, h in heads.items() if c != "b"},
        {**heads, "a": [heads["a"][0] - 1, heads["a"][1]]},  # type: ignore[index]
        {**heads, "a": [float(heads["a"][0]), heads["a"][1]]},  # type: ignore[index]
        {**heads, "a": [heads["a"][0], "ab" * 32]},  # type: ignore[index]
    ):
        assert not checked(paper.end(lines, wrong)).whole


def test_a_file_of_no_chain_is_whole_and_tells_nothing() -> None:
    report = checked(Paper().export())
    assert (report.whole, report.receipts, report.shares) == (True, 0, ())


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"\0", b"{}\n", b"[]\n", b"null\n", b'"format"\n', b"\xff\xfe{\n", b"PK\x03\x04" * 100],
)
def test_what_is_no_export_at_all_is_a_fault(content: bytes) -> None:
    assert not checked(content).whole


# Keys and checkpoints


def rewritten(paper: Paper) -> Paper:
    """Return the same history with one charge left out, all hashes made anew, signed by another key."""
    forger = Paper(ledger=paper.ledger)
    forger.open_path(ANA)
    for _ in range(3):
        forger.answer(forger.charge())
    return forger


@pytest.fixture
def honest() -> Paper:
    paper = Paper()
    paper.open_path(ANA)
    for _ in range(5):
        paper.answer(paper.charge())
    return paper


def test_a_rewritten_ledger_is_whole_to_whoever_knows_nothing(honest: Paper) -> None:
    report = checked(rewritten(honest).export())
    assert report.whole
    assert not report.pinned


def test_a_rewritten_ledger_is_found_by_whoever_knows_the_key(honest: Paper) -> None:
    assert checked(honest.export(), keys=[honest.public]).whole
    report = checked(rewritten(honest).export(), keys=[honest.public])
    assert "not a known key" in str(report.fault)
    several = ["ab" * 32, honest.public]
    assert checked(honest.export(), keys=several).whole
    assert not checked(rewritten(honest).export(), keys=several).whole


def test_a_rewritten_ledger_is_found_by_whoever_kept_a_checkpoint(honest: Paper) -> None:
    kept = {"one.json": honest.checkpoint()}
    assert checked(honest.export(), checkpoints=kept).whole
    assert not checked(rewritten(honest).export(), checkpoints=kept).whole


def test_a_ledger_rewritten_under_its_own_key_is_found_by_a_checkpoint(honest: Paper) -> None:
    forger = rewritten(honest)
    kept = {"one.json": honest.checkpoint()}
    forger = Paper(key=honest.key)
    forger.open_path(ANA)
    for _ in range(6):
        forger.answer(forger.charge(public={"question": "another"}))
    assert checked(forger.export(), keys=[honest.public]).whole
    report = checked(forger.export(), keys=[honest.public], checkpoints=kept)
    assert "is not the one that checkpoint one.json holds" in str(report.fault)


def test_a_rollback_past_a_checkpoint_is_found(honest: Paper) -> None:
    kept = {"one.json": honest.checkpoint()}
    honest.answer(honest.charge())
    report = checked(honest.export(), keys=[honest.public], checkpoints=kept)
    assert (report.whole, report.since_newest()) == (True, 2)
    for _ in range(3):
        honest.chains["liver"].pop()
    report = checked(honest.export(), keys=[honest.public], checkpoints=kept)
    assert "rolled back" in str(report.fault)
    # A rollback that other receipts grew over.
    for _ in range(3):
        honest.answer(honest.charge())
    report = checked(honest.export(), keys=[honest.public], checkpoints=kept)
    assert "is not the one that checkpoint one.json holds" in str(report.fault)


def test_a_chain_that_is_gone_is_found_where_the_file_says_it_is_all(honest: Paper) -> None:
    kept = {"one.json": honest.checkpoint()}
    population = honest.chains.pop("population/olmsted")
    assert "is gone" in str(checked(honest.export(), checkpoints=kept).fault)
    honest.chains["population/olmsted"] = population
    assert checked(honest.export(chains=["liver"]), checkpoints=kept).whole


def test_a_tail_signed_by_another_key_than_the_checkpoints_is_found(honest: Paper) -> None:
    kept = {"one.json": honest.checkpoint()}
    honest.key = Ed25519PrivateKey.generate()
    honest.answer(honest.charge())
    assert "not a known key" in str(checked(honest.export(), checkpoints=kept).fault)


def test_every_single_changed_byte_of_a_checkpoint_is_found(honest: Paper) -> None:
    content = honest.export()
    kept = bytearray(honest.checkpoint())
    assert checked(content, checkpoints={"one.json": bytes(kept)}).whole
    for place in range(len(kept)):
        kept[place] ^= 1
        assert not checked(content, checkpoints={"one.json": bytes(kept)}).whole, f"byte {place}"
        kept[place] ^= 1
        assert not checked(content, checkpoints={"one.json": bytes(kept[:place])}).whole


def test_checkpoints_must_be_some_and_of_this_ledger(honest: Paper) -> None:
    content = honest.export()
    assert "no checkpoint" in str(checked(content, checkpoints={}).fault)
    other = honest.checkpoint(ledger="cd" * 16)
    assert "of another ledger" in str(checked(content, checkpoints={"one.json": other}).fault)
    strange = honest.checkpoint(at=10**30)
    assert "of no time" in str(checked(content, checkpoints={"one.json": strange}).fault)
    head = [1, "ab" * 32]
    against = honest.checkpoint(heads={"liver": head})
    for heads in ({"liver": [1.0, "ab" * 32]}, {"liver": [True, "x"]}, {"liver": 1}, [], {"liver": [0, "x"]}):
        assert not checked(content, checkpoints={"one.json": honest.checkpoint(heads=heads)}).whole
    both = {"one.json": against, "two.json": honest.checkpoint(heads={"liver": [1, "cd" * 32]})}
    assert "contradict" in str(checked(content, checkpoints=both).fault)


def test_the_end_of_a_file_is_no_checkpoint_and_a_checkpoint_no_end(honest: Paper) -> None:
    content = honest.export()
    end = content.splitlines(keepends=True)[-1]
    assert "is no checkpoint" in str(checked(content, checkpoints={"one.json": end}).fault)
    lines = content.splitlines(keepends=True)
    assert not checked(b"".join([*lines[:-1], honest.checkpoint()])).whole

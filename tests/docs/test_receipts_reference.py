"""docs/reference/receipts.md names what there is: kinds, fields of bodies, fields of lines."""

import json
from fractions import Fraction
from pathlib import Path

from noisegate.app.receipts import receipt_json
from noisegate.ledger.checkpoints import signed, take
from noisegate.ledger.export import export
from noisegate.ledger.records import Charge, JobState, ReceiptKind
from noisegate.ledger.store import Account, Ledger
from noisegate.privacy.filter import Limits
from noisegate.privacy.loss import ZERO

from .pages import ROOT, section, table, words_in

REFERENCE = (ROOT / "docs" / "reference" / "receipts.md").read_text("utf-8")
HTTP = (ROOT / "docs" / "reference" / "http.md").read_text("utf-8")
PATH = ("p", "p/a", "p/a/x", "p/a/x/ana")


def told(directory: Path) -> Ledger:
    """Return a ledger with a receipt of every kind."""
    ledger = Ledger.open(directory)
    limits = Limits.of(Fraction(1), Fraction(1, 10**6))
    for name in (*PATH, "p/a/x/ben"):
        ledger.open_account(Account.at(name, limits))
    ledger.register_version("a", "[a]", "digest")
    ledger.renew("p", None, until=None, by="cus", reason="a new year")
    ledger.transfer("p/a/x/ana", "p/a/x/ben", Fraction(1, 10), by="cus")
    ledger.suspend("p/a", "a question", by="cus")
    ledger.resume("p/a", by="cus")
    ledger.strike(("p/a/x/ben",), "restricted_column", 1, {"question": "who?"})

    def charged(fingerprint: str, steps: int | None = None) -> int:
        made = Charge(accounts=PATH, loss=ZERO, datasets=("a",), fingerprint=fingerprint, steps=steps)
        return ledger.charge(made).id

    ledger.close(charged("answered"), '"1"')
    ledger.fail(charged("failed"), "timeout")
    ledger.unsuspend("failed")
    ledger.end_job(charged("cancelled", steps=1), JobState.CANCELLED)
    return ledger


def test_every_kind_and_every_field_of_its_body_is_documented(tmp_path: Path) -> None:
    rows = {row[0].strip("`"): row[2] for row in table(section(REFERENCE, "## Kinds"))}
    assert rows.keys() == {kind.value for kind in ReceiptKind}
    with told(tmp_path) as ledger:
        seen = {r.kind.value: r.content() for chain in ledger.heads() for r in ledger.receipts(chain)}
    assert seen.keys() == rows.keys()
    for kind, body in seen.items():
        documented = words_in(rows[kind])
        if "opened" in documented:
            documented = documented - {"opened"} | words_in(rows["opened"])
        assert documented == body.keys(), kind


def test_every_field_of_a_line_and_of_a_checkpoint_is_documented(tmp_path: Path) -> None:
    with told(tmp_path) as ledger:
        lines = [json.loads(line) for line in b"".join(export(ledger)).splitlines()]
        checkpoint = signed(ledger.signer, take(ledger).as_json())
        shown = receipt_json(ledger.receipts("a")[0])
    parts = section(REFERENCE, "## The file").split("\n\n**")[1:]
    for part, line in zip(parts, (lines[0], lines[1], lines[-1]), strict=True):
        assert [row[0].strip("`") for row in table(part)] == sorted(line)
    for line in (lines[0], lines[-1], checkpoint):
        assert f"`{line['format']}`" in REFERENCE
    fields = [row[0].strip("`") for row in table(section(REFERENCE, "## Checkpoints"))]
    assert fields == sorted(checkpoint)
    rows = table(section(HTTP, "## Receipts"))
    assert [row[0].strip("`") for row in rows] == [name for name in shown if name != "time"]

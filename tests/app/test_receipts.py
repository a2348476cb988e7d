"""Who may have the whole ledger checked, and what a gateway says of a ledger that it no longer trusts."""

import logging
from pathlib import Path

import pytest

from noisegate.app.gateway import Gateway
from noisegate.app.genomes import Genomes
from noisegate.app.receipts import kept_in, verify
from noisegate.config import Config
from noisegate.errors import Forbidden, LedgerUnavailable
from noisegate.gate.access import Asker, Role
from noisegate.ledger.checkpoints import file_of, signed, take, write
from noisegate.ledger.signing import Signer

from .conftest import ANA, AUDITOR, BOSS, BOTH, WARDEN, House


def test_the_check_shows_the_key_that_budget_is_given_under(house: House) -> None:
    for asker in (AUDITOR, BOSS):
        found = verify(house.desk, asker)
        assert (found["whole"], found["key"]) == (True, house.ledger.signer.public)


@pytest.mark.parametrize(
    "asker", [WARDEN, BOTH, ANA, Asker("aude", Role.AUDITOR, frozenset({"ward"}))], ids=lambda a: a.name
)
def test_whoever_may_not_see_all_of_it_hears_nothing_of_the_whole_ledger(house: House, asker: Asker) -> None:
    with pytest.raises(Forbidden) as refused:
        verify(house.desk, asker)
    if asker is not ANA:
        assert "receipts export" in refused.value.hint


def test_strange_files_among_checkpoints_are_logged_and_do_not_stop_it(
    house: House, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    with kept_in(kept, house.ledger, 300.0):
        assert caplog.messages == []
    (kept / "99990101T000000Z-junk.json").write_bytes(b"junk")
    foreign = take(house.ledger).as_json() | {"heads": {"ward": [99, "ab" * 32]}}
    write(kept, *file_of(signed(Signer.open(kept), foreign)))
    with caplog.at_level(logging.WARNING), kept_in(kept, house.ledger, 300.0) as keeper:
        assert keeper is not None
        assert "noisegate_checkpoint_strange_files 2" in keeper.metrics()
    assert "2 files among the checkpoints" in caplog.text


def test_health_tells_of_a_ledger_that_is_written_no_more(house: House, tmp_path: Path) -> None:
    house.desk.gate = None
    gateway = Gateway(house.desk, Genomes(house.desk, Config(catalog=tmp_path / "c", state=tmp_path)))
    assert gateway.health() == {"status": "ok", "ledger": "ok"}
    house.ledger.distrust("it was rolled back")
    assert gateway.health() == {
        "status": "degraded",
        "ledger": "not written any more: it was rolled back",
    }
    assert "noisegate_ledger_up 0" in gateway.metrics(AUDITOR)
    with pytest.raises(LedgerUnavailable, match="nothing more is written to this ledger: it was rolled back"):
        house.charge("town/ward/default/ana", 1)

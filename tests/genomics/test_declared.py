"""What is declared beside the catalog is kept by digest, and digests of names of people tell nothing."""

import hashlib
from pathlib import Path

import pytest

from noisegate.errors import Conflict
from noisegate.genomics.declared import DECLARED, Declarations
from noisegate.ledger.records import canonical

NAMES = ["ann", "bob"]


def test_names_are_under_keyed_digests_and_published_tables_under_plain_ones(tmp_path: Path) -> None:
    """Whoever has a receipt could else try all names there may be."""
    one, other = (Declarations(tmp_path / key, key.encode() * 32) for key in "kl")
    of_names = [
        (one.sealed(NAMES), other.sealed(NAMES), NAMES),
        (one.cases(NAMES), other.cases(NAMES), NAMES),
        (one.families([NAMES]), other.families([NAMES]), [NAMES]),
    ]
    for first, second, content in of_names:
        plain = hashlib.sha256(canonical(content).encode()).hexdigest()
        assert len({first, second, plain}) == 3
    table = {"rs1": 0.25}
    plain = hashlib.sha256(canonical(table).encode()).hexdigest()
    assert one.frequencies(table) == other.frequencies(table) == plain


def test_what_was_declared_is_read_as_it_was_or_refused(tmp_path: Path) -> None:
    kept = Declarations(tmp_path, b"k" * 32)
    digest = kept.families([NAMES])
    assert kept.read_families(digest) == (("ann", "bob"),)
    (tmp_path / DECLARED / f"{digest}.json").write_text('[["ann","cid"]]')
    with pytest.raises(Conflict, match="not there any more as it was"):
        kept.read_families(digest)

"""What a custodian declares for a release beside the catalog: pedigrees, cases, published frequencies.

Each is kept before the charge under a digest of its content, by which the recipe and the receipt name it, so
that it cannot change afterwards. What names people is kept under a keyed digest: the receipt then tells
nothing of it. Files are readable by the owner of the state directory alone.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from noisegate.errors import BadInput, Conflict
from noisegate.genomics.releases import write_whole
from noisegate.ledger.records import canonical
from noisegate.ledger.sqlite import make_directory

DECLARED = "declared"
LARGEST = 64 * 2**20


class Declarations:
    """Declared things in a state directory, by digest. Nothing in it is ever changed."""

    def __init__(self, state: Path, key: bytes) -> None:
        """Take the state directory, and the key of what is not public."""
        self._home = state / DECLARED
        self._key = key

    def families(self, groups: Sequence[Sequence[str]]) -> str:
        """Keep declared pedigrees, each a group of names of people; return the keyed digest."""
        return self._keep([list(group) for group in groups], public=False)

    def sealed(self, names: Sequence[str]) -> str:
        """Return the keyed digest of names of people."""
        return self._digest(canonical(list(names)).encode(), public=False)

    def cases(self, names: Sequence[str]) -> str:
        """Keep who is a case; return the keyed digest."""
        return self._keep(sorted(set(names)), public=False)

    def frequencies(self, table: Mapping[str, float]) -> str:
        """Keep a table of frequencies of the alternate allele by variant; return its digest.

        Raises:
            BadInput: a value is no frequency.
        """
        if not all(0 <= value <= 1 for value in table.values()):
            raise BadInput("a frequency lies between 0 and 1", "give the share of the alternate allele")
        return self._keep(dict(table), public=True)

    def read_families(self, digest: str) -> tuple[tuple[str, ...], ...]:
        """Return pedigrees by their digest. Raises Conflict where they are not what was declared."""
        groups = self._read(digest, public=False)
        if not isinstance(groups, list):
            raise _changed(digest)
        return tuple(tuple(map(str, group)) for group in groups)

    def read_cases(self, digest: str) -> frozenset[str]:
        """Return who is a case, by keyed digest. Raises Conflict where it is not what was declared."""
        names = self._read(digest, public=False)
        if not isinstance(names, list):
            raise _changed(digest)
        return frozenset(map(str, names))

    def read_frequencies(self, digest: str) -> dict[str, float]:
        """Return a table by its digest. Raises Conflict where it is not what was declared."""
        table = self._read(digest, public=True)
        if not isinstance(table, dict):
            raise _changed(digest)
        return {str(name): float(value) for name, value in table.items()}

    def _keep(self, value: object, *, public: bool) -> str:
        content = canonical(value).encode()
        if len(content) > LARGEST:
            raise BadInput(f"what is declared has at most {LARGEST // 2**20} MiB")
        digest = self._digest(content, public=public)
        file = self._home / f"{digest}.json"
        if not file.exists():
            make_directory(self._home)
            write_whole(file, content)
        return digest

    def _read(self, digest: str, *, public: bool) -> object:
        try:
            content = (self._home / f"{digest}.json").read_bytes()
        except OSError:
            raise _changed(digest) from None
        if not hmac.compare_digest(self._digest(content, public=public), digest):
            raise _changed(digest)
        return json.loads(content)

    def _digest(self, content: bytes, *, public: bool) -> str:
        if public:
            return hashlib.sha256(content).hexdigest()
        return hmac.new(self._key, content, hashlib.sha256).hexdigest()


def _changed(digest: str) -> Conflict:
    return Conflict(
        f"what was declared as {digest[:12]} is not there any more as it was",
        "put the state directory's `declared` back from a backup, or cancel the job and share anew",
    )

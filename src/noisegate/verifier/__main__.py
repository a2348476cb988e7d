"""`python -m noisegate.verifier FILE [--key HEX|FILE] [--checkpoints DIR] [--json]`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from . import verify
from .given import checkpoints_in, key_of

WHOLE, USAGE, FAULT = 0, 2, 3


def main(argv: Sequence[str] | None = None) -> int:
    """Verify one file and return the exit code: 0 whole, 3 a fault was found, 2 wrong usage."""
    parser = argparse.ArgumentParser("noisegate.verifier", description="Verify exported receipts, offline.")
    parser.add_argument("file", type=Path, help="what `noisegate receipts export` wrote")
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        help="known public key, or a file that holds it; repeat for more",
    )
    parser.add_argument("--checkpoints", type=Path, help="directory of kept checkpoints")
    parser.add_argument("--json", action="store_true", help="JSON alone on stdout")
    given = parser.parse_args(argv)
    try:
        kept = None if given.checkpoints is None else checkpoints_in(given.checkpoints)
        keys = [key_of(text) for text in given.key]
        with given.file.open("rb") as stream:
            report = verify(stream, keys=keys, checkpoints=kept)
    except (OSError, ValueError) as wrong:
        print(f"error: {wrong}", file=sys.stderr)  # noqa: T201 - this is a command
        return USAGE
    text = json.dumps(report.as_json(), indent=2) if given.json else report.as_text()
    sys.stdout.write(f"{text}\n")  # in one piece, so that a reader of its first lines alone may hang up
    return WHOLE if report.whole else FAULT


if __name__ == "__main__":
    sys.exit(main())

"""The command line: `noisegate …`. Commands are loaded when they are run, so that help comes at once."""

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code."""
    from noisegate.cli.run import run

    sys.exit(run(sys.argv[1:] if argv is None else argv))

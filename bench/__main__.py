"""`python -m bench NAME [--quick] [--json] [--write]`."""

import argparse
import os
import sys

from bench import ask, genomes, gwas, ledger
from bench.rows import as_json, machine, table, write

NAMES = {"ask": ask.run, "genomes": genomes.run, "gwas": gwas.run, "ledger": ledger.run}


def main() -> int:
    """Run one benchmark; exit code 1 says that a target was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("name", choices=sorted(NAMES))
    parser.add_argument(
        "--quick", action="store_true", help="within a minute: no slow peers, no large tables"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--write", action="store_true", help="keep the table in bench/README.md")
    parser.add_argument("--only", help="sections to run, by name, with commas between")
    given = parser.parse_args()
    only = None if given.only is None else frozenset(given.only.split(","))

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    load = os.getloadavg()[0]
    rows, versions = NAMES[given.name](quick=given.quick, only=only, say=say)
    told = f"{machine(os.cpu_count() or 1, load)}; " + ", ".join(f"{k} {v}" for k, v in versions.items())
    print(as_json(rows) if given.json else f"{table(rows)}\n\n{told}")
    if given.write:
        write(given.name, rows, told)
    return int(any(row.met is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())

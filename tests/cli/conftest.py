"""A small cohort of invented people, fast to register."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from noisegate.cli import main

CATALOG = """
[ward]
title = "A small ward"
synthetic = true
population = "town"
unit = "person"
budget = { epsilon = 3, delta = 1e-6 }

[ward.tables.people]
source = "people.csv"
rows_per_unit = 1
expected_units = 400
columns.age = { type = "int", low = 0, high = 100, measured_in = "years", tier = "demographic" }
columns.sex = { type = "str", values = ["f", "m"], tier = "demographic" }
columns.note = { type = "str", tier = "restricted" }

[clinic]
title = "Another set of the same town"
synthetic = true
population = "town"
unit = "person"
budget = { epsilon = 2, delta = 1e-6 }

[clinic.tables.visits]
source = "visits.csv"
rows_per_unit = 3
columns.day = { type = "int", low = 0, high = 365, tier = "clinical" }
"""
PEOPLE = 400


@dataclass(frozen=True)
class Result:
    """What a command line left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        return json.loads(self.err.splitlines()[-1])["error"]


Command = Callable[..., Result]


def write_small_catalog(directory: Path) -> Path:
    """Write the catalog and its files; return the catalog's path."""
    people = [f"{i},{20 + i % 60},{'fm'[i % 2]},x" for i in range(PEOPLE)]
    (directory / "people.csv").write_text("\n".join(["person,age,sex,note", *people]) + "\n")
    visits = [f"{i},{(i * 7 + d) % 365}" for i in range(PEOPLE) for d in range(i % 3)]
    (directory / "visits.csv").write_text("\n".join(["person,day", *visits]) + "\n")
    catalog = directory / "catalog.toml"
    catalog.write_text(CATALOG)
    return catalog


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in a directory of its own; `catalog.toml` there is the small one."""
    for name in ("NOISEGATE_URL", "NOISEGATE_TOKEN", "NOISEGATE_STATE", "NOISEGATE_CATALOG"):
        monkeypatch.delenv(name, raising=False)
    write_small_catalog(tmp_path)
    monkeypatch.chdir(tmp_path)

    def run(*argv: str) -> Result:
        arguments: Sequence[str] = argv
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        seen = capfd.readouterr()
        return Result(int(stopped.value.code or 0), seen.out, seen.err)

    return run

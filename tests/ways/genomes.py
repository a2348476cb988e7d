"""A house whose catalog holds a private cohort and a public panel of made-up people, and the way into it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from starlette.testclient import TestClient

from noisegate.app import Gateway, open_gateway
from noisegate.config import Config
from noisegate.genotypes.packed import pack
from noisegate.genotypes.store import Store, Writer
from noisegate.genotypes.variants import Variants
from noisegate.server.http.app import build_app

from .door import BOSS, Door

PEOPLE, VARIANTS = 40, 24
CATALOG = """
[cohort]
title = "Made-up genomes"
synthetic = true
population = "made-up"
unit = "sample"
budget = { epsilon = 500, delta = 1e-5 }

[cohort.genotypes.snps]
source = "snps.zarr"
variants = "public"
expected_units = 40

[cohort.genotypes.panel]
source = "panel.zarr"
variants = "public"
public = true
expected_units = 40

[other]
title = "Other made-up genomes"
synthetic = true
population = "others"
unit = "sample"
budget = { epsilon = 500, delta = 1e-5 }

[other.genotypes.snps]
source = "other.zarr"
variants = "public"
expected_units = 40
"""


def write_store(path: Path, seed: int, *, public: bool = False) -> Store:
    draw = np.random.default_rng(seed)
    calls = draw.binomial(2, draw.uniform(0.2, 0.8, (VARIANTS, 1)), (VARIANTS, PEOPLE)).astype(np.int8)
    variants = Variants.of(
        ["1"] * VARIANTS,
        [1_000 + 50 * i for i in range(VARIANTS)],
        [f"rs{i}" for i in range(VARIANTS)],
        ["A"] * VARIANTS,
        ["G"] * VARIANTS,
    )
    samples = [f"{path.stem}{i}" for i in range(PEOPLE)]
    writer = Writer.create(path, samples=samples, variants=variants, build="GRCh37", public=public)
    for chunk in writer.chunks():
        start, stop = writer.bounds(chunk)
        writer.write(chunk, pack(calls[start:stop]))
    return writer.finish()


def build(home: Path) -> Config:
    """Write the house; return its settings."""
    home.mkdir(exist_ok=True)
    if not (home / "catalog.toml").exists():
        write_store(home / "snps.zarr", 1)
        write_store(home / "panel.zarr", 2, public=True)
        write_store(home / "other.zarr", 3)
        (home / "catalog.toml").write_text(CATALOG)
    return Config(catalog=home / "catalog.toml", state=home / "state", threads=2)


@contextmanager
def opened_house(home: Path, *, making: bool = True) -> Iterator[Gateway]:
    """Open the gateway of the house; `making` starts the thread that makes releases."""
    with open_gateway(build(home)) as gateway:
        if making:
            gateway.genomes.begin_making()
        yield gateway


@contextmanager
def opened_genomes(home: Path) -> Iterator[Door]:
    """The application in front of the house, with a secret of each role, and of roles for other data."""
    with opened_house(home) as gateway:

        def secret(name: str, role: str, datasets: list[str] | None = None, project: str = "default") -> str:
            return str(gateway.create_token(BOSS, name, role, datasets, None, project)["secret"])

        secrets = {role: secret(f"the-{role}", role) for role in ("custodian", "auditor")}
        secrets["ana"] = secret("ana", "analyst", ["cohort"])
        secrets["bob"] = secret("bob", "analyst", ["cohort"])
        # Custodians give out names on their own data, and in projects: these are other people.
        secrets["other ana"] = secret("ana", "analyst", ["other"])
        secrets["ana elsewhere"] = secret("ana", "analyst", ["cohort"], "elsewhere")
        secrets["other custodian"] = secret("custodia", "custodian", ["other"])
        app = build_app(gateway, version="0", padding_ms=0, max_request_bytes=262_144)
        with TestClient(app, raise_server_exceptions=False) as http:
            yield Door(gateway, http, secrets)

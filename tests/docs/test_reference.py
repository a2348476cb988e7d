"""docs/reference and what the code says of itself agree: HTTP, the command line, the configuration."""

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import cast, get_args

import pytest
from pydantic import BaseModel
from typer.main import get_command

from noisegate import errors
from noisegate.app.association_answers import COLUMNS
from noisegate.cli.commands import program
from noisegate.config import OTHER_VARIABLES, PREFIX, Config, load
from noisegate.gate.access import RIGHTS, Right
from noisegate.server.gateway import Gateway
from noisegate.server.http.app import build_app
from noisegate.server.http.associations_bodies import AssociationBody, AssociationReply
from noisegate.server.http.bodies import AnswerReply, AskBody, TokenBody
from noisegate.server.http.budget_bodies import (
    AccountReply,
    GrantBody,
    ReadingReply,
    RenewalBody,
    SuspensionBody,
    TransferBody,
)
from noisegate.server.http.genomes_bodies import AdviceBody, ReleaseGrantBody, ShareBody
from noisegate.server.http.receipts import MOST_RECEIPTS
from noisegate.server.http.verifications_bodies import VerdictReply, VerificationBody

from .pages import ROOT, fences_of, section, table, words_in

HTTP, CLI, CONFIG = (
    (ROOT / "docs" / "reference" / f"{name}.md").read_text("utf-8") for name in ("http", "cli", "config")
)
# What a route needs; each may be met by several roles.
NEEDS = {
    "POST /v1/ask": {Right.ASK},
    "POST /v1/explain": {Right.ASK},
    "GET /v1/datasets": {Right.SEE_DATASETS},
    "GET /v1/datasets/{name}/statement": {Right.SEE_DATASETS},
    "GET /v1/receipts/{receipt_id}/statement": {Right.ASK, Right.SEE_RECEIPTS},
    "GET /v1/budget": {Right.SEE_OWN_BUDGET, Right.SEE_ALL_BUDGETS},
    "GET /v1/budget/odometer": {Right.SEE_OWN_BUDGET, Right.SEE_ALL_BUDGETS},
    "POST /v1/budget/grants": {Right.GRANT_BUDGET},
    "POST /v1/budget/renewals": {Right.GRANT_BUDGET},
    "POST /v1/budget/transfers": {Right.GRANT_BUDGET},
    "PUT /v1/budget/suspensions/{account}": {Right.SUSPEND_ACCOUNTS},
    "DELETE /v1/budget/suspensions/{account}": {Right.SUSPEND_ACCOUNTS},
    "GET /v1/receipts": {Right.SEE_RECEIPTS},
    "GET /v1/receipts/verify": {Right.SEE_RECEIPTS},
    "GET /v1/receipts/export": {Right.SEE_RECEIPTS},
    "GET /v1/receipts/checkpoint": {Right.SEE_RECEIPTS},
    "GET /v1/jobs": {Right.SEE_OWN_BUDGET, Right.SEE_ALL_BUDGETS},
    "GET /v1/jobs/{job_id}": {Right.SEE_OWN_BUDGET, Right.SEE_ALL_BUDGETS},
    "DELETE /v1/jobs/{job_id}": {Right.CANCEL_JOBS},
    "POST /v1/genomes/shares": {Right.SHARE_GENOMES},
    "POST /v1/genomes/explain": {Right.SHARE_GENOMES},
    "POST /v1/genomes/advice": {Right.COMPARE_METHODS},
    "POST /v1/genomes/associations": {Right.ASK},
    "POST /v1/genomes/associations/explain": {Right.ASK},
    "POST /v1/genomes/verifications": {Right.DOWNLOAD_RELEASES, Right.ASK},
    "GET /v1/genomes/releases": {Right.SEE_RELEASES},
    "GET /v1/genomes/releases/{release_id}": {Right.SEE_RELEASES},
    "GET /v1/genomes/releases/{release_id}/files/{name}": {Right.DOWNLOAD_RELEASES},
    "POST /v1/genomes/releases/{release_id}/grants": {Right.GRANT_RELEASES},
    "DELETE /v1/genomes/releases/{release_id}/grants/{analyst}": {Right.GRANT_RELEASES},
    "GET /v1/plans/closed": {Right.SEE_RECEIPTS},
    "DELETE /v1/plans/closed/{fingerprint}": {Right.OPEN_PLANS},
    "POST /v1/tokens": {Right.MANAGE_TOKENS},
    "GET /v1/tokens": {Right.MANAGE_TOKENS},
    "DELETE /v1/tokens/{token_id}": {Right.MANAGE_TOKENS},
    "GET /metrics": {Right.SEE_ALL_BUDGETS},
}


def kinds(cls: type[errors.NoisegateError]) -> Iterator[type[errors.NoisegateError]]:
    yield cls
    for sub in cls.__subclasses__():
        yield from kinds(sub)


def test_every_route_is_documented_and_no_other() -> None:
    paths = build_app(cast("Gateway", object()), version="0").openapi()["paths"]
    served = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert {row[0].strip("`") for row in table(section(HTTP, "## Routes"))} == served


def test_each_route_names_the_roles_that_may_use_it() -> None:
    for route, roles, _ in table(section(HTTP, "## Routes")):
        needed = NEEDS.get(route.strip("`"))
        holders = [role.value for role, rights in RIGHTS.items() if needed is None or rights & needed]
        assert roles == ("anyone" if needed is None else ", ".join(holders)), route


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("## A question", AskBody),
        ("POST /v1/budget/grants", GrantBody),
        ("POST /v1/budget/renewals", RenewalBody),
        ("POST /v1/budget/transfers", TransferBody),
        ("PUT /v1/budget/suspensions/{account}", SuspensionBody),
        ("POST /v1/tokens", TokenBody),
        ("POST /v1/genomes/shares", ShareBody),
        ("POST /v1/genomes/releases/{release_id}/grants", ReleaseGrantBody),
        ("POST /v1/genomes/advice", AdviceBody),
        ("POST /v1/genomes/associations", AssociationBody),
        ("POST /v1/genomes/verifications", VerificationBody),
    ],
)
def test_every_field_of_a_request_is_documented(heading: str, model: type[BaseModel]) -> None:
    if heading.startswith("## "):
        text = section(HTTP, heading)
    else:
        text = section(HTTP, "## Other bodies").partition(f"`{heading}`:")[2].partition("`:\n")[0]
    rows = table(text)
    assert [row[0].strip("`") for row in rows] == list(model.model_fields)
    for (name, info), row in zip(model.model_fields.items(), rows, strict=True):
        assert ("or absent" in row[1]) == (not info.is_required()), name


def test_every_field_of_an_answer_is_documented() -> None:
    answer = section(HTTP, "## An answer").partition("`/v1/explain` gives")[0]
    rows = {row[0].strip("`"): row[1] for row in table(answer)}
    assert list(rows) == list(AnswerReply.model_fields)
    for name, inner in AnswerReply.model_fields.items():
        model = inner.annotation
        for part in getattr(model, "model_fields", {}):
            assert f"`{part}`" in rows[name], f"{name}.{part}"


def test_every_field_of_an_association_is_documented() -> None:
    rows = {row[0].strip("`"): row[1] for row in table(section(HTTP, "## Associations"))}
    own = [name for name in AssociationReply.model_fields if name not in AnswerReply.model_fields]
    assert list(rows) == own
    for name in own:
        for part in getattr(AssociationReply.model_fields[name].annotation, "model_fields", {}):
            assert f"`{part}`" in rows[name], f"{name}.{part}"
    assert all(f"`{column.name}`" in section(HTTP, "## Associations") for column in COLUMNS)


def test_every_field_of_a_verdict_is_documented() -> None:
    rows = {row[0].strip("`"): row[1] for row in table(section(HTTP, "## Verdicts"))}
    assert list(rows) == list(VerdictReply.model_fields)
    for name, inner in VerdictReply.model_fields.items():
        item = (get_args(inner.annotation) or (inner.annotation,))[0]
        for part, field in getattr(item, "model_fields", {}).items():
            assert f"`{field.alias or part}`" in rows[name], f"{name}.{part}"


@pytest.mark.parametrize(("heading", "model"), [("An account", AccountReply), ("A reading", ReadingReply)])
def test_every_field_of_a_budget_is_documented(heading: str, model: type[BaseModel]) -> None:
    text = section(HTTP, "## Budgets").partition(f"{heading}:")[2].strip().partition("\n\n")[0]
    rows = {row[0].strip("`"): row[1] for row in table(text)}
    assert list(rows) == list(model.model_fields)
    for name, inner in model.model_fields.items():
        for part in getattr(inner.annotation, "model_fields", {}):
            assert f"`{part}`" in rows[name], f"{name}.{part}"


def test_every_error_is_documented_with_its_status_and_exit_code() -> None:
    documented = {(row[0].strip("`"), int(row[1]), int(row[3])) for row in table(section(HTTP, "## Errors"))}
    # A SetupError of status 500 is the operator's: over HTTP it shows as internal.
    reached = {
        (cls.code, cls.status, cls.exit_code)
        for cls in kinds(errors.NoisegateError)
        if not (issubclass(cls, errors.SetupError) and cls.status == 500)
    }
    assert documented == reached
    example = json.loads(next(f.text for f in fences_of(HTTP.splitlines()) if f.language == "json"))
    assert example["error"].keys() == errors.BadInput("x").as_json()["error"].keys()  # type: ignore[union-attr]
    assert f"1 to {MOST_RECEIPTS:,}" in HTTP


def commands() -> dict[str, set[str]]:
    """Return the options of each command, arguments as they are written in a usage line."""
    found = {}

    def walk(command: object, path: tuple[str, ...]) -> None:
        inner = getattr(command, "commands", None)
        if inner is not None:
            for name, sub in inner.items():
                walk(sub, (*path, name))
            return
        words, options = list(path), set()
        for parameter in command.params:  # type: ignore[attr-defined]
            if parameter.param_type_name == "argument":
                name = parameter.name.upper()
                words.append(name if parameter.required else f"[{name}]")
            else:
                options |= {o for o in parameter.opts if o.startswith("--")}
        found[" ".join(words)] = options

    walk(get_command(program), ())
    return found


def test_every_command_is_documented_with_all_its_options() -> None:
    documented = {
        row[0].strip("`"): words_in(row[2]) | {"--json"} for row in table(section(CLI, "## Commands"))
    }
    assert documented == commands()


def test_every_option_is_explained_once() -> None:
    rows = [row[0] for row in table(section(CLI, "## Options"))]
    explained = [word for row in rows for word in re.findall(r"`(--[\w-]+)`", row)]
    assert len(set(explained)) == len(explained)
    assert set(explained) == set().union(*commands().values())


def test_every_exit_code_is_documented() -> None:
    documented = {int(row[0]) for row in table(section(CLI, "## Exit codes"))}
    assert documented == {0, *(cls.exit_code for cls in kinds(errors.NoisegateError))}


def test_every_setting_is_documented_with_its_default(tmp_path: Path) -> None:
    rows = {row[0].strip("`"): row for row in table(CONFIG) if len(row) == 4}
    assert list(rows) == [f.name for f in fields(Config)]
    default = load(directory=tmp_path, environ={}, flags={})
    for name in ("host", "port", "memory_limit", "max_request_bytes", "padding_ms", "max_in_flight"):
        assert rows[name][2] == f"`{getattr(default, name)}`"
    assert float(rows["query_timeout"][2].strip("`")) == default.query_timeout
    assert default.catalog == tmp_path / rows["catalog"][2].strip("`")
    assert default.state == tmp_path / rows["state"][2].split("`")[1]
    kinds_of = {"path": Path, "text": str, "whole number": int, "number": float}
    for name, row in rows.items():
        held = getattr(default, name)
        assert isinstance(held, kinds_of[row[1]]) if row[2] != "none" else held is None, name
    assert float(rows["checkpoint_every"][2].strip("`")) == default.checkpoint_every


@pytest.mark.parametrize(
    ("setting", "good", "bad"),
    [
        ("port", (0, 65_535), (-1, 65_536)),
        ("threads", (1, 1_024), (0, 1_025)),
        ("query_timeout", (0.1, 86_400), (0, 86_401)),
        ("max_request_bytes", (1_024, 2**30), (1_023, 2**30 + 1)),
        ("padding_ms", (0, 40), (-1, 41)),
        ("max_in_flight", (1, 1_024), (0, 1_025)),
        ("checkpoint_every", (1, 86_400), (0, 86_401)),
        ("ledger", ("postgresql://h/d", "postgresql://u:p@h:5433/d?sslmode=require"), ("", "sqlite:///x")),
        ("memory_limit", ("512MB", "8GiB"), ("much", "2")),
    ],
)
def test_the_limits_of_a_setting_are_as_documented(
    setting: str, good: tuple[object, ...], bad: tuple[object, ...], tmp_path: Path
) -> None:
    for value in good:
        load(directory=tmp_path, environ={}, flags={setting: value})
    for value in bad:
        with pytest.raises(errors.SetupError):
            load(directory=tmp_path, environ={}, flags={setting: value})
    (row,) = (row for row in table(CONFIG) if row[0] == f"`{setting}`")
    for value in good:
        if isinstance(value, int) and value not in (0, 2**30):
            assert f"{value:,}" in row[3], value


def test_the_other_variables_and_the_example_are_right(tmp_path: Path) -> None:
    rows = {row[0].strip("`") for row in table(CONFIG) if len(row) == 2}
    assert rows == {PREFIX + name for name in OTHER_VARIABLES}
    (example,) = (f.text for f in fences_of(CONFIG.splitlines()) if f.language == "toml")
    (tmp_path / "noisegate.toml").write_text(example)
    found = load(directory=tmp_path, environ={"NOISEGATE_MEMORY_LIMIT": "4GB"}, flags={"port": 9_000})
    assert (found.port, found.memory_limit, found.query_timeout) == (9_000, "4GB", 120.0)

"""Options that hold for all tests."""

import pytest

from .postgres import database, make_postgres, postgres

__all__ = ["database", "make_postgres", "postgres"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-golden",
        action="store_true",
        help="rewrite the expected part of tests/golden/** instead of comparing; read the diff",
    )

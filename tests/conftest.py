"""Options that hold for all tests."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-golden",
        action="store_true",
        help="rewrite the expected part of tests/golden/** instead of comparing; read the diff",
    )

"""A plan that says of a table what was not verified is not run."""

from dataclasses import replace

import pytest

from noisegate.engines.facts import TableFacts, agrees, check_scans
from noisegate.errors import InternalError
from noisegate.privacy.expressions import Type
from noisegate.privacy.relations import Scan, ScanColumn

VISITS = TableFacts("id", "town", False, {"id": "int", "site": "str", "born": "int"}, frozenset({"born"}))
CODES = TableFacts(None, None, False, {"code": "str"}, frozenset())
UNIT = ScanColumn("id", "t0.id", Type.INT)
SITE = ScanColumn("site", "t0.site", Type.STR)
BORN = ScanColumn("born", "t0.born", Type.INT, constant=True)
TRUE = Scan("d", "visits", (UNIT, SITE, BORN), "t0.id", "town")
CODE = ScanColumn("code", "t1.code", Type.STR)


def test_a_scan_that_says_what_was_verified_agrees():
    assert agrees(TRUE, VISITS)
    assert agrees(replace(TRUE, single=True), replace(VISITS, single=True))
    assert agrees(Scan("d", "codes", (CODE,), None, None), CODES)


@pytest.mark.parametrize(
    "scan",
    [
        replace(TRUE, single=True),
        replace(TRUE, population="elsewhere"),
        replace(TRUE, unit="t0.born"),
        replace(TRUE, columns=(UNIT, replace(SITE, constant=True))),
        replace(TRUE, columns=(UNIT, replace(SITE, source="secret"))),
        replace(TRUE, columns=(UNIT, replace(SITE, type=Type.INT))),
        Scan("d", "visits", (UNIT, SITE), None, None),
    ],
)
def test_a_scan_that_claims_more_is_found_out(scan):
    assert not agrees(scan, VISITS)


def test_a_public_table_has_no_people():
    assert not agrees(Scan("d", "codes", (CODE,), "t1.code", "town"), CODES)


@pytest.mark.parametrize("facts", [{}, {"d": {}}, {"d": {"visits": replace(VISITS, unit="site")}}])
def test_a_plan_over_what_is_not_as_it_says_is_refused(facts):
    check_scans(TRUE, {"d": {"visits": VISITS}})
    with pytest.raises(InternalError):
        check_scans(TRUE, facts)

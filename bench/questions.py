"""The four questions that project and peers answer, and their truth.

`bounded` is what a bounded answer aims at: each person keeps at most `rows` rows, or `groups` sites, each of
theirs being as likely as the others. It is an expectation, computed from all rows. `plain` has no bounds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

ROWS = 20
GROUPS = 5
EPSILON = 1.0
DELTA = 1e-6

Answers = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Question:
    """A question as SQL, and what must be gained in speed."""

    name: str
    title: str
    sql: str
    faster: float


QUESTIONS = (
    Question("count", "COUNT(*)", "SELECT COUNT(*) AS n FROM {t}", 10),
    Question("mean", "AVG(bmi) by sex", "SELECT sex, AVG(bmi) AS m FROM {t} GROUP BY sex", 10),
    Question(
        "people",
        "COUNT(DISTINCT patient) by 40 sites",
        "SELECT site, COUNT(DISTINCT patient_id) AS n FROM {t} GROUP BY site",
        10,
    ),
    Question("median", "MEDIAN(bmi)", "SELECT MEDIAN(bmi) AS m FROM {t}", 5),
)

_WEIGHTED = """
    SELECT *, least({rows}, count(*) OVER p) / count(*) OVER p AS w
    FROM '{path}' WINDOW p AS (PARTITION BY patient_id)
"""
_BOUNDED = {
    "count": "SELECT '', sum(w) FROM weighted",
    "mean": "SELECT sex, sum(w * bmi) / sum(w) FROM weighted GROUP BY sex",
    "people": """
        WITH pairs AS (SELECT DISTINCT patient_id, site FROM weighted),
        chances AS (SELECT site, least(1, {groups} / count(*) OVER (PARTITION BY patient_id)) AS w FROM pairs)
        SELECT CAST(site AS VARCHAR), sum(w) FROM chances GROUP BY site
    """,
    "median": """
        WITH below AS (SELECT bmi, sum(sum(w)) OVER (ORDER BY bmi) AS b FROM weighted GROUP BY bmi)
        SELECT '', min(bmi) FROM below WHERE b >= (SELECT sum(w) / 2 FROM weighted)
    """,
}


def bounded(path: Path) -> Mapping[str, Answers]:
    """Return the expected bounded answers by question and group."""
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE weighted AS {_WEIGHTED.format(rows=ROWS, path=path)}")
        return {
            name: {
                str(key): float(value)
                for key, value in connection.execute(sql.format(groups=GROUPS)).fetchall()
            }
            for name, sql in _BOUNDED.items()
        }


def plain(path: Path) -> Mapping[str, Answers]:
    """Return the answers without bounds and without noise."""
    with duckdb.connect() as connection:
        found = {}
        for question in QUESTIONS:
            rows = connection.execute(question.sql.format(t=f"'{path}'")).fetchall()
            found[question.name] = {"" if len(r) == 1 else str(r[0]): float(r[-1]) for r in rows}
        return found


def error(answers: Answers, truth: Answers) -> float:
    """Return the mean relative error over the groups; a group that is not answered is 1 off."""
    return sum(abs(answers.get(key, 0.0) - value) / abs(value) for key, value in truth.items()) / len(truth)

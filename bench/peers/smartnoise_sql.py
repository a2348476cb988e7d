"""smartnoise-sql over SQLite in memory: the fastest of its readers here, and rows are loaded once.

smartnoise spends a nominal epsilon on every sub-aggregate. `get_privacy_cost` says how much a question costs
at epsilon 1; the nominal one is divided by it, so that what is truly spent is the total that was asked for.
"""

import sqlite3

import pyarrow.parquet as pq
import snsql
from lines import CannotAnswerError, serve

QUESTIONS = {
    "count": "SELECT COUNT(*) AS n FROM PUBLIC.encounters",
    "mean": "SELECT sex, AVG(bmi) AS m FROM PUBLIC.encounters GROUP BY sex",
    "people": "SELECT site, COUNT(DISTINCT patient_id) AS n FROM PUBLIC.encounters GROUP BY site",
}


class SmartnoiseSql:
    """Rows and groups per person are one bound in smartnoise, max_ids; each question sets its own."""

    def load(self, request):
        self.request = request
        table = pq.read_table(request["path"]).to_pydict()
        self.connection = sqlite3.connect(":memory:", check_same_thread=False)
        self.connection.execute("ATTACH DATABASE ':memory:' AS PUBLIC")
        self.connection.execute(
            "CREATE TABLE PUBLIC.encounters "
            "(patient_id INTEGER, sex TEXT, age INTEGER, site INTEGER, bmi REAL)"
        )
        names = ("patient_id", "sex", "age", "site", "bmi")
        self.connection.executemany(
            "INSERT INTO PUBLIC.encounters VALUES (?, ?, ?, ?, ?)",
            zip(*(table[n] for n in names), strict=True),
        )
        self.connection.commit()
        self.readers = {}

    def ask(self, question):
        if question not in QUESTIONS:
            raise CannotAnswerError("no MEDIAN: its grammar does not know the word")
        if question not in self.readers:
            self.readers[question] = self._reader(question)
        reader, spent = self.readers[question]
        rows = reader.execute(QUESTIONS[question])[1:]
        if question == "count":
            return {"": float(rows[0][0])}, spent
        return {str(row[0]): float(row[1]) for row in rows}, spent

    def _reader(self, question):
        epsilon, delta = self.request["epsilon"], self.request["delta"]
        at_one = self._open(question, 1.0, delta).get_privacy_cost(QUESTIONS[question])[0]
        reader = self._open(question, epsilon / at_one, delta)
        return reader, list(map(float, reader.get_privacy_cost(QUESTIONS[question])))

    def _open(self, question, epsilon, delta):
        bound = self.request["groups"] if question == "people" else self.request["rows"]
        metadata = {
            "": {
                "PUBLIC": {
                    "encounters": {
                        "max_ids": bound,
                        "sample_max_ids": True,
                        "censor_dims": False,
                        "rows": 1_000_000,
                        "patient_id": {"type": "int", "private_id": True},
                        "sex": {"type": "string", "cardinality": 2},
                        "age": {"type": "int", "lower": 18, "upper": 100},
                        "site": {"type": "int"},
                        "bmi": {"type": "float", "lower": 10, "upper": 70},
                    }
                }
            }
        }
        privacy = snsql.Privacy(epsilon=epsilon, delta=delta)
        return snsql.from_connection(self.connection, engine="sqlite", privacy=privacy, metadata=metadata)


if __name__ == "__main__":
    serve(SmartnoiseSql(), "smartnoise-sql", "opendp")

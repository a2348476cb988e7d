"""PipelineDP on its local backend, rows as a list of tuples in memory."""

import pipeline_dp
import pyarrow.parquet as pq
from lines import serve

PATIENT, SEX, SITE, BMI = 0, 1, 2, 3
M = pipeline_dp.Metrics


class PipelinedpLocal:
    def load(self, request):
        self.request = request
        table = pq.read_table(request["path"], columns=["patient_id", "sex", "site", "bmi"]).to_pydict()
        self.rows = list(zip(*table.values(), strict=True))

    def ask(self, question):
        rows, groups = self.request["rows"], self.request["groups"]
        bmi = {"min_value": 10.0, "max_value": 70.0}
        match question:
            case "count":
                answers = self._run([M.COUNT], lambda _: "", [""], 1, rows)
                found = {key: metrics.count for key, metrics in answers}
            case "mean":
                answers = self._run([M.MEAN], lambda row: row[SEX], ["F", "M"], 1, rows, **bmi)
                found = {key: metrics.mean for key, metrics in answers}
            case "people":
                answers = self._run([M.PRIVACY_ID_COUNT], lambda row: row[SITE], list(range(40)), groups, 1)
                found = {key: metrics.privacy_id_count for key, metrics in answers}
            case "median":
                answers = self._run([M.PERCENTILE(50)], lambda _: "", [""], 1, rows, **bmi)
                found = {key: metrics.percentile_50 for key, metrics in answers}
        return {str(key): float(value) for key, value in found.items()}, [
            self.request["epsilon"],
            self.request["delta"],
        ]

    def _run(self, metrics, partition, partitions, groups, rows, **bounds):
        accountant = pipeline_dp.NaiveBudgetAccountant(
            total_epsilon=self.request["epsilon"], total_delta=self.request["delta"]
        )
        engine = pipeline_dp.DPEngine(accountant, pipeline_dp.LocalBackend())
        parameters = pipeline_dp.AggregateParams(
            metrics=metrics,
            noise_kind=pipeline_dp.NoiseKind.LAPLACE,
            max_partitions_contributed=groups,
            max_contributions_per_partition=rows,
            **bounds,
        )
        extractors = pipeline_dp.DataExtractors(
            privacy_id_extractor=lambda row: row[PATIENT],
            partition_extractor=partition,
            value_extractor=lambda row: row[BMI],
        )
        result = engine.aggregate(self.rows, parameters, extractors, public_partitions=partitions)
        accountant.compute_budgets()
        return list(result)


if __name__ == "__main__":
    serve(PipelinedpLocal(), "pipeline-dp", "python-dp")

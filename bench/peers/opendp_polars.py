"""OpenDP's Polars API over a frame in memory, one Context a question that spends all of its budget on it."""

import opendp.prelude as dp
import polars as pl
from lines import serve

dp.enable_features("contrib")

CANDIDATES = [c / 100 for c in range(1000, 7001, 6)]  # of the median: those Noisegate chooses too


class OpendpPolars:
    def load(self, request):
        self.request = request
        self.frame = pl.read_parquet(request["path"])

    def ask(self, question):
        epsilon, delta = self.request["epsilon"], self.request["delta"]
        context = dp.Context.compositor(
            data=self.frame.lazy(),
            privacy_unit=dp.unit_of(contributions=1, identifier=pl.col("patient_id")),
            privacy_loss=dp.loss_of(epsilon=epsilon, delta=delta),
            split_evenly_over=1,
            margins=margins(),
        )
        answers = getattr(self, question)(context)
        return answers, [epsilon, delta]

    def count(self, context):
        query = context.query().truncate_per_group(self.request["rows"]).select(dp.len())
        return {"": float(query.release().collect().item())}

    def mean(self, context):
        keys = pl.LazyFrame({"sex": ["F", "M"]}, schema_overrides={"sex": pl.String})
        rows = (
            context.query()
            .truncate_per_group(self.request["rows"])
            .group_by("sex")
            .agg(pl.col("bmi").cast(float).fill_nan(40.0).fill_null(40.0).dp.mean((10.0, 70.0)))
            .with_keys(keys)
            .release()
            .collect()
        )
        return {row["sex"]: float(row["bmi"]) for row in rows.iter_rows(named=True)}

    def people(self, context):
        # truncate_num_groups fails ("Duplicate field") where it samples, and is biased where it keeps the
        # first: one row a person and site, and then five rows a person, say the same without it.
        keys = pl.LazyFrame({"site": list(range(40))}, schema_overrides={"site": pl.Int64})
        rows = (
            context.query()
            .truncate_per_group(1, by=["site"])
            .truncate_per_group(self.request["groups"])
            .group_by("site")
            .agg(dp.len())
            .with_keys(keys)
            .release()
            .collect()
        )
        return {str(row["site"]): float(row["len"]) for row in rows.iter_rows(named=True)}

    def median(self, context):
        column = pl.col("bmi").cast(float).fill_nan(40.0).fill_null(40.0)
        query = context.query().truncate_per_group(self.request["rows"]).select(column.dp.median(CANDIDATES))
        return {"": float(query.release().collect().item())}


def margins():
    """Return what the other peers and the project are told too: lengths are at most a million."""
    return [dp.polars.Margin(max_length=1_000_000)]


if __name__ == "__main__":
    serve(OpendpPolars(), "opendp", "polars")

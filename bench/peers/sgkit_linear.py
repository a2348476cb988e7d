"""sgkit's linear regression: a Zarr store of dosages in, a table of t and p out.

`sgkit_linear.py FOLDER REPEATS` reads FOLDER/data.bed once into a store, which is not measured, then runs and
prints JSON: CPU seconds of each run, the first apart, since it compiles, and versions. The t values of the
last one are FOLDER/sgkit.npy.
"""

import json
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import bed_reader
import numpy as np
import sgkit
import xarray as xr

CHUNK = 4_000


def prepare(folder):
    """Write dosages as a Zarr store, -1 for a missing call as NaN, and return its path."""
    path = folder / "sgkit.zarr"
    if not path.exists():
        with bed_reader.open_bed(folder / "data.bed") as bed:
            calls = bed.read(dtype="int8", num_threads=1).T
        dosage = np.where(calls < 0, np.nan, calls).astype(np.float32)
        made = xr.Dataset({"call_dosage": (("variants", "samples"), dosage)})
        made.chunk({"variants": CHUNK, "samples": -1}).to_zarr(path, mode="w")
    return path


def run(folder, store):
    """Regress the trait on each variant and three covariates; write t and p as text."""
    data = xr.open_zarr(store)
    told = np.loadtxt(folder / "linear.txt", skiprows=1, usecols=2)
    covariates = np.loadtxt(folder / "covariates.txt", skiprows=1, usecols=(2, 3, 4))
    data["trait"] = (("samples",), told)
    for i in range(covariates.shape[1]):
        data[f"covariate_{i}"] = (("samples",), covariates[:, i])
    # A missing call counts as the mean of the others: sgkit leaves nobody out.
    data["call_dosage"] = data.call_dosage.fillna(data.call_dosage.mean("samples"))
    found = sgkit.gwas_linear_regression(
        data,
        dosage="call_dosage",
        covariates=[f"covariate_{i}" for i in range(covariates.shape[1])],
        traits=["trait"],
        add_intercept=True,
        merge=False,
    ).compute()
    t = found.variant_linreg_t_value.values[:, 0]
    p = found.variant_linreg_p_value.values[:, 0]
    np.savetxt(folder / "sgkit.tsv", np.stack([t, p], axis=1), fmt="%.6g", delimiter="\t")
    return t


def main():
    """See the module."""
    warnings.simplefilter("ignore")
    folder, repeats = Path(sys.argv[1]), int(sys.argv[2])
    store = prepare(folder)
    seconds = []
    for _ in range(repeats + 1):
        started = time.process_time()
        t = run(folder, store)
        seconds.append(time.process_time() - started)
    np.save(folder / "sgkit.npy", t)
    packages = ("sgkit", "dask", "xarray", "zarr", "numpy")
    print(json.dumps({"seconds": seconds, "versions": {p: version(p) for p in packages}}))


main()

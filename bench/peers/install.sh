#!/bin/sh
# Makes the peers' virtual environments under bench/.venvs (about 1.5 GB). Each has its own: their pins clash.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3.11}

make_venv() {
    name=$1
    shift
    [ -x ".venvs/$name/bin/python" ] || "$python" -m venv ".venvs/$name"
    ".venvs/$name/bin/python" -m pip install --quiet "$@"
}

make_venv smartnoise smartnoise-sql==1.0.10
make_venv opendp 'opendp[polars]==0.16.0' polars==1.36.1 pyarrow
make_venv pipelinedp pipeline-dp==0.3.1 python-dp==1.1.5 pyarrow
make_venv sgkit sgkit==0.10.0 bed-reader==1.1.0

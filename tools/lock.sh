#!/bin/bash
# Writes requirements.lock (to run, with the genomes and postgres extras) and requirements-dev.lock (to test)
# anew from pyproject.toml. Needs pip-tools, and takes some minutes. Commit both.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
compile() {
  local lock=$1
  shift
  pip-compile --quiet --strip-extras --allow-unsafe --generate-hashes --no-annotate --no-header \
    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
    --build-deps-for editable --extra genomes --extra postgres "$@" --output-file "$lock.new" pyproject.toml
  {
    echo "# Written by tools/lock.sh from pyproject.toml, with the hashes of all published files."
    cat "$lock.new"
  } >"$lock"
  rm "$lock.new"
}
compile requirements-dev.lock --extra frames --extra dev
compile requirements.lock --constraint requirements-dev.lock

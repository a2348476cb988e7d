# Sourced by ./run, ./test and .ci/run: makes .venv from the locks, once for each state of them.
# Nothing here names a package index: pip's own configuration decides where wheels come from, and the
# hashes in the locks decide which wheels are good.

# find_python [CHECK]: the first Python 3.11, 3.12 or 3.13 on the PATH that passes a check, or nothing.
find_python() {
  local name
  for name in python3 python3.13 python3.12 python3.11; do
    if command -v "$name" >/dev/null 2>&1 &&
      "$name" -c "import sys; assert (3, 11) <= sys.version_info[:2] < (3, 14); ${1:-}" >/dev/null 2>&1; then
      command -v "$name"
      return 0
    fi
  done
  return 1
}

CAN_MAKE_VENV="import ensurepip, venv"

# The state of everything an environment is made from.
environment_stamp() {
  local here=$1 lock=$2
  cat "$here/pyproject.toml" "$here/$lock" "$here/tools/bootstrap.sh" | sha256sum | cut -d ' ' -f 1
}

# is_current HERE KIND LOCK: whether .venv was made from what is there now.
is_current() {
  [ "$(cat "$1/.venv/noisegate-$2.stamp" 2>/dev/null)" = "$(environment_stamp "$1" "$3")" ]
}

make_venv() {
  local here=$1 python
  if ! find_python >/dev/null; then
    echo "error: Noisegate needs Python 3.11, 3.12 or 3.13" >&2
    echo "hint: on Debian or Ubuntu: apt install python3 python3-venv" >&2
    return 2
  fi
  if ! python=$(find_python "$CAN_MAKE_VENV"); then
    echo "error: $(find_python) cannot make virtual environments" >&2
    echo "hint: on Debian or Ubuntu: apt install python3-venv" >&2
    return 2
  fi
  echo "making .venv with $("$python" --version)" >&2
  rm -rf "$here/.venv"
  "$python" -m venv "$here/.venv"
}

# Runs pip in the environment. Addresses are taken out of what it says.
quiet_pip() {
  "$1/.venv/bin/python" -m pip "${@:2}" --quiet --disable-pip-version-check --no-input 2>&1 |
    sed -E 's#[A-Za-z+]+://[^ ,)]*#(an address)#g'
}

# bootstrap HERE run|dev: brings HERE/.venv up to date, or says what is missing.
bootstrap() {
  local here=$1 kind=$2 lock=requirements.lock said
  if [ "$kind" = dev ]; then
    lock=requirements-dev.lock
  fi
  if is_current "$here" "$kind" "$lock"; then
    return 0
  fi
  # One of two starts at a time; the other then finds everything done.
  exec 9<"$here"
  flock 9
  if is_current "$here" "$kind" "$lock"; then
    exec 9<&-
    return 0
  fi
  if ! "$here/.venv/bin/python" -m pip --version >/dev/null 2>&1; then
    make_venv "$here" || return
  fi
  echo "installing what $lock lists: a minute or two, and again only when it changes" >&2
  if ! said=$(
    quiet_pip "$here" install --require-hashes --only-binary :all: --requirement "$here/$lock" &&
      quiet_pip "$here" install --no-index --no-deps --no-build-isolation --editable "$here"
  ); then
    echo "error: the installation failed" >&2
    tail -n 15 <<<"$said" >&2
    return 1
  fi
  environment_stamp "$here" "$lock" >"$here/.venv/noisegate-$kind.stamp"
  if [ "$kind" = dev ]; then
    # The larger environment holds the smaller one.
    environment_stamp "$here" requirements.lock >"$here/.venv/noisegate-run.stamp"
  fi
  exec 9<&-
}

# As root on Debian, installs Python or its venv module where one is missing; elsewhere bootstrap says so.
install_python_if_missing() {
  if find_python "$CAN_MAKE_VENV" >/dev/null; then
    return 0
  fi
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    apt-get install -q -y --no-install-recommends python3 python3-venv
  fi
}

# plink is an oracle of the tests, which skip what needs it where it is missing; so no failure here counts.
install_plink_if_missing() {
  if command -v plink1.9 >/dev/null && command -v plink2 >/dev/null; then
    return 0
  fi
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -q && apt-get install -q -y --no-install-recommends plink1.9 plink2; } \
      || echo "plink1.9 and plink2 cannot be installed: what is compared with them is skipped" >&2
  fi
}

# Sourced by the other scripts: sets $python to an interpreter that has what is asked for, installed from the lock.
#
#   use_venv run      what pinrec needs to run
#   use_venv dev      that, and what the tests and checks need
#
# An active virtual environment is used as it is; else .venv is made. Everything is installed by pip, with hashes,
# and only when the lock has changed since the last time.

say() { printf '%s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
  local name
  for name in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
    if command -v "$name" >/dev/null && is_new_enough "$name"; then
      command -v "$name"
      return
    fi
  done
  fail "pinrec needs Python 3.11 or newer, and ${PYTHON:-python3} is not ($("${PYTHON:-python3}" -V 2>&1 || true))." \
    "Install one, or name it: PYTHON=/path/to/python3.12 $0"
}

make_venv() {
  local base
  base=$(find_python) || exit 1
  say "making .venv with $("$base" -V)"
  if ! "$base" -m venv --clear .venv >.venv.log 2>&1; then
    cat .venv.log >&2
    rm -rf .venv .venv.log
    fail "Python's venv module does not work here. On Debian and Ubuntu: apt install python3-venv"
  fi
  rm -f .venv.log
}

use_venv() {
  local venv files stamp
  if [ -n "${VIRTUAL_ENV:-}" ] && [ -x "$VIRTUAL_ENV/bin/python" ]; then
    venv=$VIRTUAL_ENV
    is_new_enough "$venv/bin/python" ||
      fail "pinrec needs Python 3.11 or newer; the active environment $venv is older. Leave it (deactivate)."
  else
    venv=.venv
    is_new_enough .venv/bin/python || make_venv
  fi
  python=$venv/bin/python

  case $1 in
    run) files="requirements.txt requirements-build.txt" ;;
    dev) files="requirements-dev.txt" ;;
  esac
  stamp="$(cat $files pyproject.toml | cksum) $PWD"
  if [ "$(cat "$venv/.pinrec-$1" 2>/dev/null)" != "$stamp" ]; then
    "$python" -m pip --version >/dev/null 2>&1 || "$python" -m ensurepip >/dev/null 2>&1 ||
      fail "There is no pip in $venv. Remove it, and this script makes a new one."
    say "installing what $0 needs (once)"
    # A file that is in both locks has the same version in both.
    "$python" -m pip install --quiet --disable-pip-version-check --no-input --require-hashes \
      $(printf -- '-r %s ' $files) || fail "pip could not install the packages of: $files"
    "$python" -m pip install --quiet --disable-pip-version-check --no-input \
      --no-deps --no-build-isolation --editable . || fail "pip could not install pinrec itself"
    printf '%s' "$stamp" >"$venv/.pinrec-$1"
  fi
}

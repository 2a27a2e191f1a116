#!/usr/bin/env bash
# Makes a virtual environment with Microsoft's last real designer modules (requirements.txt), for
# the tests that run them against ours.
#   usage: setup.sh VENV     about 5 minutes and 7 GB; does nothing where VENV is ready
# Python 3.9, which they are bound to, is PYTHON39, python3.9 on PATH, or one of pyenv's. The MPI
# compiler that mpi4py is built with is installed by apt-get where it is missing.
set -euo pipefail

fail() {
    echo "setup.sh: $1" >&2
    exit 1
}

[ $# -eq 1 ] || fail "usage: setup.sh VENV"
venv=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ -e "$venv/.ready" ]; then
    exit 0
fi

# A candidate is run before it is believed: pyenv's python3.9 on PATH fails unless 3.9 is selected,
# and Debian's lacks ensurepip without python3.9-venv.
is_python39() {
    "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != (3, 9))' 2>/dev/null
}

find_python39() {
    if [ -n "${PYTHON39:-}" ]; then
        is_python39 "$PYTHON39" || fail "PYTHON39 is $PYTHON39, which is no Python 3.9 with venv"
        echo "$PYTHON39"
        return
    fi
    local root candidate
    local candidates=(python3.9)
    for root in "$(pyenv root 2>/dev/null || true)" "${PYENV_ROOT:-}" "${HOME:-}/.pyenv"; do
        candidates+=("$root"/versions/3.9*/bin/python3.9)
    done
    for candidate in "${candidates[@]}"; do
        if is_python39 "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "found no Python 3.9 that runs; install it (pyenv install 3.9) or name it in PYTHON39"
}

install_mpi_compiler() {
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail "needs mpicc; install libopenmpi-dev and openmpi-bin"
        as_root=(sudo)
    fi
    command -v apt-get >/dev/null || fail "needs mpicc; install an MPI compiler"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq libopenmpi-dev openmpi-bin >/dev/null
}

python39=$(find_python39)
command -v mpicc >/dev/null || install_mpi_compiler

"$python39" -m venv "$venv"
pip() {
    "$venv/bin/python" -m pip --disable-pip-version-check --quiet "$@"
}
# mpi4py is built by what is in the environment; azureml-core needs the pkg_resources of these.
pip install 'setuptools<66' 'wheel<1' 'cython<3'
pip install --requirement "$here/requirements.txt"
touch "$venv/.ready"

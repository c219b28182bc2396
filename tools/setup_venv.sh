#!/bin/sh
# Makes .venv and installs a requirements file and this package into it:
#   tools/setup_venv.sh PYTHON FILE [OPTION OF PIP INSTALL ...]
set -eu
python=$1
requirements=$2
shift 2
fail() {
    echo "error: $1" >&2
    exit 1
}

command -v "$python" >/dev/null || fail "$python is not installed; on Debian: apt-get install python3 python3-venv"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$("$python" --version) is too old; take 3.11, which is tested, or 3.12 (make PYTHON=python3.11 ...)"
"$python" -c 'import sys; sys.exit(sys.version_info >= (3, 13))' ||
    echo "warning: $("$python" --version) is untried; if it fails, take 3.11 or 3.12 (make PYTHON=python3.11 ...)" >&2
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "$python has no venv module; on Debian: apt-get install python3-venv"
# also where an interrupted run has left a Python without pip
.venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv .venv
echo "installing $requirements into .venv (some minutes the first time) ..."
.venv/bin/python -m pip install --quiet --disable-pip-version-check "$@" --requirement "$requirements"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
.venv/bin/python -c 'import cv2' 2>.venv/opencv.log || {
    cat .venv/opencv.log >&2
    fail "OpenCV cannot be loaded; it needs libGL.so.1 and libglib-2.0.so.0: apt-get install libgl1 libglib2.0-0"
}

#!/usr/bin/env bash
# Make .venv hold exactly constraints/dev.txt and this checkout. Quick when nothing changed. PYTHON= names the interpreter,
# UV= another uv (empty: use pip). Packages come from wherever pip or uv is configured to look.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.venv
stamp=$venv/.boatwright-setup
constraints=constraints/dev.txt

fail() {
    echo "setup: $1" >&2
    echo "  → $2" >&2
    exit 3
}

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local candidate
    if [ -n "${PYTHON:-}" ]; then
        new_enough "$PYTHON" || fail "$PYTHON is not a Python 3.11 or newer" "make PYTHON=/path/to/python3.11"
        command -v "$PYTHON"
        return
    fi
    for candidate in python3 python3.13 python3.12 python3.11 python3.14 python; do
        if command -v "$candidate" >/dev/null && new_enough "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    fail "no Python 3.11 or newer is on PATH" "install python3.11 or newer, or: make PYTHON=/path/to/python3.11"
}

find_uv() {
    if [ -n "${UV+set}" ]; then
        echo "$UV"
    else
        command -v uv || true
    fi
}

identity() {
    "$1" -c 'import platform, sys; print(sys.executable, platform.python_version(), platform.machine())'
    pwd -P # an editable install and the scripts name this directory
    cat pyproject.toml "$constraints"
}

same_python() {
    local ask='import platform, sys; print(sys.base_prefix, platform.python_version())'
    [ -x "$venv/bin/python" ] && [ "$("$venv/bin/python" -c "$ask")" = "$("$1" -c "$ask")" ]
}

with_uv() {
    same_python "$1" || "$2" venv --quiet --clear --python "$1" "$venv"
    export VIRTUAL_ENV="$PWD/$venv"
    "$2" pip install --quiet --require-hashes --requirement "$constraints"
    "$2" pip install --quiet --no-deps --no-build-isolation --editable .
}

with_pip() {
    local pip=("$venv/bin/python" -m pip)
    if same_python "$1" && ! "${pip[@]}" --version >/dev/null 2>&1; then
        pip=("$1" -m pip --python "$venv/bin/python") # uv made it, without a pip of its own
    fi
    if ! same_python "$1" || ! "${pip[@]}" --version >/dev/null 2>&1; then
        "$1" -c 'import ensurepip, venv' 2>/dev/null ||
            fail "$1 cannot make virtual environments" "install its venv package (Debian, Ubuntu: apt install python3-venv), or install uv"
        "$1" -m venv --clear "$venv"
        pip=("$venv/bin/python" -m pip)
    fi
    pip+=(--quiet --disable-pip-version-check --no-input)
    "${pip[@]}" install --require-hashes --requirement "$constraints"
    "${pip[@]}" install --no-deps --no-build-isolation --editable .
}

python=$(find_python)
uv=$(find_uv)
if command -v flock >/dev/null; then # two makes at once: the second waits and finds it done
    exec 9>.setup.lock
    flock 9
fi
key=$(identity "$python" | "$python" -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())')
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$key" ] && [ -x "$venv/bin/python" ]; then
    exit 0
fi
if [ -n "$uv" ]; then
    echo "setup: making $venv with uv and $python"
    with_uv "$python" "$uv"
else
    echo "setup: making $venv with pip and $python"
    with_pip "$python"
fi
echo "$key" >"$stamp"

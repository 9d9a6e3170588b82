"""Install the tested versions of the coding agents, for ``make test-agents``: each alone, below ``.agents``.

usage: python tools/agents.py [NAME ...]      prints the directories to put on PATH, joined by colons

Packages come from wherever npm is configured to look. What is there already in the tested version is left alone.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from boatwright.agents import registry
from boatwright.agents.headless import Headless

PLACE = Path(__file__).resolve().parents[1] / ".agents"
NPM = ("install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error", "--prefix")


def install(agent: type[Headless]) -> Path:
    """The directory that holds its program."""
    package, version = agent.remedy.split()[-1], agent.tested[-1]
    home = PLACE / agent.name
    told = home / "node_modules" / package / "package.json"
    if not told.is_file() or json.loads(told.read_text("utf-8"))["version"] != version:
        npm = shutil.which("npm")
        if npm is None:
            sys.exit("agents: npm is not on PATH\n  → install Node 20 or newer")
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        done = subprocess.run(
            [npm, *NPM, str(home), f"{package}@{version}"],
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            check=False,
        )
        if done.returncode != 0:
            sys.exit(f"agents: npm could not install {package}@{version}\n  → read what it said above")
    return home / "node_modules" / ".bin"


def main() -> None:
    wanted = sys.argv[1:] or [each.name for each in registry.PROGRAMS]
    by_name = {each.name: each for each in registry.PROGRAMS}
    unknown = [name for name in wanted if name not in by_name]
    if unknown:
        sys.exit(f"agents: there is no agent {unknown[0]}; there are: {', '.join(by_name)}")
    sys.stdout.write(":".join(str(install(by_name[name])) for name in wanted) + "\n")


if __name__ == "__main__":
    main()

"""Install the tested versions of the coding agents, for ``make test-agents``: each alone, below ``.agents``.

usage: python tools/agents.py [NAME ...]      prints the directories to put on PATH, joined by colons

Packages come from wherever npm and pip are configured to look. What is there already in the tested version is left alone.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from boatwright.agents import registry
from boatwright.agents.headless import Headless
from boatwright.bottle import venv

PLACE = Path(__file__).resolve().parents[1] / ".agents"
NPM = ("install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error", "--prefix")
PYTHON = "/usr/bin/python3"
PIP = {"aider": ("aider-chat",), "mini": ("mini-swe-agent", "mcp")}
"""What pip installs for whom; the others are npm's."""


def install(agent: type[Headless]) -> Path:
    """The directory that holds its program, and none that others are called like."""
    return _by_pip(agent) if agent.name in PIP else _by_npm(agent)


def _by_npm(agent: type[Headless]) -> Path:
    package, version = agent.remedy.split()[-1], agent.tested[-1]
    home = PLACE / agent.name
    told = home / "node_modules" / package / "package.json"
    if not told.is_file() or json.loads(told.read_text("utf-8"))["version"] != version:
        npm = shutil.which("npm")
        if npm is None:
            sys.exit("agents: npm is not on PATH\n  → install Node 20 or newer")
        _anew(home)
        _run([npm, *NPM, str(home), f"{package}@{version}"], f"npm could not install {package}@{version}")
    return home / "node_modules" / ".bin"


def _by_pip(agent: type[Headless]) -> Path:
    """Into a venv of the system's interpreter, which every bottle sees."""
    (package, *others), version = PIP[agent.name], agent.tested[-1]
    home = PLACE / agent.name
    alone = home / "path"
    if venv.version(home, agent.name) != version or not alone.is_dir():
        _anew(home)
        _run([PYTHON, "-m", "venv", str(home)], f"{PYTHON} could not make a venv")
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, f"{package}=={version}", *others], f"pip could not install {package}=={version}")
        alone.mkdir()
        (alone / agent.name).symlink_to(home / "bin" / agent.name)
    return alone


def _anew(home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)


def _run(argv: list[str], complaint: str) -> None:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    if done.returncode != 0:
        sys.exit(f"agents: {complaint}\n  → read what it said above")


def main() -> None:
    wanted = sys.argv[1:] or [each.name for each in registry.PROGRAMS]
    by_name = {each.name: each for each in registry.PROGRAMS}
    unknown = [name for name in wanted if name not in by_name]
    if unknown:
        sys.exit(f"agents: there is no agent {unknown[0]}; there are: {', '.join(by_name)}")
    sys.stdout.write(":".join(str(install(by_name[name])) for name in wanted) + "\n")


if __name__ == "__main__":
    main()

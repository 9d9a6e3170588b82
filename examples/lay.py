"""Lay one of the example packages as a git repository: fetch its source distribution, check it, unpack it, commit it.

    python examples/lay.py PACKAGE DIRECTORY

The archive comes from wherever pip is configured to look and must have the SHA-256 written in ``packages.toml``; pip
compares it before it looks inside. The commit has a fixed author and date, so it has the same id everywhere.
"""

from __future__ import annotations

import argparse
import functools
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
FAILING = "failing-test"
"""The branch with a committed test that shows the bug, and the patch that makes it."""
POLICY = """\
# One round of building and judging: a second round of a script that has nothing more to say would repeat the first.
max_retries: 1
"""


class CannotLay(Exception):
    """One sentence for the person who asked."""


@dataclass(frozen=True)
class Package:
    """One entry of ``packages.toml``: the request, and another one for something new.

    ``setup`` empty: Boatwright finds out by looking.
    """

    name: str
    version: str
    sha256: str
    text: str
    new: str
    setup: str = ""

    def flags(self, script: str) -> list[str]:
        """What ``boatwright run`` is told for one of the package's scripts, its model apart."""
        found = ["--text", self.new if script == "new-function" else self.text]
        if self.setup:
            found += ["--setup", self.setup]
        if script == "edited-test" and self.failing_test.exists():
            found += ["--base", FAILING]
        return found

    @property
    def failing_test(self) -> Path:
        return HERE / self.name / f"{FAILING}.patch"


def packages() -> dict[str, Package]:
    tables = tomllib.loads((HERE / "packages.toml").read_text())
    return {name: Package(name=name, **table) for name, table in tables.items()}


def lay(package: Package, target: Path, archives: Path) -> None:
    """Make ``target`` a repository with the package on ``main``, and on another branch a test that fails."""
    if target.exists() and any(target.iterdir()):
        raise CannotLay(f"{target} is not empty")
    unpack(fetch(package, archives), target)
    (target / ".boatwright.yml").write_text(POLICY)
    git(target, "init", "--quiet", "--initial-branch=main")
    commit(target, f"{package.name} {package.version}")
    if package.failing_test.exists():
        git(target, "checkout", "--quiet", "-b", FAILING)
        git(target, "apply", str(package.failing_test))
        commit(target, "Show the bug with a test")
        git(target, "checkout", "--quiet", "main")


def fetch(package: Package, archives: Path) -> Path:
    """The archive, fetched by pip the first time."""
    place = archives / package.sha256
    if not place.is_dir():
        archives.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=archives) as fresh:
            wanted = Path(fresh) / "wanted.txt"
            wanted.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n")
            made = Path(fresh) / "made"
            argv = ["download", "--quiet", "--no-deps", "--no-binary=:all:", "--require-hashes"]
            run([*pip(), *argv, f"--dest={made}", f"--requirement={wanted}"], "the package cannot be fetched")
            made.rename(place)
    (archive,) = place.iterdir()
    return archive


@functools.cache
def pip() -> tuple[str, ...]:
    """A Python that has pip: this one, the one it was made from, or the one on PATH."""
    for python in (sys.executable, getattr(sys, "_base_executable", ""), shutil.which("python3")):
        if not python:
            continue
        argv = (python, "-m", "pip", "--disable-pip-version-check", "--no-input")
        if subprocess.run([*argv, "--version"], capture_output=True, check=False).returncode == 0:
            return argv
    raise CannotLay("no Python with pip was found; install pip (Debian, Ubuntu: apt install python3-pip)")


def unpack(archive: Path, target: Path) -> None:
    """Unpack a source distribution, which holds one directory, as ``target``. Nothing gets out of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as fresh, tarfile.open(archive) as file:
        file.extractall(fresh, filter="data")
        (top,) = Path(fresh).iterdir()
        if target.exists():
            target.rmdir()
        top.rename(target)


def commit(target: Path, message: str) -> None:
    git(target, "add", "--all")
    git(target, "commit", "--quiet", f"--message={message}")


def git(target: Path, *words: str) -> None:
    """git without anybody's configuration."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    for who in ("AUTHOR", "COMMITTER"):
        environment |= {
            f"GIT_{who}_NAME": "Examples",
            f"GIT_{who}_EMAIL": "examples@localhost",
            f"GIT_{who}_DATE": "2024-01-01T00:00:00Z",
        }
    run(["git", "-C", str(target), "-c", "core.autocrlf=false", *words], "git failed", environment)


def run(argv: list[str], what: str, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise CannotLay(f"{what}: {done.stderr.strip()[-800:]}")


def main() -> int:
    known = packages()
    parser = argparse.ArgumentParser(description="Lay one of the example packages as a git repository.")
    parser.add_argument("package", choices=sorted(known))
    parser.add_argument("directory", type=Path)
    asked = parser.parse_args()
    package, target = known[asked.package], asked.directory.absolute()
    try:
        with tempfile.TemporaryDirectory() as archives:
            lay(package, target, Path(archives))
    except CannotLay as error:
        sys.stderr.write(f"lay.py: {error}\n")
        return 1
    script = os.path.relpath(HERE / package.name / "fix.yml")
    flags = package.flags("fix")
    words = ["boatwright", "run", "--repo", str(target), *flags, "--model", f"scripted:{script}"]
    sys.stdout.write(
        f"{package.name} {package.version} is in {target}. Now for example:\n\n{shlex.join(words)}\n"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

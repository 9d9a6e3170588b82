"""Each provider names the versions whose requests it was tried with; ``doctor`` says of any other that it was not."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from boatwright.agents import registry
from boatwright.agents.headless import Headless

EACH = pytest.mark.parametrize("kind", registry.PROGRAMS, ids=lambda kind: str(kind.name))
PROGRAM = Path(sys.executable).with_name("boatwright")


def install(where: Path, kind: type[Headless], version: str) -> dict[str, str]:
    """What npm lays out for a program of that version; an environment that finds it."""
    package = where / "node_modules" / kind.name
    (package / "bin").mkdir(parents=True)
    (package / "package.json").write_text(json.dumps({"name": kind.name, "version": version}))
    (package / "bin" / "run").write_text("#!/bin/sh\n")
    (package / "bin" / "run").chmod(0o755)
    (where / "bin").mkdir()
    (where / "bin" / kind.name).symlink_to(package / "bin" / "run")
    return {"PATH": str(where / "bin")}


@EACH
def test_a_provider_names_exact_versions(kind: type[Headless]) -> None:
    assert kind.tested and all(re.fullmatch(r"\d+(\.\d+)+", version) for version in kind.tested)


@EACH
def test_a_tested_version_is_said_to_be(kind: type[Headless], tmp_path: Path) -> None:
    here = install(tmp_path, kind, kind.tested[-1])
    assert kind.state_of(here) == f"{kind.tested[-1]}, tested"


@EACH
@pytest.mark.parametrize("version", ["9999.0.1", "0.0.0-beta"])
def test_any_other_version_is_warned_of(kind: type[Headless], tmp_path: Path, version: str) -> None:
    told = kind.state_of(install(tmp_path, kind, version))
    assert told.startswith(f"{version}, not tested here") and kind.tested[-1] in told


@EACH
def test_one_that_is_missing_comes_with_the_remedy(kind: type[Headless], tmp_path: Path) -> None:
    assert kind.state_of({"PATH": str(tmp_path)}) == f"not installed: {kind.remedy}"


def test_doctor_warns(tmp_path: Path) -> None:
    kind = registry.PROGRAMS[0]
    path = install(tmp_path, kind, "9999.0.1")["PATH"]
    environment = {
        "PATH": f"{path}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "BOATWRIGHT_STATE": str(tmp_path / "state"),
    }
    done = subprocess.run([PROGRAM, "doctor"], env=environment, capture_output=True, text=True, check=False)
    (line,) = [line for line in done.stdout.splitlines() if f"agent {kind.name}" in line]
    assert "9999.0.1, not tested here" in line and kind.tested[-1] in line

"""A directory and an environment for commands of bottles: a state of their own, a scripted model, nothing of the host's."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Room:
    root: Path
    environment: dict[str, str]


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    """The current directory and this process's own environment, until the test is over."""
    root = Path(tempfile.mkdtemp(prefix="bw-cli-"))
    root.chmod(0o711)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BOATWRIGHT_")}
    clean |= {
        "BOATWRIGHT_STATE": str(root / "s"), "BOATWRIGHT_MODEL": f"scripted:{root / 'm.yml'}", "COLUMNS": "300",
    }  # fmt: skip
    for name in os.environ.keys() - clean.keys():
        monkeypatch.delenv(name)
    for name, value in clean.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(root)
    yield Room(root, clean)
    shutil.rmtree(root, ignore_errors=True)

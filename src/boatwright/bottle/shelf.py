"""Programs of ours that run inside bottles, put where a bottle's uid can read them.

The package itself may lie where that uid cannot go (root's home, a private venv), so the files are copied once per
release of theirs into the state directory, and bound read-only from there.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
from pathlib import Path, PurePosixPath

from boatwright.bottle.protocol import Bind
from boatwright.config.paths import StateDir

INSIDE = PurePosixPath("/opt/boatwright")
SOURCE = Path(__file__).parent / "inside"
SUFFIXES = frozenset({".py", ".mjs"})


def tools(state: StateDir) -> Bind:
    """The bind that shows them at ``/opt/boatwright``; made if absent, whole or not at all."""
    target = current(state)
    if not target.is_dir():
        _lay(_files(), target)
    return Bind(target, INSIDE)


def current(state: StateDir) -> Path:
    """Where those of this release are, or would be. Older releases' may lie beside it."""
    content = b"\0".join(path.name.encode() + b"\0" + path.read_bytes() for path in _files())
    return state.run / f"inside-{hashlib.sha256(content).hexdigest()[:16]}"


def _files() -> list[Path]:
    return sorted(path for path in SOURCE.iterdir() if path.suffix in SUFFIXES)


def _lay(files: list[Path], target: Path) -> None:
    fresh = Path(tempfile.mkdtemp(dir=target.parent, prefix=".inside-"))
    try:
        for path in files:
            shutil.copyfile(path, fresh / path.name)
            (fresh / path.name).chmod(0o444)
        fresh.chmod(0o555)
        with contextlib.suppress(OSError):  # somebody was quicker: theirs is the same
            fresh.rename(target)
    finally:
        if fresh.exists():
            fresh.chmod(0o700)
            shutil.rmtree(fresh, ignore_errors=True)

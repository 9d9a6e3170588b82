"""Files of ours for bottles and what makes them: named by their content, so that one which is in use never changes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from boatwright.config.paths import StateDir


def file(state: StateDir, stem: str, suffix: str, content: bytes) -> Path:
    """The file with this content, written if it is not there yet; anyone may read it."""
    made = state.run / f"{stem}-{hashlib.sha256(content).hexdigest()[:16]}{suffix}"
    if not made.is_file():
        fresh = made.with_name(f".{made.name}.{os.urandom(4).hex()}")
        fresh.write_bytes(content)
        fresh.chmod(0o644)
        fresh.replace(made)
    return made

"""A glance at the user's own repository: what a run will leave out. Reads, never writes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

SECONDS = 60.0
SAFE = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.untrackedCache=false")


def notices(source: str) -> tuple[str, ...]:
    """What a person should know about ``source`` before it is read at HEAD; nothing for a URL.

    It is the user's repository at the user's word; still no hook and no file watcher of it is started.
    """
    if not Path(source).is_dir():
        return ()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    argv = [
        "git",
        "--no-pager",
        *SAFE,
        "-C",
        source,
        "status",
        "--porcelain",
        "-z",
        "--ignore-submodules=all",
    ]
    try:
        ran = subprocess.run(
            argv, env=inherited | {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ("whether there are uncommitted changes could not be seen; they are left out either way",)
    if ran.returncode != 0:  # bare, or owned by somebody else: there is no work tree we may ask about
        return ()
    count = sum(1 for record in ran.stdout.split(b"\0") if record)
    if not count:
        return ()
    files = "file is" if count == 1 else "files are"
    return (f"{count} {files} not committed in {source}; they are left out, and stay as they are",)

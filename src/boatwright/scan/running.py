"""Run a scanner over bytes: files of our own naming in a private directory, a clean environment, a clock, a bound.

Names are numbers, so that no name from inside reaches the program: neither as an option nor as a path that its own lists
of exceptions would let pass.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from boatwright.scan.protocol import Blob, CouldNotCheck

SCAN_SECONDS = 120.0
MOST_BYTES = 256 << 20
MOST_ANSWER = 16 << 20

Argv = Callable[[Path, Path], Sequence[str]]
"""The command for a directory of files, and where its report goes."""


def run(argv: Argv, blobs: Sequence[Blob], *, seconds: float = SCAN_SECONDS) -> tuple[int, bytes, Path]:
    """Exit code, report, and the directory whose files are numbered like ``blobs``, from 0."""
    if sum(len(blob.data) for blob in blobs) > MOST_BYTES:
        raise CouldNotCheck(f"there is more to look at than {MOST_BYTES >> 20} MiB")
    with tempfile.TemporaryDirectory(prefix="boatwright-scan-") as made:
        place = Path(made)
        for folder in ("in", "home"):
            (place / folder).mkdir(mode=0o700)
        for number, blob in enumerate(blobs):
            (place / "in" / f"{number}").write_bytes(blob.data)
        report = place / "report.json"
        code = _run([*argv(place / "in", report)], place, seconds)
        try:
            with report.open("rb") as stream:
                said = stream.read(MOST_ANSWER + 1)
        except OSError:
            said = b""
    if len(said) > MOST_ANSWER:
        raise CouldNotCheck("the scanner said more than can be read")
    return code, said, place / "in"


def _run(argv: list[str], place: Path, seconds: float) -> int:
    environment = {
        "PATH": os.defpath,
        "HOME": str(place / "home"),
        "TMPDIR": str(place / "home"),
        "LC_ALL": "C",
    }
    try:
        process = subprocess.Popen(
            argv, cwd=place / "in", env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise CouldNotCheck(f"the scanner cannot be started: {error.strerror}") from error
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        raise CouldNotCheck(f"the scanner took longer than {seconds:g} seconds") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

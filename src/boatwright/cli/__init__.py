"""The command line: a file per command group; each parses, calls, prints."""

from __future__ import annotations

import gc
import sys

STOPPED = 130
"""The exit code of ``errors.Stopped``, which may not be imported yet."""


def main() -> None:
    """The console script. Errors of ours become one sentence and their exit code; never a traceback."""
    gc.disable()  # what is imported stays: looking it through again and again is a fifth of a command's start
    try:
        from boatwright.cli import app  # noqa: PLC0415 - keeps `import boatwright.cli` cheap for completion
    except KeyboardInterrupt:
        sys.stderr.write("boatwright: stopped\n")
        sys.exit(STOPPED)
    sys.exit(app.run(imported=_collect))


def _collect() -> None:
    gc.freeze()
    gc.enable()

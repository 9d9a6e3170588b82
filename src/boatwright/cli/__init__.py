"""The command line: a file per command group; each parses, calls, prints."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """The console script. Errors of ours become one sentence and their exit code; never a traceback."""
    gc.disable()  # what is imported stays: looking it through again and again is a fifth of a command's start
    from boatwright.cli import app  # noqa: PLC0415 - keeps `import boatwright.cli` cheap for completion

    sys.exit(app.run(imported=_collect))


def _collect() -> None:
    gc.freeze()
    gc.enable()

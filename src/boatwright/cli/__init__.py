"""The command line: a file per command group; each parses, calls, prints."""

from __future__ import annotations

import sys


def main() -> None:
    """The console script. Errors of ours become one sentence and their exit code; never a traceback."""
    from boatwright.cli import app  # noqa: PLC0415 - keeps `import boatwright.cli` cheap for completion

    sys.exit(app.run())

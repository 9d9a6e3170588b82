"""A venv of the host's, as far as a bottle must know it: who runs its scripts, what that interpreter is, and which
version of what a script belongs to. Nothing of it is run here.
"""

from __future__ import annotations

import configparser
import contextlib
import re
from pathlib import Path

_LINKS = 16
_FIRST_BYTES = 4_096
_SHEBANG = re.compile(rb"#!\s*(/[^\n]*?)\s*\n")
_LONG_SHEBANG = re.compile(rb"#!\s*/bin/sh\s*\n'''exec' \"?(/[^\n\"]*?)\"? \"\$0\" \"\$@\"")
"""What installers write where the path is too long for a first line, or holds a blank."""


def prefix_of(program: Path) -> Path | None:
    """The venv a program lies in."""
    prefix = program.parent.parent
    return prefix if program.parent.name == "bin" and (prefix / "pyvenv.cfg").is_file() else None


def interpreter(script: Path, prefix: Path) -> Path | None:
    """The interpreter of the venv its first line names, below ``prefix``; None where that names something else."""
    try:
        with script.open("rb") as file:
            first = file.read(_FIRST_BYTES)
    except OSError:
        return None
    found = _LONG_SHEBANG.match(first) or _SHEBANG.match(first)
    if found is None:
        return None
    named = Path(found[1].decode("utf-8", "surrogateescape"))
    with contextlib.suppress(OSError):
        if named.parent.samefile(prefix / "bin"):
            return prefix / "bin" / named.name
    return None


def base(interpreter: Path, prefix: Path) -> Path | None:
    """The interpreter a venv was made from, as the venv's link names it; None where the venv holds its own."""
    at = interpreter
    for _ in range(_LINKS):
        if not at.is_symlink():
            return None
        at = at.parent / at.readlink()
        if not at.is_relative_to(prefix):
            return at
    return None


def version(prefix: Path, script: str) -> str:
    """Of the package whose script it is; empty where none says so."""
    for told in sorted(prefix.glob("lib/python3*/site-packages/*.dist-info/entry_points.txt")):
        read = configparser.ConfigParser(delimiters=("=",), strict=False, interpolation=None)
        with contextlib.suppress(OSError, configparser.Error, UnicodeError):
            read.read_string(told.read_text("utf-8"))
            if read.has_option("console_scripts", script):
                return told.parent.name.removesuffix(".dist-info").partition("-")[2]
    return ""

"""Secrets in a variable of the caller, or in a file of the user's own, also at a field of one of JSON."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from boatwright.config.secrets.value import Secret, absent, clean

_LONGEST = 64 * 1024


def from_environment(
    name: str, environment: Mapping[str, str], blanks: bool = False, lines: bool = False
) -> Secret:
    value = environment.get(name, "").strip()
    if not value:
        raise absent(f"the key is missing: the variable {name} is not set", f"export {name}=…")
    return clean(value, f"the variable {name}", blanks, lines)


def from_file(path: Path, blanks: bool = False, field: str = "", lines: bool = False) -> Secret:
    """A regular file nobody else may read, or the text at ``field`` (``A.B``) of one of JSON; anything else is refused
    with the command that mends it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError as error:
        raise absent(
            f"the key file {path} cannot be read ({error.strerror})", f"write the key to {path}"
        ) from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise absent(f"the key file {path} is not a file", f"write the key to {path}")
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise absent(f"the key file {path} is open to others", f"chmod 600 {path}")
        value = os.read(descriptor, _LONGEST).decode("utf-8", "replace").strip()
    finally:
        os.close(descriptor)
    if not value:
        raise absent(f"the key file {path} is empty", f"write the key to {path}")
    return clean(_member(value, field, path) if field else value, f"the key file {path}", blanks, lines)


def _member(text: str, field: str, path: Path) -> str:
    """The text at ``field`` (``A.B``) of a file of JSON."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise absent(f"the key file {path} is not JSON", f"name a JSON file, or {path} without #") from None
    for name in field.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, str) or not found:
        raise absent(f"the key file {path} has no text at {field[:80]}", f"write the key to {path}")
    return found

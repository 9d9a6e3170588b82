"""Secret references: a setting names where a secret is, never the secret itself.

``env:NAME`` is a variable of the asking process, ``file:PATH`` a file only its owner may read (0600).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from boatwright import errors

_LONGEST = 64 * 1024
REFERENCE = r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:[^\x00\n]+)$"
"""What a reference looks like."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that no repr, log line or traceback shows. ``reveal()`` is the only way to it."""

    _value: str

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def reveal(self) -> str:
        return self._value


def resolve(reference: str, *, environment: Mapping[str, str]) -> Secret:
    """The secret behind ``reference``; ``errors.Parked`` (code ``credential``) with one sentence when it
    is not there.
    """
    kind, _, name = reference.partition(":")
    if kind == "env" and name:
        return _from_environment(name, environment)
    if kind == "file" and name:
        return _from_file(Path(name).expanduser())
    raise errors.BadInput(
        "a secret reference is written env:NAME or file:PATH",
        next_moves=("env:ANTHROPIC_API_KEY", "file:/path/to/key"),
    )


def is_file(reference: str) -> bool:
    """Whether any process of this host's user can resolve the reference by itself, without the caller's
    environment.
    """
    return reference.startswith("file:")


def _from_environment(name: str, environment: Mapping[str, str]) -> Secret:
    value = environment.get(name, "").strip()
    if not value:
        raise _absent(f"the key is missing: the variable {name} is not set", f"export {name}=…")
    return _clean(value, f"the variable {name}")


def _from_file(path: Path) -> Secret:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError as error:
        raise _absent(
            f"the key file {path} cannot be read ({error.strerror})", f"write the key to {path}"
        ) from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise _absent(f"the key file {path} is not a file", f"write the key to {path}")
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise _absent(f"the key file {path} is open to others", f"chmod 600 {path}")
        value = os.read(descriptor, _LONGEST).decode("utf-8", "replace").strip()
    finally:
        os.close(descriptor)
    if not value:
        raise _absent(f"the key file {path} is empty", f"write the key to {path}")
    return _clean(value, f"the key file {path}")


def _clean(value: str, where: str) -> Secret:
    if any(ord(char) < 0x21 or ord(char) > 0x7E for char in value):
        raise _absent(
            f"{where} holds something that is not a key (blanks or control characters)", "write the key alone"
        )
    return Secret(value)


def _absent(sentence: str, move: str) -> errors.Parked:
    return errors.Parked(sentence, code="credential", next_moves=(move, "boatwright resume EXECUTION"))

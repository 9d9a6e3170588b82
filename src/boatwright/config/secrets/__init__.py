"""Secret references: a setting names where a secret is, never the secret itself.

``env:NAME``              a variable of the asking process
``file:PATH``             a file only its owner may read (0600); ``file:PATH#A.B`` the text at ``A.B`` in one of JSON
``keyring:SERVICE/NAME``  the keyring of this user's desktop (extra ``keyring``)
``vault:PATH#FIELD``      a field of a key-value secret in Vault, version 1 or 2 (extra ``vault``)

All but ``env:``, and ``vault:`` with a token of the caller's own, can be resolved by any process of this user that
knows the *surroundings*: variables that say where things are and are no secret themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from boatwright import errors
from boatwright.config.secrets import files, keyrings, value, vault
from boatwright.config.secrets.value import Secret

__all__ = ["REFERENCE", "Secret", "check", "is_standalone", "resolve", "surroundings"]

REFERENCE = (
    r"^(env:[A-Za-z_][A-Za-z0-9_]*"
    r"|file:[^\x00\n]+"
    r"|keyring:[^/\x00-\x1f\x7f]{1,200}/[^\x00-\x1f\x7f]{1,200}"
    r"|vault:(?!.*\.\.)[A-Za-z0-9_.-]+(/[A-Za-z0-9_. @+-]+)+#[A-Za-z0-9_.-]{1,200})$"
)
"""What a reference looks like; anything else is refused without being repeated: it may be a key."""


def resolve(
    reference: str, *, environment: Mapping[str, str], blanks: bool = False, lines: bool = False
) -> Secret:
    """The secret behind ``reference``. Blocks: for a keyring or Vault up to some seconds.

    ``errors.Parked`` (code ``credential``), one sentence and the remedy, when it is not there, locked, out of reach,
    or holds what is no key. ``blanks`` lets a password have them, ``lines`` a key in PEM its lines; other control
    characters never pass.
    """
    check(reference)
    kind, _, name = reference.partition(":")
    if kind == "env":
        return files.from_environment(name, environment, blanks, lines)
    if kind == "file":
        path, _, field = name.partition("#")
        return files.from_file(Path(path).expanduser(), blanks, field, lines)
    if kind == "keyring":
        service, _, account = name.partition("/")
        found = keyrings.read(service, account, surroundings(reference, environment))
    else:
        path, _, field = name.partition("#")
        found = vault.read(path, field, environment)
    return value.clean(found, f"the secret {reference}", blanks, lines)


def check(reference: str) -> None:
    """Raises ``errors.BadInput`` for what is no reference."""
    if not re.match(REFERENCE, reference):
        raise errors.BadInput(
            "a secret reference is written env:NAME, file:PATH, file:PATH#FIELD, keyring:SERVICE/NAME or vault:PATH#FIELD",
            next_moves=("env:ANTHROPIC_API_KEY", "file:/path/to/key", "keyring:boatwright/anthropic"),
        )


def is_standalone(reference: str, environment: Mapping[str, str]) -> bool:
    """Whether any process of this host's user can resolve the reference by itself, given its surroundings."""
    kind = reference.partition(":")[0]
    return kind in {"file", "keyring"} or (kind == "vault" and not environment.get(vault.TOKEN))


def surroundings(reference: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that say where the source of ``reference`` is. None of them is a secret."""
    names = {"keyring": keyrings.SURROUNDINGS, "vault": vault.SURROUNDINGS}.get(
        reference.partition(":")[0], ()
    )
    return {name: environment[name] for name in names if environment.get(name)}

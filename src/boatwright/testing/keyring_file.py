"""A keyring for tests: a backend of the library ``keyring`` that keeps its entries in a plain file. Not for a secret.

Chosen by PYTHON_KEYRING_BACKEND=boatwright.testing.keyring_file.FileKeyring; the file is ``keyring.json`` in
XDG_DATA_HOME. It may also be locked, as the keyring of somebody who is not logged in is.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError

BACKEND = "boatwright.testing.keyring_file.FileKeyring"
_LOCKED = "locked"


class FileKeyring(KeyringBackend):
    """Entries are ``SERVICE/NAME``; one that is called ``locked`` locks them all."""

    priority = 1

    def get_password(self, service: str, username: str) -> str | None:
        held = self._read()
        if held.get(_LOCKED):
            raise KeyringLocked("the keyring is locked")
        return held.get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._write({**self._read(), f"{service}/{username}": password})

    def delete_password(self, service: str, username: str) -> None:
        held = self._read()
        if held.pop(f"{service}/{username}", None) is None:
            raise PasswordDeleteError("there is no such entry")
        self._write(held)

    def lock(self) -> None:
        self._write({**self._read(), _LOCKED: "yes"})

    @property
    def _file(self) -> Path:
        return Path(os.environ["XDG_DATA_HOME"]) / "keyring.json"

    def _read(self) -> dict[str, str]:
        try:
            return dict(json.loads(self._file.read_text("utf-8")))
        except FileNotFoundError:
            return {}

    def _write(self, held: dict[str, str]) -> None:
        self._file.write_text(json.dumps(held), "utf-8")
        self._file.chmod(0o600)

"""Secrets in the keyring of this user: asked in a process of its own.

A keyring that is locked may open a window and wait for ever, its library loads whatever backend is configured, and it
reads the variables of its process. So it gets a process that knows the surroundings and nothing else, and a time.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping

from boatwright.config.secrets.value import absent

SECONDS = 20.0
SURROUNDINGS = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "PYTHONPATH", "PYTHON_KEYRING_BACKEND", "DBUS_SESSION_BUS_ADDRESS",
    "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "DISPLAY", "WAYLAND_DISPLAY",
)  # fmt: skip
_INSTALL = "pip install 'boatwright[keyring]'"
_ASK = """
import json, sys
service, name = json.load(sys.stdin)
try:
    import keyring
    from keyring.errors import InitError, KeyringError, KeyringLocked, NoKeyringError
except ImportError:
    said = {"failed": "missing"}
else:
    try:
        said = {"value": keyring.get_password(service, name)}
    except NoKeyringError:
        said = {"failed": "none"}
    except (KeyringLocked, InitError):
        said = {"failed": "locked"}
    except KeyringError as error:
        said = {"failed": type(error).__name__}
sys.stdout.write(json.dumps(said))
"""


def read(service: str, name: str, surroundings: Mapping[str, str]) -> str:
    """What the keyring holds under ``service`` and ``name``; ``errors.Parked`` when it cannot be had."""
    said = _asked(service, name, surroundings)
    failed = said.get("failed")
    if failed == "missing":
        raise absent(
            f"the secret {_named(service, name)} needs the library keyring, which is not installed", _INSTALL
        )
    if failed == "none":
        raise absent(
            f"there is no keyring here for {_named(service, name)}: no service of a desktop answers this process",
            "name a file instead: file:PATH",
        )
    if failed == "locked":
        raise absent(f"the keyring that holds {_named(service, name)} is locked", "unlock the keyring")
    if failed:
        raise absent(
            f"the keyring could not be read for {_named(service, name)} ({failed})", "keyring diagnose"
        )
    value = said.get("value")
    if not isinstance(value, str) or not value.strip():
        raise absent(
            f"the keyring holds nothing under {_named(service, name)}", f"keyring set {service} {name}"
        )
    return value


def _asked(service: str, name: str, surroundings: Mapping[str, str]) -> dict[str, object]:
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _ASK],
            input=json.dumps([service, name]).encode(),
            env=dict(surroundings),
            cwd="/",
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
        return dict(json.loads(done.stdout))
    except subprocess.TimeoutExpired:
        return {"failed": "locked"}  # it waits for somebody to unlock it
    except (OSError, ValueError, TypeError):
        return {"failed": "its process broke"}


def _named(service: str, name: str) -> str:
    return f"keyring:{service}/{name}"

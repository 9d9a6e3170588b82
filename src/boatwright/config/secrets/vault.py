"""Secrets in HashiCorp Vault (or OpenBao): one field of a key-value secret, version 1 or 2.

Which of the two a mount is, Vault says itself, as it does to its own command line. The token is sent to the address
that was named and to no other: redirects are not followed, and proxies and ``.netrc`` are left alone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from boatwright import errors
from boatwright.config.secrets import files
from boatwright.config.secrets.value import Secret, absent

SECONDS = 10.0
TOKEN = "VAULT_TOKEN"  # noqa: S105 - a variable's name
_TOKEN_FILE = "VAULT_TOKEN_FILE"  # noqa: S105 - a variable's name
SURROUNDINGS = ("VAULT_ADDR", "VAULT_NAMESPACE", "VAULT_CACERT", _TOKEN_FILE, "HOME")
_INSTALL = "pip install 'boatwright[vault]'"


def read(path: str, field: str, environment: Mapping[str, str]) -> str:
    """The field of the secret at ``path`` (mount first); ``errors.Parked`` when it cannot be had."""
    named = f"vault:{path}#{field}"
    address = _address(environment, named)
    token = _token(environment)
    held = _secret(path, named, address, token, environment)
    found = held.get(field)
    if not isinstance(found, str):
        what = "has no field" if found is None else "holds something that is not text in the field"
        raise absent(f"the secret at {path} in Vault {what} {field}", f"vault kv put {path} {field}=…")
    return found


def _address(environment: Mapping[str, str], named: str) -> str:
    address = environment.get("VAULT_ADDR", "")
    if not address:
        raise absent(f"{named} cannot be asked for: VAULT_ADDR is not set", "export VAULT_ADDR=https://…")
    parts = urlsplit(address)
    plain = parts.scheme == "http" and _loopback(parts.hostname or "")
    if not parts.hostname or parts.username or parts.password or not (parts.scheme == "https" or plain):
        raise absent(
            "VAULT_ADDR must be https://HOST, or http:// on loopback, without user or password",
            "export VAULT_ADDR=https://…",
        )
    return address


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _token(environment: Mapping[str, str]) -> Secret:
    """The caller's own; else the file that is named; else where ``vault login`` leaves it."""
    if environment.get(TOKEN):
        return files.from_environment(TOKEN, environment)
    named = environment.get(_TOKEN_FILE)
    path = Path(named) if named else Path(environment.get("HOME") or "/nonexistent") / ".vault-token"
    try:
        return files.from_file(path)
    except errors.Parked as error:
        raise absent(f"there is no token for Vault: {error}", "vault login", *error.next_moves[:1]) from error


def _secret(
    path: str, named: str, address: str, token: Secret, environment: Mapping[str, str]
) -> Mapping[str, Any]:
    """All fields of one secret. Every failure of the libraries becomes a sentence here; theirs may quote what
    Vault answered, so it is not passed on.
    """
    try:
        import hvac  # noqa: PLC0415 - an extra
        import requests  # noqa: PLC0415 - comes with it
        from hvac import exceptions  # noqa: PLC0415
    except ImportError as error:
        raise absent(f"{named} needs the library hvac, which is not installed", _INSTALL) from error
    with requests.Session() as session:
        session.trust_env = False
        session.verify = environment.get("VAULT_CACERT") or True
        client = hvac.Client(
            url=address,
            token=token.reveal(),
            session=session,
            timeout=SECONDS,
            namespace=environment.get("VAULT_NAMESPACE") or None,
            allow_redirects=False,
        )
        try:
            return _read(client, path, exceptions.InvalidPath)
        except exceptions.InvalidPath:
            raise absent(f"Vault has nothing at {path}", f"vault kv get {path}") from None
        except (exceptions.Forbidden, exceptions.Unauthorized):
            raise absent(
                f"Vault does not let this token read {path}: it has expired, or no policy allows it",
                "vault login",
                f"vault kv get {path}",
            ) from None
        except exceptions.VaultDown:
            raise absent(f"Vault at {address} is sealed or down", "vault status") from None
        except requests.RequestException as error:
            why = (
                "its certificate is not trusted"
                if isinstance(error, requests.exceptions.SSLError)
                else "no answer"
            )
            raise absent(f"Vault at {address} cannot be reached ({why})", "vault status") from None
        except (exceptions.VaultError, ValueError, TypeError, KeyError, AttributeError):
            raise absent(
                f"Vault at {address} answered something else than the secret {path}", "vault status"
            ) from None


def _read(client: Any, path: str, nothing: type[Exception]) -> Mapping[str, Any]:
    mount, version = _mount(client, path, nothing)
    inner = path.strip("/").removeprefix(mount).strip("/")
    if not inner:
        raise nothing
    if version == "2":
        inner = inner.removeprefix("data/")  # as the address of the API spells it
        held = client.secrets.kv.v2.read_secret_version(
            inner, mount_point=mount, raise_on_deleted_version=True
        )
        return dict(held["data"]["data"])
    return dict(client.secrets.kv.v1.read_secret(inner, mount_point=mount)["data"])


def _mount(client: Any, path: str, nothing: type[Exception]) -> tuple[str, str]:
    """Where the mount of ``path`` ends and which version it speaks; a Vault too old to say has version 1."""
    try:
        said = client.adapter.get(f"/v1/sys/internal/ui/mounts/{path.strip('/')}")
    except nothing:
        return path.strip("/").partition("/")[0], "1"
    data = said["data"]
    options = data.get("options") or {}
    return str(data["path"]).strip("/"), str(options.get("version", "1"))

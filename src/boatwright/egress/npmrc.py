"""What npm keeps for registries in its files and never tells: tokens and passwords, by address.

Its files are the user's and the host's own, named by npm itself. They are read as npm reads them: the last line for a
name holds, what follows a ``[section]`` is none of npm's settings, and ``${NAME}`` stands for a variable.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from boatwright.config.secrets import Secret
from boatwright.egress.known_registries import Login
from boatwright.rules import destinations
from boatwright.values.route import Form

LARGEST = 1 << 20
_LINE = re.compile(r"(?P<key>[^=]+)(?:=(?P<value>.*))?\Z", re.S)
_VARIABLE = re.compile(r"(?<!\\)(?P<escapes>\\*)\$\{(?P<name>[^${}?]+)(?P<may>\?)?\}")
_KEY = re.compile(r"//(?P<place>[^/]+)(?P<path>/.*?)?:(?P<what>_authToken|_auth|username|_password)\Z")
_IN_ENVIRONMENT = re.compile(r"npm_config_(?P<key>//.+)\Z", re.I)
_SCOPE = re.compile(r"@[A-Za-z0-9._~-]+:registry\Z")
_PATH = re.compile(r"/[A-Za-z0-9/@!$&'()+,;=:._~-]*\Z")


def read(paths: Iterable[Path], environment: Mapping[str, str]) -> dict[str, str]:
    """The settings of registries' logins, by their whole names; of two files that name one, the first holds."""
    found: dict[str, str] = {}
    for name, value in environment.items():
        if matched := _IN_ENVIRONMENT.match(name):
            found.setdefault(matched["key"], value)
    for path in paths:
        for key, value in _settings(_text(path), environment).items():
            found.setdefault(key, value)
    return {key: value for key, value in found.items() if _KEY.match(key) and value}


def logins(settings: Mapping[str, str]) -> tuple[tuple[Login, ...], tuple[str, ...]]:
    """The logins, and a sentence for each that cannot be used. Of several for one address npm's order decides."""
    said: dict[tuple[str, str], dict[str, str]] = {}
    notes: list[str] = []
    for key, value in settings.items():
        matched = _KEY.match(key)
        assert matched is not None  # ``read`` takes nothing else
        where = _where(matched["place"], matched["path"] or "/")
        if where is None:
            notes.append("npm has a login for an address that the wire cannot hold a request against")
        else:
            said.setdefault(where, {})[matched["what"]] = value
    found: list[Login] = []
    for (place, path), what in said.items():
        login = _login(place, path, what)
        if any(_VARIABLE.search(value) for value in what.values()):
            notes.append(f"npm's login for {place}{path} names a variable that is not set, and is not used")
        elif login is None:
            notes.append(f"npm's login for {place}{path} cannot be read, and is not used")
        else:
            found.append(login)
    return tuple(found), tuple(dict.fromkeys(notes))


def _login(place: str, path: str, what: Mapping[str, str]) -> Login | None:
    if token := what.get("_authToken"):
        plain = token.isascii() and token.isprintable() and " " not in token
        return Login(place, path, Form.BEARER, Secret(token)) if plain else None
    if "_auth" in what:
        user, colon, password = _decoded(what["_auth"]).partition(":")
    else:
        user, colon, password = what.get("username", ""), ":", _decoded(what.get("_password", ""))
    fits = bool(colon and user and password) and (user + password).isprintable() and ":" not in user
    return Login(place, path, Form.BASIC, Secret(password), user) if fits else None


def _decoded(text: str) -> str:
    """Empty when it is no base64 of text."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return ""


def _where(place: str, path: str) -> tuple[str, str] | None:
    """Host and path as routes write them; None where a route could not."""
    name, port = destinations.split(place)
    host = destinations.canonical(name)
    odd = {".", ".."} & set(path.split("/"))
    if host is None or port == 0 or odd or _PATH.match(path) is None:
        return None
    host = f"[{host}]" if ":" in host else host
    return host if port == destinations.TLS_PORT else f"{host}:{port}", path


def scoped(scopes: Mapping[str, str]) -> bytes:
    """A file for npm in a bottle: which registry each scope is at, and no login."""
    lines = (f"{key}={json.dumps(value)}" for key, value in scopes.items() if _SCOPE.match(key))
    return "".join(f"{line}\n" for line in lines).encode()


# --- the files ---


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError:
        return ""
    return data.decode("utf-8", "replace") if len(data) <= LARGEST else ""


def _settings(text: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The lines before the first section."""
    found: dict[str, str] = {}
    for line in re.split(r"[\r\n]+", text):
        if line.startswith("["):
            break
        matched = None if line.lstrip()[:1] in {"", ";", "#"} else _LINE.match(line)
        if matched is not None and matched["value"] is not None:
            key, value = _bare(matched["key"]), _bare(matched["value"])
            found[_expanded(key, environment)] = _expanded(value, environment).strip()
    return found


def _bare(text: str) -> str:
    """A value without its quotes, or without the comment after it."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return _unquoted(text)
    kept: list[str] = []
    letters: Sequence[str] = re.findall(r"\\.|.", text)
    for letter in letters:
        if letter in {";", "#"}:
            break
        kept.append(letter[1] if letter in {"\\\\", "\\;", "\\#"} else letter)
    return "".join(kept).strip()


def _unquoted(text: str) -> str:
    inner = text[1:-1] if text[0] == "'" else text
    try:
        value = json.loads(inner)
    except ValueError:
        return inner
    return value if isinstance(value, str) else inner


def _expanded(text: str, environment: Mapping[str, str]) -> str:
    """``${NAME}`` as npm replaces it: one that is not set stays as it is written, ``${NAME?}`` becomes nothing."""

    def one(matched: re.Match[str]) -> str:
        escapes, name = matched["escapes"], matched["name"]
        if len(escapes) % 2:
            return matched[0][(len(escapes) + 1) // 2 :]
        value = environment.get(name, "" if matched["may"] else f"${{{name}}}")
        return escapes[len(escapes) // 2 :] + value

    return _VARIABLE.sub(one, text)

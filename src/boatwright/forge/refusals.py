"""What a forge's "no" means for people: one sentence, and what to do next.

What the forge wrote is untrusted: it is cut, its control characters are taken out, and whatever looks like a token goes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from boatwright import errors

_TOKENS = re.compile(r"\b(?:gh[pousr]_|github_pat_|glpat-|v1\.)[A-Za-z0-9_-]{8,}|\b(?:[bB]earer|token)\s+\S+")
_LONGEST = 200
DOCTOR = "boatwright doctor --forge"


def read(
    name: str, status: int, headers: Mapping[str, str], body: bytes, *, about: str = ""
) -> errors.BoatwrightError:
    """The error for an answer nobody expected. ``headers`` in lower case."""
    said, what = _words(body), about or "this"
    if status == 403 and "archived" in said.lower():
        status = 423
    if 300 <= status < 400:
        status = 300
    if status in _MEANS:
        return _MEANS[status](name, what, said, headers)
    if status >= 500:
        return errors.ForgeUnavailable(f"{name} failed at {what} ({status}){said}", subject=name)
    return errors.BadInput(f"{name} refuses what it was asked about {what} ({status}){said}", subject=what)


def _login(name: str, what: str, said: str, headers: Mapping[str, str]) -> errors.BoatwrightError:
    moves = ("put a valid token where 'forges' of settings.yml says", DOCTOR)
    return errors.Parked(
        f"{name} does not take our token{said}", code="credential", subject=name, next_moves=moves
    )


def _right(name: str, what: str, said: str, headers: Mapping[str, str]) -> errors.BoatwrightError:
    """The right it wants, where it names one: GitHub does, in headers."""
    wanted = headers.get("x-accepted-github-permissions") or headers.get("x-accepted-oauth-scopes")
    why = f"it wants the right {plain(wanted, 80)}" if wanted else "our token lacks the right"
    sentence = f"{name} does not let us do this to {what}: {why}{said}"
    return errors.Parked(sentence, code="forge_rights", subject=name, next_moves=(DOCTOR,))


def _absent(name: str, what: str, said: str, headers: Mapping[str, str]) -> errors.BoatwrightError:
    sentence = f"{what} is not to be found at {name}, or our token may not see it"
    return errors.NotFound(sentence, subject=what, next_moves=(DOCTOR,))


def _gone(name: str, what: str, said: str, headers: Mapping[str, str]) -> errors.BoatwrightError:
    return errors.NotFound(f"{what} is gone from {name}", subject=what, next_moves=(DOCTOR,))


def _clash(name: str, what: str, said: str, headers: Mapping[str, str]) -> errors.BoatwrightError:
    moves = ("look at it again, then try again",)
    sentence = f"{name} refuses to change {what} as it stands now{said}"
    return errors.Conflict(sentence, subject=what, next_moves=moves)


def _archived(name: str, what: str, said: str, headers: Mapping[str, str]) -> errors.BoatwrightError:
    moves = ("unarchive the repository, or take it out: boatwright repo remove",)
    sentence = f"{what} is archived at {name}: nothing in it can be changed"
    return errors.Refused(sentence, subject=what, next_moves=moves)


def _moved(name: str, what: str, said: str, headers: Mapping[str, str]) -> errors.BoatwrightError:
    moves = ("name the repository as the forge calls it now: boatwright repo add URL",)
    return errors.NotFound(f"{what} has moved at {name}", subject=what, next_moves=moves)


_MEANS: dict[int, Callable[[str, str, str, Mapping[str, str]], errors.BoatwrightError]] = {
    300: _moved, 401: _login, 403: _right, 404: _absent, 405: _clash, 406: _clash, 409: _clash, 410: _gone, 412: _clash,
    423: _archived,
}  # fmt: skip


def plain(text: str, longest: int = _LONGEST) -> str:
    """One short line of what a forge said, for a person."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    line = _TOKENS.sub("…", line)
    return line if len(line) <= longest else line[: longest - 1] + "…"


def message(body: bytes) -> str:
    """What the body says went wrong, if it says so as the forges do: ``message``, ``error`` and ``errors``."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(said, dict):
        return ""
    named = [said.get(key) for key in ("message", "error", "error_description")]
    several = said.get("errors")
    parts = [_flat(each) for each in (*named, *(several if isinstance(several, list) else ()))]
    return "; ".join(dict.fromkeys(part for part in parts if part))


def _flat(value: Any, depth: int = 3) -> str:
    """The words in a value, a few levels deep: forges nest them, each in its own way."""
    if isinstance(value, str):
        return value
    if not depth:
        return ""
    if isinstance(value, list):
        return ", ".join(_flat(each, depth - 1) for each in value[:5])
    if isinstance(value, dict):
        if isinstance(value.get("message"), str):
            return str(value["message"])
        return " ".join(_flat(each, depth - 1) for each in list(value.values())[:5])
    return ""


def _words(body: bytes) -> str:
    said = plain(message(body[:65_536]))
    return f" (it says: {said})" if said else ""

"""What git says where a server over HTTP refuses our login, or wants one: one sentence of ours, and what to do next.

Git's own lines are read, in English as every call has it; what the server says, behind ``remote:``, is never told.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from boatwright import errors

DOCTOR = "boatwright doctor --forge"
_REFUSED = re.compile(
    r"^(?:fatal: Authentication failed for |(?:error|fatal): .*The requested URL returned error: 401)", re.M
)
_ASKED = re.compile(r"^fatal: could not read (?:Username|Password) for ", re.M)
_THEIR_REASON = re.compile(r"^remote:.*(?:rate limit|abuse|suspended|archived|read-only)", re.M | re.I)
"""A 403 for a reason of the server's own, which its words say: no right is missing."""
_FORBIDDEN = re.compile(r"^(?:error|fatal): .*The requested URL returned error: 403", re.M)


class Kind(StrEnum):
    """What the server said no to."""

    LOGIN = "login"  # it knows no such login
    NONE = "none"  # it wants one, and was told none
    RIGHT = "right"  # whoever it is may not


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of it: ``verb`` of the repository at ``shown``, a URL without user or password. ``login``: whether we
    had one to say there; ``setting``: which part of settings.yml names it, empty where that is not known.
    """

    verb: str
    shown: str
    login: bool
    setting: str = ""


def kind(complaint: str) -> Kind | None:
    """What git complains of; None where that is something else."""
    for pattern, meant in ((_REFUSED, Kind.LOGIN), (_ASKED, Kind.NONE), (_FORBIDDEN, Kind.RIGHT)):
        if pattern.search(complaint):
            return None if meant is Kind.RIGHT and _THEIR_REASON.search(complaint) else meant
    return None


def refusal(complaint: str, asked: Asked) -> errors.Parked | None:
    """``errors.Parked`` (``credential``) to raise in the place of git's words. Not ``forge_rights``: that one's sentence is
    for everybody at the repository, and this one names an address and a part of settings.yml.
    """
    refused = kind(complaint)
    if refused is None:
        return None
    why, moves = _said(refused, asked) if asked.login else _unsaid(refused, asked)
    sentence = f"Could not {asked.verb} {asked.shown}: {why}."
    return errors.Parked(sentence, code="credential", subject=asked.shown, next_moves=moves)


def _said(refused: Kind, asked: Asked) -> tuple[str, tuple[str, ...]]:
    host, named = _host(asked), f"'{asked.setting or 'forges'}' of settings.yml"
    if refused is Kind.NONE:
        moved = "register the address it has now: boatwright repo add URL"
        why = f"{host} leads elsewhere for it, or wants another login than the one that {named} names for it"
        return why, (moved, DOCTOR)
    if refused is Kind.RIGHT:
        why = f"{host} takes our login, the one that {named} names, and does not let it do that (403)"
        return why, (DOCTOR, f"give the login of {named} access to it")
    valid = f"put a valid token, or the App's key, where {named} says"
    return f"{host} does not take our login, the one that {named} names", (valid, DOCTOR)


def _unsaid(refused: Kind, asked: Asked) -> tuple[str, tuple[str, ...]]:
    host = _host(asked)
    moves = (
        f"register it: boatwright repo add {asked.shown}",
        "name a token for its forge: forges: {KIND: {token: env:NAME}} in settings.yml",
        DOCTOR,
    )
    if refused is Kind.RIGHT:
        return f"{host} does not let us without a login (403)", moves
    return f"{host} wants a login for it, and none is known here; or there is no such repository", moves


def _host(asked: Asked) -> str:
    return urlsplit(asked.shown).netloc or "its server"

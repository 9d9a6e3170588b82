"""Tokens of the API: how one is read from a request, and whose it is."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from boatwright.values.register import ApiToken

MARK = "bwt_"
"""Every token begins so: what scans for secrets can know one."""
TOUCH = timedelta(minutes=1)
"""How exactly it is known when a token was used: a row is not written at each call."""
LONGEST = 200
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/=-]+) *", re.IGNORECASE)


def valid_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def digest(token: str) -> str:
    """SHA-256 in hex. A token has 256 random bits: there is nothing a slower hash would protect."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def bearer(header: str | None) -> str | None:
    """The token of an ``Authorization`` header (RFC 6750 §2.1); None where it holds none."""
    if header is None or len(header) > LONGEST:
        return None
    found = _BEARER.fullmatch(header)
    return found[1] if found else None


def holder(token: str, known: Iterable[ApiToken]) -> ApiToken | None:
    """Whose token it is. Every hash is compared whole, so that time says nothing about any; a revoked one is nobody's."""
    shown, found = digest(token), None
    for each in known:
        if hmac.compare_digest(shown, each.hash) and each.revoked is None:
            found = each
    return found


def stale(token: ApiToken, now: datetime) -> bool:
    """Whether its last use is to be written anew."""
    return token.used is None or now - token.used >= TOUCH

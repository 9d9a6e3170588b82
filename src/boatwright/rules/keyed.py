"""A request with a key of its sender: sent again, by a client that never read the answer, it is the execution of before."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from boatwright import errors

LONGEST = 200
SHAPE = r"^[ -~]+$"
"""Printable ASCII."""


@dataclass(frozen=True, slots=True)
class Key:
    """``digest`` tells the request that was sent under ``text`` from every other."""

    text: str
    digest: str


def key(text: str, asked: Mapping[str, object]) -> Key:
    """The key ``text`` of what is asked; what was left open counts as not said. ``errors.BadInput`` for what is no key."""
    if len(text) > LONGEST or not re.fullmatch(SHAPE[1:-1], text):
        raise errors.BadInput(
            f"a key is 1 to {LONGEST} printable ASCII characters",
            subject="key",
            next_moves=(
                "draw one for each request, such as a UUID, and send it again with the same request",
            ),
        )
    said = {name: part for name, part in asked.items() if part is not None and part is not False}
    words = json.dumps(said, sort_keys=True, default=list)
    return Key(text, hashlib.sha256(words.encode()).hexdigest())


def refuse_other(now: Key, digest: str, execution: str) -> None:
    """``errors.KeyTaken`` where ``execution`` was asked for under this key in other words."""
    if now.digest != digest:
        raise errors.KeyTaken(
            f"this key was sent with another request before, which is execution {execution}",
            subject=execution,
            next_moves=(f"boatwright show {execution}", "send another request under another key"),
        )

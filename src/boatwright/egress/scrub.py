"""A secret that a server says back does not get into a bottle: the answer ends where it would begin.

What is compared is the secret itself and the header's value as it was sent; a server that says it in another coding
is not found out.
"""

from __future__ import annotations

SHORTEST = 6
"""Shorter ones stand in any text by chance."""


class Echoed(Exception):
    """The secret stands in the answer."""


class Scrub:
    """Feed it an answer in pieces; what may be the beginning of the secret is held back until it is known."""

    def __init__(self, *secrets: str) -> None:
        words = (part for secret in secrets for part in (secret, secret.rpartition(" ")[2]))
        self._needles = tuple({word.encode() for word in words if len(word) >= SHORTEST})
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What of it may be shown now; ``Echoed`` when the secret is in it."""
        data = self._held + data if self._held else data
        if self.in_text(data):
            raise Echoed
        keep = max((_begun(data, needle) for needle in self._needles), default=0)
        self._held = data[len(data) - keep :] if keep else b""
        return data[: len(data) - keep] if keep else data

    def rest(self) -> bytes:
        """What was held back, at the end."""
        held, self._held = self._held, b""
        return held

    def in_text(self, data: bytes) -> bool:
        return any(needle in data for needle in self._needles)


def _begun(data: bytes, needle: bytes) -> int:
    """How many of the last bytes could be the secret's first."""
    tail = data[-(len(needle) - 1) :]
    at = tail.find(needle[:1])
    while at >= 0:
        if needle.startswith(tail[at:]):
            return len(tail) - at
        at = tail.find(needle[:1], at + 1)
    return 0

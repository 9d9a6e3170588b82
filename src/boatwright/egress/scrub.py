"""A secret that a server says back does not get into a bottle: the answer ends where it would begin.

What is compared is the secret itself and the header's value as it was sent, plain and as JSON escapes them; a server
that says it in another coding is not found out.
"""

from __future__ import annotations

import json

SHORTEST = 6
"""Shorter ones stand in any text by chance."""


class Echoed(Exception):
    """The secret stands in the answer."""


def spellings(secret: str) -> tuple[bytes, ...]:
    """The secret as text may hold it: plain, and as the string of a JSON document, with and without ``\\/``. The
    longest first; none of an empty one.
    """
    escaped = (json.dumps(secret, ensure_ascii=plain)[1:-1] for plain in (True, False))
    written = {secret, *(word for each in escaped for word in (each, each.replace("/", "\\/")))}
    return tuple(sorted((word.encode() for word in written if word), key=lambda word: (-len(word), word)))


def blot(data: bytes, words: tuple[bytes, ...]) -> bytes:
    """``data`` of the same length, with asterisks where one of ``words`` stood."""
    for word in words:
        data = data.replace(word, b"*" * len(word))
    return data


def needles(*secrets: str) -> tuple[bytes, ...]:
    """What a :class:`Scrub` looks for: each secret and its last word, in all spellings, but for the shortest."""
    words = (part for secret in secrets for part in (secret, secret.rpartition(" ")[2]))
    return tuple({each for word in words if len(word) >= SHORTEST for each in spellings(word)})


class Scrub:
    """Feed it an answer in pieces; what may be the beginning of a needle is held back until it is known."""

    def __init__(self, needles: tuple[bytes, ...]) -> None:
        self._needles = needles
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

"""Time and identity come in through parameters, so that tests are quick and repeatable."""

from __future__ import annotations

import os
import secrets
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The wall clock: aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, for durations."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class Ids(Protocol):
    def event_id(self) -> str:
        """A UUIDv7 (RFC 9562 §5.7): sorts by time of birth."""
        ...

    def execution_id(self) -> str:
        """``ex-`` and 12 lower-case characters: short enough to type, sorts by time of birth."""
        ...

    def token(self) -> str:
        """128 random bits in hex, for names nobody may guess."""
        ...


_BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford: no i, l, o, u to misread


class SystemIds:
    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()

    def event_id(self) -> str:
        milliseconds = int(self._clock.now().timestamp() * 1000)
        tail = int.from_bytes(os.urandom(10), "big")
        value = milliseconds << 80 | tail
        value = value & ~(0xF << 76) | 0x7 << 76
        value = value & ~(0x3 << 62) | 0x2 << 62
        text = f"{value:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def execution_id(self) -> str:
        value = int(self._clock.now().timestamp()) << 25 | secrets.randbits(25)
        digits = []
        for _ in range(12):
            value, digit = divmod(value, 32)
            digits.append(_BASE32[digit])
        return "ex-" + "".join(reversed(digits))

    def token(self) -> str:
        return secrets.token_hex(16)

"""What goes wrong between a forge and us, by order: answers that get lost, limits, storms."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Fault:
    """What happens to the next ``times`` requests that fit. ``status`` 0: the request is carried out and its answer is
    lost; any other: nothing is done and this is the answer. ``path`` is searched for in the path, as an expression.
    """

    status: int
    times: int = 1
    method: str = ""
    path: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = ""

    def fits(self, method: str, path: str) -> bool:
        return self.times > 0 and self.method in {"", method} and re.search(self.path, path) is not None


def secondary_limit(*, times: int = 1, seconds: int | None = None, method: str = "", path: str = "") -> Fault:
    """What GitHub answers to whoever asks too much in too short a time."""
    headers = {} if seconds is None else {"Retry-After": str(seconds)}
    words = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
    return Fault(403, times, method, path, headers, words)


def lost(*, times: int = 1, method: str = "", path: str = "") -> Fault:
    """Carried out, and nobody hears of it."""
    return Fault(0, times, method, path)


def storm(*, times: int, status: int = 503) -> Fault:
    """A server that is not well, whatever it is asked."""
    return Fault(status, times, message="no healthy upstream")


class Faults:
    """The faults of one server; in the order they were ordered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ordered: list[Fault] = []
        self._heard: set[str] = set()
        self.lose_each_once = False
        """Every request, told by its words, loses its first answer and none after it; git's own are left alone."""

    def order(self, *faults: Fault) -> None:
        with self._lock:
            self._ordered += faults

    def clear(self) -> None:
        """What was ordered and did not happen yet, does not."""
        with self._lock:
            self._ordered.clear()

    def meet(self, method: str, path: str, body: bytes) -> Fault | None:
        """The fault this request meets, counted down."""
        with self._lock:
            for fault in self._ordered:
                if fault.fits(method, path):
                    fault.times -= 1
                    return fault
            words = hashlib.sha256(b"\0".join((method.encode(), path.encode(), body))).hexdigest()
            if self.lose_each_once and ".git/" not in path and words not in self._heard:
                self._heard.add(words)
                return Fault(0)
            return None

"""The proxy's own answers. A refusal says why, in words for people and a code for programs, and what is
allowed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import h11

STATUS = {
    "invalid": 400,
    "unbounded": 400,
    "budget": 402,
    "price": 402,
    "frozen": 403,
    "model": 403,
    "denied": 403,
    "cut": 403,
    "upgrade": 426,  # what makes Codex ask again without a WebSocket, at once
    "unknown": 404,
    "replay": 409,
    "method": 405,
    "too_large": 413,
    "upstream": 502,
    "credential": 503,
    "store": 503,
    "busy": 503,
}


class Refused(Exception):
    """Answer the request with a refusal. ``target`` is what was asked for, when the refusal is worth a
    row.
    """

    def __init__(
        self,
        code: str,
        sentence: str,
        *,
        allowed: Sequence[str] = (),
        next_moves: Sequence[str] = (),
        target: str = "",
        exhausted: bool = False,
    ) -> None:
        super().__init__(sentence)
        self.code = code
        self.allowed = tuple(allowed)
        self.next_moves = tuple(next_moves)
        self.target = target
        self.exhausted = exhausted
        """Whether this call found a budget at its end: its wire is cut, and what holds its bottle is told."""

    @property
    def status(self) -> int:
        return STATUS[self.code]

    def body(self) -> bytes:
        """The shape both providers' clients read, and fields for programs."""
        error = {"type": f"boatwright_{self.code}", "code": self.code, "message": str(self)}
        if self.allowed:
            error["allowed"] = list(self.allowed)  # type: ignore[assignment]
        if self.next_moves:
            error["next_moves"] = list(self.next_moves)  # type: ignore[assignment]
        return json.dumps({"type": "error", "error": error}).encode()


def head(refused: Refused, length: int, *, close: bool) -> h11.Response:
    headers = [
        ("content-type", "application/json"),
        ("content-length", str(length)),
        ("x-boatwright", refused.code),
        ("x-should-retry", "false"),  # what the providers' own clients obey: asking again changes nothing
    ]
    if close:
        headers.append(("connection", "close"))
    return h11.Response(status_code=refused.status, headers=headers)

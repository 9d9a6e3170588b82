"""How the run of a program in a bottle ended, and whose turn it is then: the gates', a person's, or nobody's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from boatwright.agents import fence
from boatwright.agents.protocol import Stop
from boatwright.egress.wires import Denial
from boatwright.values.process import ExecResult, Limit

_REMARKS = 20
_PARKS = {
    "budget": Stop.BUDGET,
    "cut": Stop.BUDGET,
    "credential": Stop.CREDENTIAL,
    "price": Stop.MODEL_UNAVAILABLE,
    "frozen": Stop.MODEL_UNAVAILABLE,
    "unbounded": Stop.MODEL_UNAVAILABLE,
    "model": Stop.MODEL_UNAVAILABLE,
}
"""Refusals of the wire that end a round, the weightiest first. A denied host does not: agents carry on without it."""
_CREDENTIAL_EXITS = frozenset({("gemini", 41)})
"""Programs whose exit code alone says that they could not log in."""
_TURNED_DOWN = frozenset({401, 403})
"""Answers of a provider that are about the credential. No other than the wire's own is ever sent."""
_CREDENTIAL = (
    "authentication_error", "authenticationerror", "invalid_api_key", "invalid x-api-key", "401 unauthorized",
    "unauthenticated", "api_key_invalid", "api key not valid",
)  # fmt: skip


class Told:
    """What a run said of itself: its last words, how it ended in its own view, and remarks outside its protocol."""

    def __init__(self) -> None:
        self.last = ""
        self.failed: str | None = None
        self.remarks: list[str] = []

    def end(self, final: str | None, failed: str | None) -> None:
        if final is not None:
            self.last = final
            self.failed = None
        if failed is not None:
            self.failed = failed

    def remark(self, text: str) -> None:
        line = fence.line(text, 300)
        if line:
            self.remarks = [*self.remarks[1 - _REMARKS :], line]


@dataclass(frozen=True, slots=True)
class End:
    stop: Stop
    detail: str = ""
    moves: tuple[str, ...] = ()


def read(name: str, ended: ExecResult, heard: Told, refused: Sequence[Denial], last_status: int = 0) -> End:
    """The end of one run. What the wire refused, and what it saw the provider answer to the last call
    (``last_status``), count before what the program made of it.
    """
    for kind, stop in _PARKS.items():
        for denial in refused:
            if denial.kind == kind and (stop in {Stop.BUDGET, Stop.CREDENTIAL} or _went_wrong(ended, heard)):
                return End(stop, denial.reason)
    if ended.limit is Limit.WALL:
        return End(Stop.WALL_CLOCK, f"{name} was still at work when its time was up")
    if ended.limit is not None:
        return End(Stop.BOTTLE_LIMIT, f"{name} met the bottle's limit of {ended.limit}")
    if not _went_wrong(ended, heard):
        return End(Stop.FINISHED)
    said = fence.line(
        heard.failed or next(reversed(heard.remarks), "") or heard.last or "it said nothing", 300
    )
    turned_down = _turned_down(name, ended, said, last_status)
    if turned_down:
        return End(Stop.CREDENTIAL, f"the provider does not accept the credential: {turned_down}")
    return End(Stop.FAILED, f"{name} ended with exit code {ended.exit_code}: {said}")


def _turned_down(name: str, ended: ExecResult, said: str, last_status: int) -> str:
    """Why it is the credential that was turned down; empty when it was not. Words count where the wire saw nothing."""
    if last_status in _TURNED_DOWN:
        return f"it answered {last_status} to the last call ({name}: {said})"
    by_words = any(word in said.lower() for word in _CREDENTIAL)
    return said if by_words or (name, ended.exit_code) in _CREDENTIAL_EXITS else ""


def _went_wrong(ended: ExecResult, heard: Told) -> bool:
    return ended.exit_code != 0 or heard.failed is not None

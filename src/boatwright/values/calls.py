"""What an agent may ask of the forge its work is on, and what one such call is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum


class ForgeCalls(StrEnum):
    """How far an agent's calls go: nowhere, reading and its own end, or writing where it works as well."""

    NONE = "none"
    READ = "read"
    WRITE = "write"

    @property
    def width(self) -> int:
        return list(ForgeCalls).index(self)

    def narrower(self, other: ForgeCalls) -> ForgeCalls:
        """Whichever of the two goes less far."""
        return min(self, other, key=lambda each: each.width)


class CallKind(StrEnum):
    READ_ISSUE = "read_issue"
    READ_PULL = "read_pr"
    READ_COMMENTS = "read_comments"
    POST_COMMENT = "post_comment"
    UPDATE_DESCRIPTION = "update_description"
    SIGNAL_DONE = "signal_done"

    @property
    def writes(self) -> bool:
        """Whether people see it at the forge."""
        return self in {CallKind.POST_COMMENT, CallKind.UPDATE_DESCRIPTION}


@dataclass(frozen=True, slots=True)
class ForgeCall:
    """One call. ``text`` is the agent's own and untrusted; ``status`` is of ``signal_done`` alone."""

    kind: CallKind
    number: int = 0
    text: str = ""
    status: str = ""

    @property
    def digest(self) -> str:
        """The same call again has the same one."""
        said = "\0".join((self.kind, str(self.number), self.status, self.text))
        return hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()


@dataclass(frozen=True, slots=True)
class Signal:
    """What an agent says of its round's end: ``done`` or ``blocked``, and why."""

    status: str
    summary: str

    @property
    def blocked(self) -> bool:
        return self.status == "blocked"

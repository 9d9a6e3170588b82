"""What an agent may do at its forge, and how its words look there. Agents' words are untrusted, and so are people's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from boatwright.rules import plain
from boatwright.values.calls import CallKind, ForgeCall, ForgeCalls

TEXT_CAP, SUMMARY_CAP = 8_000, 2_000
"""Characters of what an agent writes: a comment or a description, and the words of its end."""
READ_CAP, COMMENT_CAP, MOST_COMMENTS = 20_000, 4_000, 100
"""Characters of a description and of one comment that an agent is told, and how many comments: the newest."""
MOST_CALLS = 300
"""Calls of one wire."""
STATUSES = ("done", "blocked")
WITHHELD = "[left out: its author may not write to this repository]"
_OPEN, _CLOSE = "<!-- boatwright-agent -->", "<!-- /boatwright-agent -->"
_SECTION = re.compile(rf"\n*{re.escape(_OPEN)}.*?{re.escape(_CLOSE)}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Scope:
    """What one execution is about: its issue, and the pull requests it opened."""

    calls: ForgeCalls
    issue: int | None = None
    pulls: tuple[int, ...] = ()
    ends: bool = True
    """Whether the agent's word ends its run. At a terminal a person does."""

    @property
    def writable(self) -> tuple[int, ...]:
        return (*((self.issue,) if self.issue is not None else ()), *self.pulls)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call is not made: one word for the record, and a sentence for the agent."""

    code: str
    sentence: str


def refusal(scope: Scope, call: ForgeCall, made: int) -> Refusal | None:
    """Why this call is refused before anything is asked or read; None: it may be made. ``made``: calls before it."""
    if call.kind is CallKind.SIGNAL_DONE:  # whoever may say nothing else may still say this
        return (
            _of_an_end(call)
            if scope.ends
            else Refusal("terminal", "the person at your terminal ends this; tell them")
        )
    if made >= MOST_CALLS:
        return Refusal("too_many", f"{MOST_CALLS} calls were made already; go on without")
    if not 0 < call.number < 1 << 31:
        return Refusal("number", "that is no number of an issue or a pull request")
    return _of_writing(scope, call) if call.kind.writes else None


def _of_an_end(call: ForgeCall) -> Refusal | None:
    if call.status not in STATUSES:
        return Refusal("status", f"the status is one of {', '.join(STATUSES)}")
    if call.status == "blocked" and not plain.printable(call.text).strip():
        return Refusal("empty", "say in the summary what blocks you")
    return _too_long(call, SUMMARY_CAP, "summary")


def _of_writing(scope: Scope, call: ForgeCall) -> Refusal | None:
    if scope.calls is not ForgeCalls.WRITE:
        return Refusal("read_only", "this place lets you read at the forge, and write nothing there")
    if call.number not in scope.writable:
        own = ", ".join(map(str, scope.writable)) or "nothing"
        return Refusal("other_number", f"you may write to {own} alone, not to {call.number}")
    if not plain.printable(call.text).strip():
        return Refusal("empty", "the text is empty")
    return _too_long(call, TEXT_CAP, "text")


def _too_long(call: ForgeCall, cap: int, what: str) -> Refusal | None:
    if len(call.text) <= cap:
        return None
    return Refusal("too_long", f"the {what} has {len(call.text):,} characters; at most {cap:,} are taken")


# --- what an agent writes ---


def comment(text: str, execution: str) -> str:
    """An agent's comment as people read it: whose words they are comes first."""
    return f"> The agent of `{execution}` writes:\n\n{plain.paragraphs(text)}"


def described(body: str, text: str, execution: str) -> str:
    """A description with the agent's section, in place of the one it had; what people wrote stays as it is."""
    section = f"{_OPEN}\n> The agent of `{execution}` adds:\n\n{plain.paragraphs(text)}\n{_CLOSE}"
    return "\n\n".join(part for part in (_SECTION.sub("", body).rstrip(), section) if part)


def kept(before: str, body: str, longest: int) -> str:
    """A description that is written anew, with the agent's section of the one before it, if ``longest`` characters hold
    both.
    """
    found = _SECTION.search(before)
    both = body if found is None else f"{body.rstrip()}\n\n{found[0].strip()}"
    return both if len(both) <= longest else body


def without(body: str) -> str:
    """A description without the agent's section: what people asked for, and nothing else."""
    return _SECTION.sub("", body).rstrip() if _SECTION.search(body) else body


# --- what an agent reads ---


@dataclass(frozen=True, slots=True)
class Topic:
    """An issue or a pull request, as much of it as an agent is told. ``trusted``: its author may write, or somebody
    who may has asked for exactly this text.
    """

    kind: str
    number: int
    state: str
    author: str
    title: str
    body: str
    trusted: bool
    more: tuple[str, ...] = ()
    """Further lines of ours."""


@dataclass(frozen=True, slots=True)
class Remark:
    author: str
    body: str
    trusted: bool


def topic(said: Topic) -> str:
    """An issue or a pull request, fenced."""
    head = [f"{said.kind} {said.number} ({said.state}) by {_name(said.author)}", *said.more]
    if not said.trusted:
        return "\n".join([*head, WITHHELD])
    words = f"{said.title}\n\n{said.body}".rstrip()
    return "\n".join([*head, plain.quoted(f"{said.kind} {said.number}", words, READ_CAP)])


def remarks(number: int, said: Sequence[Remark]) -> str:
    """The newest comments, oldest first, each fenced by itself."""
    if not said:
        return f"nobody has commented on {number}"
    shown = said[-MOST_COMMENTS:]
    left = [f"({len(said) - len(shown)} older comments are left out)"] if len(shown) < len(said) else []
    return "\n".join([*left, *map(_remark, shown)])


def _remark(said: Remark) -> str:
    name = _name(said.author)
    return (
        plain.quoted(f"comment by {name}", said.body, COMMENT_CAP)
        if said.trusted
        else f"comment by {name}: {WITHHELD}"
    )


def _name(login: str) -> str:
    """A login on one line: it stands outside the fence."""
    return re.sub(r"[^A-Za-z0-9._@\[\]-]", "?", login)[:80] or "somebody"

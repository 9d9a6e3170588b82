"""What something that happened on a forge asks of us, before anybody has looked whether the asker may."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from boatwright.values.incoming import IssueText
from boatwright.values.skipping import Skip


class Verb(StrEnum):
    """What ``/boatwright VERB`` in a comment may say."""

    STOP = "stop"
    RETRY = "retry"
    PLAN = "plan"
    BUDGET = "budget"
    APPROVE = "approve"
    EXPLAIN = "explain"


@dataclass(frozen=True, slots=True)
class Start:
    """Begin work on an issue. ``agent`` and ``bottles`` as its labels name them.

    ``assignees``: whose membership lets the request stand where the trigger label was not used; else it is empty.
    ``created``: when it was asked for, by the forge's clock, where that tells.
    """

    number: int
    title: str
    body: str
    by: str
    agent: str | None = None
    bottles: tuple[str, ...] | None = None
    assignees: tuple[str, ...] = ()
    only_plan: bool = False
    created: datetime | None = None


@dataclass(frozen=True, slots=True)
class Say:
    """A person's words about a pull request of ours. ``key`` tells the same words from others."""

    number: int
    by: str
    text: str
    key: str
    path: str = ""
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """``/boatwright VERB ARGUMENT`` in the comment of that id."""

    verb: Verb
    argument: str
    number: int
    on_pull: bool
    comment: str
    by: str
    created: datetime | None = None
    issue: IssueText | None = None


@dataclass(frozen=True, slots=True)
class Misspoken:
    """``/boatwright WORDS`` that is no command, or one without what it needs (``verb``): ``why`` nothing can be done."""

    words: str
    verb: Verb | None
    number: int
    on_pull: bool
    comment: str
    by: str
    why: Skip
    created: datetime | None = None


@dataclass(frozen=True, slots=True)
class Decide:
    """A pull request was closed or merged."""

    number: int
    merged: bool
    commit: str
    by: str


@dataclass(frozen=True, slots=True)
class Look:
    """A check of somebody else's ended on a commit: whatever was said of it, its forge is asked."""

    commit: str
    about: str


@dataclass(frozen=True, slots=True)
class Revisit:
    """Somebody else may have moved a branch: whatever was said of that, its forge is asked."""

    branch: str


@dataclass(frozen=True, slots=True)
class Note:
    """Nothing to do but to know it."""

    about: str


@dataclass(frozen=True, slots=True)
class Move:
    """The repository is found under another path from now on."""

    old: str
    new: str


Order = Start | Say | Command | Misspoken | Decide | Look | Revisit | Note | Move

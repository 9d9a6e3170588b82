"""What happened on a forge, in one form for all of them: the few fields that decide something. All text is untrusted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class IssueAction(StrEnum):
    OPENED = "opened"
    LABELLED = "labelled"  # labels changed: some are new, or none is
    UNLABELLED = "unlabelled"
    ASSIGNED = "assigned"
    UNASSIGNED = "unassigned"
    EDITED = "edited"
    CLOSED = "closed"
    REOPENED = "reopened"
    LISTED = "listed"  # nothing said that it changed: it was looked at


class PullAction(StrEnum):
    OPENED = "opened"
    REOPENED = "reopened"
    SYNCHRONIZED = "synchronized"
    READY = "ready"
    CLOSED = "closed"
    MERGED = "merged"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where it happened and who did it. ``path`` is ``owner/name`` as the forge spells it today."""

    forge: str
    path: str
    sender: str
    is_bot: bool = False


@dataclass(frozen=True, slots=True)
class IssueChanged:
    """An issue as it stands after the change.

    ``added``: labels that this change added, where the forge says so; None where only the result is known.
    ``changed``: when, by the forge's clock; None where it does not say.
    """

    at: Origin
    action: IssueAction
    number: int
    title: str
    body: str
    author: str
    is_open: bool
    labels: tuple[str, ...]
    assignees: tuple[str, ...]
    added: tuple[str, ...] | None = None
    changed: datetime | None = None


@dataclass(frozen=True, slots=True)
class IssueText:
    """What an issue said at that moment."""

    title: str
    body: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Commented:
    """A new comment on an issue, or on a pull request (``on_pull``); ``path`` and ``line`` where it is about a line."""

    at: Origin
    number: int
    on_pull: bool
    comment: str
    author: str
    text: str
    path: str = ""
    line: int | None = None
    created: datetime | None = None
    issue: IssueText | None = None


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A review was submitted. ``verdict`` is ``approved``, ``changes_requested`` or ``commented``."""

    at: Origin
    number: int
    review: str
    verdict: str
    author: str
    text: str
    commit: str


@dataclass(frozen=True, slots=True)
class PullChanged:
    """A pull request. ``head`` is a commit; ``merged_commit`` the one that stands in the base, once it is merged."""

    at: Origin
    action: PullAction
    number: int
    branch: str
    base_ref: str
    head: str
    from_fork: bool
    merged_commit: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """A check, a status, a pipeline or a workflow run has ended on a commit."""

    at: Origin
    kind: str
    check: str
    name: str
    commit: str
    branch: str
    conclusion: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Pushed:
    at: Origin
    ref: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Moved:
    """A repository has another path: renamed, or transferred. ``at.path`` is the new one."""

    at: Origin
    old: str


@dataclass(frozen=True, slots=True)
class Installed:
    """What an App may reach has changed. ``paths`` are the repositories it is about, as far as they are named."""

    at: Origin
    action: str
    installation: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pinged:
    """The forge tries whether we hear."""

    at: Origin


Happening = IssueChanged | Commented | Reviewed | PullChanged | Checked | Pushed | Moved | Installed | Pinged

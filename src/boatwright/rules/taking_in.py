"""What others pushed to our branch: whether they did, what of the result is theirs, and what people and agents are told.

Only people and programs with write permission can push to a branch of the repository. A head that is in no record of
ours is theirs. An agent has no such permission; but the repository's own CI may have it, and run what the agent wrote.
So what others pushed to a path that agents may not change waits for a person's approval of that very commit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from boatwright.rules import plain
from boatwright.rules.saying import one_line
from boatwright.values.event import Event
from boatwright.values.events import (
    BranchPushed,
    BuildCompleted,
    BuildStarted,
    CommandReceived,
    DeliverableCreated,
    EffectIntended,
    FeatureDelivered,
    Payload,
    PushMergedIn,
    StepCompleted,
)
from boatwright.values.finding import Finding

PUSHED = "pushed"
"""The inbox row of a turn that goes on with what others pushed while the last one was about to."""
MOST_IN_A_ROW = 3
"""Turns that others' pushes may end before people are asked to hold still."""
GONE = ("000000", "0" * 40)
"""The form of a path that is not there."""
Form = tuple[str, str]
"""Mode and object of a path."""
_SHOWN = 10


class Change(Protocol):
    """One path of a change, as git tells it."""

    @property
    def path(self) -> str: ...

    @property
    def renamed_from(self) -> str | None: ...

    @property
    def new_mode(self) -> str: ...

    @property
    def new_oid(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Standing:
    """Our branch by the record: its name, the head our work accounts for, and every head that nobody else made.

    Not pushed and nothing meant to be: no head at all.
    """

    branch: str = ""
    head: str = ""
    ours: tuple[str, ...] = ()

    def theirs(self, there: str | None) -> bool:
        """Whether the branch stands where somebody else put it. A branch that is gone was not moved."""
        return bool(self.ours) and there is not None and there not in self.ours


def standing(history: Iterable[Event]) -> Standing:
    """Where the branch may stand if nobody else moved it: at the last head that was pushed or taken in, or at one
    that a push of ours was meant to bring there since (its outcome may be lost with who was killed).
    """
    branch, head = "", ""
    ours: list[str] = []
    for event in history:
        payload = event.payload
        if isinstance(payload, EffectIntended) and payload.effect == "push":
            branch, _, commit = payload.target.rpartition("@")
            ours.append(commit)
        elif isinstance(payload, BranchPushed):
            branch, head, ours = payload.branch, payload.commit, [payload.commit]
        elif isinstance(payload, PushMergedIn):
            branch, head, ours = payload.branch, payload.head, [payload.head]
    return Standing(branch, head or (ours[0] if ours else ""), tuple(dict.fromkeys(ours)))


def made_by_us(history: Iterable[Event]) -> frozenset[str]:
    """Every commit we pushed, or meant to."""
    found: set[str] = set()
    for event in history:
        payload = event.payload
        if isinstance(payload, BranchPushed):
            found.add(payload.commit)
        elif isinstance(payload, EffectIntended) and payload.effect == "push":
            found.add(payload.target.rpartition("@")[2])
    return frozenset(found - taken_heads(history))


def taken_heads(history: Iterable[Event]) -> frozenset[str]:
    """Heads that others made and that were taken in. One of them may be the deliverable itself, and is still theirs."""
    return frozenset(merged.head for merged in merges(history))


def merges(history: Iterable[Event]) -> tuple[PushMergedIn, ...]:
    return tuple(event.payload for event in history if isinstance(event.payload, PushMergedIn))


def saved(history: Iterable[Event]) -> str:
    """The commit the work goes on from: the newest step, or the merge that came after it. Empty: nothing is saved."""
    commit = ""
    for event in history:
        if isinstance(event.payload, StepCompleted | PushMergedIn):
            commit = event.payload.commit
    return commit


def merged_since(history: Iterable[Event], number: int) -> PushMergedIn | None:
    """The newest merge after gate round ``number`` ended; None when what the round left is what stands."""
    merged = None
    for event in history:
        if isinstance(event.payload, BuildCompleted) and event.payload.round == number:
            merged = None
        elif isinstance(event.payload, PushMergedIn):
            merged = event.payload
    return merged


def untold(history: Iterable[Event]) -> tuple[PushMergedIn, ...]:
    """Merges that no saved step of an agent has been told of: those after the last prompt that led to one."""
    waiting: list[PushMergedIn] = []
    prompted = 0
    for event in history:
        if isinstance(event.payload, PushMergedIn):
            waiting.append(event.payload)
        elif isinstance(event.payload, BuildStarted):
            prompted = len(waiting)
        elif isinstance(event.payload, StepCompleted):
            waiting, prompted = waiting[prompted:], 0
    return tuple(waiting)


def conflicted(history: Iterable[Event]) -> tuple[PushMergedIn, ...]:
    """Merges with markers since the last push: what was pushed holds none."""
    found: list[PushMergedIn] = []
    for event in history:
        if isinstance(event.payload, BranchPushed):
            found.clear()
        elif isinstance(event.payload, PushMergedIn) and event.payload.conflicts:
            found.append(event.payload)
    return tuple(found)


def may_go_on(history: Iterable[Event]) -> bool:
    """Whether one more turn may end for a push of others: so many in a row, then a person says when."""
    times = 0
    for event in history:
        if isinstance(event.payload, FeatureDelivered):
            times = 0
        elif isinstance(event.payload, CommandReceived):
            times = times + 1 if event.payload.kind == PUSHED else 0
    return times < MOST_IN_A_ROW


# --- whose change it is ------------------------------------------------------------------------------------

C = TypeVar("C", bound=Change)


def forms(pushes: Iterable[Iterable[Change]]) -> dict[str, Form]:
    """What others' pushes, oldest first, each made of the paths they changed: the newest word on a path counts."""
    found: dict[str, Form] = {}
    for push in pushes:
        for change in push:
            if change.renamed_from:
                found[change.renamed_from] = GONE
            found[change.path] = (change.new_mode, change.new_oid)
    return found


def sorted_out(changes: Iterable[C], theirs: Mapping[str, Form]) -> tuple[tuple[C, ...], tuple[C, ...]]:
    """The changes an agent answers for, and those that are exactly as somebody else pushed them.

    A path that an agent touched after them, or that they left as an agent had it, is the agent's.
    """
    agents: list[C] = []
    others: list[C] = []
    for change in changes:
        (others if _is_theirs(change, theirs) else agents).append(change)
    return tuple(agents), tuple(others)


def _is_theirs(change: Change, theirs: Mapping[str, Form]) -> bool:
    if theirs.get(change.path) != (change.new_mode, change.new_oid):
        return False
    return not change.renamed_from or theirs.get(change.renamed_from) == GONE


def of_others(findings: Iterable[Finding], *, approved: bool) -> tuple[Finding, ...]:
    """What an agent would be refused for and others pushed: it keeps the pull request a draft, until a person has
    ``approved`` exactly this commit. Who they are the forge does not prove: a program of the repository may have run
    what the agent wrote.
    """
    fix = "look at it before merging"
    if not approved:
        fix = "leave it as others pushed it; a person looks at it, and approves this commit (boatwright pr approve)"
    return tuple(
        finding.model_copy(
            update={
                "rule": f"others changed it: {finding.rule}",
                "observed": f"{finding.observed}, as others pushed it",
                "fix": fix,
                "blocking": not approved,
            }
        )
        for finding in findings
    )


MARKERS = "conflict markers are left"


def unresolved(paths: Collection[str]) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            rule=MARKERS,
            observed=plain.name(path),
            limit="what others pushed and the agent's own work, made one",
            fix="resolve the conflict in this file and take the markers out",
            path=path,
        )
        for path in sorted(set(paths))
    )


def left_markers(findings: Iterable[Finding]) -> tuple[str, ...]:
    """The files with markers that these findings name."""
    return tuple(finding.path for finding in findings if finding.rule == MARKERS)


# --- what is said ------------------------------------------------------------------------------------------


def note(merged: Sequence[PushMergedIn]) -> str:
    """What the agent reads of merges it does not know; empty when there are none."""
    if not merged:
        return ""
    who = tuple(dict.fromkeys(author for each in merged for author in each.authors))
    conflicts = tuple(dict.fromkeys(path for each in merged for path in each.conflicts))
    parts = [
        "People pushed to this branch since your last saved step. The workspace holds their work merged with yours: "
        "keep what they did, and do not take any of it back."
    ]
    if who:
        parts.append(plain.quoted("who pushed", "\n".join(who), 2_000))
    if conflicts:
        parts.append(
            "Their work and yours change the same lines. These files hold conflict markers: from <<<<<<< to ======= "
            "is your version, from ======= to >>>>>>> is theirs. Resolve each so that both hold; where that cannot "
            "be, theirs wins. Leave no marker."
        )
        parts.append(plain.quoted("files in conflict", "\n".join(conflicts), 8_000))
    return "\n\n".join(parts)


def counted(merged: PushMergedIn) -> str:
    """How many commits, in a clause."""
    one = merged.commits == 1
    return f"{merged.commits} commit{'' if one else 's'} of others on the branch {'was' if one else 'were'} taken in"


def sentence(merged: PushMergedIn | None) -> str:
    """What people read on the pull request; empty when nobody else pushed."""
    if merged is None or not merged.commits:
        return ""
    who = ", ".join(plain.line(author, 60) for author in merged.authors[:_SHOWN])
    return f"{counted(merged)} ({who})." if who else f"{counted(merged)}."


def not_ours(payload: Payload, theirs: Collection[str]) -> str | None:
    """What the log says in place of words that would call one of these heads ours; None where it is ours."""
    if isinstance(payload, DeliverableCreated) and payload.commit in theirs:
        return f"added nothing to {payload.commit[:12]}, which others pushed"
    if isinstance(payload, BranchPushed) and payload.commit in theirs:
        return f"left {one_line(payload.branch, 120)} at {payload.commit[:12]}, as others pushed it"
    return None


NOT_PROVEN = "**Not proven** at "
"""How a notice begins, on the pull request and on the issue."""


def moved(head: str, ours: str, execution: str) -> str:
    """The first lines of the living comment after somebody moved a head that nobody works on."""
    return (
        f"{NOT_PROVEN}{plain.code(head[:12])}: the branch was moved there by somebody else. What is said below is about "
        f"{plain.code(ours[:12])}. A comment here, or {plain.code(f'boatwright retry {execution}')}, takes it in and "
        "proves it."
    )


def with_notice(body: str, notice: str) -> str:
    """The comment with that notice first, in place of one it had."""
    return f"{notice}\n\n{without_notice(body)}"


def without_notice(body: str) -> str:
    """The comment as it was before somebody moved the head."""
    return body.partition("\n\n")[2] if body.startswith(NOT_PROVEN) else body


def listed(paths: Sequence[str]) -> str:
    """Paths in one clause, cut when there are many."""
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(plain.name(path) for path in paths[:_SHOWN]) + more

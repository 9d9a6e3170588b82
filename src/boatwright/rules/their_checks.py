"""The people's own checks on a commit of ours: what they mean, and what they ask of us.

A check that failed on the delivered commit asks for another turn, once a commit. Required checks that have all passed
make a pull request ready that waited for them. Everything else asks for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase

from boatwright.rules import plain
from boatwright.values.checks import Standing, TheirCheck
from boatwright.values.event import Event
from boatwright.values.events import (
    BuildStarted,
    ChecksFailed,
    CommandReceived,
    FeatureDelivered,
    FeatureParked,
)
from boatwright.values.execution import ExecutionView
from boatwright.values.state import State

KIND = "checks"
"""Of the inbox row that wakes a turn for them."""
OURS = "boatwright/"
"""How the names of our own checks begin."""
CODE = "their_ci"
PAUSES = (timedelta(0), *(timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 360)))
"""After each row of a commit that came to nothing, so long until the next; the last pause stays. A forge that is away for
an hour, or a day, does not use up all the times there are.
"""
MOST_TIMES = 20
"""So often a row of the same commit may come to nothing: a check that comes and goes is not followed for ever."""
GATHERING = timedelta(minutes=15)
"""So long after a delivery more checks of its commit are to be expected."""
AGAIN = timedelta(hours=1)
"""So long a commit whose checks have settled is left alone: one more may have come late."""
FRESH = timedelta(days=1)
"""So long after it was delivered a commit nobody waits with is looked at, where no webhook tells of it."""
OVERDUE = timedelta(hours=2)
"""So long after a delivery a required check that nobody has set is said to be missing. It is looked for all the same."""
UNREPORTED = "checks.unreported:"
"""How the key of the event begins that this was said of a commit."""
_PASSED = frozenset({"success", "passed", "neutral", "skipped"})
_FAILED = frozenset({"failure", "failed", "error", "timed_out", "startup_failure"})
_VOID = frozenset({"cancelled", "canceled", "stale", "warning", "action_required", "manual"})
_PERSONS = frozenset({"comment", "retry", "approve", "resume", "raise", "request"})
_BY_ITSELF = "return:"
"""How the keys of rows begin that go on with work whose forge was away: no person sent them."""
_NAMED = 5


class Found(StrEnum):
    """What a look at the checks of a delivered commit asks for."""

    NOTHING = "nothing"
    FAILED = "failed"
    PASSED = "passed"


def standing(conclusion: str) -> Standing:
    """A forge's word for how a check stands. One that nobody has heard of has not ended."""
    word = conclusion.lower()
    if word in _PASSED:
        return Standing.PASSED
    if word in _FAILED:
        return Standing.FAILED
    return Standing.VOID if word in _VOID else Standing.WAITING


def is_ours(name: str) -> bool:
    return name.startswith(OURS)


def failed(checks: Iterable[TheirCheck]) -> tuple[TheirCheck, ...]:
    return tuple(check for check in checks if check.standing is Standing.FAILED and not is_ours(check.name))


def waited_for(required: Iterable[str], checks: Sequence[TheirCheck]) -> tuple[str, ...]:
    """Those of the required names that are not ours and have not passed. A name may be a pattern (``ci/*``).

    Of one name there may be several checks: each has to pass. One that nobody has set yet has not.
    """
    wanted = [name for name in dict.fromkeys(required) if not is_ours(name)]
    return tuple(name for name in wanted if not _has_passed([c for c in checks if _is_named(name, c.name)]))


def _has_passed(checks: Sequence[TheirCheck]) -> bool:
    return bool(checks) and all(check.standing is Standing.PASSED for check in checks)


def _is_named(pattern: str, name: str) -> bool:
    return name == pattern or fnmatchcase(name, pattern)


def found(checks: Sequence[TheirCheck], *, waits: Sequence[str], told: bool) -> Found:
    """``waits``: the required checks its pull request waits for; ``told``: failures of the commit were taken up before."""
    if not told and failed(checks):
        return Found.FAILED
    if waits and not waited_for(waits, checks):
        return Found.PASSED
    return Found.NOTHING


def have_settled(checks: Sequence[TheirCheck], *, waits: Sequence[str], age: timedelta) -> bool:
    """Whether nothing more is to be expected: all have ended, none has failed, and nothing waits.

    ``age``: how long ago their commit was delivered. In the first minutes a quick check has passed before others exist.
    """
    if age < GATHERING:
        return False
    ended = [check for check in checks if check.standing in {Standing.PASSED, Standing.VOID}]
    return bool(checks) and len(ended) == len(checks) and not waits


def is_watched(view: ExecutionView) -> bool:
    """Whether checks can ask anything of an execution: its commit is delivered, and something is still open about it."""
    if view.state is not State.DELIVERED or view.pull_request is None or not view.head:
        return False
    return bool(view.waits_for) or view.checks_failed != view.head


def is_fresh(view: ExecutionView, now: datetime) -> bool:
    """Whether it is still worth looking without having been told."""
    return bool(view.waits_for) or now - view.updated < FRESH


def key(what: Found, commit: str, history: Sequence[Event], now: datetime) -> str | None:
    """The row's own name: the same for everybody who notices, and another one once such a row came to nothing.

    None where too many did, or the last one did a short time ago.
    """
    name = f"{KIND}:{what}:{commit}"
    taken = _taken(history, name)
    if not taken:
        return name
    pause = PAUSES[min(len(taken), len(PAUSES)) - 1]
    if len(taken) >= MOST_TIMES or now < max(taken.values()) + pause:
        return None
    return f"{name}:{len(taken)}"


def _taken(history: Sequence[Event], name: str) -> dict[str, datetime]:
    """When a turn took each of the rows of that name."""
    return {
        event.payload.sender_key: event.time
        for event in history
        if isinstance(event.payload, CommandReceived) and event.payload.sender_key.startswith(name)
    }


def is_given_up(history: Sequence[Event], commit: str) -> bool:
    """Whether no further row is put that its required checks have passed: as many as there may be came to nothing."""
    return len(_taken(history, f"{KIND}:{Found.PASSED}:{commit}")) >= MOST_TIMES


def is_overdue(history: Sequence[Event], commit: str, now: datetime) -> bool:
    """Whether the required checks of a delivered commit should long have ended."""
    since = delivered(history, commit)
    return (since is not None and now - since >= OVERDUE) or is_given_up(history, commit)


def delivered(history: Sequence[Event], commit: str) -> datetime | None:
    """When that commit was delivered first; None where it never was."""
    for event in history:
        if isinstance(event.payload, FeatureDelivered) and event.payload.commit == commit:
            return event.time
    return None


def unreported(waits: Sequence[str], checks: Sequence[TheirCheck]) -> tuple[str, ...]:
    """Those of the names waited for that nobody has set at all: one that has begun is on its way."""
    return tuple(name for name in waits if not any(_is_named(name, check.name) for check in checks))


def unanswered(history: Sequence[Event], commit: str) -> ChecksFailed | None:
    """What was recorded of the commit's failures and led to nothing yet: its turn was interrupted right after."""
    for event in reversed(history):
        if isinstance(event.payload, BuildStarted | FeatureParked | FeatureDelivered):
            return None
        if isinstance(event.payload, ChecksFailed):
            return event.payload if event.payload.commit == commit else None
    return None


def in_a_row(history: Sequence[Event]) -> int:
    """How many commits in a row had failed checks since a person last said something."""
    count = 0
    for event in history:
        payload = event.payload
        if isinstance(payload, ChecksFailed):
            count += 1
        elif isinstance(payload, CommandReceived) and _is_a_persons(payload):
            count = 0
    return count


def _is_a_persons(command: CommandReceived) -> bool:
    return command.kind in _PERSONS and not command.sender_key.startswith(_BY_ITSELF)


def enough(names: Sequence[str], commit: str, times: int) -> str:
    """Why no further turn begins by itself, in one sentence."""
    rounds = f"{times} time{'' if times == 1 else 's'} in a row"
    return (
        f"the repository's own checks failed again on {commit[:12]} ({listed(names)}); they started work {rounds} without"
        " a person's word, which is as often as the policy has rounds"
    )


def listed(names: Sequence[str]) -> str:
    """Names of checks on one line; they are other people's words."""
    shown = [plain.short(" ".join(plain.printable(name).split()), 100) for name in names[:_NAMED]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")

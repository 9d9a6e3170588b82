"""Named crash points: the places where a kill is most likely to lose or double something.

``BOATWRIGHT_CRASH=point`` or ``point:nth`` makes the process kill itself (SIGKILL, so that no handler, no
``finally`` and no buffer flush can help) when it passes that point for the nth time. Without the variable a
point costs one dictionary look-up. The chaos tests kill at every name in :data:`POINTS`,
the stories of cuts at those in :data:`CUT_POINTS`, those of deliveries at :data:`DOOR_POINTS`, those of notices at
:data:`NOTICE_POINTS`, those of agents' calls at :data:`CALL_POINTS`, those of the issue's comment at :data:`TOLD_POINTS`,
those of others' pushes at :data:`TAKING_POINTS`.

With ``BOATWRIGHT_CRASH_ONCE=FILE`` only the first of all processes to get there dies: it makes the file first.
"""

from __future__ import annotations

import os
import signal
from collections import Counter

VARIABLE = "BOATWRIGHT_CRASH"
ONCE = "BOATWRIGHT_CRASH_ONCE"

POINTS: tuple[str, ...] = (
    "intake.stored",  # the command row is committed, nobody was told
    "turn.claimed",  # the live row is committed, the engine does not know the turn yet
    "turn.enqueued",  # the engine knows the turn
    "stage.entered",  # the state change is committed, the stage has done nothing
    "stage.finished",  # the stage has done everything, the engine has no checkpoint yet
    "environment.prepared",  # the environment is on disk, its event is not written
    "base.proven",  # the base has been run, its event is not written
    "plan.generated",  # the model has answered, the plan is not written
    "bottle.created",  # the bottle is on disk, its event is not written
    "step.replied",  # the model has replied, its tool calls have not run
    "step.saved",  # the tree is in the mirror, step.completed is not written
    "step.completed",  # step.completed is written, the work ref is not moved
    "deliverable.created",  # the commit is in the mirror, its event is not written
    "deliver.intended",  # the intent to push is written
    "deliver.pushed",  # the branch is pushed, its outcome is not written
    "deliver.opened",  # the pull request exists, its outcome is not written
    "deliver.commented",  # the living comment exists, its outcome is not written
    "turn.ending",  # every effect is done, the turn is not marked ended
    "turn.ended",  # the turn is marked ended, the engine has no checkpoint yet
    "wire.reserved",  # the budget is held, the call is not sent
    "wire.answered",  # the provider has answered, nothing is settled
    "wire.settled",  # the usage row is written, the client has not heard the end
)

CUT_POINTS: tuple[str, ...] = (
    "cut.written",  # the row of a cut is committed, nobody was told
    "cut.seen",  # the supervisor has read it, the agent still works
    "cut.stopped",  # the agent is stopped and saved, its bottle is as it was
    "cut.carried",  # the bottle is frozen or gone, the row does not say so yet
)
"""Passed only where something is cut: tests/stories kills at each of these."""

DOOR_POINTS: tuple[str, ...] = (
    "door.stored",  # the delivery is committed, the forge has not heard so
    "pump.begun",  # the attempt is counted, nothing is done
    "pump.claimed",  # the request has its execution's id, the execution does not exist
    "pump.started",  # the execution exists, nobody at the forge was shown so
    "pump.acted",  # what was asked is done, the delivery does not say so
    "pump.finished",  # the delivery is processed
)
"""Passed only where forges send something: tests/server kills at each of these."""

CHECK_POINTS: tuple[str, ...] = (
    "checks.recorded",  # what failed is in the ledger, its turn has not begun to build
    "checks.ready",  # the pull request is ready, nothing says so
)
"""Passed only where the repository's own checks wake a turn: tests/stories kills at each of these."""

NOTICE_POINTS: tuple[str, ...] = (
    "notice.kept",  # the rows are committed with the mark, nothing is sent
    "notice.sending",  # the attempt is counted, nothing is sent
    "notice.sent",  # it has arrived, its row does not say so
)
"""Passed only where people outside are told: tests/intake kills at each of these."""

CALL_POINTS: tuple[str, ...] = (
    "call.intended",  # the intent to write what an agent wants written is there
    "call.acted",  # it is written, the outcome is not
    "call.told",  # the outcome is written, the agent has not heard so
)
"""Passed only where an agent writes at its forge: tests/stories kills at each of these."""

TAKING_POINTS: tuple[str, ...] = (
    "taking_in.fetched",  # what others pushed is in the mirror, nothing is merged
    "taking_in.recorded",  # the merge is written, the work ref is not moved
    "taking_in.handed_over",  # the row of the next turn is committed, this one does not say that it ended
)
"""Passed only where others push to our branch: tests/stories kills at each of these."""

TOLD_POINTS: tuple[str, ...] = (
    "told.intended",  # the intent to say on the issue how it stands is written
    "told.commented",  # the comment says it, the outcome is not written
)
"""Passed only where an issue asked for the work: tests/stories kills at each of these."""

_passed: Counter[str] = Counter()


def point(name: str) -> None:
    """Pass the crash point ``name``: does nothing unless the environment asks for a kill here."""
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    at, _, nth = wanted.partition(":")
    if at != name:
        return
    _passed[name] += 1
    if _passed[name] == int(nth or 1) and _first():
        os.kill(os.getpid(), signal.SIGKILL)


def _first() -> bool:
    """Whether no process has died here before; always, where nobody asked to die only once."""
    token = os.environ.get(ONCE)
    if not token:
        return True
    try:
        os.close(os.open(token, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return False
    return True

"""What the comment on an issue, and on a pull request whose work goes on or stopped, says: how it stands, the plan, the
cost, what next. Once a pull request is delivered its comment is :func:`rules.pull_text.living_comment`.
"""

from __future__ import annotations

from collections.abc import Sequence

from boatwright.rules import parking, taking_in
from boatwright.rules.explaining import COMMANDS
from boatwright.rules.plain import code, line, short
from boatwright.values.execution import ExecutionView
from boatwright.values.plan import Plan

LONGEST = 60_000
_LISTED = 20

_READY = "**Proposed** as a pull request, ready for review"
_DRAFT = "**Proposed** as a draft pull request"


def living_mark(execution: str) -> str:
    """How the living comment, on the pull request, is found again."""
    return f"living:{execution}"


def taken_mark(execution: str) -> str:
    """How the comment on the issue is found again."""
    return f"taken:{execution}"


def working(view: ExecutionView, plan: Plan, *, commands: bool) -> str:
    """The plan is approved, the change is being written. ``commands``: whether comments are obeyed here."""
    return _joined("**Working on it**: the plan is made.", steps(plan, folded=False), *_end(view, commands))


def stopped(view: ExecutionView, plan: Plan | None, *, commands: bool) -> str:
    """It waits for people: why, and what they can do. A move may name what is the host's as a reason may."""
    moves = view.next_moves[:10] if view.parked_code in parking.PUBLIC else ()
    return _joined(
        f"**Stopped** ({code(view.parked_code or 'host')}): {reason(view)}",
        "\n".join(["Next moves:", *(f"- {code(move)}" for move in moves)]) if moves else "",
        steps(plan) if plan is not None else "",
        *_end(view, commands),
    )


def ended(view: ExecutionView, outcome: str, *, commands: bool) -> str:
    """Nothing more comes of it, until somebody takes it up again. ``outcome``: as of a turn."""
    said = {"completed": "**Done**: the pull request is merged.", "cancelled": "**Ended**: it was stopped."}
    why = f"> {line(view.reason)}" if view.reason and outcome == "cancelled" else ""
    again = (
        "`/boatwright retry` in a comment takes it up again." if commands and outcome != "completed" else ""
    )
    return _joined(said.get(outcome, f"**Ended**: {outcome}."), why, again, *_end(view, commands=False))


def proposed(view: ExecutionView, branch: str, *, ready: bool) -> str:
    """Where to look now: the forge itself links the two."""
    state = _READY if ready else _DRAFT
    return _joined(f"{state}, from branch {code(branch)}.", *_end(view, commands=False))


def moved(body: str, head: str) -> str:
    """The comment on the issue after somebody moved the branch of the pull request to ``head``."""
    notice = (
        f"{taking_in.NOT_PROVEN}{code(head[:12])}: somebody else moved the branch of the pull request there. It is "
        "a draft until that is taken in and proven."
    )
    return taking_in.with_notice(body, notice).replace(_READY, _DRAFT, 1)


def reason(view: ExecutionView) -> str:
    """Why it stopped, in words that may be read by everybody."""
    return line(parking.public_reason(view.parked_code, view.reason) or "nobody said why", 1_000)


def steps(plan: Plan, *, folded: bool = True) -> str:
    """The plan: what was to be done, by file or command."""
    rows = [
        f"{n}. {line(step.action, 40)} {code(step.path or step.command or '')}: {line(step.acceptance)}"
        for n, step in enumerate(plan.steps[:_LISTED], 1)
    ]
    more = len(plan.steps) - _LISTED
    said = "\n".join(
        [line(plan.goal, 600), "", *rows, *([f"{_LISTED + 1}. and {more} more"] if more > 0 else [])]
    )
    return f"<details><summary>The plan</summary>\n\n{said}\n\n</details>" if folded else said


def look(execution: str) -> str:
    """How an operator sees more."""
    return f"More, on the host: {code(f'boatwright show {execution}')}"


def _end(view: ExecutionView, commands: bool) -> Sequence[str]:
    cost = f"So far {view.usd:.4f} USD and {view.tokens:,} tokens of {line(str(view.budget), 80)}."
    return (cost, COMMANDS if commands else "", look(view.id))


def _joined(*parts: str) -> str:
    return short("\n\n".join(part for part in parts if part), LONGEST)

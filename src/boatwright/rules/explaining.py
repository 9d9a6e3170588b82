"""What ``/boatwright explain`` is answered: where an execution stands, why, and what can be said to it."""

from __future__ import annotations

from collections.abc import Sequence

from boatwright.rules import gitlab_numbers, parking, plain, taking_in
from boatwright.rules.their_checks import listed
from boatwright.rules.transitions import WORKING
from boatwright.values.event import Event
from boatwright.values.execution import ExecutionView

_LINE = 300
COMMANDS = "In a comment here: `/boatwright retry`, `explain`, `stop`, `budget N`."


def text(view: ExecutionView, head: str = "", history: Sequence[Event] = ()) -> str:
    """A few lines of Markdown, from what the ledger holds. What others wrote is one quoted line, cut short. ``head``:
    where the pull request's branch is now.
    """
    where = f", in {view.stage}" if view.state in WORKING and view.stage else ""
    lines = [f"**{view.id}** is {view.state.lower()}{where}."]
    if view.reason:
        said = parking.public_reason(view.parked_code, view.reason) if view.parked_code else view.reason
        lines.append(f"> {_one_line(said)}")
    if not view.parked_code or view.parked_code in parking.PUBLIC:
        lines += [f"- {_one_line(move)}" for move in view.next_moves]
    lines.append(f"Used so far: {view.usd:.4f} USD and {view.tokens:,} tokens of {view.budget}.")
    if view.pull_request is not None:
        waits = f", waits for the checks {plain.line(listed(view.waits_for))}" if view.waits_for else ""
        number = gitlab_numbers.shown(view.pull_request)
        if head and head != view.head:
            lines.append(
                f"Pull request {number} is at {plain.code(head[:12])}{_whose(head, history)}: not proven."
            )
        else:
            lines.append(f"Pull request {number}: {'ready' if view.ready else 'draft'}{waits}.")
            if head in taking_in.taken_heads(history):
                lines.append(f"Its head {plain.code(head[:12])} is as others pushed it.")
        if view.checks_failed and view.checks_failed == view.head:
            lines.append("Checks of the repository failed on what was delivered.")
    lines.append(COMMANDS)
    lines.append(f"The whole record: `boatwright show {view.id}` on the host.")
    return "\n\n".join(lines)


def _whose(head: str, history: Sequence[Event]) -> str:
    """Who made a head that was not delivered, where the events say so."""
    if head in taking_in.taken_heads(history):
        return ", which others pushed, and which was taken in"
    return ", which others pushed" if taking_in.standing(history).theirs(head) else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_LINE]

"""What a person is answered whose command is not followed: what was asked, why it is not done, what to write instead.

Only somebody who may give commands is answered: to anybody else silence says as much, and makes no noise.
"""

from __future__ import annotations

from boatwright.rules import unbegun
from boatwright.rules.plain import code, line
from boatwright.values.order import Command, Misspoken, Verb
from boatwright.values.skipping import Skip, SkipReason

STAGES = ("analyze", "plan", "build", "verify")
"""What ``/boatwright retry`` may begin at."""
_ANSWERED = frozenset({
    SkipReason.NOT_ALLOWED, SkipReason.NOT_OURS, SkipReason.ALREADY_RUNNING, SkipReason.UNKNOWN_COMMAND,
    SkipReason.NOTHING_TO_DO, SkipReason.POLICY, SkipReason.CEILING,
})  # fmt: skip
_WRITTEN: dict[Verb, str] = {
    Verb.STOP: "/boatwright stop",
    Verb.RETRY: f"/boatwright retry {'|'.join(STAGES)}",
    Verb.PLAN: "/boatwright plan",
    Verb.BUDGET: "/boatwright budget 10usd",
    Verb.APPROVE: "/boatwright approve COMMIT",
    Verb.EXPLAIN: "/boatwright explain",
}


def is_answered(skip: Skip) -> bool:
    """Whether the person is told in words. What something newer has overtaken is not."""
    return skip.reason in _ANSWERED


def marker(comment: str) -> str:
    """How the answer to that comment is found again, whoever told of the comment."""
    return f"refused:{comment}"


def text(order: Command | Misspoken, skip: Skip, label: str) -> str:
    """A few lines of Markdown. ``label``: the one that asks for work here."""
    asked = order.words if isinstance(order, Misspoken) else f"{order.verb} {order.argument}"
    called = code(f"/boatwright {asked}".strip(), 120)
    if skip.fault is not None and isinstance(order, Command):
        mended = f"{unbegun.remedy(skip)}, then {unbegun.again(order, label)}."
        return f"**Not done**: {called}: {unbegun.what(skip)}.\n\n{mended}"
    return f"**Not done**: {called}: {line(skip.detail)}.\n\n{_instead(order, skip, label)}"


def _instead(order: Command | Misspoken, skip: Skip, label: str) -> str:
    if skip.instead:
        return f"Instead: {line(skip.instead)}."
    if isinstance(order, Misspoken) and order.verb is None:
        return f"There are {', '.join(code(each) for each in _WRITTEN.values())}."
    if skip.reason is SkipReason.NOT_OURS:
        return _begin(order, label)
    if skip.reason is SkipReason.UNKNOWN_COMMAND and order.verb is not None:
        return f"Write {code(_WRITTEN[order.verb])}."
    return f"{code(_WRITTEN[Verb.EXPLAIN])} says where it stands and what can be done."


def _begin(order: Command | Misspoken, label: str) -> str:
    if order.on_pull:
        return (
            f"Commands are for pull requests of ours; put the label {code(label)} on an issue to ask for one."
        )
    return f"Put the label {code(label)} on the issue to begin, or write {code(_WRITTEN[Verb.PLAN])}."

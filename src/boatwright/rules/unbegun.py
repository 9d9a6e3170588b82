"""What a person is told whose request for work was not begun, because of what the base branch asks for or a label names.

It says what is wrong and where, and what to do before asking again. The sentence quotes the repository's own files: all of
it stands in code spans, where no mention, link or command takes effect, and what cannot be seen is spelled out.
"""

from __future__ import annotations

from boatwright import errors
from boatwright.config.whose import is_repositorys
from boatwright.rules.plain import code, name
from boatwright.values.order import Command, Start
from boatwright.values.skipping import Fault, Skip, SkipReason

_QUOTED = 400
_KEPT = 500


def skip(error: errors.BoatwrightError) -> Skip | None:
    """Why nothing is begun; None where it is not for people at the repository to mend, and what it says not for them."""
    above = isinstance(error, errors.AboveCeiling | errors.MissingPart)
    said = error.public
    if not said and isinstance(error, errors.BadPolicy) and is_repositorys(error.subject):
        said = str(error)
    if not said:
        return None
    # The moves of the others name what only the operator should read, or programs of this host.
    moves = error.next_moves if isinstance(error, errors.BadPolicy) else ()
    reason = SkipReason.CEILING if above else SkipReason.POLICY
    return Skip(reason, name(str(error)[:_KEPT]), fault=Fault(said, moves))


def marker(execution: str) -> str:
    """How what was said to a label is found again. ``execution``: the id that was drawn for the request."""
    return f"unbegun:{execution}"


def text(order: Start, why: Skip, label: str) -> str:
    """The comment to whoever put the label on, or assigned somebody."""
    return f"**Not begun**: {what(why)}.\n\n{remedy(why)}, then {again(order, label)}."


def what(why: Skip) -> str:
    """What is wrong, as Markdown."""
    return _fenced(why.fault.sentence if why.fault else why.detail)


def remedy(why: Skip) -> str:
    """What to do about it, as the beginning of a sentence."""
    if why.reason is SkipReason.CEILING:
        return "Ask for less on the base branch, or let the operator of this host allow it"
    moves = ", ".join(map(_fenced, why.fault.moves[:2])) if why.fault else ""
    if moves:
        return f"Mend it on the base branch ({moves})"
    return "Mend it on the base branch, or name another agent or bottle"


def again(order: Start | Command, label: str) -> str:
    """How to ask once more."""
    if isinstance(order, Command):
        return f"write {code(f'/boatwright {order.verb}')} in a new comment"
    if order.assignees:
        return "take the assignee off and assign them again"
    return f"take the label {code(label)} off, and a minute later put it on again"


def _fenced(text: str) -> str:
    return code(name(text), _QUOTED)

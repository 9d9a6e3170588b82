"""Who may ask for what, over what the forge says of people. The text of an issue or a comment never decides it."""

from __future__ import annotations

from dataclasses import dataclass

from boatwright.values.order import Command, Misspoken, Order, Say, Start
from boatwright.values.people import Permission
from boatwright.values.skipping import Skip, SkipReason

MOST_ASSIGNEES = 10
"""So many assignees of one issue are looked up."""
_SORTING = frozenset({Permission.TRIAGE, Permission.WRITE, Permission.MAINTAIN, Permission.ADMIN})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What has to be known of people before an order is judged: one's permission, and who of some is a member."""

    login: str
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """What the forge said. ``me``: the account we are logged in with there."""

    permission: Permission
    members: frozenset[str] = frozenset()
    me: str = ""


def wanted(order: Order) -> Wanted | None:
    """What to ask the forge; None for an order that stands by itself."""
    if isinstance(order, Start):
        return Wanted(order.by, order.assignees[:MOST_ASSIGNEES])
    if isinstance(order, Say | Command | Misspoken):
        return Wanted(order.by)
    return None


def refusal(order: Order, standing: Standing) -> Skip | None:
    """Why the order is not followed; None when it is.

    Work is begun for people who may write. Where an assignee is a member of the organisation the agent is asked in
    their name; still a person who may sort issues has to have assigned them: a template that strangers use is nobody.
    Our own account is never a reason to act, whatever it may: two that answer each other never end.
    """
    if (asked := wanted(order)) is not None and _is_me(asked.login, standing.me):
        return Skip(SkipReason.FROM_OURSELVES, f"{asked.login[:60]} is our own account: ask from another")
    if isinstance(order, Start) and order.assignees:
        return _assigned(order, standing)
    if wanted(order) is None or standing.permission.may_write:
        return None
    return _denied(order, standing.permission, "write permission is needed")


def _is_me(login: str, me: str) -> bool:
    """Whether a login is our own: forges tell them apart in no case of letters."""
    return bool(me) and login.casefold() == me.casefold()


def _assigned(order: Start, standing: Standing) -> Skip | None:
    if not standing.members & set(order.assignees):
        return _denied(order, standing.permission, "no assignee is a member of the organisation")
    if standing.permission not in _SORTING:
        return _denied(order, standing.permission, "triage permission is needed to assign")
    return None


def _denied(order: Order, permission: Permission, why: str) -> Skip:
    who = order.by[:60] if isinstance(order, Start | Say | Command | Misspoken) else ""
    return Skip(SkipReason.NOT_ALLOWED, f"{who or 'nobody'} has {permission}: {why}")

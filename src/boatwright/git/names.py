"""Object ids and names of refs: what may reach git's command line."""

from __future__ import annotations

import os
import re

from boatwright import errors
from boatwright.rules import naming

OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
NOTHING = "0" * 40
"""What git writes for "no such object"."""
ROOT = "refs/boatwright/"


def oid(value: str) -> str:
    """``value`` if it is a whole object id; ``errors.BadInput`` otherwise, so that no text is read as an
    option."""
    if not OID.fullmatch(value):
        raise errors.BadInput(f"{value[:80]!r} is not a whole object id.", subject=value[:80])
    return value


def ref(value: str) -> str:
    """``value`` if it is a ref of ours; ``errors.BadInput`` otherwise."""
    if not value.startswith(ROOT) or not naming.valid_ref(value):
        raise errors.BadInput(f"{value[:80]!r} is not a ref under {ROOT}.", subject=value[:80])
    return value


def branch(value: str) -> str:
    """``value`` if git would take it as a branch and no program as an option; ``errors.BadInput``
    otherwise."""
    if not naming.valid_branch(value):
        raise errors.BadInput(f"{value[:80]!r} cannot be the name of a branch.", subject=value[:80])
    return value


def base(commit: str) -> str:
    """The pin that keeps a base commit and its history."""
    return f"{ROOT}base/{oid(commit)}"


def work(execution: str) -> str:
    """The work ref: the last completed step of an execution."""
    return ref(f"{ROOT}work/{execution}")


def deliverable(execution: str, gate_round: int) -> str:
    """The pin of the commit a gate round judges."""
    return ref(f"{ROOT}deliverable/{execution}/{gate_round}")


def theirs(execution: str) -> str:
    """The newest commit of others on an execution's branch, as it was taken in."""
    return ref(f"{ROOT}theirs/{execution}")


def pushed(bottle: str, branch_: str = "") -> str:
    """What a bottle pushed through its gate, for a person to look at; without a branch: where all of it lies."""
    return ref(f"{ROOT}pushed/{bottle}/{branch(branch_)}") if branch_ else f"{ROOT}pushed/{bottle}/"


def text(raw: bytes) -> str:
    """A path as a string that turns back into the same bytes, whatever they are."""
    return raw.decode("utf-8", "surrogateescape")


def raw(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def shown(path: str | bytes) -> str:
    """A path for people, events and JSON: what is not UTF-8 or would move a cursor is escaped."""
    readable = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in readable)

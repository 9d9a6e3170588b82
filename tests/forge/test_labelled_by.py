"""Who put a label on, as each forge records it: the newest of those that count, and nobody where there is no record."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from boatwright.forge import gitea_read, github_reading, gitlab_read
from boatwright.forge.protocol import Labelled

WANTED = frozenset({"agent", "boatwright:fixer"})
DONE = [
    ("ann", "agent", True), ("eve", "bug", True), ("ann", "agent", False), ("wim", "boatwright:fixer", True),
    ("eve", "agent", False),
]  # fmt: skip


def moment(at: int) -> str:
    return f"2026-01-02T03:04:{at:02}Z"


def github(who: str, label: str, on: bool, at: int) -> dict[str, Any]:
    return {
        "id": at,
        "event": "labeled" if on else "unlabeled",
        "actor": {"login": who},
        "label": {"name": label},
        "created_at": moment(at),
    }


def gitea(who: str, label: str, on: bool, at: int) -> dict[str, Any]:
    return {
        "id": at,
        "type": "label",
        "user": {"login": who},
        "label": {"name": label},
        "body": "1" if on else "",
        "created_at": moment(at),
    }


def gitlab(who: str, label: str, on: bool, at: int) -> dict[str, Any]:
    return {
        "id": at, "user": {"username": who}, "label": {"name": label}, "action": "add" if on else "remove",
        "created_at": moment(at),
    }  # fmt: skip


FORGES = {
    "github": (github, github_reading.labelled_by, [{"event": "closed", "actor": None}, {}]),
    "gitea": (gitea, gitea_read.labelled_by, [{"type": "comment", "body": "1"}, {}]),
    "gitlab": (gitlab, gitlab_read.labelled_by, [{"action": "add", "label": None}, {}]),
}


@pytest.mark.parametrize("kind", FORGES)
@pytest.mark.parametrize(
    ("upto", "who", "at"),
    [(0, "", 0), (1, "ann", 0), (2, "ann", 0), (3, "ann", 0), (4, "wim", 3), (5, "wim", 3)],
)
def test_the_newest_that_counts(kind: str, upto: int, who: str, at: int) -> None:
    said, read, others = FORGES[kind]
    events = [said(*each, second) for second, each in enumerate(DONE[:upto])]
    found = read([*others, *events, *others], WANTED)
    assert found == (Labelled(who, datetime.fromisoformat(moment(at))) if who else None)


@pytest.mark.parametrize("kind", FORGES)
def test_an_account_that_is_gone_is_no_stranger_who_may(kind: str) -> None:
    said, read, _ = FORGES[kind]
    gone = said("x", "agent", True, 1)
    gone |= {"actor": None} if kind == "github" else {"user": None}
    found = read([gone], WANTED)
    assert found is not None and found.by in {"", "ghost"}

"""Who is a program, and what a comment is called: the same for whoever tells of it."""

from __future__ import annotations

import pytest

from boatwright.rules import machines, remarks

BOTS = ("CI-Robot",)


@pytest.mark.parametrize(
    ("kind", "login", "expected"),
    [
        ("github", "ann", False), ("github", "x[bot]", True), ("github", "X[Bot]", True), ("github", "ci-robot", True),
        ("github", "ghost", False), ("gitea", "gitea-actions", True), ("forgejo", "ghost", True), ("gitea", "ann", False),
        ("gitlab", "project_12_bot_a1b2", True), ("gitlab", "group_3_bot", True), ("gitlab", "alert-bot", True),
        ("gitlab", "project_manager_bot", False), ("gitlab", "CI-ROBOT", True), ("github", "project_12_bot_a1b2", False),
        ("local", "ann", False), ("local", "ci-robot", True),
    ],
)  # fmt: skip
def test_who_is_a_machine(kind: str, login: str, expected: bool) -> None:
    assert machines.is_machine(kind, login, BOTS) is expected


@pytest.mark.parametrize(
    ("kind", "comment", "remark"),
    [
        ("github", "7", "r7"),
        ("gitea", "7", "r7"),
        ("forgejo", "7", "r7"),
        ("local", "7", "r7"),
        ("gitlab", "7", "7"),
    ],
)
def test_what_a_comment_is_called(kind: str, comment: str, remark: str) -> None:
    assert remarks.name(kind, 7, on_line=False) == comment
    assert remarks.name(kind, 7, on_line=True) == remark

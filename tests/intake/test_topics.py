"""Where a delivery is from, whichever forge sent it, and whatever a stranger put in its place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from boatwright.intake import topic
from boatwright.intake.topic import Topic
from boatwright.rules import gitlab_numbers

from .conftest import PATH, comment, issue

GITLAB: dict[str, Any] = {"project": {"path_with_namespace": PATH}}


@pytest.mark.parametrize(
    ("forge", "payload", "shown"),
    [
        ("github", issue(number=7), f"{PATH}#7"),
        ("gitea", comment("x", number=8, on_pull=True), f"{PATH}#8"),
        ("github", {"repository": {"full_name": PATH}, "pull_request": {"number": 9}}, f"{PATH}#9"),
        ("github", {"repository": {"full_name": PATH}, "zen": "…"}, PATH),
        ("gitlab", {**GITLAB, "object_kind": "issue", "object_attributes": {"iid": 9}}, f"{PATH}#9"),
        ("gitlab", {**GITLAB, "object_kind": "merge_request", "object_attributes": {"iid": 5}}, f"{PATH}!5"),
        ("gitlab", {**GITLAB, "object_kind": "note", "merge_request": {"iid": 5}, "object_attributes": {"id": 3}}, f"{PATH}!5"),
        ("gitlab", {**GITLAB, "object_kind": "note", "issue": {"iid": 5}, "object_attributes": {"id": 3}}, f"{PATH}#5"),
        ("gitlab", {"path": PATH, "number": gitlab_numbers.pull_number(5)}, f"{PATH}!5"),
        ("github", {"path": PATH, "issue": {"number": 3}}, f"{PATH}#3"),
        ("github", {"repository": "x", "issue": {"number": -1}, "number": True}, "acme/signed"),
        ("github", [1], "acme/signed"),
    ],
)  # fmt: skip
def test_it_says_where_it_is_from(forge: str, payload: Any, shown: str) -> None:
    assert str(topic.read(forge, json.dumps(payload).encode(), signer="acme/signed")) == shown


@pytest.mark.parametrize("body", [b"", b"\xff\x00", b"[" * 100_000, b"null"])
def test_any_bytes_are_read(body: bytes) -> None:
    assert topic.read("github", body) == Topic()

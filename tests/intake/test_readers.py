"""What each forge says, read into one form: its words, its traps, and what it leaves out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from boatwright.intake import readers
from boatwright.rules import gitlab_numbers
from boatwright.values.incoming import (
    Checked,
    Commented,
    Installed,
    IssueAction,
    IssueChanged,
    IssueText,
    Moved,
    Origin,
    Pinged,
    PullAction,
    PullChanged,
    Pushed,
    Reviewed,
)
from boatwright.values.skipping import Skip, SkipReason

WHERE = {"repository": {"full_name": "acme/boat"}, "sender": {"login": "ada", "type": "User"}}
HUB = Origin("github", "acme/boat", "ada")
TEA = Origin("gitea", "acme/boat", "ada")
LAB = Origin("gitlab", "acme/deep/boat", "ada")
PROJECT = {"project": {"path_with_namespace": "acme/deep/boat"}, "user": {"username": "ada", "id": 5}}
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STAMP = "2026-01-02T03:04:05Z"
HEAD = {"ref": "fix", "sha": "c0ffee", "repo": {"full_name": "Acme/Boat"}}
PULL = {"number": 8, "title": "t", "head": HEAD, "base": {"ref": "main"}, "merged": False}


def read(forge: str, event: str, payload: dict[str, Any]) -> Any:
    return readers.read(forge, event, "application/json", json.dumps(payload).encode())


def issue_of(**more: Any) -> dict[str, Any]:
    return {
        "number": 7, "title": "T", "body": None, "state": "open", "user": {"login": "eve"}, "updated_at": STAMP,
        "labels": [{"name": "agent"}, {"name": "agent"}, {"name": 7}, "x"], "assignees": [{"login": "bob"}, None], **more,
    }  # fmt: skip


def changed(at: Origin, action: IssueAction, added: tuple[str, ...] | None) -> IssueChanged:
    return IssueChanged(at, action, 7, "T", "", "eve", True, ("agent",), ("bob",), added, AT)


@pytest.mark.parametrize(
    ("event", "payload", "found"),
    [
        (
            "issues",
            {"action": "labeled", "label": {"name": "agent"}, "issue": issue_of(), **WHERE},
            changed(HUB, IssueAction.LABELLED, ("agent",)),
        ),
        ("issues", {"action": "opened", "issue": issue_of(), **WHERE}, changed(HUB, IssueAction.OPENED, None)),
        ("issues", {"action": "unlabeled", "label": {"name": "bug"}, "issue": issue_of(), **WHERE}, changed(HUB, IssueAction.UNLABELLED, None)),
        (
            "issue_comment",
            {"action": "created", "comment": {"id": 3, "body": "hi", "user": {"login": "eve"}, "created_at": STAMP}, "issue": issue_of(), **WHERE},
            Commented(HUB, 7, False, "3", "eve", "hi", created=AT, issue=IssueText("T", "", ("agent",))),
        ),
        (
            "pull_request_review_comment",
            {"action": "created", "comment": {"id": 3, "body": "hi", "path": "a.py", "line": None, "original_line": 4, "user": {"login": "eve"}}, "pull_request": PULL, **WHERE},
            Commented(HUB, 8, True, "r3", "eve", "hi", "a.py", 4),
        ),
        (
            "pull_request_review",
            {"action": "submitted", "review": {"id": 5, "state": "CHANGES_REQUESTED", "body": "no", "commit_id": "c0", "user": {"login": "eve"}}, "pull_request": PULL, **WHERE},
            Reviewed(HUB, 8, "5", "changes_requested", "eve", "no", "c0"),
        ),
        (
            "pull_request",
            {"action": "closed", "pull_request": {**PULL, "merged": True, "merge_commit_sha": "beef"}, **WHERE},
            PullChanged(HUB, PullAction.MERGED, 8, "fix", "main", "c0ffee", False, "beef"),
        ),
        (
            "pull_request",
            {"action": "closed", "pull_request": {**PULL, "merge_commit_sha": "test-merge"}, **WHERE},
            PullChanged(HUB, PullAction.CLOSED, 8, "fix", "main", "c0ffee", False, ""),
        ),
        (
            "pull_request",
            {"action": "synchronize", "pull_request": {**PULL, "head": {**HEAD, "repo": None}}, **WHERE},
            PullChanged(HUB, PullAction.SYNCHRONIZED, 8, "fix", "main", "c0ffee", True),
        ),
        (
            "check_run",
            {"action": "completed", "check_run": {"id": 9, "name": "ci", "head_sha": "c0", "conclusion": "failure", "check_suite": {"head_branch": "fix"}}, **WHERE},
            Checked(HUB, "check_run", "9", "ci", "c0", "fix", "failure"),
        ),
        (
            "status",
            {"id": 9, "sha": "c0", "state": "error", "context": "ci", "branches": [{"name": "fix"}], **WHERE},
            Checked(HUB, "status", "9", "ci", "c0", "fix", "error"),
        ),
        ("push", {"ref": "refs/heads/main", "before": "a", "after": "b", **WHERE}, Pushed(HUB, "refs/heads/main", "a", "b")),
        ("repository", {"action": "renamed", "changes": {"repository": {"name": {"from": "ship"}}}, **WHERE}, Moved(HUB, "acme/ship")),
        ("repository", {"action": "transferred", "changes": {"owner": {"from": {"user": {"login": "eve"}}}}, **WHERE}, Moved(HUB, "eve/boat")),
        (
            "installation_repositories",
            {"action": "added", "installation": {"id": 1}, "repositories_added": [{"full_name": "acme/boat"}], "sender": {"login": "ada"}},
            Installed(Origin("github", "", "ada"), "installation_repositories added", "1", ("acme/boat",)),
        ),
        ("ping", {"zen": "…"}, Pinged(Origin("github", "", ""))),
    ],
)  # fmt: skip
def test_github(event: str, payload: dict[str, Any], found: object) -> None:
    assert read("github", event, payload) == found


@pytest.mark.parametrize(
    ("event", "payload", "found"),
    [
        (
            "issues",
            {"action": "label_updated", "number": 7, "issue": issue_of(), **WHERE},
            changed(TEA, IssueAction.LABELLED, None),
        ),
        ("issues", {"action": "label_cleared", "issue": issue_of(), **WHERE}, changed(TEA, IssueAction.UNLABELLED, None)),
        (
            "issue_comment",
            {"action": "created", "is_pull": True, "comment": {"id": 3, "body": "hi", "user": {"login": "eve"}}, "issue": issue_of(), **WHERE},
            Commented(TEA, 7, True, "3", "eve", "hi", issue=IssueText("T", "", ("agent",))),
        ),
        (
            "pull_request",
            {"action": "synchronized", "pull_request": PULL, **WHERE},
            PullChanged(TEA, PullAction.SYNCHRONIZED, 8, "fix", "main", "c0ffee", False),
        ),
        (
            "pull_request",
            {"action": "edited", "changes": {"title": {"from": "WIP: t"}}, "pull_request": PULL, **WHERE},
            PullChanged(TEA, PullAction.READY, 8, "fix", "main", "c0ffee", False),
        ),
        ("status", {"sha": "c0", "state": "failure", "context": "ci", **WHERE}, Checked(TEA, "status", "", "ci", "c0", "", "failure")),
        (
            "workflow_run",
            {"action": "completed", "workflow_run": {"id": 4, "head_sha": "c0", "head_branch": "fix", "conclusion": "failure", "display_title": "ci"}, **WHERE},
            Checked(TEA, "workflow_run", "4", "ci", "c0", "fix", "failure"),
        ),
    ],
)  # fmt: skip
def test_gitea(event: str, payload: dict[str, Any], found: object) -> None:
    assert read("gitea", event, payload) == found


def test_a_review_of_gitea_has_no_id_and_is_known_by_what_it_says() -> None:
    said = {"action": "reviewed", "review": {"type": "x", "content": "no"}, "pull_request": PULL, **WHERE}
    one, again = (read("forgejo", "pull_request_rejected", said) for _ in range(2))
    other = read("forgejo", "pull_request_rejected", {**said, "review": {"content": "yes"}})
    assert isinstance(one, Reviewed) and one == again and one.review != other.review
    assert (one.verdict, one.text, one.commit, one.at.forge) == (
        "changes_requested",
        "no",
        "c0ffee",
        "forgejo",
    )


def lab_issue(action: str, changes: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    attributes = {"iid": 7, "id": 99, "title": "T", "description": "D", "action": action, "state": "opened", "author_id": 5, "updated_at": "2026-01-02 03:04:05 UTC", **more}  # fmt: skip
    return {"object_attributes": attributes, "labels": [{"title": "agent"}], "assignees": [{"username": "bob"}], "changes": changes or {}, **PROJECT}  # fmt: skip


def lab_change(action: IssueAction, added: tuple[str, ...] | None = None) -> IssueChanged:
    return IssueChanged(LAB, action, 7, "T", "D", "ada", True, ("agent",), ("bob",), added, AT)


NAMED = {"title": "agent"}
MR8 = gitlab_numbers.pull_number(8)


def note(number: int, thread: int) -> str:
    """A note as the adapter names it, so that a webhook and a look at the list tell of the same one."""
    return str(gitlab_numbers.comment_id(number, thread))


MERGE = {
    "iid": 8, "source_branch": "fix", "target_branch": "main", "last_commit": {"id": "c0ffee"}, "merge_commit_sha": "beef",
    "source": {"path_with_namespace": "acme/deep/boat"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("event", "payload", "found"),
    [
        ("Issue Hook", lab_issue("open"), lab_change(IssueAction.OPENED)),
        ("Confidential Issue Hook", lab_issue("close", state="opened"), lab_change(IssueAction.CLOSED)),
        ("Issue Hook", lab_issue("update", {"labels": {"previous": [], "current": [NAMED]}}), lab_change(IssueAction.LABELLED, ("agent",))),
        ("Issue Hook", lab_issue("update", {"labels": {"previous": [NAMED], "current": []}}), lab_change(IssueAction.UNLABELLED)),
        ("Issue Hook", lab_issue("update", {"assignees": {"previous": [], "current": [{"username": "bob"}]}}), lab_change(IssueAction.ASSIGNED)),
        ("Issue Hook", lab_issue("update", {"assignees": {"previous": [{"username": "bob"}], "current": []}}), lab_change(IssueAction.UNASSIGNED)),
        ("Issue Hook", lab_issue("update", {"title": {"previous": "a", "current": "T"}}), lab_change(IssueAction.EDITED)),
        (
            "Note Hook",
            {"object_attributes": {"id": 3, "note": "hi", "noteable_type": "Issue", "created_at": STAMP}, "issue": {"iid": 7, "title": "T", "description": "D"}, **PROJECT},
            Commented(LAB, 7, False, note(3, 7), "ada", "hi", created=AT, issue=IssueText("T", "D", ())),
        ),
        (
            "Note Hook",
            {"object_attributes": {"id": 3, "note": "hi", "noteable_type": "MergeRequest", "position": {"new_path": "a.py", "new_line": 4}}, "merge_request": {"iid": 8}, **PROJECT},
            Commented(LAB, MR8, True, note(3, MR8), "ada", "hi", "a.py", 4),
        ),
        ("Merge Request Hook", {"object_attributes": {**MERGE, "action": "merge"}, **PROJECT}, PullChanged(LAB, PullAction.MERGED, MR8, "fix", "main", "c0ffee", False, "beef")),
        ("Merge Request Hook", {"object_attributes": {**MERGE, "action": "close"}, **PROJECT}, PullChanged(LAB, PullAction.CLOSED, MR8, "fix", "main", "c0ffee", False)),
        ("Merge Request Hook", {"object_attributes": {**MERGE, "action": "update", "oldrev": "aa"}, **PROJECT}, PullChanged(LAB, PullAction.SYNCHRONIZED, MR8, "fix", "main", "c0ffee", False)),
        (
            "Merge Request Hook",
            {"object_attributes": {**MERGE, "action": "update", "source": {"path_with_namespace": "eve/boat"}}, "changes": {"draft": {"previous": True, "current": False}}, **PROJECT},
            PullChanged(LAB, PullAction.READY, MR8, "fix", "main", "c0ffee", True),
        ),
        ("Merge Request Hook", {"object_attributes": {**MERGE, "action": "approved"}, **PROJECT}, Reviewed(LAB, MR8, "approved:ada:c0ffee", "approved", "ada", "", "c0ffee")),
        ("Pipeline Hook", {"object_attributes": {"id": 4, "sha": "c0", "ref": "fix", "status": "failed"}, **PROJECT}, Checked(LAB, "pipeline", "4", "pipeline", "c0", "fix", "failed")),
        ("Push Hook", {"ref": "refs/heads/main", "before": "a", "after": "b", "project": PROJECT["project"], "user_username": "ada"}, Pushed(LAB, "refs/heads/main", "a", "b")),
        ("System Hook", {"event_name": "project_rename", "path_with_namespace": "acme/boat", "old_path_with_namespace": "acme/ship"}, Moved(Origin("gitlab", "acme/boat", ""), "acme/ship")),
    ],
)  # fmt: skip
def test_gitlab(event: str, payload: dict[str, Any], found: object) -> None:
    assert read("gitlab", event, payload) == found


@pytest.mark.parametrize(
    ("forge", "event", "payload", "why"),
    [
        ("github", "star", {}, SkipReason.UNKNOWN_EVENT),
        ("github", "issues", {"action": "pinned", **WHERE}, SkipReason.UNUSED_ACTION),
        ("github", "issues", {"action": "labeled", "issue": issue_of(pull_request={"url": "…"}), **WHERE}, SkipReason.UNUSED_ACTION),
        ("github", "issue_comment", {"action": "edited", **WHERE}, SkipReason.UNUSED_ACTION),
        ("github", "status", {"state": "pending", **WHERE}, SkipReason.UNUSED_ACTION),
        ("github", "push", {**WHERE}, SkipReason.OTHER_SHAPE),
        ("github", "issues", {"action": "opened", "issue": issue_of(), "sender": {"login": "ada"}}, SkipReason.OTHER_SHAPE),
        ("gitea", "issues", {"action": "milestoned", "issue": issue_of(), **WHERE}, SkipReason.UNUSED_ACTION),
        ("gitea", "issues", {"action": "labeled", "issue": issue_of(), **WHERE}, SkipReason.UNUSED_ACTION),
        ("gitea", "pull_request", {"action": "edited", "pull_request": PULL, **WHERE}, SkipReason.UNUSED_ACTION),
        ("gitea", "package", {**WHERE}, SkipReason.UNKNOWN_EVENT),
        ("gitlab", "Issue Hook", lab_issue("update"), SkipReason.UNUSED_ACTION),
        ("gitlab", "Note Hook", {"object_attributes": {"noteable_type": "Snippet"}, **PROJECT}, SkipReason.UNUSED_ACTION),
        ("gitlab", "Note Hook", {"object_attributes": {"noteable_type": "Issue", "system": True}, **PROJECT}, SkipReason.UNUSED_ACTION),
        ("gitlab", "Pipeline Hook", {"object_attributes": {"status": "running"}, **PROJECT}, SkipReason.UNUSED_ACTION),
        ("gitlab", "Emoji Hook", {**PROJECT}, SkipReason.UNKNOWN_EVENT),
        ("gitlab", "Issue Hook", {"object_attributes": {"action": "open"}, **PROJECT}, SkipReason.OTHER_SHAPE),
    ],
)  # fmt: skip
def test_what_nobody_uses(forge: str, event: str, payload: dict[str, Any], why: SkipReason) -> None:
    found = read(forge, event, payload)
    assert isinstance(found, Skip) and found.reason is why


@pytest.mark.parametrize(
    ("forge", "sender", "is_bot"),
    [
        ("github", {"login": "x[bot]", "type": "Bot"}, True),
        ("github", {"login": "ada", "type": "User"}, False),
        ("gitea", {"login": "gitea-actions"}, True),
        ("gitea", {"username": "ada"}, False),
        ("gitlab", {"username": "project_12_bot_a1b2"}, True),
        ("gitlab", {"username": "group_3_bot"}, True),
        ("gitlab", {"username": "project_manager_bot"}, False),
    ],
)
def test_who_is_a_bot(forge: str, sender: dict[str, str], is_bot: bool) -> None:
    payload = {**WHERE, **PROJECT, "sender": sender, "user": sender, "ref": "r"}
    found = read(forge, "Push Hook" if forge == "gitlab" else "push", payload)
    assert found.at.is_bot is is_bot

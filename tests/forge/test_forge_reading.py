"""What Gitea and GitLab answer, read: strange, short and hostile answers as well."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from boatwright import errors
from boatwright.forge import gitea_read, gitlab_read, marks
from boatwright.values.people import Permission

GITEA_PULL: dict[str, Any] = {
    "number": 2, "title": "WIP: Fix it", "user": {"login": "bot"}, "state": "open", "created_at": "2026-01-02T03:04:05+01:00",
    "body": "Summary\n\n<!-- boatwright issue:1 -->", "head": {"ref": "work", "sha": "a" * 40, "repo_id": 5},
    "base": {"ref": "main", "repo_id": 5},
}  # fmt: skip
GITLAB_PULL: dict[str, Any] = {
    "iid": 2, "title": "Draft: Fix it", "author": {"username": "bot"}, "state": "opened",
    "created_at": "2026-01-02T03:04:05.678Z", "description": "\\/merge\n\n<!-- boatwright issue:1 -->",
    "source_branch": "work", "target_branch": "main", "sha": "a" * 40, "source_project_id": 5, "target_project_id": 5,
}  # fmt: skip


def test_a_pull_request_of_gitea() -> None:
    found = gitea_read.pull("sample", GITEA_PULL, me="bot")
    assert (found.title, found.draft, found.body, found.issue) == ("Fix it", True, "Summary", 1)
    assert (found.state, found.fork, found.merged_commit) == ("open", False, None)
    assert found.created == datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)


def test_a_merge_request_of_gitlab() -> None:
    found = gitlab_read.pull("sample", GITLAB_PULL, me="bot")
    assert (found.number, found.title, found.draft) == (10_000_002, "Fix it", True)
    assert (found.body, found.issue, found.fork) == ("/merge", 1, False)


def test_marks_of_somebody_else_are_words() -> None:
    assert gitea_read.pull("sample", GITEA_PULL, me="other").issue is None
    assert gitlab_read.pull("sample", GITLAB_PULL, me="other").issue is None


@pytest.mark.parametrize(
    ("state", "ours"),
    [("opened", "open"), ("locked", "open"), ("closed", "closed"), ("merged", "merged"), ("", "open")],
)
def test_states_of_a_merge_request(state: str, ours: str) -> None:
    said = GITLAB_PULL | {"state": state, "merge_commit_sha": None, "squash_commit_sha": "b" * 40}
    found = gitlab_read.pull("sample", said, me="bot")
    assert found.state == ours
    assert found.merged_commit == ("b" * 40 if ours == "merged" else None)


def test_a_pull_request_whose_fork_is_gone_is_one_of_a_fork() -> None:
    assert gitea_read.pull("sample", GITEA_PULL | {"head": {"ref": "x"}}, me="bot").fork
    assert gitlab_read.pull("sample", GITLAB_PULL | {"source_project_id": None}, me="bot").fork


def test_what_is_missing_reads_as_empty() -> None:
    issue = gitea_read.issue("sample", {"number": 1}, me="bot")
    assert (issue.title, issue.body, issue.author, issue.labels, issue.assignees) == ("", "", "", (), ())
    other = gitlab_read.issue("sample", {"iid": 1, "description": None, "assignees": None}, me="bot")
    assert (other.title, other.body, other.author, other.labels) == ("", "", "", ())
    assert issue.created == other.created == datetime(1970, 1, 1, tzinfo=UTC)


def test_labels_with_details_are_names_all_the_same() -> None:
    said = {"iid": 1, "labels": [{"name": "agent", "color": "#fff"}, "bug"]}
    assert gitlab_read.issue("sample", said, me="bot").labels == ("agent", "bug")


@pytest.mark.parametrize(
    ("url", "number"),
    [
        ({"issue_url": "https://git.example/ann/sample/issues/7", "pull_request_url": ""}, 7),
        ({"issue_url": "", "pull_request_url": "https://git.example/ann/sample/pulls/12"}, 12),
        ({"issue_url": "https://git.example/issues/3/issues/9#x"}, 9),
        ({}, 0),
    ],
)
def test_the_thread_of_a_comment_stands_in_its_address(url: dict[str, str], number: int) -> None:
    assert gitea_read.comment("sample", {"id": 1, **url}, me="bot").number == number


def test_a_status_that_bears_our_marks_is_ours_only_from_us() -> None:
    url = marks.status_url("https://git.example/x", "ex-1:verify", "success")
    said = {
        "id": 3,
        "context": "boatwright/verify",
        "status": "failure",
        "target_url": url,
        "creator": {"login": "eve"},
    }
    found = gitea_read.check("sample", "a" * 40, said, me="bot")
    assert (found.conclusion, found.external_id) == ("failure", "3")
    other = {
        "id": 3,
        "name": "boatwright/verify",
        "status": "failed",
        "target_url": url,
        "author": {"username": "eve"},
    }
    assert gitlab_read.check("sample", "a" * 40, other, me="bot").conclusion == "failure"


@pytest.mark.parametrize(
    ("status", "conclusion"),
    [("success", "success"), ("failure", "failure"), ("error", "failure"), ("pending", "pending"), ("warning", "neutral"), ("odd", "neutral")],
)  # fmt: skip
def test_their_statuses_at_gitea(status: str, conclusion: str) -> None:
    found = gitea_read.check("sample", "a" * 40, {"context": "ci", "status": status}, me="bot")
    assert found.conclusion == conclusion


@pytest.mark.parametrize(
    ("status", "conclusion"),
    [("success", "success"), ("failed", "failure"), ("running", "pending"), ("manual", "action_required"), ("canceled", "neutral"), ("skipped", "neutral")],
)  # fmt: skip
def test_their_statuses_at_gitlab(status: str, conclusion: str) -> None:
    found = gitlab_read.check("sample", "a" * 40, {"name": "ci", "status": status}, me="bot")
    assert found.conclusion == conclusion


@pytest.mark.parametrize("forge", [gitea_read, gitlab_read])
def test_nothing_but_success_is_green(forge: Any) -> None:
    assert [ours for ours, theirs in forge.STATES.items() if theirs == "success"] == ["success"]


@pytest.mark.parametrize(
    ("level", "permission"),
    [
        (0, Permission.NONE), (5, Permission.NONE), (10, Permission.READ), (15, Permission.TRIAGE), (20, Permission.TRIAGE),
        (25, Permission.TRIAGE), (30, Permission.WRITE), (40, Permission.MAINTAIN), (50, Permission.ADMIN),
        (60, Permission.ADMIN), (None, Permission.NONE), ("50", Permission.NONE),
    ],
)  # fmt: skip
def test_levels_of_gitlab(level: Any, permission: Permission) -> None:
    assert gitlab_read.permission(level) == permission


@pytest.mark.parametrize(
    ("level", "permission"),
    [
        ("none", Permission.NONE), ("read", Permission.READ), ("write", Permission.WRITE), ("admin", Permission.ADMIN),
        ("owner", Permission.ADMIN), ("god", Permission.NONE), (None, Permission.NONE),
    ],
)  # fmt: skip
def test_levels_of_gitea(level: Any, permission: Permission) -> None:
    assert gitea_read.permission({"permission": level}) == permission


def test_a_note_of_gitlab_itself_and_one_on_a_line_are_no_comments() -> None:
    assert gitlab_read.is_comment({"system": False, "type": None})
    assert gitlab_read.is_comment({"type": "DiscussionNote"})
    assert not gitlab_read.is_comment({"system": True})
    assert not gitlab_read.is_comment({"system": False, "type": "DiffNote"})


@pytest.mark.parametrize(
    ("allowed", "style"),
    [
        ({}, "merge"),
        ({"allow_merge_commits": True, "allow_squash_merge": True}, "merge"),
        ({"allow_merge_commits": False, "allow_squash_merge": True, "allow_rebase": True}, "squash"),
        (
            {"allow_merge_commits": False, "allow_rebase_explicit": True, "allow_squash_merge": True},
            "rebase-merge",
        ),
        ({"allow_merge_commits": False, "allow_fast_forward_only_merge": True}, "fast-forward-only"),
        ({"allow_merge_commits": False}, "merge"),
    ],
)
def test_a_repository_is_merged_as_it_allows(allowed: dict[str, bool], style: str) -> None:
    assert gitea_read.merge_style(allowed) == style


STRANGE: list[Any] = [None, [], "words", 7, {}, {"number": "x", "iid": "x", "id": {}}, {"number": 1, "iid": 1, "id": 1, "head": 3, "labels": 3, "position": 5, "user": "a", "author": "a", "creator": "a"}]  # fmt: skip


@pytest.mark.parametrize("said", STRANGE)
@pytest.mark.parametrize("forge", [gitea_read, gitlab_read])
@pytest.mark.parametrize("what", ["issue", "pull", "comment", "review_comment", "check"])
def test_an_answer_in_another_shape_is_a_sentence(forge: Any, what: str, said: Any) -> None:
    arguments: dict[str, tuple[Any, ...]] = {
        "check": ("sample", "a" * 40, said),
        "review_comment": ("sample", 1, said),
    }
    between = ("sample", 1, said) if forge is gitlab_read and what == "comment" else ("sample", said)
    more = {} if what == "review_comment" else {"me": "bot"}
    try:
        found = getattr(forge, what)(*arguments.get(what, between), **more)
    except errors.ForgeUnavailable as error:
        assert "shape" in str(error)
    else:  # what can be read without is read without
        assert isinstance(said, dict)
        assert found.repository == "sample"

"""What a hook of ours asks for: what somebody reads, and nothing else."""

from __future__ import annotations

import json

import pytest

from boatwright.intake import gitea, github
from boatwright.rules import hooks


def test_every_event_of_a_github_hook_has_a_reader() -> None:
    assert set(hooks.GITHUB) <= set(github.READERS)


def test_every_event_of_a_gitea_hook_has_a_reader_under_its_coarse_name() -> None:
    coarse = {"issue_label": "issues", "issue_assign": "issues", "pull_request_comment": "issue_comment"}
    told = {"pull_request_review_approved": "pull_request_approved",
            "pull_request_review_rejected": "pull_request_rejected",
            "pull_request_review_comment": "pull_request_comment"}  # fmt: skip
    assert {coarse.get(each, told.get(each, each)) for each in hooks.GITEA} <= set(gitea.READERS)


@pytest.mark.parametrize("kind", sorted(hooks.WORDS))
def test_a_hook_says_where_and_how_it_is_signed(kind: str) -> None:
    words = hooks.WORDS[kind]
    url = hooks.address("https://boat.example.org/", kind)
    assert url == f"https://boat.example.org/webhooks/{kind}"
    body = words.body(url, "s3cret")
    assert words.address(body) == url
    assert json.dumps(body).count("s3cret") == 1


def test_a_gitlab_hook_hears_of_nothing_more() -> None:
    body = hooks.WORDS["gitlab"].body("https://h/webhooks/gitlab", "s")
    on = {flag for flag, value in body.items() if flag.endswith("_events") and value}
    assert on == set(hooks.GITLAB)


def test_the_manifest_names_the_hook_the_rights_and_the_events() -> None:
    said = json.loads(hooks.manifest("https://boat.example.org/webhooks/github"))
    assert said["url"] == "https://boat.example.org"
    assert said["hook_attributes"] == {"url": "https://boat.example.org/webhooks/github", "active": True}
    assert (said["default_permissions"], said["public"]) == (dict(hooks.APP_RIGHTS), False)
    assert said["default_events"] == list(hooks.GITHUB)


def test_checks_of_others_are_told_of_and_their_logs_may_be_read_but_no_workflow_changed() -> None:
    assert {"check_run", "status"} <= set(hooks.GITHUB)
    assert "status" in hooks.GITEA
    assert "pipeline_events" in hooks.GITLAB
    assert hooks.APP_RIGHTS["actions"] == "read"
    assert "workflows" not in hooks.APP_RIGHTS

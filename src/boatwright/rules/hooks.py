"""What a hook of ours asks a forge to tell, and how each forge is told so: exactly what the routing table uses."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

GITHUB = (
    "issues", "issue_comment", "pull_request", "pull_request_review", "pull_request_review_comment", "repository",
    "check_run", "status",
)  # fmt: skip
GITEA = (
    "issues", "issue_label", "issue_assign", "issue_comment", "pull_request", "pull_request_comment",
    "pull_request_review_approved", "pull_request_review_rejected", "pull_request_review_comment", "push", "status",
)  # fmt: skip
"""``push``: the test delivery is one, and is not sent to a hook that does not hear of pushes. Of pushes to the branch of
a pull request every forge tells with the pull request, too.
"""
GITLAB = ("issues_events", "note_events", "merge_requests_events", "pipeline_events")
_GITLAB_NOT = ("push_events", "job_events", "tag_push_events", "wiki_page_events")
APP_RIGHTS: Mapping[str, str] = {
    "metadata": "read", "contents": "write", "issues": "write", "pull_requests": "write", "checks": "write",
    "statuses": "read", "members": "read", "actions": "read",
}  # fmt: skip
"""``actions`` is for the logs of failed jobs. ``workflows`` is not asked for: who wants such changes grants it."""

Said = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Words:
    """How one kind of forge says a hook. ``body`` of (address, secret); ``change`` the method that writes one anew;
    ``test`` what is under a hook's address to have it tried.
    """

    body: Callable[[str, str], dict[str, Any]]
    address: Callable[[Said], str]
    change: str
    test: str


def _config(url: str, secret: str) -> dict[str, Any]:
    return {"url": url, "content_type": "json", "secret": secret}


def _github(url: str, secret: str) -> dict[str, Any]:
    config = {**_config(url, secret), "insecure_ssl": "0"}
    return {"name": "web", "active": True, "events": [*GITHUB], "config": config}


def _gitea(kind: str) -> Callable[[str, str], dict[str, Any]]:
    def body(url: str, secret: str) -> dict[str, Any]:
        return {"type": kind, "active": True, "events": [*GITEA], "config": _config(url, secret)}

    return body


def _gitlab(url: str, secret: str) -> dict[str, Any]:
    flags = {**dict.fromkeys(GITLAB, True), **dict.fromkeys(_GITLAB_NOT, False)}
    return {"url": url, "token": secret, "enable_ssl_verification": True, **flags}


def _configured(said: Said) -> str:
    config = said.get("config")
    return str(config.get("url") or "") if isinstance(config, Mapping) else ""


WORDS: Mapping[str, Words] = {
    "github": Words(_github, _configured, "PATCH", "pings"),
    "gitea": Words(_gitea("gitea"), _configured, "PATCH", "tests"),
    "forgejo": Words(_gitea("forgejo"), _configured, "PATCH", "tests"),
    "gitlab": Words(_gitlab, lambda said: str(said.get("url") or ""), "PUT", "test/push_events"),
}


def address(public: str, kind: str) -> str:
    """Where that kind of forge sends its deliveries, behind the address the world reaches us at."""
    return f"{public.rstrip('/')}/webhooks/{kind}"


def manifest(url: str) -> str:
    """A GitHub App with the rights and events it needs and no other, as GitHub's form for new Apps takes it."""
    return json.dumps(
        {
            "name": "boatwright", "url": url.rpartition("/webhooks/")[0], "public": False,
            "hook_attributes": {"url": url, "active": True}, "default_permissions": dict(APP_RIGHTS),
            "default_events": [*GITHUB],
        }, indent=2,
    )  # fmt: skip

"""How Gitea and Forgejo show things: the fields a program of ours reads, and what their webhooks say."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from boatwright.forge import drafts
from boatwright.testing.fake_actions import Actions, Happened
from boatwright.testing.fake_state import Depot, Remark, Status, Topic

LEVELS = {
    "none": "none",
    "read": "read",
    "triage": "read",
    "write": "write",
    "maintain": "write",
    "admin": "admin",
}
"""There are four levels and the owner."""
_FINER = {
    "labeled": "label", "unlabeled": "label", "assigned": "assign", "unassigned": "assign", "pushed": "sync",
}  # fmt: skip
"""The kind of event behind the event, by action."""
_ACTIONS = {
    "labeled": "label_updated", "unlabeled": "label_updated", "pushed": "synchronized", "ready": "edited",
    "draft": "edited",
}  # fmt: skip


def when(time: datetime | None) -> str | None:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ") if time else None


class Words:
    """Renders for one server, whose address every page begins with."""

    def __init__(self, act: Actions, url: str) -> None:
        self._act, self._url = act, url

    # --- people and places ---

    def user(self, login: str) -> dict[str, Any]:
        account = self._act.account(login)
        return {
            "id": account.id, "login": login, "login_name": "", "full_name": "", "email": f"{login}@noreply.localhost",
            "html_url": f"{self._url}/{login}",
        }  # fmt: skip

    def level(self, depot: Depot, login: str) -> str:
        if login == depot.path.partition("/")[0]:
            return "owner"
        return LEVELS[self._act.role(depot, login)]

    def repository(self, depot: Depot, login: str = "") -> dict[str, Any]:
        owner, _, name = depot.path.partition("/")
        level = self.level(depot, login)
        return {
            "id": depot.id, "name": name, "full_name": depot.path, "owner": self.user(owner), "private": depot.private,
            "fork": False, "archived": depot.archived, "default_branch": depot.default_branch,
            "html_url": f"{self._url}/{depot.path}", "clone_url": f"{self._url}/{depot.path}.git",
            "permissions": {
                "admin": level in {"admin", "owner"}, "push": level in {"write", "admin", "owner"},
                "pull": level != "none",
            },
        }  # fmt: skip

    def label(self, depot: Depot, name: str) -> dict[str, Any]:
        return {"id": depot.labels.get(name, 0), "name": name, "color": "1d76db", "exclusive": False}

    # --- issues and pull requests ---

    def issue(self, depot: Depot, topic: Topic) -> dict[str, Any]:
        pull = topic.pull
        kind = "pulls" if pull else "issues"
        return {
            "id": topic.id, "number": topic.number, "user": self.user(topic.author), "title": topic.title,
            "body": topic.body, "state": topic.state, "comments": 0, "is_locked": False, "ref": "",
            "labels": [self.label(depot, name) for name in topic.labels],
            "assignees": [self.user(login) for login in topic.assignees] or None,
            "assignee": self.user(topic.assignees[0]) if topic.assignees else None,
            "created_at": when(topic.created), "updated_at": when(topic.updated), "closed_at": when(topic.closed),
            "pull_request": {"merged": pull.merged, "draft": pull.draft, "merged_at": None} if pull else None,
            "repository": {"id": depot.id, "full_name": depot.path},
            "html_url": f"{self._url}/{depot.path}/{kind}/{topic.number}",
        }  # fmt: skip

    def pull(self, depot: Depot, topic: Topic) -> dict[str, Any]:
        pull = topic.pull
        assert pull is not None
        fork = self._act.state.depots.get(pull.fork, depot)
        shown = self.issue(depot, topic)
        for name in ("pull_request", "repository", "ref"):
            shown.pop(name)
        return shown | {
            "draft": pull.draft, "merged": pull.merged, "mergeable": topic.state == "open",
            "merge_commit_sha": pull.merge_commit, "merged_at": when(topic.closed) if pull.merged else None,
            "head": {
                "label": pull.branch, "ref": pull.branch, "sha": pull.head, "repo_id": fork.id,
                "repo": self.repository(fork),
            },
            "base": {
                "label": pull.base, "ref": pull.base, "sha": self._act.bare(depot).head(pull.base) or "",
                "repo_id": depot.id, "repo": self.repository(depot),
            },
            "diff_url": f"{self._url}/{depot.path}/pulls/{topic.number}.diff",
        }  # fmt: skip

    # --- talk ---

    def comment(self, depot: Depot, remark: Remark) -> dict[str, Any]:
        topic = self._act.topic(depot, remark.number)
        page = f"{self._url}/{depot.path}/{'pulls' if topic.pull else 'issues'}/{remark.number}"
        return {
            "id": remark.id, "body": remark.body, "user": self.user(remark.author),
            "issue_url": "" if topic.pull else page, "pull_request_url": page if topic.pull else "",
            "html_url": f"{page}#issuecomment-{remark.id}", "assets": [],
            "created_at": when(remark.created), "updated_at": when(remark.updated),
        }  # fmt: skip

    def review(self, depot: Depot, remark: Remark) -> dict[str, Any]:
        """A review of one remark: its id is the remark's, one up."""
        return {
            "id": remark.id + 1, "user": self.user(remark.author), "state": "COMMENT", "body": "", "stale": False,
            "commit_id": remark.commit, "comments_count": 1, "submitted_at": when(remark.created),
        }  # fmt: skip

    def remark(self, depot: Depot, remark: Remark) -> dict[str, Any]:
        return {
            "id": remark.id, "body": remark.body, "user": self.user(remark.author), "path": remark.path,
            "pull_request_review_id": remark.id + 1, "position": remark.line or 0, "original_position": 0,
            "commit_id": remark.commit, "original_commit_id": remark.commit, "diff_hunk": "", "resolver": None,
            "created_at": when(remark.created), "updated_at": when(remark.updated),
        }  # fmt: skip

    def status(self, status: Status) -> dict[str, Any]:
        """What was asked for as ``state`` is shown as ``status``."""
        return {
            "id": status.id, "status": status.state, "context": status.context, "description": status.description,
            "target_url": status.target_url, "creator": self.user(status.author), "created_at": when(status.created),
            "updated_at": when(status.created), "url": f"{self._url}/api/v1/statuses/{status.commit}",
        }  # fmt: skip

    # --- webhooks ---

    def told(self, what: Happened) -> tuple[str, dict[str, Any]] | None:
        """The kind of event (finer than the event) and its payload."""
        around: dict[str, Any] = {"repository": self.repository(what.depot), "sender": self.user(what.by)}
        if what.kind == "push":
            return "push", around | self._push(what)
        if what.kind == "status.set":
            status = next(each for each in what.depot.statuses if str(each.id) == what.name)
            said: dict[str, Any] = {
                "state": status.state,
                "sha": status.commit,
                "commit": {"id": status.commit},
            }
            return "status", {**around, **self.status(status), **said}
        room, _, action = what.kind.partition(".")
        if what.topic is None:
            return None
        if room == "comment" and what.remark is not None:
            return self._comment(action, what, around)
        if room == "remark" and what.remark is not None:
            return self._remark(what, around)
        kind, shown = ("issues", "issue") if room == "issue" else ("pull_request", "pull_request")
        finer = _FINER.get(action)
        if finer is not None:
            kind = f"{'issue' if room == 'issue' else 'pull_request'}_{finer}"
        topic = self.issue(what.depot, what.topic) if room == "issue" else self.pull(what.depot, what.topic)
        said = {
            "action": _ACTIONS.get(action, action),
            "number": what.topic.number,
            shown: topic,
            "commit_id": "",
        }
        return kind, said | around | self._changes(action, what.topic)

    def _changes(self, action: str, topic: Topic) -> dict[str, Any]:
        """What the title was, where the change of it made a draft, or ready."""
        if action not in {"ready", "draft"}:
            return {}
        return {"changes": {"title": {"from": drafts.GITEA.write(topic.title, draft=action == "ready")}}}

    def _push(self, what: Happened) -> dict[str, Any]:
        return {
            "ref": what.name, "before": what.before, "after": what.after, "compare_url": "", "commits": [],
            "total_commits": 0, "head_commit": None, "pusher": self.user(what.by),
        }  # fmt: skip

    def _comment(self, action: str, what: Happened, around: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        assert what.topic is not None
        assert what.remark is not None
        is_pull = what.topic.pull is not None
        said = {
            "action": action, "issue": self.issue(what.depot, what.topic),
            "comment": self.comment(what.depot, what.remark), "is_pull": is_pull,
        }  # fmt: skip
        return ("pull_request_comment" if is_pull else "issue_comment"), said | around

    def _remark(self, what: Happened, around: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """A review is told of without its remarks: they are asked for."""
        assert what.topic is not None
        said = {
            "action": "reviewed", "number": what.topic.number, "pull_request": self.pull(what.depot, what.topic),
            "review": {"type": "pull_request_review_comment", "content": ""},
        }  # fmt: skip
        return "pull_request_review_comment", said | around


def event_of(kind: str) -> str:
    """The coarse name in ``X-Gitea-Event``; the kind itself goes in ``X-Gitea-Event-Type``."""
    if kind in {"issue_label", "issue_assign", "issue_milestone"}:
        return "issues"
    if kind == "pull_request_comment":
        return "issue_comment"
    if kind.startswith("pull_request_review_"):
        return "pull_request_" + kind.removeprefix("pull_request_review_")
    return "pull_request" if kind.startswith("pull_request") else kind


def draft(title: str) -> bool:
    return drafts.GITEA.read(title)[1]

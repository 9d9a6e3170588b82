"""How GitHub shows things: the fields a program of ours reads, and those that prove it ignores the rest."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from boatwright.testing.fake_actions import Actions, Happened
from boatwright.testing.fake_state import Depot, Remark, Run, Status, Topic


def when(time: datetime | None) -> str | None:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ") if time else None


def node(depot: Depot, topic: Topic) -> str:
    return "PR_" + base64.urlsafe_b64encode(f"{depot.path}#{topic.number}".encode()).decode()


def of_node(node_id: str) -> tuple[str, int]:
    """Path and number of a pull request's node; ``ValueError`` where it is none."""
    path, _, number = base64.urlsafe_b64decode(node_id.removeprefix("PR_")).decode().partition("#")
    return path, int(number)


class Words:
    """Renders for one server, whose address every page begins with."""

    def __init__(self, act: Actions, url: str) -> None:
        self._act, self._url = act, url

    def user(self, login: str) -> dict[str, Any]:
        account = self._act.account(login, "Bot" if login.endswith("[bot]") else "User")
        return {"login": login, "id": account.id, "type": account.kind, "html_url": f"{self._url}/{login}"}

    def repository(self, depot: Depot, login: str = "") -> dict[str, Any]:
        owner, _, name = depot.path.partition("/")
        role = self._act.role(depot, login)
        rank = ("none", "read", "triage", "write", "maintain", "admin").index(role)
        return {
            "id": depot.id,
            "name": name,
            "full_name": depot.path,
            "owner": self.user(owner),
            "private": depot.private,
            "archived": depot.archived,
            "default_branch": depot.default_branch,
            "html_url": f"{self._url}/{depot.path}",
            "clone_url": f"{self._url}/{depot.path}.git",
            "permissions": {
                "admin": rank >= 5,
                "maintain": rank >= 4,
                "push": rank >= 3,
                "triage": rank >= 2,
                "pull": rank >= 1,
            },
        }

    def labels(self, depot: Depot, topic: Topic) -> list[dict[str, Any]]:
        return [{"id": depot.labels[name], "name": name, "color": "ededed"} for name in topic.labels]

    def issue(self, depot: Depot, topic: Topic) -> dict[str, Any]:
        page = f"{self._url}/{depot.path}/{'pull' if topic.pull else 'issues'}/{topic.number}"
        shown: dict[str, Any] = {
            "id": topic.id,
            "node_id": f"I_{topic.id}",
            "number": topic.number,
            "title": topic.title,
            "body": topic.body or None,
            "user": self.user(topic.author),
            "state": topic.state,
            "labels": self.labels(depot, topic),
            "assignees": [self.user(login) for login in topic.assignees],
            "assignee": self.user(topic.assignees[0]) if topic.assignees else None,
            "comments": sum(each.number == topic.number and not each.path for each in depot.remarks),
            "created_at": when(topic.created),
            "updated_at": when(topic.updated),
            "closed_at": when(topic.closed),
            "html_url": page,
        }
        if topic.pull is not None:
            shown["pull_request"] = {"html_url": page}
        return shown

    def pull(self, depot: Depot, topic: Topic) -> dict[str, Any]:
        shown = self.issue(depot, topic)
        shown.pop("pull_request", None)
        pull = topic.pull
        assert pull is not None
        if topic.state == "open" and not pull.fork:
            pull.head = self._act.bare(depot).head(pull.branch) or pull.head
        home = self._act.state.depots.get(pull.fork, depot)
        owner = home.path.partition("/")[0]
        return shown | {
            "node_id": node(depot, topic),
            "draft": pull.draft,
            "merged": pull.merged,
            "merged_at": when(topic.closed) if pull.merged else None,
            "merge_commit_sha": pull.merge_commit,
            "head": {
                "ref": pull.branch,
                "sha": pull.head,
                "label": f"{owner}:{pull.branch}",
                "user": self.user(owner),
                "repo": self.repository(home),
            },
            "base": {
                "ref": pull.base,
                "sha": self._act.bare(depot).head(pull.base),
                "label": f"{depot.path.partition('/')[0]}:{pull.base}",
                "repo": self.repository(depot),
            },
        }

    def comment(self, depot: Depot, remark: Remark) -> dict[str, Any]:
        page = f"{self._url}/{depot.path}/issues/{remark.number}"
        return {
            "id": remark.id,
            "node_id": f"IC_{remark.id}",
            "body": remark.body,
            "user": self.user(remark.author),
            "author_association": "NONE",
            "created_at": when(remark.created),
            "updated_at": when(remark.updated),
            "html_url": f"{page}#issuecomment-{remark.id}",
        }

    def remark(self, depot: Depot, remark: Remark) -> dict[str, Any]:
        return self.comment(depot, remark) | {
            "path": remark.path,
            "line": remark.line,
            "original_line": remark.line,
            "side": "RIGHT",
            "commit_id": remark.commit,
            "original_commit_id": remark.commit,
            "diff_hunk": "",
        }

    def run(self, depot: Depot, run: Run) -> dict[str, Any]:
        app = self._act.state.app
        return {
            "id": run.id,
            "name": run.name,
            "head_sha": run.commit,
            "external_id": run.external_id,
            "status": run.status,
            "conclusion": run.conclusion,
            "output": {
                "title": run.title or None,
                "summary": run.summary or None,
                "annotations_count": len(run.annotations),
            },
            "app": {"id": app.id if app else 0, "slug": run.app or (app.slug if app else "")},
            "details_url": f"{self._url}/{depot.path}/actions/runs/1/job/{run.id}",
            "html_url": f"{self._url}/{depot.path}/runs/{run.id}",
            "check_suite": {"id": run.id, "head_branch": None, "head_sha": run.commit},
        }

    def status(self, depot: Depot, status: Status) -> dict[str, Any]:
        return {
            "id": status.id,
            "context": status.context,
            "state": status.state,
            "description": status.description or None,
            "target_url": status.target_url or None,
            "creator": self.user(status.author),
            "created_at": when(status.created),
        }

    # --- webhooks ---

    def told(self, what: Happened) -> tuple[str, dict[str, Any]] | None:
        """Event name and payload, as GitHub's documentation lists them."""
        around: dict[str, Any] = {"repository": self.repository(what.depot), "sender": self.user(what.by)}
        if self._act.state.app is not None:
            around["installation"] = {"id": self._act.state.app.installation}
        if what.kind == "push":
            return "push", around | {
                "ref": what.name, "before": what.before, "after": what.after, "commits": [], "pusher": {"name": what.by},
            }  # fmt: skip
        if what.kind in {"run.ended", "status.set"}:
            return self._of_check(what, around)
        room, _, action = what.kind.partition(".")
        if what.topic is None:
            return None
        if room in {"comment", "remark"} and what.remark is not None:
            return self._of_talk(room, action, what, around)
        if room == "issue":
            shown = self.issue(what.depot, what.topic)
            return "issues", around | {"action": action, "issue": shown} | self._about(action, what)
        action = {"pushed": "synchronize", "ready": "ready_for_review", "draft": "converted_to_draft"}.get(
            action, action
        )
        more = (
            {"before": what.before, "after": what.after}
            if action == "synchronize"
            else self._about(action, what)
        )
        shown = self.pull(what.depot, what.topic)
        return "pull_request", around | {
            "action": action, "number": what.topic.number, "pull_request": shown,
        } | more  # fmt: skip

    def _of_check(self, what: Happened, around: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        for run in what.depot.runs:
            if str(run.id) == what.name:
                action = "completed" if run.conclusion else "created"
                return "check_run", around | {"action": action, "check_run": self.run(what.depot, run)}
        status = next(each for each in what.depot.statuses if str(each.id) == what.name)
        shown = self.status(what.depot, status)
        return "status", around | shown | {"sha": status.commit, "branches": []}

    def _about(self, action: str, what: Happened) -> dict[str, Any]:
        if action in {"labeled", "unlabeled"}:
            return {"label": {"id": what.depot.labels.get(what.name, 0), "name": what.name}}
        return {"assignee": self.user(what.name)} if action in {"assigned", "unassigned"} else {}

    def _of_talk(
        self, room: str, action: str, what: Happened, around: dict[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        assert what.topic is not None
        assert what.remark is not None
        if room == "remark":
            return "pull_request_review_comment", around | {
                "action": action,
                "pull_request": self.pull(what.depot, what.topic),
                "comment": self.remark(what.depot, what.remark),
            }
        return "issue_comment", around | {
            "action": action,
            "issue": self.issue(what.depot, what.topic),
            "comment": self.comment(what.depot, what.remark),
        }

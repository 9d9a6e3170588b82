"""How GitLab shows things: the fields a program of ours reads, and what its webhooks say.

Issues and merge requests are counted apart, each from 1 (``iid``); the state behind it has one count.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from boatwright.forge import drafts
from boatwright.testing.fake_actions import Actions, Happened
from boatwright.testing.fake_http import Problem
from boatwright.testing.fake_state import Depot, Remark, Status, Topic

LEVELS = {"none": 0, "read": 10, "triage": 20, "write": 30, "maintain": 40, "admin": 50}
_ACTIONS = {"opened": "open", "closed": "close", "reopened": "reopen"}


def when(time: datetime | None) -> str | None:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z") if time else None


def draft(title: str) -> bool:
    return drafts.GITLAB.read(title)[1]


class Words:
    """Renders for one server, whose address every page begins with."""

    def __init__(self, act: Actions, url: str) -> None:
        self._act, self._url = act, url

    # --- numbers ---

    def iid(self, depot: Depot, topic: Topic) -> int:
        alike = [each.number for each in depot.topics.values() if (each.pull is None) == (topic.pull is None)]
        return sorted(alike).index(topic.number) + 1

    def find(self, depot: Depot, iid: int, *, pull: bool) -> Topic:
        alike = sorted(
            (each for each in depot.topics.values() if (each.pull is not None) == pull),
            key=lambda t: t.number,
        )
        if not 0 < iid <= len(alike):
            raise Problem(404, "404 Not found")
        return alike[iid - 1]

    # --- people and places ---

    def user(self, login: str) -> dict[str, Any]:
        account = self._act.account(login)
        return {
            "id": account.id, "username": login, "name": login.title(), "state": "active",
            "web_url": f"{self._url}/{login}",
        }  # fmt: skip

    def project(self, depot: Depot, login: str = "") -> dict[str, Any]:
        level = LEVELS[depot.people.get(login, "none")]
        return {
            "id": depot.id, "path": depot.path.rpartition("/")[2], "path_with_namespace": depot.path,
            "default_branch": depot.default_branch, "visibility": "private" if depot.private else "public",
            "archived": depot.archived, "web_url": f"{self._url}/{depot.path}",
            "http_url_to_repo": f"{self._url}/{depot.path}.git", "merge_method": "merge",
            "permissions": {"project_access": {"access_level": level} if level else None, "group_access": None},
        }  # fmt: skip

    # --- issues and merge requests ---

    def issue(self, depot: Depot, topic: Topic) -> dict[str, Any]:
        iid = self.iid(depot, topic)
        return {
            "id": topic.id, "iid": iid, "project_id": depot.id, "title": topic.title, "description": topic.body or None,
            "state": "opened" if topic.state == "open" else "closed", "labels": list(topic.labels),
            "author": self.user(topic.author), "assignees": [self.user(login) for login in topic.assignees],
            "created_at": when(topic.created), "updated_at": when(topic.updated), "closed_at": when(topic.closed),
            "issue_type": "issue", "web_url": f"{self._url}/{depot.path}/-/issues/{iid}",
        }  # fmt: skip

    def pull(self, depot: Depot, topic: Topic, *, sha: str, status: str) -> dict[str, Any]:
        """``sha`` is where the merge request thinks its branch is; ``status`` how far mergeability is worked out."""
        pull = topic.pull
        assert pull is not None
        iid = self.iid(depot, topic)
        fork = self._act.state.depots.get(pull.fork, depot)
        state = "merged" if pull.merged else "opened" if topic.state == "open" else "closed"
        return {
            "id": topic.id, "iid": iid, "project_id": depot.id, "title": topic.title, "description": topic.body or None,
            "state": state, "draft": pull.draft, "work_in_progress": pull.draft, "labels": list(topic.labels),
            "author": self.user(topic.author), "assignees": [self.user(login) for login in topic.assignees],
            "source_branch": pull.branch, "target_branch": pull.base, "source_project_id": fork.id,
            "target_project_id": depot.id, "sha": sha, "merge_commit_sha": pull.merge_commit,
            "squash_commit_sha": None, "merge_status": "can_be_merged", "detailed_merge_status": status,
            "created_at": when(topic.created), "updated_at": when(topic.updated), "closed_at": when(topic.closed),
            "merged_at": when(topic.closed) if pull.merged else None,
            "web_url": f"{self._url}/{depot.path}/-/merge_requests/{iid}",
        }  # fmt: skip

    # --- talk ---

    def note(self, depot: Depot, remark: Remark) -> dict[str, Any]:
        topic = self._act.topic(depot, remark.number)
        shown = {
            "id": remark.id, "type": "DiffNote" if remark.path else None, "body": remark.body, "system": False,
            "author": self.user(remark.author), "noteable_iid": self.iid(depot, topic), "resolvable": bool(remark.path),
            "noteable_type": "MergeRequest" if topic.pull else "Issue", "noteable_id": topic.id,
            "created_at": when(remark.created), "updated_at": when(remark.updated), "internal": False,
        }  # fmt: skip
        if remark.path:
            shown["position"] = self.position(remark)
        return shown

    def position(self, remark: Remark) -> dict[str, Any]:
        return {
            "position_type": "text", "base_sha": remark.commit, "start_sha": remark.commit, "head_sha": remark.commit,
            "old_path": remark.path, "new_path": remark.path, "old_line": None, "new_line": remark.line,
        }  # fmt: skip

    def record(self, topic: Topic) -> dict[str, Any]:
        """A note GitLab writes itself, about a change."""
        return {
            "id": topic.id, "type": None, "body": "changed the description", "system": True,
            "author": self.user(topic.author), "created_at": when(topic.created), "updated_at": when(topic.created),
        }  # fmt: skip

    def award(self, login: str, name: str, number: int) -> dict[str, Any]:
        return {"id": number, "name": name, "user": self.user(login)}

    def status(self, status: Status) -> dict[str, Any]:
        return {
            "id": status.id, "sha": status.commit, "ref": "main", "status": status.state, "name": status.context,
            "target_url": status.target_url or None, "description": status.description or None,
            "created_at": when(status.created), "allow_failure": False, "author": self.user(status.author),
        }  # fmt: skip

    # --- webhooks ---

    def told(self, what: Happened) -> tuple[str, dict[str, Any]] | None:
        """The hook's name and its payload."""
        around: dict[str, Any] = {"user": self.user(what.by), "project": self._place(what.depot)}
        if what.kind == "push":
            return "Push Hook", around | self._push(what)
        if what.kind == "status.set":
            status = next(each for each in what.depot.statuses if str(each.id) == what.name)
            shown = {"id": status.id, "sha": status.commit, "status": status.state, "ref": "", "name": None}
            return "Pipeline Hook", around | {"object_kind": "pipeline", "object_attributes": shown}
        room, _, action = what.kind.partition(".")
        if what.topic is None or (room in {"comment", "remark"} and action == "deleted"):
            return None
        if what.remark is not None:
            return "Note Hook", around | self._note(action, what)
        kind = "issue" if room == "issue" else "merge_request"
        said = around | {
            "object_kind": kind, "event_type": kind, "object_attributes": self._attributes(action, what),
            "labels": [self._title(what.depot, name) for name in what.topic.labels],
            "assignees": [self.user(login) for login in what.topic.assignees], "changes": self._changes(action, what),
        }  # fmt: skip
        return ("Issue Hook" if kind == "issue" else "Merge Request Hook"), said

    def _place(self, depot: Depot) -> dict[str, Any]:
        shown = self.project(depot)
        shown["git_http_url"] = shown["http_url_to_repo"]
        return shown

    def _title(self, depot: Depot, name: str) -> dict[str, Any]:
        return {"id": depot.labels.get(name, 0), "title": name, "type": "ProjectLabel"}

    def _attributes(self, action: str, what: Happened) -> dict[str, Any]:
        topic = what.topic
        assert topic is not None
        if topic.pull is None:
            shown = self.issue(what.depot, topic)
        else:
            shown = self.pull(what.depot, topic, sha=topic.pull.head, status="unchecked")
            shown["last_commit"] = {"id": topic.pull.head}
            shown["target"] = self._place(what.depot)
            shown["source"] = self._place(self._act.state.depots.get(topic.pull.fork, what.depot))
        shown["author_id"] = self.user(topic.author)["id"]
        shown["url"] = shown["web_url"]
        shown["action"] = _ACTIONS.get(action, "update")
        if topic.pull is not None and topic.pull.merged and action == "closed":
            shown["action"] = "merge"
        if action == "pushed":
            shown["oldrev"] = what.before
        return shown

    def _changes(self, action: str, what: Happened) -> dict[str, Any]:
        assert what.topic is not None
        now = what.topic.labels
        if action in {"ready", "draft"}:
            return {"draft": {"previous": action == "ready", "current": action == "draft"}}
        if action == "assigned":
            people = [self.user(login) for login in what.topic.assignees]
            return {"assignees": {"previous": people[:-1], "current": people}}
        if action not in {"labeled", "unlabeled"}:
            return {}
        before = [name for name in now if name != what.name] if action == "labeled" else [*now, what.name]
        return {
            "labels": {
                "previous": [self._title(what.depot, name) for name in before],
                "current": [self._title(what.depot, name) for name in now],
            }
        }

    def _note(self, action: str, what: Happened) -> dict[str, Any]:
        assert what.topic is not None
        assert what.remark is not None
        shown = self.note(what.depot, what.remark)
        shown |= {"note": shown.pop("body"), "action": "create" if action == "created" else "update"}
        about = "issue" if what.topic.pull is None else "merge_request"
        return {
            "object_kind": "note", "event_type": "note", "project_id": what.depot.id, "object_attributes": shown,
            about: self._attributes("", what),
        }  # fmt: skip

    def _push(self, what: Happened) -> dict[str, Any]:
        return {
            "object_kind": "push", "event_name": "push", "ref": what.name, "before": what.before, "after": what.after,
            "checkout_sha": what.after, "user_username": what.by, "project_id": what.depot.id, "commits": [],
            "total_commits_count": 0,
        }  # fmt: skip

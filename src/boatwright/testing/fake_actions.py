"""What people and programs do on a fake forge, whichever it imitates: each changes the state and says what happened.

The HTTP routes and whoever plays a person call the same functions. A refusal is a :class:`fake_http.Problem`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from boatwright import errors
from boatwright.forge.local_git import Bare, MergeOrder
from boatwright.testing.fake_http import Problem
from boatwright.testing.fake_state import Account, Depot, Pull, Remark, State, Topic
from boatwright.values.clock import Clock

ROLES = ("none", "read", "triage", "write", "maintain", "admin")
_CLOSES = re.compile(r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?)\s+#(\d+)\b", re.IGNORECASE)
GHOST = "ghost"


class Moved(Exception):
    """The repository is called otherwise now."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


@dataclass(frozen=True, slots=True)
class Happened:
    """One thing that webhooks tell: ``issue.labeled``, ``comment.created``, ``pull.pushed``, ``push`` …"""

    kind: str
    depot: Depot
    by: str
    topic: Topic | None = None
    remark: Remark | None = None
    name: str = ""
    """The label or the assignee it is about, the ref, or the id of a check."""
    before: str = ""
    after: str = ""


class Actions:
    """The state of one forge, and everything that changes it. The caller holds the lock."""

    def __init__(self, root: Path, state: State, clock: Clock) -> None:
        self.root, self.state, self._clock = root, state, clock
        self.happened: list[Happened] = []
        """Since somebody took them."""

    # --- who and where ---

    def new_id(self) -> int:
        self.state.last_id += 1
        return self.state.last_id

    def now(self) -> datetime:
        return self._clock.now()

    def account(self, login: str, kind: str = "User") -> Account:
        """The account, made if nobody has it: a fake forge asks nobody to sign up."""
        found = self.state.accounts.get(login)
        if found is None:
            found = self.state.accounts[login] = Account(id=self.new_id(), login=login, kind=kind)
        return found

    def depot(self, path: str, login: str = "", need: str = "none") -> Depot:
        """The repository, if ``login`` has at least the role ``need`` there."""
        if path in self.state.moved:
            raise Moved(self.state.moved[path])
        found = self.state.depots.get(path)
        role = self.role(found, login) if found else "none"
        if found is None or (found.private and role == "none" and need != "none"):
            raise Problem(404, "Not Found")
        if ROLES.index(role) < ROLES.index(need):
            raise Problem(403, "Resource not accessible by integration")
        if found.archived and need not in {"none", "read"}:
            raise Problem(403, "Repository was archived so is read-only.")
        return found

    def rename(self, path: str, new: str) -> None:
        """The repository gets another name or owner; the old one leads to it."""
        depot = self.depot(path)
        target = self.root / "git" / f"{new}.git"
        target.parent.mkdir(parents=True, exist_ok=True)
        (self.root / "git" / f"{path}.git").rename(target)
        depot.path = new
        self.state.depots[new] = self.state.depots.pop(path)
        self.state.moved[path] = new

    def role(self, depot: Depot, login: str) -> str:
        if self.state.app and login == f"{self.state.app.slug}[bot]":
            return "write"  # an App has rights of its own, which the fake of GitHub asks for
        role = depot.people.get(login, "none")
        return role if role != "none" or depot.private or not login else "read"

    def topic(self, depot: Depot, number: int) -> Topic:
        found = depot.topics.get(number)
        if found is None:
            raise Problem(404, "Not Found")
        return found

    def pull(self, depot: Depot, number: int) -> tuple[Topic, Pull]:
        """A pull request with its head as the branch is now."""
        topic = self.topic(depot, number)
        if topic.pull is None:
            raise Problem(404, "Not Found")
        if topic.state == "open" and not topic.pull.fork:
            topic.pull.head = self.bare(depot).head(topic.pull.branch) or topic.pull.head
        return topic, topic.pull

    def bare(self, depot: Depot) -> Bare:
        return Bare(self.root / "git" / f"{depot.path}.git")

    def _say(
        self, kind: str, depot: Depot, by: str, topic: Topic, remark: Remark | None = None, name: str = ""
    ) -> None:
        topic.updated = self._clock.now()
        self.happened.append(Happened(kind, depot, by, topic, remark, name))

    # --- issues ---

    def open_issue(
        self, path: str, *, by: str, title: str, body: str = "", labels: Sequence[str] = ()
    ) -> Topic:
        depot = self.depot(path)
        topic = self._topic(depot, by, title, body)
        self._say("issue.opened", depot, by, topic)
        for label in labels:
            self.label(path, topic.number, label, by=by)
        return topic

    def _topic(self, depot: Depot, by: str, title: str, body: str, pull: Pull | None = None) -> Topic:
        if not title.strip():
            raise Problem(422, "Validation Failed", errors=[{"code": "missing_field", "field": "title"}])
        depot.last += 1
        self.account(by)
        now = self._clock.now()
        topic = Topic(
            id=self.new_id(),
            number=depot.last,
            title=title,
            body=body,
            author=by,
            created=now,
            updated=now,
            pull=pull,
        )
        depot.topics[topic.number] = topic
        return topic

    def edit(
        self, path: str, number: int, *, by: str, title: str | None = None, body: str | None = None
    ) -> Topic:
        depot = self.depot(path)
        topic = self.topic(depot, number)
        topic.title = topic.title if title is None else title
        topic.body = topic.body if body is None else body
        self._say(f"{_kind(topic)}.edited", depot, by, topic)
        return topic

    def close(self, path: str, number: int, *, by: str) -> Topic:
        depot = self.depot(path)
        topic = self.pull(depot, number)[0] if self.topic(depot, number).pull else self.topic(depot, number)
        if topic.state == "open":
            topic.state, topic.closed = "closed", self._clock.now()
            self._say(f"{_kind(topic)}.closed", depot, by, topic)
        return topic

    def reopen(self, path: str, number: int, *, by: str) -> Topic:
        depot = self.depot(path)
        topic = self.topic(depot, number)
        if topic.pull is not None and topic.pull.merged:
            raise Problem(422, "Validation Failed", errors=[{"message": "The pull request is merged."}])
        if topic.state == "closed":
            topic.state, topic.closed = "open", None
            self._say(f"{_kind(topic)}.reopened", depot, by, topic)
        return topic

    def label(self, path: str, number: int, label: str, *, by: str) -> None:
        depot = self.depot(path)
        topic = self.topic(depot, number)
        if label not in depot.labels:
            depot.labels[label] = self.new_id()
        if label not in topic.labels:
            topic.labels.append(label)
            topic.labellings.append((label, by, True, self._clock.now()))
            self._say(f"{_kind(topic)}.labeled", depot, by, topic, name=label)

    def unlabel(self, path: str, number: int, label: str, *, by: str) -> None:
        depot = self.depot(path)
        topic = self.topic(depot, number)
        if label not in topic.labels:
            raise Problem(404, "Label does not exist")
        topic.labels.remove(label)
        topic.labellings.append((label, by, False, self._clock.now()))
        self._say(f"{_kind(topic)}.unlabeled", depot, by, topic, name=label)

    def assign(self, path: str, number: int, login: str, *, by: str) -> None:
        depot = self.depot(path)
        topic = self.topic(depot, number)
        self.account(login)
        if login not in topic.assignees:
            topic.assignees.append(login)
            self._say(f"{_kind(topic)}.assigned", depot, by, topic, name=login)

    def react(self, thing: Topic | Remark, content: str, *, by: str) -> bool:
        """Whether it is new: the same person's same reaction is one."""
        if (by, content) in thing.reactions:
            return False
        thing.reactions.append((by, content))
        return True

    # --- talk ---

    def comment(self, path: str, number: int, *, by: str, body: str) -> Remark:
        depot = self.depot(path)
        topic = self.topic(depot, number)
        return self._remark(depot, topic, "comment", by=by, body=body)

    def remark(self, path: str, number: int, *, by: str, body: str, file: str, line: int | None) -> Remark:
        """What a person says about a line of a pull request."""
        depot = self.depot(path)
        topic, pull = self.pull(depot, number)
        return self._remark(depot, topic, "remark", by=by, body=body, path=file, line=line, commit=pull.head)

    def _remark(
        self, depot: Depot, topic: Topic, kind: str, *, by: str, body: str, path: str = "", line: int | None = None,
        commit: str = "",
    ) -> Remark:  # fmt: skip
        if not body:
            raise Problem(422, "Validation Failed", errors=[{"code": "missing_field", "field": "body"}])
        self.account(by)
        now = self._clock.now()
        made = Remark(
            id=self.new_id(), number=topic.number, author=by, body=body, created=now, updated=now, path=path, line=line,
            commit=commit,
        )  # fmt: skip
        depot.remarks.append(made)
        self._say(f"{kind}.created", depot, by, topic, made)
        return made

    def find_remark(self, depot: Depot, number: int) -> Remark:
        found = next((each for each in depot.remarks if each.id == number), None)
        if found is None:
            raise Problem(404, "Not Found")
        return found

    def edit_comment(self, path: str, comment: int, *, by: str, body: str) -> Remark:
        depot = self.depot(path)
        found = self.find_remark(depot, comment)
        found.body, found.updated = body, self._clock.now()
        self._say("comment.edited", depot, by, self.topic(depot, found.number), found)
        return found

    def delete_comment(self, path: str, comment: int, *, by: str) -> None:
        depot = self.depot(path)
        found = self.find_remark(depot, comment)
        depot.remarks.remove(found)
        self._say("comment.deleted", depot, by, self.topic(depot, found.number), found)

    # --- pull requests ---

    def open_pull(
        self,
        path: str,
        *,
        by: str,
        title: str,
        body: str,
        branch: str,
        base: str,
        draft: bool,
        fork: str = "",
    ) -> Topic:
        """One open pull request per branch and base; both must exist."""
        depot = self.depot(path)
        head = self.bare(self.depot(fork) if fork else depot).head(branch)
        if head is None or self.bare(depot).head(base) is None:
            raise Problem(
                422,
                "Validation Failed",
                errors=[{"field": "head" if head is None else "base", "code": "invalid"}],
            )
        for other in depot.topics.values():
            if (
                other.pull
                and other.state == "open"
                and (other.pull.branch, other.pull.fork) == (branch, fork)
            ):
                owner = path.partition("/")[0]
                words = f"A pull request already exists for {owner}:{branch}."
                raise Problem(422, "Validation Failed", errors=[{"message": words}])
        pull = Pull(branch=branch, base=base, head=head, draft=draft, fork=fork)
        topic = self._topic(depot, by, title, body, pull)
        self._say("pull.opened", depot, by, topic)
        return topic

    def set_draft(self, path: str, number: int, *, by: str, draft: bool) -> Topic:
        depot = self.depot(path)
        topic, pull = self.pull(depot, number)
        if pull.draft != draft:
            pull.draft = draft
            self._say("pull.draft" if draft else "pull.ready", depot, by, topic)
        return topic

    def merge(self, path: str, number: int, *, by: str, head: str = "") -> str:
        """The merge commit. 409 where the head is another than ``head``; 405 where it cannot be merged."""
        depot = self.depot(path)
        topic, pull = self.pull(depot, number)
        if topic.state != "open" or pull.draft:
            raise Problem(
                405, "Pull Request is still a draft" if pull.draft else "Pull Request is not mergeable"
            )
        if head and head != pull.head:
            raise Problem(409, "Head branch was modified. Review and try the merge again.")
        order = MergeOrder(
            branch=pull.branch, head=pull.head, base=pull.base, when=self._clock.now(),
            message=f"Merge pull request #{number} from {pull.branch}\n\n{topic.title}",
        )  # fmt: skip
        try:
            pull.merge_commit = self.bare(depot).merge_in(order)
        except errors.Conflict:
            raise Problem(405, "Pull Request is not mergeable") from None
        pull.merged, topic.state, topic.closed = True, "closed", self._clock.now()
        self._say("pull.closed", depot, by, topic)
        if pull.base == depot.default_branch:
            self._close_named(depot, topic, by)
        return pull.merge_commit

    def _close_named(self, depot: Depot, topic: Topic, by: str) -> None:
        for number in map(int, _CLOSES.findall(topic.body)):
            issue = depot.topics.get(number)
            if issue is not None and issue.pull is None:
                self.close(depot.path, number, by=by)

    def pushed(self, depot: Depot, by: str, before: dict[str, str]) -> None:
        """Say what a push changed: the branches, and the pull requests of them."""
        after = self.bare(depot).heads()
        nothing = "0" * 40
        for branch in sorted({*before, *after}):
            old, new = before.get(branch, nothing), after.get(branch, nothing)
            if old == new:
                continue
            self.happened.append(Happened("push", depot, by, None, None, f"refs/heads/{branch}", old, new))
            for topic in depot.topics.values():
                if (
                    topic.pull
                    and topic.state == "open"
                    and topic.pull.branch == branch
                    and not topic.pull.fork
                ):
                    topic.pull.head = new
                    topic.updated = self._clock.now()
                    self.happened.append(Happened("pull.pushed", depot, by, topic, None, "", old, new))


def _kind(topic: Topic) -> str:
    return "issue" if topic.pull is None else "pull"

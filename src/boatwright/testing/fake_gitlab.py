"""A GitLab on loopback: ``/api/v4``.

What it imitates is what our adapter relies on: issues and merge requests counted apart, drafts by title, statuses by name
that refuse the state they are in, notes found under their thread only, emoji that refuse a second, quick actions that are
carried out, members by id, and a merge request that learns of a push, and of whether it merges, later than the branch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from boatwright.git.run import Call
from boatwright.testing.fake_gitlab_issues import GitLabIssues, text_of
from boatwright.testing.fake_gitlab_room import PROJECT
from boatwright.testing.fake_gitlab_words import draft
from boatwright.testing.fake_http import Problem, Reply, Request, route
from boatwright.testing.fake_state import Depot, Status, Topic
from boatwright.values.clock import Clock

_STATES = ("pending", "running", "success", "failed", "canceled", "skipped")
_EVENTS = {"pending": "enqueue", "running": "run"}
LONGEST = 255


class FakeGitLab(GitLabIssues):
    """The whole server: what :class:`GitLabIssues` serves, and merge requests and statuses."""

    def __init__(self, directory: Path, *, port: int = 0, clock: Clock | None = None) -> None:
        super().__init__(directory, port=port, clock=clock)
        self._seen: dict[int, str] = {}
        self._refused: set[tuple[int, str]] = set()
        self._checking: set[int] = set()

    # --- merge requests ---

    def _shown(self, depot: Depot, topic: Topic) -> dict[str, Any]:
        """The first look after a push shows where the branch was, and the first after a refused merge is not sure yet."""
        topic, pull = self.act.pull(depot, topic.number)
        sha = self._seen.get(topic.id, pull.head)
        self._seen[topic.id] = pull.head
        status = "mergeable" if topic.state == "open" else "not_open"
        if topic.state == "open" and pull.draft:
            status = "draft_status"
        if topic.id in self._checking:
            self._checking.discard(topic.id)
            status = "checking"
        return self.words.pull(depot, topic, sha=sha if topic.state == "open" else pull.head, status=status)

    @route("GET", PROJECT + "/merge_requests")
    def pulls(self, request: Request, project: str) -> Reply:
        depot, query = self.may(request, project), request.query
        found = [each for each in depot.topics.values() if each.pull and _fits(each, query.get("state"))]
        if query.get("source_branch"):
            found = [each for each in found if each.pull and each.pull.branch == query["source_branch"]]
        found.sort(key=lambda each: each.number, reverse=query.get("sort", "desc") == "desc")
        return self.page(request, [self._shown(depot, each) for each in found])

    @route("POST", PROJECT + "/merge_requests")
    def open(self, request: Request, project: str) -> Reply:
        depot, said = self.may(request, project, "write"), request.json
        missing = [key for key in ("source_branch", "target_branch", "title") if not said.get(key)]
        if missing:
            raise Problem(400, ", ".join(f"{key} is missing" for key in missing))
        branch, base, title = (str(said[key]) for key in ("source_branch", "target_branch", "title"))
        for topic in depot.topics.values():
            pull = topic.pull
            if pull and topic.state == "open" and (pull.branch, pull.base, pull.fork) == (branch, base, ""):
                raise _listed(
                    409,
                    f"Another open merge request already exists for this source branch: !{self.words.iid(depot, topic)}",
                )
        if self.act.bare(depot).head(branch) is None:
            raise _listed(400, f'Source branch "{branch}" does not exist')
        made = self.act.open_pull(
            depot.path, by=request.login, title=title, body="", branch=branch, base=base, draft=draft(title)
        )
        made.body = self.ordered(request, depot, made, text_of(said.get("description")))
        return Reply(201, self._shown(depot, made))

    @route("GET", PROJECT + "/merge_requests/{iid}")
    def pull(self, request: Request, project: str, iid: str) -> Reply:
        depot = self.may(request, project)
        return Reply(200, self._shown(depot, self.topic(request, depot, iid)))

    @route("PUT", PROJECT + "/merge_requests/{iid}")
    def change_pull(self, request: Request, project: str, iid: str) -> Reply:
        depot = self.may(request, project)
        topic = self.topic(request, depot, iid)
        if request.login != topic.author:
            self.may(request, project, "write")
        self.changed(request, depot, topic)
        self._redraft(request, depot, topic)
        return Reply(200, self._shown(depot, topic))

    def _redraft(self, request: Request, depot: Depot, topic: Topic) -> None:
        """One event tells of a title that made it a draft, or ready."""
        if topic.pull is not None and topic.pull.draft != draft(topic.title):
            self.act.happened = [each for each in self.act.happened if each.kind != "pull.edited"]
            self.act.set_draft(depot.path, topic.number, by=request.login, draft=draft(topic.title))

    @route("PUT", PROJECT + "/merge_requests/{iid}/merge")
    def merge(self, request: Request, project: str, iid: str) -> Reply:
        """Who may not is told 401. Whether it merges is worked out after it was asked for the first time."""
        depot = self.may(request, project)
        if self.act.role(depot, request.login) not in {"write", "maintain", "admin"}:
            raise Problem(401, "401 Unauthorized")
        topic, pull = self.act.pull(depot, self.topic(request, depot, iid).number)
        if topic.state != "open" or pull.draft:
            raise Problem(405, "405 Method Not Allowed")
        if request.json.get("sha") not in {None, "", pull.head}:
            raise Problem(409, "SHA does not match HEAD of source branch: " + pull.head)
        if (topic.id, pull.head) not in self._refused:
            self._refused.add((topic.id, pull.head))
            self._checking.add(topic.id)
            raise Problem(405, "405 Method Not Allowed")
        try:
            self.act.merge(depot.path, topic.number, by=request.login)
        except Problem:
            raise Problem(422, "Branch cannot be merged") from None
        return Reply(200, self._shown(depot, topic))

    @route("POST", PROJECT + "/merge_requests/{iid}/discussions")
    def discuss(self, request: Request, project: str, iid: str) -> Reply:
        """A thread, on a line where ``position`` names one."""
        depot, said = self.may(request, project), request.json
        topic, place = self.topic(request, depot, iid), said.get("position") or {}
        body = text_of(said.get("body"))
        if place:
            if not all(place.get(key) for key in ("base_sha", "start_sha", "head_sha", "position_type")):
                raise Problem(400, "position is incomplete")
            file = str(place.get("new_path") or place.get("old_path") or "")
            line = int(place.get("new_line") or 0) or None
            made = self.act.remark(
                depot.path, topic.number, by=request.login, body=body, file=file, line=line
            )
        else:
            made = self.act.comment(depot.path, topic.number, by=request.login, body=body)
        return Reply(201, {"id": f"{made.id:040x}", "notes": [self.words.note(depot, made)]})

    # --- statuses ---

    def _commit(self, depot: Depot, name: str) -> str:
        bare = self.act.bare(depot)
        ran = bare.run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", call=Call(ok=(0, 1, 128)))
        if ran.code:
            raise Problem(404, "404 Commit Not Found")
        return ran.out.decode().strip()

    @route("POST", PROJECT + "/statuses/{sha}")
    def set_status(self, request: Request, project: str, sha: str) -> Reply:
        """One that has not ended is changed; the state it is in already is refused. One that has ended is followed by
        another.
        """
        depot, said = self.may(request, project, "write"), request.json
        commit, state = self._commit(depot, sha), str(said.get("state", ""))
        name = str(said.get("name") or said.get("context") or "default")
        if state not in _STATES:
            raise Problem(400, "state does not have a valid value")
        if any(len(text_of(said.get(key))) > LONGEST for key in ("description", "target_url")):
            raise Problem(400, "description is too long (maximum is 255 characters)")
        status = self._unended(depot, commit, name)
        if status is not None and status.state == state:
            event = _EVENTS[state]
            why = f'(Reason(s): Status cannot transition via "{event}")'
            words = f"Cannot transition status via :{event} from :{state} {why}"
            raise Problem(400, words)
        if status is None:
            status = Status(
                id=self.act.new_id(), commit=commit, context=name, state=state, author=request.login,
                created=self.clock.now(),
            )  # fmt: skip
            depot.statuses.append(status)
        status.state, status.author = state, request.login
        status.description, status.target_url = (
            text_of(said.get("description")),
            text_of(said.get("target_url")),
        )
        return Reply(201, self.words.status(status))

    def _unended(self, depot: Depot, commit: str, name: str) -> Status | None:
        for each in depot.statuses:
            if (each.commit, each.context) == (commit, name) and each.state in _EVENTS:
                return each
        return None

    @route("GET", PROJECT + "/jobs/{number}/trace")
    def trace(self, request: Request, project: str, number: str) -> Reply:
        depot = self.may(request, project)
        found = depot.logs.get(int(number))
        if found is None:
            raise Problem(404, "404 Not Found")
        return Reply(200, found.encode())

    @route("GET", PROJECT + "/repository/commits/{sha}/statuses")
    def statuses(self, request: Request, project: str, sha: str) -> Reply:
        """The newest of each name, unless all are asked for."""
        depot = self.may(request, project)
        commit = self._commit(depot, sha)
        found = [each for each in depot.statuses if each.commit == commit]
        if request.query.get("all") != "true":
            found = list({each.context: each for each in found}.values())
        return self.page(request, [self.words.status(each) for each in found])


def _fits(topic: Topic, wanted: str | None) -> bool:
    pull = topic.pull
    state = "merged" if pull and pull.merged else "opened" if topic.state == "open" else "closed"
    return wanted in {None, "", "all", state}


def _listed(status: int, message: str) -> Problem:
    """A refusal whose message is a list, as those of a model's rules are."""
    problem = Problem(status, message)
    problem.reply = Reply(status, {"message": [message]})
    return problem

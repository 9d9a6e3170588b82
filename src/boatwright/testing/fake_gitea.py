"""A Gitea on loopback, and a Forgejo: ``/api/v1``.

What it imitates is what our adapter relies on: issues and pull requests in one count, labels by id, drafts by title,
reviews without check runs, statuses of which the newest of a context counts, 303 for a stranger who asks about members,
423 in an archive, *try again later* for what does not merge, 50 items a page at most.
"""

from __future__ import annotations

from typing import Any, ClassVar

from boatwright.git.run import Call
from boatwright.testing.fake_gitea_issues import GiteaIssues, integer, text_of
from boatwright.testing.fake_gitea_room import REPO
from boatwright.testing.fake_gitea_words import draft
from boatwright.testing.fake_http import Problem, Reply, Request, route
from boatwright.testing.fake_state import Depot, Hook, Pull, Status, Topic

_STYLES = frozenset({"merge", "rebase", "rebase-merge", "squash", "fast-forward-only", "manually-merged"})
_STATES = frozenset({"pending", "success", "error", "failure", "warning", "skipped"})


class FakeGitea(GiteaIssues):
    """The whole server: what :class:`GiteaIssues` serves, and pull requests, reviews and statuses."""

    # --- pull requests ---

    @route("GET", REPO + "/pulls")
    def pulls(self, request: Request, owner: str, name: str) -> Reply:
        """Newest first."""
        depot = self.may(request, f"{owner}/{name}")
        wanted = request.query.get("state", "open")
        found = [each for each in depot.topics.values() if each.pull and wanted in {each.state, "all"}]
        found.sort(key=lambda each: each.number, reverse=True)
        return self.page(request, [self._pull(depot, each) for each in found])

    def _pull(self, depot: Depot, topic: Topic) -> dict[str, Any]:
        return self.words.pull(depot, self.act.pull(depot, topic.number)[0])

    def _topic_of_pull(self, depot: Depot, number: str) -> tuple[Topic, Pull]:
        try:
            return self.act.pull(depot, integer(number))
        except Problem:
            raise Problem(404, "The target couldn't be found.") from None

    @route("POST", REPO + "/pulls")
    def open(self, request: Request, owner: str, name: str) -> Reply:
        depot, said = self.may(request, f"{owner}/{name}"), request.json
        if not said.get("title"):
            raise Problem(422, "[Title]: Required")
        branch, base, title = str(said.get("head", "")), str(said.get("base", "")), str(said["title"])
        bare = self.act.bare(depot)
        if bare.head(branch) is None or bare.head(base) is None:
            raise Problem(404, "The target couldn't be found.")
        there = self._open_of(depot, base, branch)
        if there is not None:
            raise Problem(409, f"pull request already exists for these targets [id: {there.id}]")
        topic = self.act.open_pull(
            depot.path, by=request.login, title=title, body=text_of(said.get("body")), branch=branch, base=base,
            draft=draft(title),
        )  # fmt: skip
        return Reply(201, self._pull(depot, topic))

    def _open_of(self, depot: Depot, base: str, branch: str) -> Topic | None:
        for each in depot.topics.values():
            pull = each.pull
            if pull and each.state == "open" and (pull.base, pull.branch, pull.fork) == (base, branch, ""):
                return each
        return None

    @route("GET", REPO + "/pulls/{base}/{head*}")
    def pull_of(self, request: Request, owner: str, name: str, base: str, head: str) -> Reply:
        """Some pull request of a branch into another, in any state: the oldest, as a database has it."""
        depot = self.may(request, f"{owner}/{name}")
        for each in depot.topics.values():
            if each.pull and (each.pull.base, each.pull.branch, each.pull.fork) == (base, head, ""):
                return Reply(200, self._pull(depot, each))
        raise Problem(404, "The target couldn't be found.")

    @route("GET", REPO + "/pulls/{number}")
    def pull(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}")
        return Reply(200, self._pull(depot, self._topic_of_pull(depot, number)[0]))

    @route("PATCH", REPO + "/pulls/{number}")
    def change_pull(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}")
        topic, _ = self._topic_of_pull(depot, number)
        self.own(request, depot, topic.author)
        return Reply(201, self._pull(depot, self.changed(request, depot, topic)))

    @route("POST", REPO + "/pulls/{number}/merge")
    def merge(self, request: Request, owner: str, name: str, number: str) -> Reply:
        """A closed one is not found, a conflict is to be tried again later."""
        depot, said = self.may(request, f"{owner}/{name}", "write"), request.json
        if said.get("Do") not in _STYLES:
            raise Problem(422, "[Do]: Required")
        topic, pull = self._topic_of_pull(depot, number)
        if pull.merged:
            raise Problem(405, "The PR is already merged")
        if topic.state != "open":
            raise Problem(404, "The target couldn't be found.")
        if pull.draft:
            raise Problem(405, "Work in progress PRs cannot be merged")
        if said.get("head_commit_id") not in {None, "", pull.head}:
            raise Problem(409, "head out of date")
        try:
            self.act.merge(depot.path, topic.number, by=request.login)
        except Problem:
            raise Problem(405, "Please try again later") from None
        return Reply(200)

    # --- reviews ---

    @route("GET", REPO + "/pulls/{number}/reviews")
    def reviews(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}")
        topic, _ = self._topic_of_pull(depot, number)
        found = [each for each in depot.remarks if each.number == topic.number and each.path]
        return self.page(request, [self.words.review(depot, each) for each in found])

    @route("POST", REPO + "/pulls/{number}/reviews")
    def review(self, request: Request, owner: str, name: str, number: str) -> Reply:
        """Each remark becomes a review of its own; the first is answered."""
        depot, said = self.may(request, f"{owner}/{name}"), request.json
        topic, _ = self._topic_of_pull(depot, number)
        if said.get("event") not in {"APPROVED", "REQUEST_CHANGES", "COMMENT", "PENDING"}:
            raise Problem(422, "unknown event")
        made = [
            self.act.remark(
                depot.path, topic.number, by=request.login, body=text_of(each.get("body")),
                file=str(each.get("path", "")), line=int(each.get("new_position") or 0) or None,
            )
            for each in said.get("comments") or ()
        ]  # fmt: skip
        if not made:
            raise Problem(422, "a review without a remark is not imitated")
        return Reply(200, self.words.review(depot, made[0]))

    @route("GET", REPO + "/pulls/{number}/reviews/{review}/comments")
    def remarks(self, request: Request, owner: str, name: str, number: str, review: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}")
        topic, _ = self._topic_of_pull(depot, number)
        wanted = integer(review)
        found = [e for e in depot.remarks if (e.number, e.id + 1) == (topic.number, wanted) and e.path]
        if not found:
            raise Problem(404, "The target couldn't be found.")
        return Reply(200, [self.words.remark(depot, each) for each in found])

    # --- statuses ---

    def _commit(self, depot: Depot, name: str) -> str:
        bare = self.act.bare(depot)
        ran = bare.run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", call=Call(ok=(0, 1, 128)))
        if ran.code:
            raise Problem(404, f"object does not exist [id: {name}, rel_path: ]")
        return ran.out.decode().strip()

    @route("POST", REPO + "/statuses/{sha}")
    def add_status(self, request: Request, owner: str, name: str, sha: str) -> Reply:
        depot, said = self.may(request, f"{owner}/{name}", "write"), request.json
        if said.get("state") not in _STATES:
            raise Problem(422, f"invalid commit status: {said.get('state')}")
        status = Status(
            id=self.act.new_id(), commit=self._commit(depot, sha), context=str(said.get("context") or "default"),
            state=str(said["state"]), author=request.login, description=text_of(said.get("description")),
            target_url=text_of(said.get("target_url")), created=self.clock.now(),
        )  # fmt: skip
        depot.statuses.append(status)
        return Reply(201, self.words.status(status))

    @route("GET", REPO + "/commits/{ref}/statuses")
    def statuses(self, request: Request, owner: str, name: str, ref: str) -> Reply:
        """Every one that was ever set, in the order asked for."""
        depot = self.may(request, f"{owner}/{name}")
        commit = self._commit(depot, ref)
        found = [self.words.status(each) for each in depot.statuses if each.commit == commit]
        if request.query.get("sort") == "highestindex":
            found.reverse()
        return self.page(request, found)

    # --- Actions ---

    @route("GET", REPO + "/actions/runs")
    def action_runs(self, request: Request, owner: str, name: str) -> Reply:
        depot = self._with_actions(request, f"{owner}/{name}")
        wanted = request.query.get("head_sha", "")
        runs = [s for s in depot.statuses if s.id in depot.logs and wanted in {"", s.commit}]
        shown = [{"id": run.id, "head_sha": run.commit, "status": "completed"} for run in runs]
        return Reply(200, {"total_count": len(shown), "workflow_runs": shown})

    @route("GET", REPO + "/actions/runs/{number}/jobs")
    def action_jobs(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self._with_actions(request, f"{owner}/{name}")
        jobs = [
            {"id": s.id, "name": _job(s.context), "conclusion": s.state, "status": "completed"}
            for s in depot.statuses if str(s.id) == number
        ]  # fmt: skip
        return Reply(200, {"total_count": len(jobs), "jobs": jobs})

    @route("GET", REPO + "/actions/jobs/{number}/logs")
    def action_log(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self._with_actions(request, f"{owner}/{name}")
        found = depot.logs.get(int(number))
        if found is None:
            raise Problem(404, "The target couldn't be found.")
        return Reply(200, found.encode())

    def _with_actions(self, request: Request, path: str) -> Depot:
        return self.may(request, path)


def _job(context: str) -> str:
    """Of ``workflow / job (event)``."""
    return context.rpartition(" / ")[2].partition(" (")[0]


class FakeForgejo(FakeGitea):
    """The same under another name: its webhooks say so in headers of their own as well."""

    KIND: ClassVar[str] = "forgejo"

    def _with_actions(self, request: Request, path: str) -> Depot:
        """It tells nobody of jobs."""
        raise Problem(404, "Not Found")

    def envelope(self, hook: Hook, event: str, guid: str, body: bytes) -> dict[str, str]:
        headers = super().envelope(hook, event, guid, body)
        own = {n.replace("Gitea", "Forgejo"): value for n, value in headers.items() if "-Gitea-" in n}
        return headers | own

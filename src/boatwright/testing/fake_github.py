"""A GitHub on loopback, as an enterprise server would be addressed: REST under ``/api/v3``, GraphQL at ``/api/graphql``.

What it imitates is what our adapter relies on: issues and pull requests in one count, drafts by GraphQL alone, check
runs for Apps alone, 50 annotations a call, 302 for a stranger who asks about members, pages with ``Link``.
"""

from __future__ import annotations

import re
from typing import Any

from boatwright.git.run import Call
from boatwright.testing.fake_github_issues import GitHubIssues
from boatwright.testing.fake_github_room import REPO, integer, text_of
from boatwright.testing.fake_github_words import of_node, when
from boatwright.testing.fake_http import Problem, Reply, Request, paged, route
from boatwright.testing.fake_state import Depot, Run, Status

MOST_ANNOTATIONS = 50
_CONCLUSIONS = frozenset(
    {"success", "failure", "neutral", "cancelled", "skipped", "timed_out", "action_required", "stale"}
)
_MUTATION = re.compile(r"\b(markPullRequestReadyForReview|convertPullRequestToDraft)\b")


class FakeGitHub(GitHubIssues):
    """The whole server: what :class:`GitHubIssues` serves, and pull requests, checks and statuses."""

    # --- pull requests ---

    @route("GET", REPO + "/pulls")
    def pulls(self, request: Request, owner: str, name: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "pull_requests")
        query = request.query
        found = [
            each
            for each in depot.topics.values()
            if each.pull and query.get("state", "open") in {each.state, "all"}
        ]
        if query.get("head"):
            found = [each for each in found if each.pull and f"{owner}:{each.pull.branch}" == query["head"]]
        found.sort(key=lambda each: each.number, reverse=query.get("direction", "desc") != "asc")
        return paged(request, [self.words.pull(depot, each) for each in found], base=self.url)

    @route("POST", REPO + "/pulls")
    def open(self, request: Request, owner: str, name: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "pull_requests", "write")
        said = request.json
        topic = self.act.open_pull(
            depot.path, by=request.login, title=str(said.get("title", "")), body=text_of(said.get("body")),
            branch=str(said.get("head", "")).rpartition(":")[2], base=str(said.get("base", "")),
            draft=bool(said.get("draft", False)),
        )  # fmt: skip
        return Reply(201, self.words.pull(depot, topic))

    @route("GET", REPO + "/pulls/{number}")
    def pull(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "pull_requests")
        return Reply(200, self.words.pull(depot, self.act.pull(depot, integer(number))[0]))

    @route("PATCH", REPO + "/pulls/{number}")
    def change_pull(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "pull_requests", "write")
        if set(request.json) - {"title", "body", "state", "base", "maintainer_can_modify"}:
            raise Problem(422, "Validation Failed")
        self.act.pull(depot, integer(number))
        return Reply(200, self.words.pull(depot, self._changed(request, depot, integer(number))))

    @route("PUT", REPO + "/pulls/{number}/merge")
    def merge(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "contents", "write")
        head = str(request.json.get("sha", ""))
        commit = self.act.merge(depot.path, integer(number), by=request.login, head=head)
        return Reply(200, {"sha": commit, "merged": True, "message": "Pull Request successfully merged"})

    @route("GET", REPO + "/pulls/{number}/comments")
    def remarks(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "pull_requests")
        self.act.pull(depot, integer(number))
        found = [each for each in depot.remarks if each.number == integer(number) and each.path]
        if request.query.get("since"):
            found = [each for each in found if (when(each.updated) or "") >= request.query["since"]]
        return paged(request, [self.words.remark(depot, each) for each in found], base=self.url)

    @route("POST", REPO + "/pulls/{number}/comments")
    def remark(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "pull_requests", "read")
        said = request.json
        line = said.get("line")
        made = self.act.remark(
            depot.path, integer(number), by=request.login, body=text_of(said.get("body")), file=str(said.get("path", "")),
            line=line if isinstance(line, int) else None,
        )  # fmt: skip
        return Reply(201, self.words.remark(depot, made))

    @route("POST", "/graphql")
    def graphql(self, request: Request) -> Reply:
        """The two mutations there is no REST for. What goes wrong comes with 200 all the same."""
        said = request.json
        found = _MUTATION.search(str(said.get("query", "")))
        try:
            path, number = of_node(str(said.get("variables", {}).get("id", "")))
            if found is None:
                raise Problem(400, "no such mutation")
            self.may(request, path, "pull_requests", "write")
            topic = self.act.set_draft(path, number, by=request.login, draft=found[1].startswith("convert"))
        except ValueError:
            return Reply(
                200,
                {"data": None, "errors": [{"type": "NOT_FOUND", "message": "Could not resolve to a node"}]},
            )
        except Problem as problem:
            return Reply(200, {"data": None, "errors": [{"type": "FORBIDDEN", "message": str(problem)}]})
        shown = {"isDraft": topic.pull.draft if topic.pull else False}
        return Reply(200, {"data": {found[1]: {"pullRequest": shown}}})

    # --- checks and statuses ---

    def commit(self, depot: Depot, name: str) -> str:
        bare = self.act.bare(depot)
        ran = bare.run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", call=Call(ok=(0, 1, 128)))
        if ran.code:
            raise Problem(422, f"No commit found for SHA: {name}")
        return ran.out.decode().strip()

    @route("GET", REPO + "/commits/{ref}/check-runs")
    def runs(self, request: Request, owner: str, name: str, ref: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "checks")
        commit = self.commit(depot, ref)
        found = [self.words.run(depot, each) for each in depot.runs if each.commit == commit]
        page = paged(request, found, base=self.url)
        return Reply(200, {"total_count": len(found), "check_runs": page.body}, page.headers)

    @route("POST", REPO + "/check-runs")
    def add_run(self, request: Request, owner: str, name: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "checks", "write")
        self._apps_only(request)
        said = request.json
        run = Run(
            id=self.act.new_id(), commit=self.commit(depot, str(said.get("head_sha", ""))), author=request.login,
            name=str(said.get("name", "")), external_id=str(said.get("external_id", "")),
        )  # fmt: skip
        self._set_run(run, said)
        depot.runs.append(run)
        return Reply(201, self.words.run(depot, run))

    @route("PATCH", REPO + "/check-runs/{number}")
    def change_run(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "checks", "write")
        self._apps_only(request)
        run = next((each for each in depot.runs if each.id == integer(number)), None)
        if run is None:
            raise Problem(404, "Not Found")
        self._set_run(run, request.json)
        return Reply(200, self.words.run(depot, run))

    @route("GET", REPO + "/check-runs/{number}/annotations")
    def annotations(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "checks")
        run = next((each for each in depot.runs if each.id == integer(number)), None)
        if run is None:
            raise Problem(404, "Not Found")
        return paged(request, run.annotations, base=self.url)

    @route("GET", REPO + "/actions/jobs/{number}/logs")
    def logs(self, request: Request, owner: str, name: str, number: str) -> Reply:
        """Behind a redirect to another host, as a store of blobs has it."""
        depot = self.may(request, f"{owner}/{name}", "actions")
        if integer(number) not in depot.logs:
            raise Problem(404, "Not Found")
        store = self.url.replace("127.0.0.1", "localhost")
        return Reply(302, None, {"Location": f"{store}/api/blobs/{owner}/{name}/{number}?sig=signed"})

    @route("GET", "/blobs/{owner}/{name}/{number}")
    def blob(self, request: Request, owner: str, name: str, number: str) -> Reply:
        """Whoever has its signed address, and no login beside it, as such stores want it."""
        if request.query.get("sig") != "signed" or "authorization" in request.headers:
            raise Problem(400, "InvalidAuthenticationInfo")
        return Reply(200, self.act.depot(f"{owner}/{name}").logs[integer(number)].encode())

    def _apps_only(self, request: Request) -> None:
        if not request.login.endswith("[bot]"):
            raise Problem(403, "You must authenticate via a GitHub App.")

    def _set_run(self, run: Run, said: dict[str, Any]) -> None:
        output = said.get("output") or {}
        annotations = list(output.get("annotations", ()))
        conclusion = said.get("conclusion")
        if len(annotations) > MOST_ANNOTATIONS or (conclusion is not None and conclusion not in _CONCLUSIONS):
            raise Problem(422, "Invalid request.")
        run.name = str(said.get("name", run.name))
        run.status = "completed" if conclusion else str(said.get("status", run.status))
        run.conclusion = conclusion if conclusion or "status" in said else run.conclusion
        run.title, run.summary = (
            str(output.get("title", run.title)),
            text_of(output.get("summary", run.summary)),
        )
        run.annotations += annotations

    @route("POST", REPO + "/statuses/{sha}")
    def add_status(self, request: Request, owner: str, name: str, sha: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "statuses", "write")
        said = request.json
        state, description = str(said.get("state", "")), str(said.get("description", ""))
        if state not in {"error", "failure", "pending", "success"} or len(description) > 140:
            raise Problem(422, "Validation Failed")
        status = Status(
            id=self.act.new_id(), commit=self.commit(depot, sha), context=str(said.get("context", "default")),
            state=state, author=request.login, description=description, target_url=str(said.get("target_url", "")),
            created=self.clock.now(),
        )  # fmt: skip
        depot.statuses.append(status)
        return Reply(201, self.words.status(depot, status))

    @route("GET", REPO + "/commits/{ref}/statuses")
    def statuses(self, request: Request, owner: str, name: str, ref: str) -> Reply:
        """The newest first."""
        depot = self.may(request, f"{owner}/{name}", "statuses")
        commit = self.commit(depot, ref)
        found = [self.words.status(depot, each) for each in reversed(depot.statuses) if each.commit == commit]
        return paged(request, found, base=self.url)

"""Who asks a fake GitLab, and who its people are: tokens and their scopes, members, groups, hooks."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any, ClassVar

from boatwright.testing.fake_actions import Happened, Moved
from boatwright.testing.fake_forge import FakeForge
from boatwright.testing.fake_gitlab_words import LEVELS, Words
from boatwright.testing.fake_http import Problem, Reply, Request, paged, route
from boatwright.testing.fake_state import Depot, Hook
from boatwright.values.clock import Clock

PROJECT = "/projects/{project}"
MOST, USUAL = 100, 20
"""Items a page: the most, and what is given when nobody asks."""
_FLAGS = {
    "push_events": "Push Hook", "issues_events": "Issue Hook", "merge_requests_events": "Merge Request Hook",
    "note_events": "Note Hook", "pipeline_events": "Pipeline Hook",
}  # fmt: skip


class GitLabRoom(FakeForge):
    KIND: ClassVar[str] = "gitlab"
    API: ClassVar[str] = "/api/v4"

    def __init__(self, directory: Path, *, port: int = 0, clock: Clock | None = None) -> None:
        super().__init__(directory, port=port, clock=clock)
        self.words = Words(self.act, self.url)
        self._scopes: dict[str, list[str]] = {}

    def scopes(self, login: str, *scopes: str) -> None:
        """Let the tokens of a login say that they have these scopes, until the server ends."""
        self._scopes[login] = list(scopes)

    # --- who asks ---

    def who(self, request: Request) -> str:
        token = request.headers.get("private-token", "")
        kind, _, bearer = request.headers.get("authorization", "").partition(" ")
        token = token or (bearer if kind.lower() == "bearer" else "")
        login = self.login_of(token)
        if token and not login:
            raise Problem(401, "401 Unauthorized")
        return login

    def may(self, request: Request, project: str, need: str = "read") -> Depot:
        """The project by path or id, if whoever asks may; one that was renamed answers 301 under its id."""
        path = next((each.path for each in self.state.depots.values() if str(each.id) == project), project)
        try:
            depot = self.act.depot(path, request.login, "read")
            if depot.archived and request.method != "GET":
                raise Problem(403, "403 Forbidden")
            return depot if need == "read" else self.act.depot(path, request.login, need)
        except Moved as moved:
            number = self.state.depots[moved.path].id
            parts = request.path.removeprefix(self.API).split("/", 3)
            rest = f"/{parts[3]}" if len(parts) > 3 else ""
            there = {"Location": f"{self.url}{self.API}/projects/{number}{rest}"}
            raise Problem(301, "Moved Permanently", headers=there) from None
        except Problem as problem:
            status = 404 if problem.reply.status == 404 else 403
            raise Problem(status, "404 Project Not Found" if status == 404 else "403 Forbidden") from None

    @route("GET", "/user")
    def user(self, request: Request) -> Reply:
        if not request.login:
            raise Problem(401, "401 Unauthorized")
        return Reply(200, self.words.user(request.login))

    @route("GET", "/personal_access_tokens/self")
    def own_token(self, request: Request) -> Reply:
        if not request.login:
            raise Problem(401, "401 Unauthorized")
        scopes = self._scopes.get(request.login, ["api", "read_user"])
        return Reply(200, {"id": 1, "name": "boatwright", "active": True, "revoked": False, "scopes": scopes})

    @route("GET", "/version")
    def version(self, request: Request) -> Reply:
        return Reply(200, {"version": "17.5.0", "revision": "fake"})

    # --- projects and people ---

    @route("GET", PROJECT)
    def project(self, request: Request, project: str) -> Reply:
        return Reply(200, self.words.project(self.may(request, project), request.login))

    @route("GET", "/users")
    def users(self, request: Request) -> Reply:
        wanted = request.query.get("username", "").lower()
        found = [login for login in self.state.accounts if login.lower() == wanted or not wanted]
        people = [login for login in sorted(found) if self.state.accounts[login].kind != "Organization"]
        return self.page(request, [self.words.user(login) for login in people])

    @route("GET", PROJECT + "/members/all/{user}")
    def member(self, request: Request, project: str, user: str) -> Reply:
        depot = self.may(request, project)
        login = self._login(user)
        level = LEVELS[depot.people.get(login, "none")]
        if not level:
            raise Problem(404, "404 Not found")
        return Reply(200, self.words.user(login) | {"access_level": level, "expires_at": None})

    @route("GET", "/groups/{group}/members/all/{user}")
    def group_member(self, request: Request, group: str, user: str) -> Reply:
        members = self.state.organisations.get(group)
        if members is None:
            raise Problem(404, "404 Group Not Found")
        login = self._login(user)
        if login not in members:
            raise Problem(404, "404 Not found")
        return Reply(200, self.words.user(login) | {"access_level": 30})

    def _login(self, user: str) -> str:
        found = next((each.login for each in self.state.accounts.values() if str(each.id) == user), None)
        if found is None:
            raise Problem(404, "404 Not found")
        return found

    @route("GET", PROJECT + "/repository/branches/{branch}")
    def branch(self, request: Request, project: str, branch: str) -> Reply:
        depot = self.may(request, project)
        head = self.act.bare(depot).head(branch)
        if head is None:
            raise Problem(404, "404 Branch Not Found")
        return Reply(200, {"name": branch, "commit": {"id": head}, "protected": False})

    def page(self, request: Request, items: list[Any]) -> Reply:
        return paged(request, items, base=self.url, most=MOST, default=USUAL)

    # --- hooks ---

    @route("GET", PROJECT + "/hooks")
    def hooks(self, request: Request, project: str) -> Reply:
        depot = self.may(request, project, "maintain")
        found = [self._hook_shown(hook) for hook in self.state.hooks if hook.repository == depot.path]
        return self.page(request, found)

    @route("POST", PROJECT + "/hooks")
    def add_hook(self, request: Request, project: str) -> Reply:
        depot, said = self.may(request, project, "maintain"), request.json
        if not said.get("url"):
            raise Problem(400, "url is missing")
        events = [name for flag, name in _FLAGS.items() if said.get(flag, flag == "push_events")]
        made = Hook(
            id=self.act.new_id(), url=str(said["url"]), secret=str(said.get("token", "")), events=events,
            repository=depot.path,
        )  # fmt: skip
        self.state.hooks.append(made)
        return Reply(201, self._hook_shown(made))

    @route("PUT", PROJECT + "/hooks/{number}")
    def change_hook(self, request: Request, project: str, number: str) -> Reply:
        self.may(request, project, "maintain")
        found, said = self._hook(number), request.json
        found.url, found.secret = str(said.get("url", found.url)), str(said.get("token", found.secret))
        found.events = [name for flag, name in _FLAGS.items() if said.get(flag, name in found.events)]
        return Reply(200, self._hook_shown(found))

    @route("DELETE", PROJECT + "/hooks/{number}")
    def remove_hook(self, request: Request, project: str, number: str) -> Reply:
        self.may(request, project, "maintain")
        self.state.hooks.remove(self._hook(number))
        return Reply(204)

    @route("POST", PROJECT + "/hooks/{number}/test/{trigger}")
    def test_hook(self, request: Request, project: str, number: str, trigger: str) -> Reply:
        """Only a push can be told of without one having happened."""
        depot = self.may(request, project, "maintain")
        if trigger != "push_events":
            raise Problem(422, "422 Unprocessable Entity - Ensure the project has something to tell of")
        head = self.act.bare(depot).head(depot.default_branch) or "0" * 40
        name = f"refs/heads/{depot.default_branch}"
        said = self.told(Happened("push", depot, request.login, name=name, before=head, after=head))
        assert said is not None
        self.tell(self._hook(number), *said)
        return Reply(201, {"message": "201 Created"})

    def _hook(self, number: str) -> Hook:
        found = next((hook for hook in self.state.hooks if str(hook.id) == number), None)
        if found is None:
            raise Problem(404, "404 Not found")
        return found

    def _hook_shown(self, hook: Hook) -> dict[str, Any]:
        """Everything but the token, which is never shown again."""
        flags = {flag: name in hook.events for flag, name in _FLAGS.items()}
        return {"id": hook.id, "url": hook.url, "enable_ssl_verification": True, **flags}

    # --- webhooks ---

    def told(self, what: Happened) -> tuple[str, dict[str, Any]] | None:
        return self.words.told(what)

    def envelope(self, hook: Hook, event: str, guid: str, body: bytes) -> dict[str, str]:
        """The token itself goes along: nothing is signed."""
        headers = {
            "User-Agent": "GitLab/17.5.0", "X-Gitlab-Event": event, "X-Gitlab-Instance": self.url,
            "X-Gitlab-Event-UUID": guid, "X-Gitlab-Webhook-UUID": str(uuid.uuid5(uuid.NAMESPACE_URL, hook.url)),
            "Idempotency-Key": guid,
        }  # fmt: skip
        return headers | ({"X-Gitlab-Token": hook.secret} if hook.secret else {})

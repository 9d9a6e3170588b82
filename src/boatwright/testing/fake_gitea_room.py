"""Who asks a fake Gitea, and who its people are: tokens and their scopes, rights, organisations, hooks."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import Any, ClassVar

from boatwright.testing.fake_actions import Happened, Moved
from boatwright.testing.fake_forge import FakeForge
from boatwright.testing.fake_gitea_words import Words, event_of
from boatwright.testing.fake_http import Problem, Reply, Request, paged, route
from boatwright.testing.fake_state import Depot, Hook
from boatwright.values.clock import Clock

REPO = "/repos/{owner}/{name}"
MOST, USUAL = 50, 30
"""Items a page: the most, and what is given when nobody asks."""


class GiteaRoom(FakeForge):
    KIND: ClassVar[str] = "gitea"
    API: ClassVar[str] = "/api/v1"

    def __init__(self, directory: Path, *, port: int = 0, clock: Clock | None = None) -> None:
        super().__init__(directory, port=port, clock=clock)
        self.words = Words(self.act, self.url)
        self._scopes: dict[str, frozenset[str]] = {}

    def scopes(self, token: str, *scopes: str) -> None:
        """Let a token do no more than these, until the server ends: ``read:user``, ``write:issue`` …"""
        self._scopes[token] = frozenset(scopes)

    # --- who asks ---

    def who(self, request: Request) -> str:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if not token:
            return ""
        login = self.login_of(token) if kind.lower() in {"token", "bearer"} else ""
        if not login:
            raise Problem(401, "user does not exist [uid: 0, name: ]")
        self._look_at_scopes(token, request)
        return login

    def _look_at_scopes(self, token: str, request: Request) -> None:
        """Before anything else is looked at, as a Gitea does."""
        has = self._scopes.get(token)
        wants = _scope(request.path.removeprefix(self.API))
        wanted = {f"write:{wants}"} if request.method != "GET" else {f"read:{wants}", f"write:{wants}"}
        if has is not None and not wanted & has:
            names = ", ".join(sorted(wanted))
            raise Problem(403, f"token does not have at least one of required scope(s), required=[{names}]")

    def may(self, request: Request, path: str, need: str = "read") -> Depot:
        """The repository, if whoever asks may. An archived one answers 423 to whoever would change it."""
        try:
            depot = self.act.depot(path, request.login, "read")
        except Moved as moved:
            there = f"{self.url}{self.API}/repos/{moved.path}{request.path.partition(path)[2]}"
            raise Problem(307, "moved", headers={"Location": there}) from None
        if depot.archived and request.method != "GET":
            raise Problem(423, f"Repo is archived: {path}")
        if need == "read":
            return depot
        try:
            return self.act.depot(path, request.login, need)
        except Problem:
            raise Problem(403, "user should be an owner or a collaborator with write") from None

    @route("GET", "/user")
    def user(self, request: Request) -> Reply:
        if not request.login:
            raise Problem(401, "token is required")
        return Reply(200, self.words.user(request.login))

    @route("GET", "/version")
    def version(self, request: Request) -> Reply:
        return Reply(200, {"version": "1.27.0" if self.KIND == "gitea" else "11.0.0+gitea-1.22.0"})

    # --- repositories and people ---

    @route("GET", REPO)
    def repository(self, request: Request, owner: str, name: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}")
        return Reply(200, self.words.repository(depot, request.login))

    @route("GET", REPO + "/branches/{branch*}")
    def branch(self, request: Request, owner: str, name: str, branch: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}")
        head = self.act.bare(depot).head(branch)
        if head is None:
            raise Problem(404, "The target couldn't be found.")
        contexts = depot.required.get(branch, [])
        return Reply(
            200,
            {
                "name": branch, "commit": {"id": head}, "protected": bool(contexts), "required_approvals": 0,
                "enable_status_check": bool(contexts), "status_check_contexts": contexts,
            },
        )  # fmt: skip

    @route("GET", REPO + "/collaborators/{login}/permission")
    def permission(self, request: Request, owner: str, name: str, login: str) -> Reply:
        """Administrators may ask about anybody, everybody about themselves."""
        depot = self.may(request, f"{owner}/{name}")
        if login != request.login and self.words.level(depot, request.login) not in {"admin", "owner"}:
            raise Problem(403, "Only admins can query all permissions")
        if login not in self.state.accounts:
            raise Problem(404, "user does not exist")
        level = self.words.level(depot, login)
        return Reply(200, {"permission": level, "role_name": level, "user": self.words.user(login)})

    @route("GET", "/orgs/{owner}/members/{login}")
    def member(self, request: Request, owner: str, login: str) -> Reply:
        members = self.state.organisations.get(owner)
        if members is None:
            raise Problem(404, "The target couldn't be found.")
        if request.login not in members:
            there = f"{self.API}/orgs/{owner}/public_members/{login}"
            return Reply(303, None, {"Location": there})
        return self._whether(login in members)

    @route("GET", "/orgs/{owner}/public_members/{login}")
    def public_member(self, request: Request, owner: str, login: str) -> Reply:
        return self._whether(self.state.organisations.get(owner, {}).get(login, False))

    def _whether(self, so: bool) -> Reply:
        if not so:
            raise Problem(404, "The target couldn't be found.")
        return Reply(204)

    # --- labels ---

    @route("GET", REPO + "/labels")
    def labels(self, request: Request, owner: str, name: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}")
        shown = [self.words.label(depot, label) for label in sorted(depot.labels)]
        return self.page(request, shown)

    @route("GET", "/orgs/{owner}/labels")
    def organisation_labels(self, request: Request, owner: str) -> Reply:
        if owner not in self.state.organisations:
            raise Problem(404, "The target couldn't be found.")
        return self.page(request, [])

    @route("POST", REPO + "/labels")
    def add_label(self, request: Request, owner: str, name: str) -> Reply:
        """Two labels of one name are allowed there; here the second is the first."""
        depot = self.may(request, f"{owner}/{name}", "write")
        said = request.json
        if not said.get("name") or not said.get("color"):
            raise Problem(422, "[Name]: Required")
        label = str(said["name"])
        depot.labels.setdefault(label, self.act.new_id())
        return Reply(201, self.words.label(depot, label))

    def page(self, request: Request, items: list[Any]) -> Reply:
        return paged(request, items, base=self.url, most=MOST, default=USUAL)

    # --- hooks ---

    @route("GET", REPO + "/hooks")
    def hooks(self, request: Request, owner: str, name: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "admin")
        found = [self._shown(hook) for hook in self.state.hooks if hook.repository == depot.path]
        return self.page(request, found)

    @route("POST", REPO + "/hooks")
    def add_hook(self, request: Request, owner: str, name: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "admin")
        said, config = request.json, request.json.get("config") or {}
        if said.get("type") not in {"gitea", "forgejo", "gogs"} or config.get("content_type") != "json":
            raise Problem(422, "Invalid hook type or content type")
        made = Hook(
            id=self.act.new_id(), url=str(config.get("url", "")), secret=str(config.get("secret", "")),
            events=[str(event) for event in said.get("events") or ("push",)], repository=depot.path,
            active=bool(said.get("active", False)),
        )  # fmt: skip
        self.state.hooks.append(made)
        return Reply(201, self._shown(made))

    @route("PATCH", REPO + "/hooks/{number}")
    def change_hook(self, request: Request, owner: str, name: str, number: str) -> Reply:
        self.may(request, f"{owner}/{name}", "admin")
        found, config = self._hook(number), request.json.get("config") or {}
        found.url, found.secret = (
            str(config.get("url", found.url)),
            str(config.get("secret", found.secret)),
        )
        found.events = [str(event) for event in request.json.get("events") or found.events]
        found.active = bool(request.json.get("active", found.active))
        return Reply(200, self._shown(found))

    @route("DELETE", REPO + "/hooks/{number}")
    def remove_hook(self, request: Request, owner: str, name: str, number: str) -> Reply:
        self.may(request, f"{owner}/{name}", "admin")
        self.state.hooks.remove(self._hook(number))
        return Reply(204)

    @route("POST", REPO + "/hooks/{number}/tests")
    def test_hook(self, request: Request, owner: str, name: str, number: str) -> Reply:
        """There is no ping: a push that changed nothing is told of."""
        depot = self.may(request, f"{owner}/{name}", "admin")
        head = self.act.bare(depot).head(depot.default_branch) or "0" * 40
        what = Happened(
            "push", depot, request.login, name=f"refs/heads/{depot.default_branch}", before=head, after=head
        )
        said = self.told(what)
        assert said is not None
        self.tell(self._hook(number), *said)
        return Reply(204)

    def _hook(self, number: str) -> Hook:
        found = next((hook for hook in self.state.hooks if str(hook.id) == number), None)
        if found is None:
            raise Problem(404, "The target couldn't be found.")
        return found

    def _shown(self, hook: Hook) -> dict[str, Any]:
        config = {"url": hook.url, "content_type": "json"}
        return {
            "id": hook.id,
            "type": self.KIND,
            "active": hook.active,
            "events": hook.events,
            "config": config,
        }

    # --- webhooks ---

    def told(self, what: Happened) -> tuple[str, dict[str, Any]] | None:
        return self.words.told(what)

    def envelope(self, hook: Hook, event: str, guid: str, body: bytes) -> dict[str, str]:
        """A Gitea also speaks as Gogs and as GitHub; without a secret the signature is there, and empty."""
        signature = hmac.new(hook.secret.encode(), body, hashlib.sha256).hexdigest() if hook.secret else ""
        coarse = event_of(event)
        return {
            "X-Gitea-Event": coarse, "X-Gitea-Event-Type": event, "X-Gitea-Delivery": guid,
            "X-Gitea-Signature": signature, "X-Gogs-Event": coarse, "X-Gogs-Event-Type": event,
            "X-Gogs-Delivery": guid, "X-Gogs-Signature": signature, "X-GitHub-Event": coarse,
            "X-GitHub-Event-Type": event, "X-GitHub-Delivery": guid,
            "X-Hub-Signature-256": f"sha256={signature}",
        }  # fmt: skip


def _scope(path: str) -> str:
    """The kind of scope an address asks for."""
    parts = path.strip("/").split("/")
    if parts[0] == "orgs":
        return "organization"
    if parts[0] == "repos":
        return "issue" if len(parts) > 3 and parts[3] in {"issues", "labels", "milestones"} else "repository"
    return parts[0] if parts[0] == "user" else "misc"

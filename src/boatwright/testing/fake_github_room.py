"""Who asks a fake GitHub, and who its people are: tokens, an App and its installation, rights, organisations, hooks."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import jwt

from boatwright.testing.fake_actions import Actions, Happened, Moved
from boatwright.testing.fake_forge import FakeForge
from boatwright.testing.fake_github_words import Words, when
from boatwright.testing.fake_http import Problem, Reply, Request, paged, route
from boatwright.testing.fake_state import App, Depot, Hook
from boatwright.values.clock import Clock

REPO = "/v3/repos/{owner}/{name}"
APP_RIGHTS = {
    "metadata": "read", "contents": "write", "issues": "write", "pull_requests": "write", "checks": "write",
    "statuses": "read", "members": "read", "actions": "read",
}  # fmt: skip


class GitHubRoom(FakeForge):
    """``app_key`` is the public half (PEM) of an App's key; :meth:`install` tells the server about the App."""

    KIND: ClassVar[str] = "github"
    API: ClassVar[str] = "/api"

    def __init__(self, directory: Path, *, port: int = 0, clock: Clock | None = None) -> None:
        super().__init__(directory, port=port, clock=clock)
        self.words = Words(self.act, self.url)
        self.scopes = "repo"
        """Of every token; empty for fine-grained ones, of which GitHub does not say them."""

    def install(self, slug: str, public_key: str, *, permissions: dict[str, str] | None = None) -> App:
        """An App, installed on every repository of this server."""

        def add(act: Actions) -> App:
            app = App(
                id=act.new_id(), slug=slug, public_key=public_key, installation=act.new_id(),
                permissions=dict(APP_RIGHTS if permissions is None else permissions),
            )  # fmt: skip
            act.state.app = app
            act.account(f"{slug}[bot]", "Bot")
            return app

        return self.do(add)

    # --- who asks ---

    def who(self, request: Request) -> str:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if not token:
            return ""
        login = self.login_of(token) if kind.lower() in {"token", "bearer"} else ""
        if not login and token.count(".") == 2:
            return self._app(token)
        if not login:
            raise Problem(401, "Bad credentials")
        return login

    def _app(self, token: str) -> str:
        app = self.state.app
        if app is None:
            raise Problem(401, "A JSON web token could not be decoded")
        try:
            said = jwt.decode(
                token,
                app.public_key,
                algorithms=["RS256"],
                options={"require": ["iat", "exp", "iss"], "verify_exp": False, "verify_iat": False},
            )  # by the clock of the server, below
        except jwt.PyJWTError:
            raise Problem(401, "A JSON web token could not be decoded") from None
        now = self.clock.now().timestamp()
        if not int(said["iat"]) <= now + 1 or int(said["exp"]) < now:
            raise Problem(401, "'Expiration time' claim ('exp') must be a numeric value in the future")
        if str(said["iss"]) != str(app.id) or int(said["exp"]) - int(said["iat"]) > 600:
            raise Problem(401, "'Expiration time' claim ('exp') is too far in the future")
        return f"app/{app.slug}"

    def may(self, request: Request, path: str, right: str = "", need: str = "read") -> Depot:
        """The repository, if whoever asks may: people by role, an App by ``right`` (``issues``, ``checks`` …)."""
        try:
            self.act.depot(path, request.login, "read")
        except Moved as moved:
            rest = request.path.partition(path)[2]
            raise Problem(
                301, "Moved Permanently", headers={"Location": f"{self.url}/api/v3/repos/{moved.path}{rest}"}
            ) from None
        app = self.state.app
        if app is not None and request.login == f"{app.slug}[bot]":
            has = app.permissions.get(right or "metadata", "none")
            if has == "none" or (need != "read" and has != "write"):
                wants = {"X-Accepted-GitHub-Permissions": f"{right}={'read' if need == 'read' else 'write'}"}
                raise Problem(403, "Resource not accessible by integration", headers=wants)
            need = "read" if need == "read" else "triage"
        return self.act.depot(path, request.login, need)

    @route("GET", "/v3/user")
    def user(self, request: Request) -> Reply:
        if not request.login or request.login.endswith("[bot]"):
            raise Problem(401 if not request.login else 403, "Requires authentication")
        return Reply(200, self.words.user(request.login), {"X-OAuth-Scopes": self.scopes})

    @route("GET", "/v3/app")
    def app(self, request: Request) -> Reply:
        app = self._require_app(request)
        return Reply(200, {"id": app.id, "slug": app.slug, "name": app.slug, "permissions": app.permissions})

    @route("GET", "/v3/repos/{owner}/{name}/installation")
    @route("GET", "/v3/orgs/{owner}/installation")
    def installation(self, request: Request, owner: str, name: str = "") -> Reply:
        app = self._require_app(request)
        return Reply(200, {"id": app.installation, "app_id": app.id, "permissions": app.permissions})

    @route("POST", "/v3/app/installations/{number}/access_tokens")
    def access_token(self, request: Request, number: str) -> Reply:
        app = self._require_app(request)
        if int(number) != app.installation:
            raise Problem(404, "Not Found")
        token = f"ghs_{secrets.token_hex(18)}"
        self.state.tokens[token] = f"{app.slug}[bot]"
        expires = when(self.clock.now() + timedelta(hours=1))
        return Reply(201, {"token": token, "expires_at": expires, "permissions": app.permissions})

    def _require_app(self, request: Request) -> App:
        if self.state.app is None or request.login != f"app/{self.state.app.slug}":
            raise Problem(401, "A JSON web token could not be decoded")
        return self.state.app

    @route("GET", "/v3/app/hook/deliveries")
    def deliveries(self, request: Request) -> Reply:
        """The newest first, as the sweep reads them."""
        self._require_app(request)
        shown = [
            {
                "id": each.id,
                "guid": each.guid,
                "delivered_at": when(each.at),
                "event": each.event,
                "action": each.action or None,
                "status_code": each.status,
                "status": "OK" if 200 <= each.status < 300 else "failed",
                "redelivery": each.redelivery,
            }
            for each in reversed(self.postman.made)
        ]
        return paged(request, shown, base=self.url)

    @route("POST", "/v3/app/hook/deliveries/{number}/attempts")
    def redeliver(self, request: Request, number: str) -> Reply:
        self._require_app(request)
        try:
            self.postman.again(int(number))
        except KeyError:
            raise Problem(404, "Not Found") from None
        return Reply(202, {})

    # --- repositories and people ---

    @route("GET", REPO)
    def repository(self, request: Request, owner: str, name: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}")
        return Reply(200, self.words.repository(depot, request.login))

    @route("GET", REPO + "/collaborators/{login}/permission")
    def permission(self, request: Request, owner: str, name: str, login: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "metadata")
        if login not in self.state.accounts:
            raise Problem(404, "Not Found")
        role = self.act.role(depot, login)
        coarse = {"maintain": "write", "triage": "read"}.get(role, role)
        return Reply(200, {"permission": coarse, "role_name": role, "user": self.words.user(login)})

    @route("GET", "/v3/orgs/{owner}/members/{login}")
    def member(self, request: Request, owner: str, login: str) -> Reply:
        members = self.state.organisations.get(owner)
        if members is None:
            raise Problem(404, "Not Found")
        asks = request.login in members or request.login.endswith("[bot]")
        if not asks:
            return Reply(302, None, {"Location": f"{self.url}/api/v3/orgs/{owner}/public_members/{login}"})
        if login not in members:
            raise Problem(404, "Not Found")
        return Reply(204)

    @route("GET", "/v3/orgs/{owner}/public_members/{login}")
    def public_member(self, request: Request, owner: str, login: str) -> Reply:
        if not self.state.organisations.get(owner, {}).get(login, False):
            raise Problem(404, "Not Found")
        return Reply(204)

    @route("GET", REPO + "/branches/{branch*}")
    def branch(self, request: Request, owner: str, name: str, branch: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "contents")
        head = self.act.bare(depot).head(branch)
        if head is None:
            raise Problem(404, "Branch not found")
        contexts = depot.required.get(branch, [])
        protection = {
            "enabled": bool(contexts),
            "required_status_checks": {"contexts": contexts, "checks": []},
        }
        return Reply(200, {"name": branch, "commit": {"sha": head}, "protection": protection})

    @route("GET", REPO + "/rules/branches/{branch*}")
    def rules(self, request: Request, owner: str, name: str, branch: str) -> Reply:
        self.may(request, f"{owner}/{name}", "metadata")
        return Reply(200, [])

    @route("GET", REPO + "/hooks")
    def hooks(self, request: Request, owner: str, name: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "repository_hooks", "admin")
        return Reply(200, [_shown(each) for each in self.state.hooks if each.repository == depot.path])

    @route("PATCH", REPO + "/hooks/{number}")
    def change_hook(self, request: Request, owner: str, name: str, number: str) -> Reply:
        self.may(request, f"{owner}/{name}", "repository_hooks", "admin")
        found = self._hook(number)
        config = request.json.get("config", {})
        found.url, found.secret = (
            str(config.get("url", found.url)),
            str(config.get("secret", found.secret)),
        )
        found.events = [str(event) for event in request.json.get("events", found.events)]
        return Reply(200, _shown(found))

    def _hook(self, number: str) -> Hook:
        found = next((each for each in self.state.hooks if str(each.id) == number), None)
        if found is None:
            raise Problem(404, "Not Found")
        return found

    @route("GET", "/v3/app/hook/config")
    def app_hook(self, request: Request) -> Reply:
        self._require_app(request)
        found = next((each for each in self.state.hooks if not each.repository), None)
        return Reply(200, {"url": found.url if found else None, "content_type": "json", "secret": "********"})

    @route("PATCH", "/v3/app/hook/config")
    def change_app_hook(self, request: Request) -> Reply:
        self._require_app(request)
        self.state.hooks = [each for each in self.state.hooks if each.repository]
        said = request.json
        self.state.hooks.append(
            Hook(id=self.act.new_id(), url=str(said.get("url", "")), secret=str(said.get("secret", "")))
        )
        return Reply(200, {"url": said.get("url"), "content_type": "json"})

    @route("POST", REPO + "/hooks")
    def add_hook(self, request: Request, owner: str, name: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "repository_hooks", "admin")
        config = request.json.get("config", {})
        made = Hook(
            id=self.act.new_id(), url=str(config.get("url", "")), secret=str(config.get("secret", "")),
            events=list(request.json.get("events", ["push"])), repository=depot.path,
        )  # fmt: skip
        self.state.hooks.append(made)
        self._ping(made, depot, request.login)
        return Reply(201, _shown(made))

    @route("POST", REPO + "/hooks/{number}/pings")
    def ping(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "repository_hooks", "admin")
        self._ping(self._hook(number), depot, request.login)
        return Reply(204)

    def _ping(self, hook: Hook, depot: Depot, login: str) -> None:
        self.tell(hook, "ping", {
            "zen": "Keep it logically awesome.", "hook_id": hook.id, "repository": self.words.repository(depot),
            "sender": self.words.user(login),
        })  # fmt: skip

    # --- webhooks ---

    def told(self, what: Happened) -> tuple[str, dict[str, Any]] | None:
        return self.words.told(what)

    def envelope(self, hook: Hook, event: str, guid: str, body: bytes) -> dict[str, str]:
        signature = hmac.new(hook.secret.encode(), body, hashlib.sha256).hexdigest()
        return {
            "User-Agent": "GitHub-Hookshot/fake",
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": guid,
            "X-GitHub-Hook-ID": str(hook.id),
            "X-Hub-Signature-256": f"sha256={signature}",
        }


def _shown(hook: Hook) -> dict[str, Any]:
    """Everything but the secret, which is never shown again."""
    config = {"url": hook.url, "content_type": "json", "secret": "********"}
    return {"id": hook.id, "name": "web", "active": hook.active, "events": hook.events, "config": config}


def integer(text: str) -> int:
    if not text.isdecimal():
        raise Problem(404, "Not Found")
    return int(text)


def text_of(value: Any) -> str:
    """What is no text is nothing; what is too long is refused, as GitHub does."""
    text = value if isinstance(value, str) else ""
    if len(text) > 65_536:
        raise Problem(
            422, "Validation Failed", errors=[{"message": "body is too long (maximum is 65536 characters)"}]
        )
    return text

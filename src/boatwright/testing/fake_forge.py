"""A forge on loopback, for tests and for trying things out: HTTP, tokens, webhooks, and git over smart HTTP.

What the fakes of GitHub, Gitea and GitLab share. Each adds its routes, its words and its webhooks. The state is in a
directory and survives a restart. Nothing here guards anything: it is not a place for a secret.

    with FakeGitHub(directory) as forge:
        forge.act.account("ann")
        forge.make("ann/sample", files={"a.txt": "one"}, people={"ann": "admin", "bot": "write"})
        token = forge.token("bot")
        forge.hook("http://127.0.0.1:8080/webhooks/github", secret="…")
        issue = forge.do(lambda act: act.open_issue("ann/sample", by="ann", title="It drops the last page"))
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar

from boatwright.forge.local_git import Bare
from boatwright.testing import fake_http
from boatwright.testing.fake_actions import ROLES, Actions, Happened
from boatwright.testing.fake_faults import Faults
from boatwright.testing.fake_hooks import Delivery, Postman
from boatwright.testing.fake_http import GitAsked, Problem, Reply, Request, Route
from boatwright.testing.fake_state import Depot, Hook, State
from boatwright.values.clock import Clock, SystemClock

T = TypeVar("T")


class FakeForge:
    """One server. ``faults`` orders what goes wrong; ``heard`` has the last requests, whole."""

    KIND: ClassVar[str] = ""
    """``github``, ``gitea``, ``forgejo`` or ``gitlab``."""
    API: ClassVar[str] = ""
    """The path its API begins with."""
    ROUTES: ClassVar[Sequence[Route]] = ()

    def __init_subclass__(cls) -> None:
        cls.ROUTES = fake_http.routes_of(cls)

    def __init__(self, directory: Path, *, port: int = 0, clock: Clock | None = None) -> None:
        self.directory = directory
        self.clock = clock or SystemClock()
        self.faults = Faults()
        self.postman = Postman(self.clock)
        self.heard: deque[Request] = deque(maxlen=10_000)
        self._lock = threading.RLock()
        directory.mkdir(parents=True, exist_ok=True)
        self._file = directory / f"{self.KIND}.json"
        kept = State.model_validate_json(self._file.read_bytes()) if self._file.exists() else State()
        self.act = Actions(directory, kept, self.clock)
        self._server = _server(self, port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    # --- life ---

    @property
    def url(self) -> str:
        """The address people open, which is also what git's addresses begin with."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def state(self) -> State:
        return self.act.state

    def start(self) -> Self:
        self.postman.start()
        self._thread.start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.postman.stop()
        self.keep()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def keep(self) -> None:
        """Write the state down, whole or not at all."""
        with self._lock:
            fresh = self._file.with_suffix(".new")
            fresh.write_text(self.state.model_dump_json())
            os.replace(fresh, self._file)  # noqa: PTH105 - atomic

    @property
    def asked(self) -> list[tuple[str, str, str]]:
        """Method, path and login of each."""
        return [(each.method, each.path, each.login) for each in self.heard]

    # --- for whoever plays a person or the operator ---

    def do(self, action: Callable[[Actions], T]) -> T:
        """Do something as a person would in the browser; webhooks tell of it."""
        with self._lock:
            try:
                return action(self.act)
            finally:
                self._tell()
                self.keep()

    def token(self, login: str, token: str = "") -> str:
        """A token of that login's."""
        token = token or f"{self.KIND}-{secrets.token_hex(16)}"

        def give(act: Actions) -> str:
            act.account(login)
            act.state.tokens[token] = login
            return token

        return self.do(give)

    def make(
        self,
        path: str,
        *,
        files: Mapping[str, str] | None = None,
        source: Path | None = None,
        people: Mapping[str, str] | None = None,
        private: bool = False,
        default_branch: str = "main",
    ) -> Depot:
        """A repository: with one commit of ``files``, or a copy of the branches of the repository at ``source``."""

        def make(act: Actions) -> Depot:
            for login in (path.partition("/")[0], *(people or {})):
                act.account(login)
            depot = Depot(id=act.new_id(), path=path, default_branch=default_branch, private=private)
            depot.people = dict(people or {})
            bare = Bare.make(self.directory / "git" / f"{path}.git", default_branch)
            if source is not None:
                _git("push", "--quiet", str(bare.path), "refs/heads/*:refs/heads/*", at=source)
            elif files:
                _first_commit(bare.path, self.directory / "seed", files, default_branch)
            return act.state.depots.setdefault(path, depot)  # last: what could not be copied is no repository

        return self.do(make)

    def organisation(self, login: str, members: Mapping[str, bool]) -> None:
        """An organisation; each member, and whether the world may know of it."""

        def found(act: Actions) -> None:
            act.account(login, "Organization")
            act.state.organisations[login] = dict(members)

        self.do(found)

    def hook(self, url: str, secret: str, *, repository: str = "", events: Sequence[str] = ("*",)) -> Hook:
        """Tell that address what happens."""

        def add(act: Actions) -> Hook:
            made = Hook(id=act.new_id(), url=url, secret=secret, repository=repository, events=list(events))
            act.state.hooks.append(made)
            return made

        return self.do(add)

    def files(self, path: str, branch: str) -> dict[str, str]:
        """What a branch holds."""
        at = self.directory / "git" / f"{path}.git"
        names = _git("ls-tree", "-r", "--name-only", branch, at=at).splitlines()
        return {name: _git("show", f"{branch}:{name}", at=at) for name in names}

    # --- what an imitation adds ---

    def who(self, request: Request) -> str:
        """The login a request came with; "" for nobody. ``Problem`` 401 for a token that is none."""
        raise NotImplementedError

    def told(self, what: Happened) -> tuple[str, dict[str, Any]] | None:
        """The event and payload that tell of it; None where this forge says nothing."""
        raise NotImplementedError

    def envelope(self, hook: Hook, event: str, guid: str, body: bytes) -> dict[str, str]:
        """The headers of a webhook, its signature among them."""
        raise NotImplementedError

    # --- serving ---

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        request = fake_http.read(handler)
        fault = self.faults.meet(request.method, handler.path, request.body)
        if fault is not None and fault.status:
            fake_http.write(handler, Reply(fault.status, {"message": fault.message}, fault.headers))
            return
        reply = self._answer(request)
        if fault is not None:
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        fake_http.write(handler, reply)

    def _answer(self, request: Request) -> Reply:
        try:
            git = fake_http.git_asked(request)
            login = self._git_login(request) if git else self.who(request)
            known = Request(request.method, request.path, request.query, request.headers, request.body, login)
            self.heard.append(known)
            return self._git(git, known) if git else self._api(known)
        except Problem as problem:
            return problem.reply

    def _api(self, request: Request) -> Reply:
        found = fake_http.find(self.ROUTES, request.method, request.path.removeprefix(self.API))
        if found is None or not request.path.startswith(self.API):
            raise Problem(404, "Not Found")
        name, arguments = found
        with self._lock:
            try:
                reply: Reply = getattr(self, name)(request, **arguments)
                return Reply(
                    reply.status, reply.bytes() or None, reply.headers
                )  # as it is now, under the lock
            finally:
                self._tell()
                if request.method != "GET":
                    self.keep()

    def _git_login(self, request: Request) -> str:
        token = fake_http.basic(request.headers)
        login = self.login_of(token)
        if token and not login:
            raise Problem(401, "Bad credentials", headers={"WWW-Authenticate": 'Basic realm="git"'})
        return login

    def login_of(self, token: str) -> str:
        return self.state.tokens.get(token, "") if token else ""

    def _git(self, asked: GitAsked, request: Request) -> Reply:
        """git itself, for who may; a push tells its webhooks."""
        with self._lock:
            depot = self.state.depots.get(asked.path)
            role = self.act.role(depot, request.login) if depot else "none"
        if depot is None or (depot.private and role == "none") or (asked.writes and not request.login):
            raise Problem(401, "who are you?", headers={"WWW-Authenticate": 'Basic realm="git"'})
        if asked.writes and ROLES.index(role) < ROLES.index("write"):
            raise Problem(403, "Write access to repository not granted.")
        if asked.service != "git-receive-pack":
            return fake_http.git_backend(self.directory / "git", asked, request)
        with self._lock:
            before = self.act.bare(depot).heads()
            reply = fake_http.git_backend(self.directory / "git", asked, request)
            self.act.pushed(depot, request.login, before)
            self._tell()
            self.keep()
        return reply

    def _tell(self) -> None:
        happened, self.act.happened = self.act.happened, []
        for what in happened:
            said = self.told(what)
            if said is None:
                continue
            event, payload = said
            body = json.dumps(payload).encode()
            for hook in self.state.hooks:
                if (
                    hook.active
                    and hook.repository in {"", what.depot.path}
                    and {"*", event} & set(hook.events)
                ):
                    self._post(hook, event, str(payload.get("action", "")), body)

    def tell(self, hook: Hook, event: str, payload: dict[str, Any]) -> None:
        """Tell one hook of what did not happen by an action: a ping."""
        self._post(hook, event, str(payload.get("action", "")), json.dumps(payload).encode())

    def _post(self, hook: Hook, event: str, action: str, body: bytes) -> None:
        guid = str(uuid.uuid4())
        headers = {"Content-Type": "application/json", **self.envelope(hook, event, guid, body)}
        self.postman.send(
            Delivery(self.postman.next_id(), guid, event, action, hook.url, headers, body, self.clock.now())
        )


def _server(forge: FakeForge, port: int) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            """Whatever the method; a client that goes away is none of our business."""
            try:
                self.raw_requestline = self.rfile.readline(65_537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                forge.serve(self)
                self.wfile.flush()
            except (ConnectionError, TimeoutError, OSError):
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Nothing: what was asked stands in ``heard``."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    return Server(("127.0.0.1", port), Handler)


_ENVIRONMENT = {
    "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "Ann", "GIT_AUTHOR_EMAIL": "ann@example.org",
    "GIT_COMMITTER_NAME": "Ann", "GIT_COMMITTER_EMAIL": "ann@example.org",
}  # fmt: skip


def _git(*arguments: str, at: Path) -> str:
    environment = {"PATH": os.environ.get("PATH", os.defpath), **_ENVIRONMENT}
    return subprocess.run(
        ["git", *arguments], cwd=at, env=environment, capture_output=True, check=True, text=True
    ).stdout


def _first_commit(bare: Path, work: Path, files: Mapping[str, str], branch: str) -> None:
    work = work / secrets.token_hex(4)
    work.mkdir(parents=True)
    _git("init", "--quiet", "-b", branch, at=work)
    for name, content in files.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(content)
    _git("add", "-A", at=work)
    _git("commit", "--quiet", "-m", "Begin", at=work)
    _git("push", "--quiet", str(bare), f"{branch}:refs/heads/{branch}", at=work)

"""A harbour: a whole house whose doors are open to forges, with people and repositories that the test decides."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from boatwright import errors
from boatwright.config.paths import StateDir
from boatwright.intake.door import Door
from boatwright.intake.outside import Outside, People, Served
from boatwright.intake.pump import Pump
from boatwright.rules import naming
from boatwright.server.front import front
from boatwright.stages.house import House
from boatwright.values.delivery import Delivery
from boatwright.values.events import DeliverySkipped
from boatwright.values.people import Permission
from boatwright.workflows.assembly import engine_for
from boatwright.workflows.engine import Engine

SECRET = "a-secret-of-the-hook"
OTHER = "a-secret-of-one-repository"
PATH = "acme/paginate"
PLAN = {
    "goal": "Count the last page",
    "steps": [{"id": "P1", "action": "edit", "path": "paginate.py", "acceptance": "it counts"}],
}


@dataclass
class Repository:
    id: str
    source: str
    path: str
    kind: str = "github"
    previous: tuple[str, ...] = ()


@dataclass
class World:
    """What stands outside: who may do what, what is served, what is switched off."""

    served: Repository
    writers: set[str] = field(default_factory=lambda: {"ada"})
    sorters: set[str] = field(default_factory=set)
    members: set[str] = field(default_factory=set)
    off: str | None = None
    away: bool = False
    asked: list[str] = field(default_factory=list)
    others: list[Repository] = field(default_factory=list)
    moved: dict[str, str] = field(default_factory=dict)
    """What the forge calls now what had another name before."""

    def of(self, kind: str, path: str) -> Served | None:
        for each in (self.served, *self.others):
            names = {name.casefold() for name in (each.path, *each.previous)}
            if path.casefold() in names and kind == each.kind:
                return each
        return None

    async def called(self, repository: str, name: str) -> str:
        if self.away:
            raise errors.BoatwrightError("the forge does not answer")
        return self.moved.get(name, name)

    def rename(self, repository: str, path: str) -> object:
        self.served.previous, self.served.path = (*self.served.previous, self.served.path), path
        return self.served

    def is_off(self, repository: str) -> str | None:
        return self.off

    async def me(self) -> str:
        return "our-app"

    async def permission(self, repository: str, login: str) -> Permission:
        self.asked.append(login)
        if self.away:
            raise errors.BoatwrightError("the forge does not answer")
        if login in self.writers or login == "our-app":
            return Permission.WRITE
        return Permission.TRIAGE if login in self.sorters else Permission.READ

    async def is_member(self, organisation: str, login: str) -> bool:
        assert organisation == "acme"
        return login in self.members

    def people(self, kind: str, repository: str) -> People:
        return self

    @property
    def outside(self) -> Outside:
        return Outside(
            repositories=self,
            people=self.people,
            called=self.called,
            switches=self,
        )


@dataclass
class Harbour:
    house: House
    engine: Engine
    world: World
    pump: Pump
    door: Door
    client: httpx2.AsyncClient
    sent: int = 0

    async def send(
        self, event: str, payload: Any, *, forge: str = "github", delivery: str = "", secret: str = SECRET
    ) -> httpx2.Response:
        """Through the real front door, signed as that forge signs."""
        self.sent += 1
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        headers = headers_of(forge, event, delivery or f"guid-{self.sent}", body, secret)
        return await self.client.post(f"/webhooks/{forge}", content=body, headers=headers)

    async def hear(self, event: str, payload: Any, **more: Any) -> Delivery:
        """Send it, and pump: the row it has become."""
        answer = await self.send(event, payload, **more)
        assert answer.status_code in {200, 202}, answer.text
        await self.pump.once()
        return self.newest()

    def newest(self) -> Delivery:
        return self.house.ledger.deliveries.list()[0]

    def executions(self) -> list[str]:
        return [view.id for view in self.house.ledger.executions.list()]

    def inbox(self, execution: str) -> list[tuple[str, str]]:
        rows = self.engine.inbox.waiting(execution)
        return [(row.kind, row.sender_key) for row in rows]

    def skips(self) -> list[DeliverySkipped]:
        events = self.house.ledger.events.stream("deliveries")
        return [event.payload for event in events if isinstance(event.payload, DeliverySkipped)]


def headers_of(forge: str, event: str, delivery: str, body: bytes, secret: str = SECRET) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    name = {"github": "GitHub", "gitea": "Gitea", "forgejo": "Forgejo", "gitlab": "Gitlab"}[forge]
    signed = {
        "github": {"X-Hub-Signature-256": f"sha256={digest}", "X-GitHub-Delivery": delivery},
        "gitea": {"X-Gitea-Signature": digest, "X-Gitea-Delivery": delivery},
        "forgejo": {"X-Forgejo-Signature": digest, "X-Forgejo-Delivery": delivery},
        "gitlab": {"X-Gitlab-Token": secret, "Idempotency-Key": delivery},
    }[forge]
    return {"Content-Type": "application/json", f"X-{name}-Event": event, **signed}


def settings_of(model: str) -> dict[str, Any]:
    forge = {"webhook_secret": "env:HOOK", "organisation": "acme", "bots": ["renovate"]}
    forges: dict[str, Any] = {kind: copy.deepcopy(forge) for kind in ("github", "gitea", "forgejo", "gitlab")}
    forges["github"]["webhook_secrets"] = {"acme/other": "env:HOOK_OTHER"}
    return {"forges": forges, "models": {"default": model}}


def lay(root: Path) -> Repository:
    """The sample as a repository, a state directory with settings, a script for the model."""
    repository = root / "paginate"
    with resources.as_file(resources.files("boatwright.cli") / "sample" / "repository") as sample:
        shutil.copytree(sample, repository, ignore=shutil.ignore_patterns("__pycache__"))
    git = ["git", "-C", str(repository), "-c", "user.name=A", "-c", "user.email=a@localhost"]
    for words in (["init", "-q", "-b", "main"], ["add", "--all"], ["commit", "-q", "-m", "Begin"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    script = root / "model.yml"
    script.write_text(yaml.safe_dump({"plan": PLAN, "replies": [{"say": "Done."}]}))
    state = StateDir(root / "state").create()
    state.settings.write_text(yaml.safe_dump(settings_of(f"scripted:{script}")))
    return Repository(naming.repository_id(str(repository)), str(repository), PATH)


@pytest.fixture
def root() -> Iterator[Path]:
    """A short directory: it holds sockets, whose paths are limited."""
    made = Path(tempfile.mkdtemp(prefix="bw-door-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
async def harbour(root: Path) -> AsyncIterator[Harbour]:
    world = World(lay(root))
    environment = {**os.environ, "HOOK": SECRET, "HOOK_OTHER": OTHER}
    house = House.open(state=StateDir(root / "state"), environment=environment, producer="test")
    engine = engine_for(house)
    pump = Pump.of(house, engine, world.outside)
    door = Door(
        house.ledger.deliveries,
        house.settings.forges,
        environment=environment,
        clock=house.clock,
        stored=pump.wake,
    )

    async def healthy() -> str:
        return ""

    app = front(door, release="test", healthy=healthy)
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://door") as client:
        yield Harbour(house, engine, world, pump, door, client)
    await door.close()
    pump.close()
    engine.close()
    house.close()


def issue(
    action: str = "labeled", *, number: int = 7, labels: tuple[str, ...] = ("agent",), **more: Any
) -> dict[str, Any]:
    """GitHub's words for a change of an issue, as far as anything reads them."""
    payload: dict[str, Any] = {
        "action": action,
        "issue": {
            "number": number,
            "title": more.pop("title", "Pagination drops the last page"),
            "body": more.pop("body", "21 items make 4 pages of 5."),
            "state": more.pop("state", "open"),
            "user": {"login": "eve"},
            "labels": [{"name": name} for name in labels],
            "assignees": [{"login": name} for name in more.pop("assignees", ())],
            "updated_at": more.pop("at", "2026-01-02T03:04:05Z"),
        },
        "repository": {"full_name": more.pop("path", PATH)},
        "sender": {"login": more.pop("sender", "ada"), "type": more.pop("type", "User")},
    }
    if action == "labeled":
        payload["label"] = {"name": more.pop("label", labels[0])}
    return {**payload, **more}


def comment(
    text: str,
    *,
    number: int = 7,
    on_pull: bool = False,
    number_of: int = 31,
    sender: str = "ada",
    **more: Any,
) -> dict[str, Any]:
    about: dict[str, Any] = {
        "number": number,
        "title": "Pagination drops the last page",
        "body": "21 items.",
        "labels": [],
    }
    if on_pull:
        about["pull_request"] = {"url": "…"}
    return {
        "action": "created",
        "issue": about,
        "comment": {
            "id": number_of,
            "body": text,
            "user": {"login": sender},
            "created_at": "2026-01-02T04:00:00Z",
        },
        "repository": {"full_name": PATH},
        "sender": {"login": sender, "type": "User"},
        **more,
    }

"""A storm to its very end: a real forge's double, ``boatwright serve`` and a worker beside it, both killed again and again.

What was asked for is done once: one execution, one pull request and one living comment of each labelled issue, and nothing
else at the forge. What nobody acknowledged is sent again, as a forge redelivers.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from sqlalchemy import select

from boatwright import crash
from boatwright.config.paths import StateDir
from boatwright.ledger.tables import live_turns
from boatwright.rules import naming
from boatwright.stages.house import House
from boatwright.testing.fake_github import FakeGitHub
from boatwright.values.delivery import DeliveryState
from boatwright.values.proof import Word
from boatwright.values.state import State

from .conftest import SECRET, comment, headers_of, issue

PROGRAM = Path(sys.executable).with_name("boatwright")
TOKEN, BOT = "ghp_thistokenmaynotbewrittendownanywhere1234", "boatwright-bot"
PATHS = ("ann/paginate", "ann/second")
AT_ONCE = 20
NOISE = 1_000
"""Numbers of issues from here on are only talked about."""
SERVER = ("door.stored", "pump.begun", "pump.claimed", "intake.stored", "pump.started", "pump.acted", "turn.claimed",
          "pump.finished", "step.saved", "deliver.opened")  # fmt: skip
WORKER = (
    "step.saved",
    "deliver.pushed",
    "deliver.opened",
    "deliver.commented",
    "turn.ending",
    "stage.finished",
)
Sent = tuple[str, str, dict[str, Any]]


@dataclass
class Process:
    """One that is started again whenever it has died, the first times with a point at which it dies."""

    root: Path
    name: str
    arguments: tuple[str, ...]
    points: Iterator[str]
    starts: int = 0
    killed: int = 0
    running: subprocess.Popen[bytes] | None = None

    def look(self) -> None:
        """Have it run."""
        if self.running is not None and self.running.poll() is None:
            return
        if self.running is not None:
            assert self.running.returncode == -signal.SIGKILL, self.said()
            self.killed += 1
        self.starts += 1
        clean = {key: value for key, value in os.environ.items() if not key.startswith("BOATWRIGHT_")}
        own = {"BOATWRIGHT_STATE": str(self.root / "state"), "BOATWRIGHT_LEASE_SECONDS": "3",
               "STORM_TOKEN": TOKEN, "HOOK": SECRET, crash.VARIABLE: next(self.points, "")}  # fmt: skip
        with self._log.open("ab") as log:
            self.running = subprocess.Popen(
                [str(PROGRAM), *self.arguments], env={**clean, **own}, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, cwd=self.root,
            )  # fmt: skip

    def kill(self) -> None:
        if self.running is not None:
            self.running.kill()
            self.running.wait()

    def said(self) -> str:
        return self._log.read_text("utf-8", "replace")[-4_000:]

    @property
    def _log(self) -> Path:
        return self.root / f"{self.name}.log"


@dataclass
class Storm:
    """A forge's double, a state directory, two processes at work on it, and what is to be delivered."""

    root: Path
    asked: int
    kills: int
    chance: random.Random
    pulse: Callable[[str], None] = lambda _: None
    processes: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server = FakeGitHub(self.root / "github").start()
        with resources.as_file(resources.files("boatwright.cli") / "sample") as sample:
            script = self.root / "model.yml"
            script.write_text((sample / "model.yml").read_text())
            laid = sample / "repository"
            files = {
                str(path.relative_to(laid)): path.read_text()
                for path in laid.rglob("*") if path.is_file() and "__pycache__" not in path.parts
            }  # fmt: skip
        self.server.token(BOT, TOKEN)
        forge = {"token": "env:STORM_TOKEN", "base_url": self.server.url, "webhook_secret": "env:HOOK"}
        settings = {"forges": {"github": forge}, "models": {"default": f"scripted:{script}"}}
        state = StateDir(self.root / "state").create()
        state.settings.write_text(yaml.safe_dump(settings))
        self.house = House.open(
            state=state, environment={**os.environ, "STORM_TOKEN": TOKEN, "HOOK": SECRET}, producer="test"
        )
        for path in PATHS:
            people = {"ann": "admin", BOT: "write", "eve": "read"}
            self.server.make(path, files=files, people=people, private=True)
            url = f"{self.server.url}/{path}.git"
            self.house.ledger.repositories.add(
                naming.repository_id(url), source=url, forge="github", base_url=self.server.url, path=path, by="ann"
            )  # fmt: skip
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        serve = ("serve", "--port", "0", "--public", f"127.0.0.1:{self.port}")
        for name, arguments, points in (("server", serve, SERVER), ("worker", ("worker",), WORKER)):
            self.processes.append(Process(self.root, name, arguments, self._points(points)))

    def _points(self, points: tuple[str, ...]) -> Iterator[str]:
        for nth in range(self.kills):
            yield f"{points[nth % len(points)]}:{self.chance.randint(1, 3)}"

    # --- what is delivered ---

    def brew(self, size: int) -> list[Sent]:
        """So many deliveries, shuffled, each sent one to four times."""
        once = [(f"guid-{path}-{at}-{number}", *each)
                for path in PATHS for number in self._numbers(size) for at, each in enumerate(_about(path, number))]  # fmt: skip
        storm = [each for each in once for _ in range(self.chance.randint(1, 4))]
        storm += self.chance.choices(once, k=max(0, size - len(storm)))
        self.chance.shuffle(storm)
        return storm

    def _numbers(self, size: int) -> list[int]:
        each = self.asked // len(PATHS)
        return [*range(1, each + 1), *range(NOISE, NOISE + size // 20 - each)]

    def ask(self) -> None:
        """The issues that are asked for are there, with their label."""
        for path in PATHS:
            for _ in range(self.asked // len(PATHS)):
                words = {"title": "Pagination drops the last page", "body": "21 items, 5 a page."}
                self.server.do(
                    lambda act, path=path, words=words: act.open_issue(
                        path, by="ann", labels=("agent",), **words
                    )
                )

    async def blow(self, storm: list[Sent]) -> None:
        """Send everything until it is acknowledged; whoever dies is started again, and killed from outside besides."""
        strikes = {len(storm) * nth // (self.kills + 1) // AT_ONCE for nth in range(1, self.kills + 1)}
        struck = itertools.cycle(
            self.processes
        )  # each in turn: what kills itself may come to it late, on a busy host
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=60) as client:
            for at in range(0, len(storm), AT_ONCE):
                await asyncio.gather(*(self._deliver(client, each) for each in storm[at : at + AT_ONCE]))
                if at // AT_ONCE in strikes:
                    next(struck).kill()
                    self.look()
                    self.pulse(f"{at} sent, {self._told()}")

    async def _deliver(self, client: httpx2.AsyncClient, each: Sent) -> None:
        name, event, payload = each
        body = json.dumps(payload).encode()
        while True:
            self.look()
            try:
                answer = await client.post(
                    "/webhooks/github", content=body, headers=headers_of("github", event, name, body)
                )
            except httpx2.HTTPError:
                await asyncio.sleep(0.1)
                continue
            assert answer.status_code in {200, 202, 503}, answer.text
            if answer.status_code != 503:
                return

    def look(self) -> None:
        for each in self.processes:
            each.look()

    # --- the end ---

    def settle(self, seconds: float) -> None:
        """Until all is processed and no turn is live."""
        until, told = time.monotonic() + seconds, time.monotonic()
        while not self._still():
            self.look()
            assert time.monotonic() < until, "\n".join(each.said() for each in self.processes) + self._told()
            if time.monotonic() - told > 20:
                told = time.monotonic()
                self.pulse(self._told())
            time.sleep(0.25)

    def _still(self) -> bool:
        counts = self.house.ledger.deliveries.counts()
        views = self.house.ledger.executions.list(limit=1_000)
        with self.house.ledger.database.read() as reader:
            live = reader.execute(select(live_turns)).first() is not None
        return {*counts} <= {"processed", "dead"} and not live and len(views) >= self.asked

    def _told(self) -> str:
        states = Counter(view.state.value for view in self.house.ledger.executions.list(limit=1_000))
        deaths = {each.name: (each.starts, each.killed) for each in self.processes}
        return f"{self.house.ledger.deliveries.counts()} {dict(states)} starts and kills {deaths}"

    def holds(self, storm: list[Sent]) -> None:
        ledger = self.house.ledger
        rows = ledger.deliveries.list(limit=10_000)
        assert {row.state for row in rows} == {DeliveryState.PROCESSED}
        assert {row.delivery for row in rows if row.hook != "listing"} == {name for name, _, _ in storm}
        started = {row.about for row in rows if row.outcome == "started"}
        views = ledger.executions.list(limit=1_000)
        assert started == {view.id for view in views}
        ids = {naming.repository_id(f"{self.server.url}/{path}.git"): path for path in PATHS}
        each = range(1, self.asked // len(PATHS) + 1)
        assert sorted((ids[view.repository], view.issue or 0) for view in views) == [
            (path, number) for path in sorted(PATHS) for number in each
        ]
        ends = [(view.state, view.word, view.parked_code, view.reason) for view in views]
        assert ends == [(State.DELIVERED, Word.PROVEN, None, None)] * self.asked
        for view in views:
            types = [event.type for event in ledger.events.stream(view.id)]
            assert types.count("feature.requested") == 1
        for path in PATHS:
            self._holds_at(path, [view for view in views if ids[view.repository] == path])
        assert ledger.verify().problems == ()

    def _holds_at(self, path: str, views: list[Any]) -> None:
        """Of each one pull request, one comment on it and one on the issue, and a branch; and nothing else."""
        depot = self.server.state.depots[path]
        pulls = {topic.number: topic for topic in depot.topics.values() if topic.pull}
        assert len(depot.topics) == 2 * len(views)
        assert {view.pull_request for view in views} == {*pulls}
        asked = [view.issue for view in views]
        assert sorted(remark.number for remark in depot.remarks) == sorted([*pulls, *asked])
        assert {remark.author for remark in depot.remarks} == {BOT}
        heads = self.server.act.bare(depot).heads()
        assert heads == {"main": heads["main"], **{view.branch: view.head for view in views}}

    def close(self) -> None:
        for each in self.processes:
            each.kill()
        self.house.close()
        self.server.stop()


def _about(path: str, number: int) -> list[tuple[str, dict[str, Any]]]:
    """What is delivered of an issue: those that are asked for by a writer; of the others half by a stranger, half by nobody."""
    sender = "ann" if number < NOISE else "eve"
    labels = ("agent",) if number < NOISE or number % 2 else ("bug",)
    said: dict[str, Any] = {"number": number, "sender": sender, "labels": labels, "path": path}
    words = {"title": "Pagination drops the last page", "body": "21 items, 5 a page."}
    where = {"repository": {"full_name": path}}
    ours = NOISE * NOISE if path == PATHS[0] else 2 * NOISE * NOISE
    hurry, stop = (
        {"number": number, "number_of": ours + at * NOISE * 10 + number, "sender": "eve"} for at in (1, 2)
    )
    return [
        ("issues", issue("opened", at="2026-01-02T03:04:05Z", **said, **words)),
        ("issues", issue(at="2026-01-02T03:04:06Z", **said, **words)),
        ("issue_comment", {**comment("Please hurry.", **hurry), **where}),
        ("issue_comment", {**comment("/boatwright stop", **stop), **where}),
    ]


def weathered(root: Path, size: int, *, asked: int, kills: int, seconds: float) -> None:
    began = time.monotonic()

    def pulse(line: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {line}", flush=True)

    made = Storm(root, asked, kills, random.Random(size), pulse)
    try:
        made.ask()
        storm = made.brew(size)
        pulse(f"{len(storm)} to send, {len({name for name, _, _ in storm})} deliveries, {asked} asked for")
        asyncio.run(made.blow(storm))
        pulse(f"all acknowledged: {made._told()}")
        made.settle(seconds)
        pulse(f"still: {made._told()}")
        made.holds(storm)
        assert all(each.killed >= kills // 2 for each in made.processes), "too little died to show anything"
    finally:
        made.close()


@pytest.mark.chaos
@pytest.mark.timeout(3_600)
def test_a_storm_of_2000_ends_in_one_of_everything(root: Path) -> None:
    weathered(root, 2_000, asked=8, kills=8, seconds=1_800)


@pytest.mark.timeout(600)
def test_a_storm_of_60_ends_in_one_of_everything(root: Path) -> None:
    weathered(root, 60, asked=2, kills=2, seconds=300)

"""A drill: one whole execution by real workers, something killed on the way, and what must hold afterwards.

Two workers are alive from the start. One thing dies: whoever passes a named crash point first (``Kill.at``), or a process
chosen by its part (worker, proxy, agent, bottle) once the first step is saved. Then we wait for the execution to be
delivered and look at everything the promise speaks of. Nothing here sleeps for luck: each wait is for a fact in the ledger.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from importlib import resources
from pathlib import Path

import yaml
from sqlalchemy import select

from boatwright import crash
from boatwright.config.paths import StateDir
from boatwright.egress.budget import Budgets
from boatwright.ledger import Ledger
from boatwright.ledger.leases import Lease, Leases
from boatwright.ledger.tables import forge_comments, forge_pulls, live_turns
from boatwright.rules import naming
from boatwright.values.clock import SystemClock, SystemIds
from boatwright.values.event import Event
from boatwright.values.events import StepCompleted
from boatwright.values.execution import ExecutionView
from boatwright.values.state import State

LEASE_SECONDS = "3"
PATIENCE = 180.0
"""Seconds a drill may take on a slow machine before it counts as stuck."""
PROGRAM = (sys.executable, "-c", "from boatwright.cli import main; main()")


class Part(StrEnum):
    """Processes that can be killed from outside."""

    WORKER = "worker"
    PROXY = "proxy"
    AGENT = "agent"
    BOTTLE = "bottle"


@dataclass(frozen=True, slots=True)
class Kill:
    """What dies: a crash point by name, or a process by its part. ``upgrade``: the worker is replaced by another release."""

    at: str = ""
    part: Part | None = None
    upgrade: bool = False

    def __str__(self) -> str:
        return self.at or (f"{self.part} killed" if self.part else "upgrade in mid-build")


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What was found when it was over. ``broken`` names each promise that does not hold; empty is what we want."""

    kill: Kill
    died: bool
    view: ExecutionView
    turns: int
    steps: int
    calls: int
    seconds: float
    broken: tuple[str, ...]


@dataclass
class Drill:
    """One state directory with a sample repository, and the processes at work on it."""

    root: Path
    kill: Kill
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = StateDir(self.root / "state").create()
        self.repository = self.root / "paginate"
        self.script = self.root / "model.yml"
        self.token = self.root / "died"
        self.nap = f"4.{secrets.randbelow(10**6):06d}"  # tells our agent's process from everybody else's
        self.ledger = Ledger.open(self.state, clock=SystemClock(), ids=SystemIds(), producer="drill")

    # --- the scene ---------------------------------------------------------------------------------------------

    def lay(self) -> None:
        """The sample repository, and a script whose first command takes a moment, so that there is a middle."""
        package = resources.files("boatwright.cli") / "sample"
        with resources.as_file(package / "repository") as sample:
            shutil.copytree(sample, self.repository, ignore=shutil.ignore_patterns("__pycache__"))
        script = yaml.safe_load((package / "model.yml").read_text())
        if self.kill.part or self.kill.upgrade:
            script["replies"].insert(
                1, {"say": "This takes a moment.", "tools": [{"bash": f"sleep {self.nap}"}]}
            )
        self.script.write_text(yaml.safe_dump(script))
        plain = {
            "PATH": os.environ.get("PATH", os.defpath),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        for argv in (
            ("init", "--quiet", "--initial-branch=main"),
            ("add", "--all"),
            (
                "-c",
                "user.name=Drill",
                "-c",
                "user.email=drill@localhost",
                "commit",
                "--quiet",
                "--message=Sample",
            ),
        ):
            subprocess.run(["git", "-C", str(self.repository), *argv], check=True, env=plain)

    def environment(self, release: str = "") -> dict[str, str]:
        own = {"BOATWRIGHT_STATE": str(self.state.root), "BOATWRIGHT_LEASE_SECONDS": LEASE_SECONDS}
        if self.kill.at:
            own |= {crash.VARIABLE: self.kill.at, crash.ONCE: str(self.token)}
        if release:
            own["BOATWRIGHT_RELEASE"] = release
        return {**os.environ, **own}

    def worker(self, release: str = "") -> subprocess.Popen[bytes]:
        log = (self.root / f"worker-{len(self.processes)}.log").open("wb")
        process = subprocess.Popen(
            [*PROGRAM, "worker"],
            env=self.environment(release),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        self.processes.append(process)
        return process

    def submit(self) -> None:
        """Ask for the change and leave it to the workers; dying on the way is part of the drill."""
        argv = [
            *PROGRAM,
            "run",
            "--detach",
            "--repo",
            str(self.repository),
            "--model",
            f"scripted:{self.script}",
        ]
        subprocess.run(
            [*argv, "--text", "Pagination drops the last page"], env=self.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=(self.root / "submit.log").open("wb"), check=False,
        )  # fmt: skip

    # --- waiting and looking -------------------------------------------------------------------------------------

    def wait(self, what: str, found: Callable[[], bool]) -> None:
        """Until ``found``; ``TimeoutError`` says what never came, with the last words of the workers."""
        until = time.monotonic() + PATIENCE
        while not found():
            if time.monotonic() > until:
                words = "".join(
                    p.read_text("utf-8", "replace")[-600:] for p in sorted(self.root.glob("*.log"))
                )
                raise TimeoutError(f"{self.kill}: {what} never came\n{words}")
            time.sleep(0.05)

    def views(self) -> list[ExecutionView]:
        return self.ledger.executions.list()

    def history(self) -> list[Event]:
        views = self.views()
        return self.ledger.events.stream(views[0].id) if views else []

    def in_the_middle(self) -> bool:
        """The first step is saved and the turn goes on."""
        types = [event.type for event in self.history()]
        return "step.completed" in types and "build.completed" not in types

    def over(self) -> bool:
        """Delivered or parked, and no turn is live any more."""
        views = self.views()
        if not views or views[0].state not in {State.DELIVERED, State.PARKED}:
            return False
        with self.ledger.database.read() as reader:
            return reader.execute(select(live_turns)).first() is None

    # --- killing ---------------------------------------------------------------------------------------------------

    def strike(self) -> bool:
        """Kill the chosen part in the middle of the build; says whether something died."""
        if self.kill.upgrade:
            old = list(self.processes)
            self.worker("9.9.9")
            for process in old:
                process.send_signal(signal.SIGTERM)
            return True
        pids = list(self._victims())
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        return bool(pids)

    def _victims(self) -> Iterator[int]:
        """Whom to kill; nobody until the agent's program runs in its bottle."""
        lines = dict(_processes())
        asleep = [pid for pid, line in lines.items() if line[:2] == ["sleep", self.nap]]
        above = {parent for pid in asleep for parent in _ancestors(pid)}
        match self.kill.part if asleep else None:
            case Part.WORKER:
                yield from (process.pid for process in self.processes if process.pid in above)
            case Part.PROXY:
                yield int((self.state.run / "proxy.lock").read_text().split()[0])
            case Part.AGENT:
                yield from asleep
            case Part.BOTTLE:
                yield from (pid for pid in above if "bwrap" in Path(lines.get(pid, [""])[0]).name)

    def _leases(self) -> list[Lease]:
        return list(Leases(self.ledger.database, self.state.run).all())

    # --- what must hold ------------------------------------------------------------------------------------------------

    def broken(self) -> Iterator[str]:
        """Each promise that does not hold, in a sentence."""
        views = self.views()
        if len(views) != 1:
            yield f"{len(views)} executions, not one"
        view = views[0]
        if (view.state, view.word, view.ready) != (State.DELIVERED, "proven", True):
            yield f"it ended {view.state}, word {view.word}, ready {view.ready}: {view.reason}"
        yield from self._broken_forge(view)
        steps = [e.payload for e in self.history() if isinstance(e.payload, StepCompleted)]
        work = self._mirror_ref(f"refs/boatwright/work/{view.id}")
        if not steps or work != steps[-1].commit:
            yield f"the work ref is {work}, not the last completed step"
        if [s.step for s in steps] != list(range(1, len(steps) + 1)):
            yield f"steps are {[s.step for s in steps]}"
        yield from self._broken_budget(view)
        yield from self.ledger.verify().problems

    def _broken_forge(self, view: ExecutionView) -> Iterator[str]:
        with self.ledger.database.read() as reader:
            pulls = reader.execute(select(forge_pulls)).mappings().all()
            living = (
                reader.execute(select(forge_comments).where(forge_comments.c.marker != "")).mappings().all()
            )
        if len(pulls) != 1:
            yield f"{len(pulls)} pull requests, not one"
        if len(living) != 1:
            yield f"{len(living)} living comments, not one"
        bare = self.state.forge / f"{naming.repository_id(str(self.repository))}.git"
        head = self._ref(bare, f"refs/heads/{view.branch}")
        if head != view.head:
            yield f"the branch is at {head}, the ledger says {view.head}"

    def _broken_budget(self, view: ExecutionView) -> Iterator[str]:
        budgets = Budgets.open(self.state.budgets_url)
        rows = budgets.usage(view.id)
        settled = sum((row.usd for row in rows), start=Decimal(0))
        used = next(iter(budgets.standing("execution", view.id)), None)
        if budgets.open_reservations():
            yield f"{budgets.open_reservations()} reservations are still open"
        if used is None or used.used_usd != settled:
            yield f"the account says {used.used_usd if used else None}, the rows sum to {settled}"
        if view.usd != settled or settled > Decimal(5):
            yield f"the ledger says {view.usd}, the rows {settled}"

    def _mirror_ref(self, name: str) -> str:
        return self._ref(next(self.state.mirrors.glob("*.git")), name)

    def _ref(self, gitdir: Path, name: str) -> str:
        ran = subprocess.run(
            ["git", "--git-dir", str(gitdir), "rev-parse", "--verify", "--quiet", name],
            capture_output=True,
            check=False,
        )
        return ran.stdout.decode().strip()

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        self.ledger.close()


def run(kill: Kill) -> Aftermath:
    """One drill from beginning to end, in a directory of its own."""
    with _scene(kill) as drill:
        began = time.monotonic()
        first = drill.worker()
        drill.wait("the first worker", lambda: bool(drill._leases()) or first.poll() is not None)
        if not kill.upgrade:
            drill.worker()
        drill.submit()
        if not kill.at:
            drill.wait("the middle of the build", drill.in_the_middle)
            drill.wait("somebody to kill", drill.strike)
        drill.wait("the end", drill.over)
        broken = tuple(drill.broken())
        view, types = drill.views()[0], [event.type for event in drill.history()]
        return Aftermath(
            kill=kill,
            died=drill.token.exists() if kill.at else True,
            view=view,
            turns=types.count("turn.started"),
            steps=types.count("step.completed"),
            calls=types.count("model.called"),
            seconds=time.monotonic() - began,
            broken=broken,
        )


@contextmanager
def _scene(kill: Kill) -> Iterator[Drill]:
    root = Path(tempfile.mkdtemp(prefix="bw-drill-"))
    root.chmod(0o711)
    drill = Drill(root, kill)
    try:
        drill.lay()
        yield drill
    finally:
        drill.stop()
        shutil.rmtree(root, ignore_errors=True)


def _processes() -> Iterator[tuple[int, list[str]]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield int(entry.name), (entry / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
            except OSError:  # it ended while we looked
                continue


def _ancestors(pid: int) -> Iterator[int]:
    while pid > 1:
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it ended while we looked
            return
        yield pid


def every_kill() -> list[Kill]:
    """All crash points, all parts, and the upgrade."""
    return [
        *(Kill(at=point) for point in crash.POINTS),
        *(Kill(part=part) for part in Part),
        Kill(upgrade=True),
    ]

"""A coding agent that is a program: started headless in a bottle whose only way out is the wire, saved, resumed, read.

A round is one run of the program. While it works, and when it ended, its work is saved: first what it keeps in HOME
(its session), then the workspace, so that a session never knows of an edit the workspace has lost. Killed anywhere,
the round goes on from both, in a new bottle if need be, with the program's own session.

Each program is one small class that says how it is called and how it is read; see ``claude`` for one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from boatwright import errors
from boatwright.agents import endings, fence, sessions
from boatwright.agents.protocol import Fitting, Host, RoundResult, StepRecord, Task
from boatwright.agents.sessions import Session
from boatwright.bottle import program
from boatwright.bottle import terminal as terminals
from boatwright.bottle.protocol import HOME, WIRE_URL
from boatwright.bottle.telling import Lines
from boatwright.sidecar import forge_calls, supervise
from boatwright.values.clock import Ids, SystemIds
from boatwright.values.process import ExecResult, Limits
from boatwright.values.usage import ModelRef

INTERRUPTED = (
    "You were interrupted. A tool call without a result may have run wholly, in part, or not at all: look before you "
    "go on. Then finish the task."
)
NO_KEY = "the-wire-adds-it"
"""What programs get that insist on a key."""
LONGEST = 4 << 20
"""Bytes of one line of output that are read as one."""
TASK = ".boatwright/task.md"
"""Where below HOME a program that cannot read its prompt from stdin finds it."""
ASK_SECONDS = 660
"""How long a program should wait for a person: a little longer than a person is waited for."""
_SERVERS = (
    (supervise.NAME, "boatwright", supervise.MCP),
    (forge_calls.NAME, "boatwright-forge", forge_calls.MCP),
)
"""Services of a wire that speak MCP: what a program is told they are called, and their paths."""
_STOPPED = ExecResult(143, b"", 0.0)
"""How a program ended that was told to: as by SIGTERM."""
_ARGUMENT = 100_000
"""Bytes; Linux takes 128 KiB as one argument."""


def argument(prompt: str) -> str:
    """A prompt as one argument. One too long for that is pointed to: whoever uses this lays :data:`TASK` too."""
    if len(prompt.encode("utf-8", "replace")) > _ARGUMENT:
        return f"Your task is in the file {HOME / TASK}. Read all of it first, then do it."
    return prompt.replace("\0", "")


@dataclass(frozen=True, slots=True)
class Call:
    """One run of a program: whom it asks, and the session it begins or goes on with.

    A session without a name is the newest in HOME: at a terminal a person may have begun another one.
    """

    model: str
    protocol: str
    session: str
    resumes: bool
    url: str = WIRE_URL
    prompt: str = ""
    servers: Mapping[str, str] = field(default_factory=dict)
    """Where the MCP servers of this host are that it may ask, by name."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What one line of a program's output says. ``failed`` is its own word for a run that went wrong."""

    said: str = ""
    tool: str = ""
    result: str = ""
    session: str = ""
    final: str | None = None
    failed: str | None = None


class Headless:
    """What all programs have in common. Subclasses name the program and say how it is called and read."""

    name: ClassVar[str]
    wired = True
    remedy: ClassVar[str]
    """The command that installs it."""
    tested: ClassVar[tuple[str, ...]]
    """Versions whose default requests are known to pass the wire's strict mode."""
    models: tuple[str, ...]
    """Whose models it can ask, each in its own protocol. The scripted model answers in the first's."""
    keeps: tuple[str, ...]
    """Paths below HOME where its sessions are."""
    skills: ClassVar[str] = "skills"
    """The folder below HOME where it looks for skills."""
    mcp: ClassVar[bool] = False
    """Whether it speaks MCP, and is told of ``Call.servers``."""
    standing: ClassVar[str] = ""
    """The file below HOME whose words hold in all its sessions: at a terminal, where it gets no prompt, the agent's."""

    def __init__(self, *, ids: Ids | None = None) -> None:
        self._ids = ids or SystemIds()

    # --- what a program says of itself ---

    def environment(self, call: Call) -> Mapping[str, str]:
        """Variables of its run."""
        return {}

    def files(self, call: Call) -> Mapping[str, str]:
        """Its configuration: texts by path below HOME."""
        return {}

    def arguments(self, call: Call) -> Sequence[str]:
        """What follows its name."""
        raise NotImplementedError

    def interactive(self, call: Call) -> Sequence[str] | None:
        """What follows its name at a terminal, where a person works with it. None: it has no screen of its own."""
        return None

    def first_start(self, call: Call) -> Mapping[str, str]:
        """Files below HOME that answer what it would ask a person when it starts for the first time."""
        return {}

    def stdin(self, call: Call) -> str:
        """What it reads: its prompt, unless it takes that in another way."""
        return call.prompt

    def read(self, text: str) -> Iterable[Heard]:
        """Read one line of its output. What raises here is a remark of the program's."""
        line = json.loads(text)
        if not isinstance(line, dict):
            raise TypeError("no object")
        return self.hear(line)

    def hear(self, line: Mapping[str, Any]) -> Iterable[Heard]:
        """Read one JSON line of its output; a program of plain text has ``read`` instead."""
        raise NotImplementedError

    # --- a provider ---

    @property
    def screen(self) -> bool:
        return type(self).interactive is not Headless.interactive

    def speaks(self, model: ModelRef) -> str:
        if model.provider == "scripted":
            return self.models[0]
        if model.provider not in self.models:
            raise errors.BadInput(
                f"{self.name} cannot use {model}: it asks models of {' or '.join(self.models)}",
                subject=self.name,
                next_moves=tuple(f"--model {each}:NAME" for each in self.models),
            )
        return model.provider

    def fit(self, host: Host) -> Fitting:
        found = self.find(host)
        return Fitting(found.binds, program=found.path, before=found.before)

    def find(self, host: Host) -> program.Program:
        """The program on this host. Raises ``errors.MissingPart`` with the remedy."""
        return program.find(
            self.name, host.environment, uid=host.uid, shelf=host.shelf, remedy=f"install it: {self.remedy}"
        )

    @classmethod
    def state_of(cls, environment: Mapping[str, str]) -> str:
        """This host's one, in a few words for ``doctor``."""
        found = program.version(cls.name, environment)
        if found is None:
            return f"not installed: {cls.remedy}"
        if found in cls.tested:
            return f"{found}, tested"
        return f"{found or 'version unknown'}, not tested here; tested: {', '.join(cls.tested)}"

    async def run(self, task: Task) -> RoundResult:
        return await _Round(self, task, self._ids).run()


class _Round:
    """One run of a program and all that is heard of it."""

    def __init__(self, provider: Headless, task: Task, ids: Ids) -> None:
        self._provider, self._task, self._ids = provider, task, ids
        self._session = Session.load(task.session) if task.session else None
        self._name = self._session.name if self._session else ids.event_id()
        self._parts: list[dict[str, str]] = []
        self._tools: list[str] = []
        self._heard = endings.Told()
        self._steps = 0

    async def run(self) -> RoundResult:
        task, call = self._task, self._call()
        await task.before_step()
        await sessions.restore(task.bottle, self._provider.keeps, self._session)
        await sessions.write(task.bottle, self._files(call))
        await sessions.lay(task.bottle, self._provider.skills, task.skills)
        running = asyncio.ensure_future(self._program(call))
        ending = asyncio.ensure_future(task.ending.wait())
        try:
            while not await _any(running, ending, seconds=task.limits.save_seconds):
                await self._save()
            ended = await (running if running.done() else self._end(running))
        except asyncio.CancelledError:
            await self._stopped(running)
            raise
        finally:
            running.cancel()
            ending.cancel()
            await asyncio.wait({running, ending})
        await self._save()
        return await self._result(ended)

    async def _end(self, running: asyncio.Future[ExecResult]) -> ExecResult:
        """Told to end: the program is stopped, begun or not, and so is whatever it left running."""
        running.cancel()
        await asyncio.wait({running})
        await self._task.bottle.stop()
        return _STOPPED if running.cancelled() else running.result()

    def _call(self) -> Call:
        wire, resumes = self._task.wire, self._session is not None
        servers = {name: f"{WIRE_URL}{path}" for service, name, path in _SERVERS if service in wire.services}
        return Call(
            wire.model.asked,
            wire.protocol,
            self._name,
            resumes,
            prompt=self._prompt(resumes),
            servers=servers,
        )

    async def _stopped(self, running: asyncio.Future[ExecResult]) -> None:
        """Asked to stop. What a person did at a terminal is theirs: it is saved as it is, and not redone."""
        if self._task.terminal is not None:
            running.cancel()
            await asyncio.wait({running})
            await asyncio.shield(asyncio.ensure_future(self._save()))

    def _files(self, call: Call) -> Mapping[str, str]:
        provider = self._provider
        if self._task.terminal is None:
            return provider.files(call)
        standing = {provider.standing: call.prompt} if provider.standing else {}
        return {**provider.files(call), **provider.first_start(call), **standing}

    async def _at_terminal(self, call: Call) -> ExecResult:
        """The program itself, on the terminal: what it prints is for people and is not read."""
        task, provider = self._task, self._provider
        arguments = provider.interactive(call)
        if arguments is None:
            raise errors.BadInput(
                f"{provider.name} has no screen of its own: it works headless",
                subject=provider.name,
                next_moves=('--headless --prompt "…"',),
            )
        self._name = ""
        self._heard.remark("what it said is on its screen")
        return await task.bottle.exec(
            [*map(str, task.before), str(task.program), *arguments],
            environment={
                **_wide(provider.environment(call)),
                "TERM": terminals.NAME,
                "COLORTERM": "truecolor",
            },
            limits=_limits(task),
            terminal=task.terminal,
        )

    async def _program(self, call: Call) -> ExecResult:
        task, provider = self._task, self._provider
        if task.terminal is not None:
            return await self._at_terminal(call)
        lines = Lines(self._line, longest=LONGEST)
        ended = await task.bottle.exec(
            [*map(str, task.before), str(task.program), *provider.arguments(call)],
            stdin=provider.stdin(call).encode("utf-8", "replace"),
            environment=provider.environment(call),
            limits=_limits(task),
            on_output=lines.feed,
        )
        lines.end()
        return ended

    def _prompt(self, resumes: bool) -> str:
        """What the run is told. A session that is lost begins again, with all that was asked."""
        if self._task.terminal is not None:
            return self._task.system
        if not resumes:
            return f"{self._task.system}\n\n{self._task.prompt or self._task.opening}"
        return self._task.prompt or INTERRUPTED

    def _line(self, text: str) -> None:
        """One line of output, as it comes. What cannot be read, for whatever reason, is a remark of the program's:
        whoever runs in the bottle may print anything.
        """
        try:
            heard = tuple(self._provider.read(text))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            self._heard.remark(text)
            return
        for each in heard:
            self._take(each)

    def _take(self, heard: Heard) -> None:
        self._name = heard.session or self._name
        self._heard.end(heard.final, heard.failed)
        if heard.said:
            self._parts.append({"part_kind": "text", "content": heard.said})
            self._task.say(fence.line(heard.said))
        if heard.tool:
            self._parts.append({"part_kind": "tool-call", "content": heard.tool})
            self._tools.append(fence.line(heard.tool, 80))
            self._task.say(f"  {fence.line(heard.tool)}")
        if heard.result:
            self._parts.append({"part_kind": "tool-return", "content": heard.result})

    async def _save(self) -> None:
        """Session first, workspace after: a session that is older than the workspace does a thing again; a
        younger one would believe in work that is lost.
        """
        task = self._task
        session = await sessions.pack(task.bottle, self._provider.keeps, self._name)
        tools, self._tools = tuple(self._tools), []
        step = StepRecord(
            task.first_step + self._steps, self._transcript(), tools, self._heard.last, session.dump()
        )
        self._steps += 1
        await task.on_step(step)

    def _transcript(self) -> bytes:
        return json.dumps([{"parts": self._parts}], ensure_ascii=False).encode("utf-8", "replace")

    async def _result(self, ended: ExecResult) -> RoundResult:
        refused = await self._task.wire.refused() if self._task.wire.refused else ()
        status = await self._task.wire.last_status() if self._task.wire.last_status else 0
        end = endings.read(self._provider.name, ended, self._heard, refused, status)
        return RoundResult(
            end.stop, self._heard.last, self._steps, self._transcript(), detail=end.detail, moves=end.moves,
            exit_code=ended.exit_code,
        )  # fmt: skip


async def _any(*futures: asyncio.Future[Any], seconds: float) -> bool:
    """Whether one of them is done, within some seconds."""
    done, _ = await asyncio.wait(futures, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    return bool(done)


def _wide(environment: Mapping[str, str]) -> dict[str, str]:
    """A terminal knows its width itself."""
    return {name: value for name, value in environment.items() if name != "COLUMNS"}


def _limits(task: Task) -> Limits:
    """The bottle's, within the round's time."""
    own = task.bottle.spec.limits
    return Limits(
        wall_seconds=task.limits.wall_seconds, cpu_seconds=own.cpu_seconds, memory_bytes=own.memory_bytes,
        pids=own.pids, disk_bytes=own.disk_bytes, output_bytes=own.output_bytes,
    )  # fmt: skip

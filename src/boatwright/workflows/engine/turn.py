"""One turn, as the story and its stages see it: durable stages, events written once, a fence that holds."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel
from sqlalchemy import Connection

from boatwright import crash, errors
from boatwright.ledger import Ledger
from boatwright.ledger.inbox import Command, Inbox
from boatwright.ledger.turns import Turns
from boatwright.values.clock import Clock, Ids
from boatwright.values.context import Context
from boatwright.values.event import Event
from boatwright.values.events import Payload
from boatwright.workflows.engine import durable

T = TypeVar("T", bound=BaseModel)

FRESH_SECONDS = 0.2
"""A look this young is good enough for entering a stage; an explicit fence always looks."""

WATCH_SECONDS = 0.5
"""How often a running stage looks whether it is told to stop, or has lost its turn."""


class Lifeline(Protocol):
    """What a turn asks of the process that runs it."""

    def refusal(self) -> str | None:
        """Why no new step may start in this process; None when it may."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    ledger: Ledger
    inbox: Inbox
    turns: Turns
    durable: durable.Durable
    clock: Clock
    ids: Ids
    lifeline: Lifeline
    on_line: Callable[[str, str], None]


class Turn:
    """Implements ``values.context.Context``; the story gets it whole, a stage sees the protocol."""

    def __init__(
        self, execution: str, turn: int, commands: Sequence[Command], token: str, services: Services
    ) -> None:
        self._execution = execution
        self._turn = turn
        self.token = token
        self._services = services
        self._looked = -FRESH_SECONDS
        self.commands = tuple(commands)
        """The inbox rows this turn took; the same ones when it is redone."""
        self.stage_name = ""
        """The stage that runs, or ran last."""

    @property
    def execution(self) -> str:
        return self._execution

    @property
    def turn(self) -> int:
        return self._turn

    @property
    def workflow(self) -> str:
        return f"{self._execution}.{self._turn}"

    @property
    def clock(self) -> Clock:
        return self._services.clock

    @property
    def ids(self) -> Ids:
        return self._services.ids

    # --- for the story ------------------------------------------------------------------------------------

    async def stage(self, name: str, body: Callable[[Context], Awaitable[T]], result: type[T]) -> T:
        """One durable, preemptible stage; a redone turn gets the recorded result without running it again.

        What ``body`` raises of ``errors`` is recorded too and raised the same on a redo. ``errors.Stopped`` and
        ``errors.StoreUnavailable`` are not: they decide nothing, the stage is redone by whoever goes on.
        """
        self.stage_name = name
        recorded = await self._step(name, lambda: _decided(f"stage {name}", self._attempt(body)))
        if "error" in recorded:
            raise _rebuilt(recorded["error"])
        return result.model_validate_json(json.dumps(recorded["result"]))

    async def note(self, payload: Payload, key: str) -> None:
        """Write a state change at the level of the turn, exactly once."""

        async def write() -> dict[str, Any]:
            return {"sequence": (await self.emit(payload, key=key)).sequence}

        recorded = await self._step(f"note {payload.type}", lambda: _decided(f"note {payload.type}", write()))
        if "error" in recorded:
            raise _rebuilt(recorded["error"])

    async def patched(self, change: str) -> bool:
        """Guards a change in the number or order of stages: False in turns that began before it."""
        return await durable.patched(change)

    # --- for the stages -----------------------------------------------------------------------------------

    async def emit(self, payload: Payload, *, key: str) -> Event:
        return await asyncio.to_thread(self._append, payload, key)

    async def history(self) -> Sequence[Event]:
        return await asyncio.to_thread(self._services.ledger.events.stream, self._execution)

    async def fence(self) -> None:
        await asyncio.to_thread(self._check)

    def say(self, line: str) -> None:
        self._services.on_line(self._execution, line)

    # --- how ----------------------------------------------------------------------------------------------

    def guard(self, connection: Connection) -> None:
        """Only the owner of the live turn writes; asked inside the transaction that writes."""
        self._services.turns.check_live(connection, self._execution, self._turn)
        self._services.durable.check_owner(connection, self.workflow, self.token)

    async def _step(self, name: str, body: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        try:
            return await durable.step(name, body)
        except durable.LeftBehind as left:
            raise left.cause from left

    async def _attempt(self, body: Callable[[Context], Awaitable[T]]) -> dict[str, Any]:
        self._check_lifeline()
        if time.monotonic() - self._looked > FRESH_SECONDS:
            await self.fence()
        crash.point("stage.entered")
        value = await self._watched(body(self))
        crash.point("stage.finished")
        return {"result": value.model_dump(mode="json")}

    async def _watched(self, body: Awaitable[T]) -> T:
        """Run a stage's body; cancel it as soon as this turn is told to stop or belongs to another worker."""
        task = asyncio.ensure_future(body)
        try:
            while not (await asyncio.wait({task}, timeout=WATCH_SECONDS))[0]:
                await self._watch()
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})

    async def _watch(self) -> None:
        try:
            await self.fence()
        except errors.StoreUnavailable:
            return  # the stage may well get through; without a lease the next look stops it

    def _check_lifeline(self) -> None:
        refusal = self._services.lifeline.refusal()
        if refusal is not None:
            raise errors.Stopped(refusal, subject=self._execution)

    def _check(self) -> None:
        self._check_lifeline()
        looked = time.monotonic()
        with self._services.ledger.database.read() as reader:
            if not self._services.durable.owns(reader, self.workflow, self.token):
                raise errors.Stopped(
                    f"another worker has taken over turn {self.workflow}", subject=self._execution
                )
            told = self._services.inbox.stop_requested(self._execution, connection=reader)
        if told is not None:
            raise errors.Stopped(
                f"{self._execution} is told to stop ({told.kind})",
                subject=self._execution,
                next_moves=(f"boatwright show {self._execution}",),
            )
        self._looked = looked

    def _append(self, payload: Payload, key: str) -> Event:
        ledger = self._services.ledger
        with ledger.database.write() as writer:
            appended = ledger.events.append(self._execution, payload, key=key, connection=writer)
            if appended.created:
                self.guard(writer)
        return appended.event


Story = Callable[[Turn], Awaitable[str]]
"""Tells one turn and returns its outcome word. Writes what people must know (parked, delivered) by ``note``."""


async def _decided(where: str, work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """The outcome of a step as a value the engine records; what decides nothing leaves no record."""
    try:
        return await work
    except (errors.Stopped, errors.StoreUnavailable) as undecided:
        raise durable.LeftBehind(undecided) from undecided
    except errors.BoatwrightError as error:
        return {"error": _record(error)}
    except Exception as bug:  # noqa: BLE001  the edge of a step: whatever breaks in it parks the turn
        return {"error": _record(broken(where, bug))}


def broken(where: str, bug: Exception) -> errors.BoatwrightError:
    """A defect of ours: the operator's log has the traceback, people get one sentence without its text."""
    durable.report(f"{where} broke", bug)
    return errors.BoatwrightError(
        f"{where} broke on a defect of this release ({type(bug).__name__}); nothing was lost",
        next_moves=("the traceback is in logs/engine.log of the state directory",),
    )


def _record(error: errors.BoatwrightError) -> dict[str, Any]:
    return {
        "kind": type(error).__name__,
        "sentence": str(error),
        "code": getattr(error, "code", ""),
        "subject": error.subject,
        "next_moves": list(error.next_moves),
    }


def _rebuilt(record: dict[str, Any]) -> errors.BoatwrightError:
    """The error a stage raised when it ran. A kind this release does not know becomes its root."""
    kind = getattr(errors, record["kind"], errors.BoatwrightError)
    named = {"subject": record["subject"], "next_moves": record["next_moves"]}
    if kind is errors.Parked or (record["code"] and not issubclass(kind, errors.Parked)):
        return errors.Parked(record["sentence"], code=record["code"], **named)
    error: errors.BoatwrightError = kind(record["sentence"], **named)
    return error

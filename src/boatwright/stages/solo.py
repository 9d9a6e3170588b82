"""One agent at one task in one bottle, outside any execution: begun, saved, gone on with, frozen, destroyed.

What survives a kill at any time: the record, the agent's own session as it was saved last (every minute and when it
ends), and the workspace, which is the bottle's directory or its archive. Nothing here judges the work.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from boatwright import crash, errors
from boatwright.agents import registry
from boatwright.agents.headless import INTERRUPTED
from boatwright.agents.protocol import (
    Fitting,
    ModelWire,
    Provider,
    RoundLimits,
    RoundResult,
    StepRecord,
    Stop,
    Task,
)
from boatwright.bottle import checkout
from boatwright.bottle.protocol import Bottle
from boatwright.bottle.terminal import Terminal
from boatwright.config.effective import DEFAULT, Flags
from boatwright.git import names
from boatwright.git.mirror import Mirror
from boatwright.rules import paths, prompts
from boatwright.sidecar.call_file import CallFile
from boatwright.sidecar.forge_desk import ForgeDesk
from boatwright.sidecar.gate_repository import Source
from boatwright.stages import attending, bottles, cutting, environments, ground, sidecars, switching, working
from boatwright.stages.attending import Ears
from boatwright.stages.ground import Ground
from boatwright.stages.house import House
from boatwright.stages.solo_records import Hold, Records
from boatwright.stages.way_out import WayOut
from boatwright.values.solo import Solo, SoloEnd, SoloState

ATTENDED_SECONDS = 86_400.0
ANEW = frozenset({SoloState.STARTING, SoloState.KILLED})
"""States without a workspace: one is laid out."""
TORN_DOWN = (
    "You were stopped, and your workspace was taken away: it begins anew, without what you did in it. Look before you "
    "go on."
)
ASKED_TO_STOP, ERROR = "stopped", "error"
"""Ends of a run beside those an agent has (``agents.protocol.Stop``)."""
_EXITS = {Stop.FINISHED: 0, Stop.FAILED: 1, ASKED_TO_STOP: errors.Stopped.exit_code, ERROR: 1}


@dataclass(frozen=True, slots=True)
class Account:
    """Who pays for a bottle's wire, as :class:`stages.wiring.Payer` wants it."""

    id: str
    repository: str
    provider: str
    model: str
    recorded: bool = False
    replays: str = ""


def account(record: Solo) -> Account:
    return Account(record.account, record.repository, record.provider, record.model, recorded=record.recorded)


def exit_code(end: SoloEnd) -> int:
    """What a run that ended like this exits with: 4 is stopped by a limit or a refusal, and may go on."""
    return _EXITS.get(end.stop, errors.Parked.exit_code)


def mirror_of(house: House, record: Solo) -> Mirror | None:
    """The repository whose manifests hold; None: this host's alone."""
    return house.mirror_of(record.repository, record.source) if record.source else None


async def work(
    house: House,
    hold: Hold,
    record: Solo,
    prompt: str,
    *,
    say: Callable[[str], None],
    begun: Callable[[Solo], None],
    terminal: Terminal | None = None,
) -> Solo:
    """Give the agent ``prompt`` and have it work until it ends; the record with its end. With a ``terminal`` it works
    there with whoever is attached, and gets no prompt.

    The agent's failures are an end. ``begun`` is called right before it starts; what stands in the way of that is
    raised, and nothing is written. Raises ``errors.Stopped`` when somebody else asked for the bottle.
    """
    run = _Run(house, record, say, begun, terminal)
    working_ = asyncio.ensure_future(run.run(prompt))
    asked = asyncio.ensure_future(hold.asked_to_stop())
    try:
        await asyncio.wait({working_, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not working_.done():
            raise errors.Stopped(
                f"the bottle '{record.slug}' was asked to stop",
                subject=record.slug,
                next_moves=("boatwright bottle list",),
            )
        return working_.result()
    finally:
        asked.cancel()
        working_.cancel()
        await asyncio.wait({working_, asked})


class _Run:
    """One run of the agent. ``record`` is as it was written last."""

    def __init__(
        self, house: House, record: Solo, say: Callable[[str], None], begun: Callable[[Solo], None],
        terminal: Terminal | None,
    ) -> None:  # fmt: skip
        self._house, self._say, self._begun, self._terminal = house, say, begun, terminal
        self._records = Records(house.state, house.clock)
        self.record = record

    async def run(self, prompt: str) -> Solo:
        house, record = self._house, self.record
        mirror = await asyncio.to_thread(mirror_of, house, record)
        here = await ground.untested(house, mirror, record.commit, flags(record), files=record.copied)
        _refuse_another(record, here)
        provider = registry.provider(record.provider, here.composed.manifest)
        working.refuse_unheld(provider, here.composed)
        if self._terminal is not None:
            refuse_no_screen(provider)
        fitting = await asyncio.to_thread(provider.fit, working.host(house))
        await close_wires(house, record)
        source = Source(mirror, record.commit, record.slug) if mirror else None
        desk = await asyncio.to_thread(self._desk, here, provider)
        async with working.wired(house, account(record), provider, here, record.slug, source, desk) as opened:
            wire, way = opened
            bottle = await self._bottle(mirror if record.copied else None, here, fitting, way)
            task = await self._task(prompt, provider, here, fitting, bottle, wire, desk)
            return await self._ended(provider, task, desk)

    def _desk(self, here: Ground, provider: Provider) -> ForgeDesk | None:
        """Where its agent's calls to the forge go, if it has an issue."""
        record, house = self.record, self._house
        topic = record.topic
        if topic is None or not provider.wired:
            return None

        async def may_write() -> None:
            await switching.refuse(house, topic.repository)

        kept = CallFile(self._records.calls(record), record.account, house.clock, may_write)
        number, ends = len(record.prompts) + 1, self._terminal is None
        return sidecars.desk_alone(house, kept, topic, here.effective, number, ends=ends)

    async def _bottle(self, mirror: Mirror | None, here: Ground, fitting: Fitting, way: WayOut) -> Bottle:
        """A new bottle, laid out; the frozen one in a new bottle; or the one that is there, and still."""
        house, record = self._house, self.record
        prepared = await environments.for_bottle(house, account(record), mirror, here, self._say)
        spec = bottles.spec_of(house, record.slug, here, prepared, fitting, way)
        if record.state in {SoloState.FROZEN, *ANEW}:
            await bottles.let_go(house, record.slug)  # what a kill left half made, or half let go
        if record.state is SoloState.FROZEN:
            return await house.backend.thaw(spec, house.ledger.artifacts.path(record.archive))
        if record.state not in ANEW and await house.backend.open(record.slug) is None:
            raise errors.NotFound(
                f"the directories of the bottle '{record.slug}' are gone",
                subject=record.slug,
                next_moves=(f"boatwright bottle destroy {record.slug}",),
            )
        bottle = await house.backend.create(spec)
        await bottle.stop()  # what a process that was killed left running in it
        if record.state in ANEW and mirror is not None:
            await checkout.checkout(house.backend, bottle, mirror, commit=record.commit)
        return bottle

    async def _task(
        self, prompt: str, provider: Provider, here: Ground, fitting: Fitting, bottle: Bottle, wire: ModelWire,
        desk: ForgeDesk | None,
    ) -> Task:  # fmt: skip
        house, record = self._house, self.record
        new = () if self._terminal else (await house.keep("prompt", prompt.encode()),)
        asked = (*record.prompts, *new)
        known = record.session if provider.wired else record.transcript
        told = [(await house.read(each)).decode() for each in asked[record.heard if known else 0 :]]
        if record.state is SoloState.KILLED and known:
            told.insert(0, TORN_DOWN)
        elif was_interrupted(record) and known:
            told.insert(0, INTERRUPTED)
        saved = await house.read(known) if known else None
        at_terminal = self._terminal is not None
        self._begun(
            self._write(
                state=SoloState.RUNNING, prompts=asked, archive="", end=None, terminal=at_terminal
            )
        )  # fmt: skip
        return Task(
            system=working.system(provider, here, wire, rules=prompts.ALONE, forge=desk),
            skills=working.skills(here),
            prompt="\n\n".join(told),
            transcript=None if provider.wired else saved,
            session=saved if provider.wired else None,
            first_step=record.step + 1,
            bottle=bottle,
            program=fitting.program,
            before=fitting.before,
            wire=wire,
            limits=RoundLimits(wall_seconds=wall_seconds(here, terminal=at_terminal)),
            before_step=_nothing,
            on_step=self._save,
            say=self._say,
            may_run=lambda command: paths.command_allowed(command, here.policy),
            terminal=self._terminal,
        )

    async def _ended(self, provider: Provider, task: Task, desk: ForgeDesk | None) -> Solo:
        """Run the agent; however it ends, the record says so. What it says of its end at the forge desk ends it; a cut
        counts before that.
        """
        run = cutting.supervised(self._house, self.record.account, task.bottle, provider.run(task))
        if desk is not None:
            run = attending.attended(task.ending, Ears(math.inf, desk=desk), run)
        try:
            result = await run
        except errors.BudgetExhausted as cut:
            return self._end(Stop.BUDGET, str(cut), _raised(self.record.slug))
        except asyncio.CancelledError:
            self._end(ASKED_TO_STOP, "it was stopped before it was done")
            raise
        except errors.BoatwrightError as error:
            self._end(ERROR, str(error), error.next_moves)
            raise
        return self._end(result.stop, result.detail, _moves(self.record.slug, result), result)

    async def _save(self, step: StepRecord) -> None:
        """The agent's session and conversation into the store, then the record that makes them count."""
        house = self._house
        transcript = await house.keep("transcript", step.transcript)
        session = await house.keep("session", step.session) if step.session else ""
        crash.point("step.saved")
        heard = self.record.heard if self._terminal else len(self.record.prompts)
        self._write(step=step.number, transcript=transcript, session=session, heard=heard)
        crash.point("step.completed")

    def _end(
        self, stop: str, detail: str, moves: Sequence[str] = (), result: RoundResult | None = None
    ) -> Solo:
        end = SoloEnd(
            stop=str(stop), detail=detail, moves=tuple(moves), at=self._house.clock.now(),
            summary=result.summary if result else "", exit_code=result.exit_code if result else None,
        )  # fmt: skip
        return self._write(state=SoloState.STOPPED, end=end)

    def _write(self, **changed: object) -> Solo:
        self.record = self._records.write(self.record.model_copy(update=changed))
        return self.record


def flags(record: Solo) -> Flags:
    """What was asked for when it began; later runs hold it against today's ceiling."""
    return Flags(
        model=record.model, agent=record.agent, bottles=record.bottles, budget=None,
        setup_command=record.setup_command, backend=record.backend or "bubblewrap",
    )  # fmt: skip


def wall_seconds(here: Ground, *, terminal: bool) -> float:
    """The wall clock of one run. The built-in one is for work nobody watches; at a terminal it is a day."""
    effective = here.effective
    built_in = effective.sources["limits.wall"] == DEFAULT
    return ATTENDED_SECONDS if terminal and built_in else effective.limits.wall_seconds


def refuse_no_screen(provider: Provider) -> None:
    """A terminal is for programs that have a screen of their own."""
    if not provider.screen:
        raise errors.BadInput(
            f"{provider.name} has no screen of its own, so a terminal would show nothing",
            subject=provider.name,
            next_moves=('--headless --prompt "…"', "boatwright agent list"),
        )


def was_interrupted(record: Solo) -> bool:
    """Whether the last run was cut off, by a kill or by somebody who asked for the bottle."""
    return record.state is SoloState.RUNNING or (record.end is not None and record.end.stop == ASKED_TO_STOP)


def _refuse_another(record: Solo, here: Ground) -> None:
    """A session belongs to the program that wrote it."""
    if here.composed.provider != record.provider:
        raise errors.Conflict(
            f"the agent '{record.agent}' is worked by {here.composed.provider} now; this bottle's session is "
            f"{record.provider}'s",
            subject=record.slug,
            next_moves=(f"boatwright bottle start {record.agent} --headless --prompt …",),
        )


def _moves(slug: str, result: RoundResult) -> tuple[str, ...]:
    if result.stop is Stop.FINISHED:
        return ()
    again = f'boatwright bottle resume {slug} --headless --prompt "…"'
    own = (move for move in result.moves if "EXECUTION" not in move)
    more = _raised(slug) if result.stop is Stop.BUDGET else (again,)
    return tuple(dict.fromkeys((*own, *more)))


def _raised(slug: str) -> tuple[str, ...]:
    return (
        f"boatwright budget raise {slug} 10usd",
        f'boatwright bottle resume {slug} --headless --prompt "…"',
    )


async def _nothing() -> None:
    """No fence: the bottle is held by the kernel's lock."""


async def close_wires(house: House, record: Solo) -> None:
    """Close what a process that was killed left open, whether a proxy lives or will find its row."""
    await house.wire.close_of(record.account)


async def freeze(house: House, record: Solo) -> Solo:
    """Stop it, keep it as an archive, and let its directories go. Frozen already: nothing happens."""
    slug = record.slug
    if record.state is not SoloState.FROZEN:
        if record.state is SoloState.STARTING or await house.backend.open(slug) is None:
            why = "it was torn down" if record.state is SoloState.KILLED else "its agent has not begun"
            raise errors.Conflict(
                f"there is nothing in the bottle '{slug}' to freeze: {why}",
                subject=slug,
                next_moves=(f"boatwright bottle destroy {slug}",),
            )
        await close_wires(house, record)
        digest, _ = await bottles.archived(house, slug)
        frozen = record.model_copy(update={"state": SoloState.FROZEN, "archive": digest})
        record = await asyncio.to_thread(Records(house.state, house.clock).write, frozen)
    await bottles.let_go(house, slug)
    return record


async def tear_down(house: House, record: Solo) -> Solo:
    """Its processes and directories go, and its archive is forgotten; record, session and bill stay."""
    await close_wires(house, record)
    await bottles.let_go(house, record.slug)
    gone = record.model_copy(update={"state": SoloState.KILLED, "archive": ""})
    return await asyncio.to_thread(Records(house.state, house.clock).write, gone)


async def destroy(house: House, record: Solo) -> None:
    """Everything of it goes, the record last: killed on the way, it can be destroyed again. The bill stays."""
    with contextlib.suppress(errors.StoreUnavailable):
        await close_wires(house, record)
    await bottles.let_go(house, record.slug)
    await asyncio.to_thread(_forget_pushes, house, record)
    for scope in ("execution", "bottle"):
        await asyncio.to_thread(house.wire.budgets().set_cap, scope, record.account, None)
    await asyncio.to_thread(house.wire.cuts().lift, record.account)
    await asyncio.to_thread(Records(house.state, house.clock).remove, record.slug)


def _forget_pushes(house: House, record: Solo) -> None:
    """What it pushed through its gate: a bottle of the same name shall not find it."""
    mirror = mirror_of(house, record)
    if mirror is not None:
        for ref, oid in mirror.refs(names.pushed(record.slug)).items():
            mirror.update_ref(ref, None, oid)

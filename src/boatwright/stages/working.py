"""The agent at work in one gate round: its wire, its bottle, its provider, and every step of it saved."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from boatwright import crash, errors
from boatwright.agents import registry
from boatwright.agents.protocol import (
    Fitting,
    Host,
    ModelWire,
    Provider,
    RoundLimits,
    RoundResult,
    StepRecord,
    Task,
)
from boatwright.bottle import checkout, snapshot
from boatwright.bottle.protocol import Bottle
from boatwright.bottle.snapshot import SaveFailed
from boatwright.config.policy import FILE
from boatwright.git.mirror import Mirror
from boatwright.rules import paths, prompts
from boatwright.rules.composed import Composed
from boatwright.sidecar.forge_desk import ForgeDesk
from boatwright.sidecar.gate_repository import Source
from boatwright.stages import (
    attending,
    bottles,
    charging,
    cutting,
    ground,
    metering,
    sidecars,
    solo_log,
    way_out,
    wiring,
)
from boatwright.stages.attending import Ears
from boatwright.stages.ground import Ground
from boatwright.stages.house import House
from boatwright.stages.pinned import Pinned
from boatwright.stages.way_out import WayOut
from boatwright.stages.wiring import Inside, Payer
from boatwright.values.context import Context
from boatwright.values.events import StepCompleted, StepFailed
from boatwright.values.execution import ExecutionView
from boatwright.values.models import Models

SAVES = 3
"""Failed saves in a row that park an execution (DESIGN §7)."""


@dataclass(frozen=True, slots=True)
class Round:
    """Where a gate round stands: its number, and what it can go on from."""

    number: int
    step: int
    commit: str
    transcript: bytes | None
    session: bytes | None
    begun: bool
    """The round has saved a step, so its prompt is in the transcript already."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the agent is told now, the round's whole prompt, and the base it works on."""

    prompt: str
    opening: str
    base: str

    def with_note(self, note: str) -> Asked:
        """The same, with a note at the end of what is told."""
        return Asked(f"{self.prompt}{note}" if self.prompt else "", f"{self.opening}{note}", self.base)


async def work(
    context: Context, house: House, view: ExecutionView, mirror: Mirror, round_: Round, asked: Asked
) -> tuple[RoundResult, str]:
    """The round's result and the commit of its last saved step."""
    if round_.step:  # a kill between an event and its ref leaves the ref behind
        await asyncio.to_thread(mirror.set_work, context.execution, round_.commit)
    await cutting.refuse(house, view.id)
    here = await ground.of_commit(house, view, mirror, asked.base)
    provider = registry.provider(here.composed.provider, here.composed.manifest)
    refuse_unheld(provider, here.composed)
    fitting = await asyncio.to_thread(provider.fit, host(house))
    slug = bottles.slug_of(view.id)
    source = Source(mirror, asked.base, slug)
    calls = here.effective if provider.wired else None
    desk = await sidecars.desk(context, house, view, calls, round_.number)
    async with wired(house, view, provider, here, slug, source, desk) as (wire, way):
        bottle = await bottles.of_agent(context, house, mirror, here, fitting, way)
        await bottle.stop()  # what a worker that is gone, or asleep, left running in it
        pinned = await asyncio.to_thread(_pinned, provider, mirror, asked.base, round_.commit)
        laid = await asyncio.to_thread(pinned.laid)
        await checkout.checkout(house.backend, bottle, mirror, commit=laid, base=asked.base)
        saving = _Saving(context, house, mirror, bottle, asked.base, round_, pinned)
        told = asked.with_note(pinned.told())
        with solo_log.kept(bottles.log(house, view.id), context.say) as say:
            task = _task(context, here, provider, round_, told, fitting, bottle, wire, saving, desk)
            ears = Ears(here.effective.silence, wire.quiet if provider.wired else None, desk)
            run = attending.attended(task.ending, ears, provider.run(dataclasses.replace(task, say=say)))
            result = await cutting.supervised(house, view.id, bottle, run)
        await saving.settle()
        return result, saving.commit


def _pinned(provider: Provider, mirror: Mirror, base: str, work: str) -> Pinned:
    """The built-in agent reads no instructions but ours; other programs read what lies in their workspace."""
    return Pinned.between(mirror, base, work) if provider.wired else Pinned(mirror, base, work)


def refuse_unheld(provider: Provider, composed: Composed) -> None:
    """A rule that a program cannot be held to is not dropped in silence: it runs its commands without asking."""
    sidecars.refuse_unwired(provider, composed)
    if provider.wired and composed.effective.policy.allowed_commands:
        raise errors.Refused(
            f"the policy lists allowed_commands, and {provider.name} runs its commands without asking us",
            subject="allowed_commands",
            next_moves=("--agent builtin", "take allowed_commands out of .boatwright.yml on the base branch"),
            public=f"{FILE} lists allowed_commands, and {provider.name} runs its commands without asking us",
        )


def host(house: House) -> Host:
    """What a provider may know of this host."""
    return Host(house.environment, house.backend.uid_range[0], house.state.run)


@asynccontextmanager
async def wired(
    house: House,
    view: Payer,
    provider: Provider,
    here: Ground,
    slug: str,
    source: Source | None = None,
    forge: ForgeDesk | None = None,
) -> AsyncIterator[tuple[ModelWire, WayOut]]:
    """The round's wire, and what of it the bottle ``slug`` sees: nothing, where the agent thinks on the host.

    ``source`` is what its git gate may show, where it has one; ``forge`` is where its calls to the forge go.
    """
    protocol = provider.speaks(Models.parse(view.model).main)
    charge = await asyncio.to_thread(charging.of, house, view, here.composed, slug)
    if not provider.wired:
        async with wiring.model_wire(house, view, purpose="build", charge=charge) as wire:
            yield wire, WayOut()
        return
    wanted, held = sidecars.wanted(here.composed, source, forge), here.effective
    inside = Inside(protocol, slug, held.network, held.allow, held.routes, wanted)
    async with wiring.model_wire(house, view, purpose="build", inside=inside, charge=charge) as wire:
        way = await asyncio.to_thread(way_out.over, house, here, wire.socket.parent)
        yield wire, replace(way, environment={**way.environment, **wire.environment})


def _task(
    context: Context, here: Ground, provider: Provider, round_: Round, asked: Asked, fitting: Fitting,
    bottle: Bottle, wire: ModelWire, saving: _Saving, forge: ForgeDesk | None,
) -> Task:  # fmt: skip
    return Task(
        system=system(provider, here, wire, forge=forge),
        skills=skills(here),
        prompt=asked.prompt,
        opening=asked.opening,
        transcript=round_.transcript,
        session=round_.session,
        first_step=round_.step + 1,
        bottle=bottle,
        program=fitting.program,
        before=fitting.before,
        wire=wire,
        limits=RoundLimits(),
        before_step=context.fence,
        on_step=saving.save,
        say=context.say,
        may_run=lambda command: paths.command_allowed(command, here.policy),
    )


def system(
    provider: Provider, here: Ground, wire: ModelWire, *, rules: str = prompts.SYSTEM,
    forge: ForgeDesk | None = None,
) -> str:  # fmt: skip
    """What the agent is told of itself, of the place it works in, and of whom it may ask."""
    composed = here.composed
    notes = (*composed.notes, *sidecars.notes(provider, wire, forge))
    return prompts.system(composed.prompt, notes, [each.name for each in composed.skills], rules=rules)


def skills(here: Ground) -> dict[str, tuple[bytes, bool]]:
    """The files of the agent's skills by path, and whether each may be run."""
    return {
        f"{skill.name}/{path}": (data, path in skill.executables)
        for skill in here.composed.skills
        for path, data in skill.files
    }


class _Saving:
    """Saves the steps of one round. ``commit`` is the last one's."""

    def __init__(
        self, context: Context, house: House, mirror: Mirror, bottle: Bottle, base: str, round_: Round,
        pinned: Pinned,
    ) -> None:  # fmt: skip
        self._context, self._house, self._mirror, self._bottle = context, house, mirror, bottle
        self._base, self._number, self._pinned = base, round_.number, pinned
        self._saver = snapshot.StepSaver(house.backend)
        self._failures = 0
        self._unsaved: StepRecord | None = None
        self.commit = round_.commit

    async def save(self, step: StepRecord) -> None:
        """Save one step. Where that fails the last one stands, and the next holds this one's work too; the third
        failure in a row parks.
        """
        await self._context.fence()
        try:
            await self._save(step)
        except SaveFailed as failed:
            await self._failed(step, failed)
        else:
            self._failures, self._unsaved = 0, None

    async def settle(self) -> None:
        """Save what is still unsaved when the round is over: the gates judge nothing else than what it left."""
        while self._unsaved is not None:
            await self.save(self._unsaved)

    async def _failed(self, step: StepRecord, failed: SaveFailed) -> None:
        self._failures, self._unsaved = self._failures + 1, step
        payload = StepFailed(round=self._number, step=step.number, reason=str(failed)[:500])
        token = self._house.ids.token()[:12]
        await self._context.emit(payload, key=f"step:{step.number}:failed:{token}")
        self._context.say(f"step {step.number} was not saved: {failed}")
        if self._failures >= SAVES:
            raise errors.Parked(str(failed), code="save_failed", subject=self._bottle.slug) from failed

    async def _save(self, step: StepRecord) -> None:
        """Tree into the mirror, conversation into the store, then the event that makes them count."""
        message = f"step {step.number} of round {self._number}"
        saved = await self._saver.save(
            self._bottle,
            self._mirror,
            parent=self.commit,
            base=self._base,
            message=message,
            when=self._context.clock.now(),
            kept=self._pinned.kept,
        )
        crash.point("step.saved")
        payload = StepCompleted(
            round=self._number,
            step=step.number,
            commit=saved.commit,
            tools=step.tools,
            paths=saved.paths,
            transcript=await self._house.keep("transcript", step.transcript),
            session=await self._house.keep("session", step.session) if step.session else "",
        )
        await self._context.emit(payload, key=f"step:{step.number}")
        crash.point("step.completed")
        await asyncio.to_thread(self._mirror.set_work, self._context.execution, saved.commit)
        self.commit = saved.commit
        await metering.import_usage(self._house, self._context.execution)

"""A task for one agent in one bottle: everything that can be refused is refused before anything is written."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from boatwright import errors
from boatwright.agents import registry
from boatwright.agents.protocol import Host, Provider
from boatwright.bottle.backends import registry as registry_of_backends
from boatwright.bottle.terminal import Terminal
from boatwright.config.effective import ENVIRONMENT, FLAG, Flags
from boatwright.config.manifest import Color
from boatwright.config.paths import StateDir
from boatwright.config.shelf import Shelf
from boatwright.git import worktree
from boatwright.git.mirror import Mirror
from boatwright.git.remote import Remote
from boatwright.intake import logins, request, solo_topic
from boatwright.intake.solo_topic import Here, Named
from boatwright.rules import labels, naming
from boatwright.stages import cutting, ground, manifests, solo, solo_cut, solo_log, working
from boatwright.stages.ground import Ground
from boatwright.stages.house import House
from boatwright.stages.logins import of_program
from boatwright.stages.solo_records import Hold, Records
from boatwright.values.models import Models
from boatwright.values.solo import Solo, SoloState
from boatwright.values.usage import Cap

PROMPT_CAP = 256_000

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Ask:
    """What a person asks for. ``cwd`` is where they are: its repository's manifests hold; ``copy_cwd``: its files are
    the workspace, as its HEAD has them.
    """

    agent: str
    prompt: str
    cwd: Path
    bottles: tuple[str, ...] | None = None
    label: str | None = None
    color: str | None = None
    budget: str | None = None
    model: str | None = None
    copy_cwd: bool = False
    backend: str | None = None
    terminal: bool = False
    """Whether it works at a terminal, with no prompt."""
    record: bool = False
    topic: Named | None = None
    """The issue the agent may call its forge about."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request that nothing speaks against. ``draft`` is its record but for the name."""

    draft: Solo
    label: str
    here: Ground
    notices: tuple[str, ...]

    @property
    def network(self) -> str:
        return str(self.here.effective.network)

    @property
    def fingerprint(self) -> str:
        """Changes with anything that was shown: what is begun must be what somebody said yes to."""
        leaves = [f"{leaf.name}={leaf.value}" for leaf in self.here.composed.leaves()]
        said = "\0".join([self.label, self.draft.model_dump_json(exclude={"created"}), *leaves])
        return hashlib.sha256(said.encode()).hexdigest()


def records(house: House) -> Records:
    return Records(house.state, house.clock)


def refuse_backend(name: str | None) -> None:
    if name is not None:
        registry_of_backends.refuse_unknown(name)


def made_by(record: Solo) -> str:
    """The name of the backend a bottle stays with."""
    return record.backend or registry_of_backends.BUBBLEWRAP


def refuse_another(record: Solo, name: str | None) -> None:
    """A bottle stays with the backend that made it."""
    refuse_backend(name)
    own = made_by(record)
    if name is not None and name != own:
        raise errors.Refused(
            f"the bottle '{record.slug}' was made by the backend {own}, and goes on there",
            subject=record.slug,
            next_moves=("leave the backend out", "start a new bottle with the other one"),
        )


async def look(house: House, ask: Ask, *, dry: bool = False) -> Wanted:
    """What would be begun. ``dry``: what must be fetched or copied to see it goes away again."""
    _refuse_words(ask)
    refuse_backend(ask.backend)
    with scratch() if dry else contextlib.nullcontext(house.state) as place:
        repository, mirror, commit = await asyncio.to_thread(_repository, ask.cwd, place, ask.copy_cwd)
        flags = Flags(
            model=ask.model, agent=ask.agent, bottles=ask.bottles, budget=ask.budget, backend=ask.backend
        )
        here = await ground.untested(
            house, mirror, commit, flags, files=ask.copy_cwd, environment=house.environment
        )
        held = here.effective
        await asyncio.to_thread(house.require_bottle, held.backend)
        request.refuse_empty(held.budget, ask.budget)
        agent, models, login = _chosen(house, here)
        if ask.terminal:
            solo.refuse_no_screen(agent)
            house.backend.of(held.backend).refuse_no_terminals()
        await asyncio.to_thread(agent.fit, _host(house, place))
        where = Here(ask.cwd, repository, place)
        topic = await solo_topic.look(house, ask.topic, where, agent, held) if ask.topic else None
    draft = Solo(
        slug="", account="", agent=here.composed.agent, provider=here.composed.provider, bottles=ask.bottles,
        model=str(models), budget=held.budget, color=ask.color or here.composed.color, repository=repository,
        source=mirror.source if mirror else "", commit=commit, copied=ask.copy_cwd,
        setup_command=here.setup_line if held.sources["setup_command"] in {FLAG, ENVIRONMENT} else None,
        backend=held.backend, created=house.clock.now(), terminal=ask.terminal, recorded=ask.record,
        topic=topic,
    )  # fmt: skip
    label = ask.label or here.composed.agent
    labels.refuse(label)
    left_out = await asyncio.to_thread(worktree.notices, draft.source) if ask.copy_cwd else ()
    return Wanted(draft, label, here, (*left_out, *here.composed.notices, *login))


async def look_again(house: House, slug: str) -> Wanted:
    """What a bottle that is there would go on with, by today's manifests and ceiling. Nothing is written."""
    record = records(house).get(slug)
    mirror = await asyncio.to_thread(solo.mirror_of, house, record)
    here = await ground.untested(house, mirror, record.commit, solo.flags(record), files=record.copied)
    solo.refuse_no_screen(registry.provider(record.provider, here.composed.manifest))
    headless = f'boatwright bottle resume {slug} --headless --prompt "…"'
    house.backend.of(made_by(record)).refuse_no_terminals(headless)
    await asyncio.to_thread(house.require_bottle, made_by(record))
    again = record.model_copy(update={"terminal": True})
    return Wanted(again, slug, here, here.composed.notices)


def _chosen(house: House, here: Ground) -> tuple[Provider, Models, tuple[str, ...]]:
    """Who works, asking which models, and what is to be said of the login they are asked with."""
    agent = registry.provider(here.composed.provider, here.composed.manifest)
    working.refuse_unheld(agent, here.composed)
    models = request.choose_model(house, here.effective.model, agent)
    login = of_program(house, here.composed.provider, models.main)
    said = (logins.said(house, here.composed.provider, login, here.effective.budget),) if login else ()
    return agent, models, said


async def start(
    house: House, wanted: Wanted, prompt: str, *, say: Say, begun: Callable[[Solo], None],
    terminal: Terminal | None = None,
) -> Solo:  # fmt: skip
    """Begin, and work until the agent ends. What fails before the agent begins leaves nothing behind."""
    known = records(house)
    made = await asyncio.to_thread(known.claim, wanted.label, lambda slug: _named(house, wanted.draft, slug))
    record, hold = made
    with hold:
        try:
            await asyncio.to_thread(_set_cap, house, record)
            return await _work(house, hold, record, prompt, say, begun, terminal)
        except BaseException:
            if known.get(record.slug).state is SoloState.STARTING:
                await asyncio.shield(asyncio.ensure_future(solo.destroy(house, record)))
            raise


async def resume(
    house: House,
    slug: str,
    prompt: str,
    *,
    budget: str | None = None,
    backend: str | None = None,
    topic: Named | None = None,
    say: Say,
    begun: Callable[[Solo], None],
    terminal: Terminal | None = None,
) -> Solo:
    """Go on with the agent's own session: in the same directories, or after a freeze in a new bottle."""
    if terminal is None:
        refuse_prompt(prompt)
    known = records(house)
    refuse_another(known.get(slug), backend)
    await asyncio.to_thread(house.require_bottle, made_by(known.get(slug)))
    with await asyncio.to_thread(known.hold, slug) as hold:
        # What a kill left half done comes first: once the cut is lifted nobody knows of it.
        record = await solo_cut.finish(house, known.get(slug))
        await solo_topic.may_go_on(house, record, topic, Path.cwd())
        if budget is not None:
            cap = house.settings.refuse_above_ceiling(Cap.parse(budget), field="--budget")
            request.refuse_empty(cap, budget)
            record = await asyncio.to_thread(known.write, record.model_copy(update={"budget": cap}))
            await asyncio.to_thread(_set_cap, house, record)
            await asyncio.to_thread(house.wire.cuts().lift, record.account)
        await _refuse_cut(house, record)
        return await _work(house, hold, record, prompt, say, begun, terminal)


async def _work(
    house: House, hold: Hold, record: Solo, prompt: str, say: Say, begun: Callable[[Solo], None],
    terminal: Terminal | None,
) -> Solo:  # fmt: skip
    await asyncio.to_thread(request.set_host_cap, house)
    with solo_log.kept(records(house).log(record.slug), say) as tell:

        def begins(now: Solo) -> None:
            begun(now)
            tell(_heading(house, now, "at a terminal" if terminal else prompt))

        try:
            ended = await solo.work(house, hold, record, prompt, say=tell, begun=begins, terminal=terminal)
        except errors.BoatwrightError as error:  # raised deep inside, where executions are all there is
            error.next_moves = tuple(move for move in error.next_moves if "EXECUTION" not in move)
            raise
        return await solo_cut.finish(house, ended)


async def _refuse_cut(house: House, record: Solo) -> None:
    """What a person cut goes on after a raise alone; an empty budget is asked again."""
    cut = await cutting.go_on(house, record.account)
    if cut is not None:
        raise errors.BudgetExhausted(
            cut.sentence,
            subject=record.slug,
            next_moves=(f"boatwright budget raise {record.slug} 5usd",),
        )


async def freeze(house: House, slug: str) -> Solo:
    """Freeze it; whoever works on it is asked to stop first."""
    known = records(house)
    known.get(slug)
    with await asyncio.to_thread(known.take_over, slug):
        return await solo.freeze(house, known.get(slug))


async def destroy(house: House, slug: str) -> bool:
    """Destroy it for good; whoever works on it is asked to stop first. False: there is none of that name."""
    known = records(house)
    if known.find(slug) is None:
        return False
    with await asyncio.to_thread(known.take_over, slug):
        record = known.find(slug)
        if record is not None:
            await solo.destroy(house, record)
        return record is not None


def refuse_prompt(prompt: str) -> None:
    if not prompt.strip():
        raise errors.BadInput(
            "the prompt is empty: say what the agent is to do", next_moves=('--prompt "…"',)
        )
    if len(prompt) > PROMPT_CAP:
        raise errors.BadInput(
            f"the prompt has {len(prompt):,} characters; at most {PROMPT_CAP:,} are taken",
            next_moves=("put the text into a file of the repository and name that",),
        )


def _refuse_words(ask: Ask) -> None:
    if not ask.terminal:
        refuse_prompt(ask.prompt)
    if ask.label is not None:
        labels.refuse(ask.label)
    colors = get_args(Color)
    if ask.color is not None and ask.color not in colors:
        raise errors.BadInput(
            f"{ask.color[:40]!r} is not a colour; there are: {', '.join(colors)}",
            subject=ask.color[:40],
            next_moves=tuple(f"--color {each}" for each in colors[1:4]),
        )
    if not ask.cwd.is_dir():
        raise errors.BadInput(
            f"there is no directory {ask.cwd}", subject=str(ask.cwd), next_moves=("name a directory",)
        )


async def shelf(house: House, cwd: Path, place: StateDir) -> Shelf:
    """What there is to choose from for whoever is at ``cwd``; what must be fetched for that goes below ``place``."""
    _, mirror, commit = await asyncio.to_thread(_repository, cwd, place, False)
    return manifests.shelf(house, mirror, commit)


def _repository(cwd: Path, place: StateDir, needed: bool) -> tuple[str, Mirror | None, str]:
    """The repository around where they are, its mirror below ``place``, and its HEAD; none where there is none."""
    try:
        source = Remote.of(cwd).address
    except errors.BadInput:
        if needed:
            raise
        return "", None, ""
    repository = naming.repository_id(source)
    mirror = Mirror.open(place, repository, source)
    _, commit = mirror.fetch_base(None)
    return repository, mirror, commit


@contextlib.contextmanager
def scratch() -> Iterator[StateDir]:
    """A place for what must be fetched to look, and is not kept."""
    made = Path(tempfile.mkdtemp(prefix="boatwright-"))
    made.chmod(0o711)
    try:
        yield StateDir(made)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _host(house: House, place: StateDir) -> Host:
    return replace(working.host(house), shelf=place.run)


def _named(house: House, draft: Solo, slug: str) -> Solo:
    return draft.model_copy(update={"slug": slug, "account": f"{slug}.{house.ids.token()[:8]}"})


def _set_cap(house: House, record: Solo) -> None:
    """Its own, and hard. Resuming alone leaves it: what was cut stays cut until its budget is raised."""
    house.wire.budgets().set_cap("execution", record.account, record.budget, hard=True)


def _heading(house: House, record: Solo, prompt: str) -> str:
    first = " ".join(prompt.split())
    return f"[{house.clock.now():%Y-%m-%d %H:%M:%S} UTC] {record.agent}: {first[:100]}"

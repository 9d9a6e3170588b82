"""``boatwright bottle start`` and ``bottle resume``: one agent, one task, one bottle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from boatwright import errors
from boatwright.cli import bottle_look, bottle_terminal, common, preflight
from boatwright.cli.safe import one_line
from boatwright.intake import solo as intake
from boatwright.intake.solo import Ask, Wanted
from boatwright.intake.solo_topic import LARGEST, Named
from boatwright.stages.house import House
from boatwright.values.solo import Solo

Headless = Annotated[
    bool, typer.Option("--headless", help="Unattended: no questions, it ends when the agent ends.")
]
Prompt = Annotated[str | None, typer.Option("--prompt", help="What the agent is to do; with --headless.")]
Budget = Annotated[str | None, typer.Option("--budget", help="Such as 2usd or 2Mtok.")]


def start(
    agent: Annotated[
        str | None, typer.Argument(help="Who works: a provider or an agent with a manifest.")
    ] = None,
    headless: Headless = False,
    prompt: Prompt = None,
    bottle: Annotated[
        list[str] | None,
        typer.Option("--bottle", help="A bottle, in place of the agent's own; again for more, later wins."),
    ] = None,
    label: Annotated[
        str | None, typer.Option("--label", help="The bottle's name; in use: NAME-2. Default: the agent's.")
    ] = None,
    color: Annotated[str | None, typer.Option("--color", help="Its colour in lists.")] = None,
    budget: Budget = None,
    model: Annotated[
        str | None, typer.Option("--model", help="anthropic:NAME, openai:NAME, gemini:NAME or scripted:FILE.")
    ] = None,
    cwd: Annotated[
        bool, typer.Option("--cwd", help="Begin with the files of the repository here, as HEAD has them.")
    ] = False,
    backend: Annotated[
        str | None, typer.Option("--backend", help="What makes the bottle: bubblewrap or container.")
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Keep what models are asked and answer, as a tape.")
    ] = False,
    issue: Annotated[
        int | None,
        typer.Option(
            "--issue",
            min=1,
            max=LARGEST,
            help="The issue its agent may call the forge about, as its manifest allows.",
        ),
    ] = None,
    repo: Annotated[
        str | None, typer.Option("--repo", help="Whose issue: a path or URL. Default: the repository here.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; leave no trace.")
    ] = False,
) -> int:
    """One agent in a bottle of its own: at a terminal, or headless with one task. Exit 0: it finished, or goes on
    detached; 4: stopped, resumable; 1: it failed.
    """
    asked = _prompt(headless, prompt)
    if headless and agent is None:
        raise errors.BadInput("--headless needs an agent", next_moves=("boatwright agent list",))
    ask = Ask(
        agent=agent or "", prompt=asked or "", cwd=Path.cwd(), bottles=tuple(bottle) if bottle else None, label=label,
        color=color, budget=budget, model=model, copy_cwd=cwd, backend=backend,
        record=record, topic=_topic(issue, repo),
    )  # fmt: skip
    with common.housed() as house:
        if backend is not None:  # else its manifests may name one
            house.require_bottle(backend)
        if not headless:
            return bottle_terminal.start(house, ask, dry_run=dry_run)
        return common.wait(_dry(house, ask) if dry_run else _start(house, ask))


def resume(
    slug: Annotated[str, typer.Argument(help="The bottle.")],
    headless: Headless = False,
    prompt: Prompt = None,
    budget: Budget = None,
) -> int:
    """Have the agent of a bottle go on, with its own session; a frozen one in a new bottle."""
    asked = _prompt(headless, prompt)
    with common.housed() as house:
        if asked is None:
            return bottle_terminal.resume(house, slug, budget)
        return common.wait(_resume(house, slug, asked, budget))


def _prompt(headless: bool, prompt: str | None) -> str | None:
    """``--headless`` and ``--prompt`` need each other; without both it is a terminal."""
    if not headless:
        if prompt is not None:
            raise errors.BadInput("--prompt needs --headless", next_moves=('--headless --prompt "…"',))
        return None
    if prompt is None:
        raise errors.BadInput("--headless needs --prompt", next_moves=('--headless --prompt "…"',))
    intake.refuse_prompt(prompt)
    return prompt


def _topic(issue: int | None, repo: str | None) -> Named | None:
    if issue is None and repo is not None:
        raise errors.BadInput("--repo says whose issue it is: it needs --issue", next_moves=("--issue N",))
    return None if issue is None else Named(issue, repo)


async def _dry(house: House, ask: Ask) -> int:
    wanted = await intake.look(house, ask, dry=True)
    common.say(f"would start the bottle {wanted.label} (in use: {wanted.label}-2 …)")
    preflight.show(house, wanted)
    return 0


async def _start(house: House, ask: Ask) -> int:
    wanted = await intake.look(house, ask)

    _notices(wanted)
    with _going_on():
        ended = await intake.start(house, wanted, ask.prompt, say=common.say, begun=_announce)
    return bottle_look.tell(house, ended)


async def _resume(house: House, slug: str, prompt: str, budget: str | None) -> int:
    with _going_on():
        ended = await intake.resume(house, slug, prompt, budget=budget, say=common.say, begun=_announce)
    return bottle_look.tell(house, ended)


@contextmanager
def _going_on() -> Iterator[None]:
    """Whatever stops it from here on, the bottle is there and says so itself."""
    try:
        yield
    except errors.Stopped as stopped:
        raise errors.Stopped(f"{stopped}; what it did is saved", next_moves=stopped.next_moves) from stopped


def _announce(record: Solo) -> None:
    common.say(f"{record.slug}  {record.agent}, model {record.model}, budget {record.budget}")
    common.say(f"  workspace {preflight.workspace(record)}")
    if record.topic is not None:
        common.say(f"  issue     {one_line(preflight.topic(record.topic))}")


def _notices(wanted: Wanted) -> None:
    for notice in wanted.notices:
        common.say(f"note: {notice}")

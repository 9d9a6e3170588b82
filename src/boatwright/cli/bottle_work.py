"""``boatwright bottle start`` and ``bottle resume``: one agent, one task, one bottle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from boatwright import errors
from boatwright.cli import common
from boatwright.git import remote
from boatwright.intake import solo as intake
from boatwright.intake.solo import Ask, Wanted
from boatwright.stages import solo
from boatwright.stages.house import House
from boatwright.values.solo import Solo

Headless = Annotated[
    bool, typer.Option("--headless", help="Unattended: no questions, it ends when the agent ends.")
]
Prompt = Annotated[str | None, typer.Option("--prompt", help="What the agent is to do; with --headless.")]
Budget = Annotated[str | None, typer.Option("--budget", help="Such as 2usd or 2Mtok.")]


def start(
    agent: Annotated[str, typer.Argument(help="Who works: a provider or an agent with a manifest.")],
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
        str | None, typer.Option("--model", help="anthropic:NAME, openai:NAME or scripted:FILE.")
    ] = None,
    cwd: Annotated[
        bool, typer.Option("--cwd", help="Begin with the files of the repository here, as HEAD has them.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; leave no trace.")
    ] = False,
) -> int:
    """Hand one task to an agent in a bottle of its own. Exit 0: it finished; 4: stopped, resumable; 1: it failed."""
    asked = _prompt(headless, prompt)
    ask = Ask(
        agent=agent, prompt=asked, cwd=Path.cwd(), bottles=tuple(bottle) if bottle else None, label=label,
        color=color, budget=budget, model=model, copy_cwd=cwd,
    )  # fmt: skip
    with common.housed() as house:
        house.require_bottle()
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
        house.require_bottle()
        return common.wait(_resume(house, slug, asked, budget))


def _prompt(headless: bool, prompt: str | None) -> str:
    """``--headless`` and ``--prompt`` need each other."""
    if not headless:
        raise errors.BadInput(
            "--prompt needs --headless"
            if prompt is not None
            else "a bottle with a terminal of its own is not in this release: add --headless",
            next_moves=('--headless --prompt "…"',),
        )
    if prompt is None:
        raise errors.BadInput("--headless needs --prompt", next_moves=('--headless --prompt "…"',))
    intake.refuse_prompt(prompt)
    return prompt


async def _dry(house: House, ask: Ask) -> int:
    wanted = await intake.look(house, ask, dry=True)
    _notices(wanted)
    draft = wanted.draft
    common.say(f"would start the bottle {wanted.label} (in use: {wanted.label}-2 …)")
    common.say(f"  agent      {draft.agent}, worked by {draft.provider}")
    common.say(f"  model      {draft.model}, budget {draft.budget}")
    common.say(f"  network    {wanted.network}")
    common.say(f"  workspace  {_workspace(draft)}")
    return 0


async def _start(house: House, ask: Ask) -> int:
    wanted = await intake.look(house, ask)

    _notices(wanted)
    with _going_on():
        ended = await intake.start(house, wanted, ask.prompt, say=common.say, begun=_announce)
    return _tell(house, ended)


async def _resume(house: House, slug: str, prompt: str, budget: str | None) -> int:
    with _going_on():
        ended = await intake.resume(house, slug, prompt, budget=budget, say=common.say, begun=_announce)
    return _tell(house, ended)


@contextmanager
def _going_on() -> Iterator[None]:
    """Whatever stops it from here on, the bottle is there and says so itself."""
    try:
        yield
    except errors.Stopped as stopped:
        raise errors.Stopped(f"{stopped}; what it did is saved", next_moves=stopped.next_moves) from stopped


def _announce(record: Solo) -> None:
    common.say(f"{record.slug}  {record.agent}, model {record.model}, budget {record.budget}")
    common.say(f"  workspace {_workspace(record)}")


def _workspace(record: Solo) -> str:
    return f"{remote.shown(record.source)} at {record.commit[:12]}" if record.copied else "empty"


def _notices(wanted: Wanted) -> None:
    for notice in wanted.notices:
        common.say(f"note: {notice}")


def _tell(house: House, record: Solo) -> int:
    """How it ended, what it cost, what next; the exit code that stands for it."""
    end = record.end
    if end is None:
        raise errors.Conflict(f"the bottle '{record.slug}' ended without a word", subject=record.slug)
    rows = house.wire.budgets().usage(record.account)
    tokens, usd = sum(row.usage.tokens for row in rows), sum((row.usd for row in rows), start=Decimal(0))
    cap = house.wire.budgets().cap("execution", record.account)
    common.say("")
    common.say(f"{end.stop}: {end.detail}" if end.detail else f"{end.stop}: {end.summary}")
    common.say(f"cost: {tokens:,} tokens, {usd:.4f} USD in {len(rows)} calls (cap {cap})")
    common.moves(end.moves)
    if solo.exit_code(end) == 0:
        common.moves(
            (f"boatwright bottle exec {record.slug} -- ls", f"boatwright bottle freeze {record.slug}")
        )
    return solo.exit_code(end)

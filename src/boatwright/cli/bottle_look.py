"""``boatwright bottle list``, ``logs``, ``exec``, ``pushed``, ``freeze``, ``destroy``: bottles that are there."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated

import typer

from boatwright import errors
from boatwright.bottle.telling import Lines
from boatwright.cli import common
from boatwright.cli.safe import one_line
from boatwright.intake import pushes
from boatwright.intake import solo as intake
from boatwright.rules import board
from boatwright.stages import solo, solo_log
from boatwright.stages.house import House
from boatwright.values.solo import Solo, SoloState

Slug = Annotated[str, typer.Argument(help="The bottle.")]


def list_(as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False) -> int:
    """Every bottle outside executions: its state, its agent, what it cost, how its agent ended."""
    with common.housed() as house:
        rows = [_row(house, record) for record in intake.records(house).all()]
    if as_json:
        common.emit_json(rows)
        return 0
    for row in rows:
        line = (
            f"{row['slug']:<24} {_shown(row):<18} {row['agent']:<16} {row['usd']:>9.4f} USD  {row['ended']}"
        )
        common.out.print(line, style=str(row["color"] or ""))
    return 0


def _row(house: House, record: Solo) -> dict[str, object]:
    calls = house.wire.budgets().usage(record.account)
    end = record.end
    return {
        "slug": record.slug,
        "state": state(house, record),
        "agent": record.agent,
        "provider": record.provider,
        "bottles": record.bottles,
        "model": record.model,
        "color": record.color,
        "terminal": record.terminal,
        "budget": str(house.wire.budgets().cap("execution", record.account)),
        "account": record.account,
        "usd": sum((call.usd for call in calls), start=Decimal(0)),
        "tokens": sum(call.usage.tokens for call in calls),
        "issue": record.topic.issue if record.topic else None,
        "issue_of": record.topic.repository if record.topic else None,
        "created": record.created,
        "session": record.session,
        "archive": record.archive,
        "end": end,
        "ended": one_line(": ".join(filter(None, (end.stop, end.detail or end.summary))))[:80] if end else "",
    }


def _shown(row: Mapping[str, object]) -> str:
    return (
        f"{row['state']}, terminal"
        if row["terminal"] and row["state"] == SoloState.RUNNING
        else str(row["state"])
    )


def state(house: House, record: Solo) -> str:
    """What people see: a bottle that says it runs, and that nobody holds, was cut off by a kill."""
    return board.seen(record.state, held=intake.records(house).held(record.slug))


def logs(
    slug: Slug,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until its agent ends.")] = False,
) -> int:
    """What its agent said while it worked."""
    with common.housed() as house:
        intake.records(house).get(slug)
        common.wait(told(house, slug, on=follow))
    return 0


async def told(house: House, slug: str, *, on: bool = True) -> None:
    """Print its log; ``on`` until nobody works on it any more."""
    async for line in solo_log.lines(intake.records(house), slug, follow=on):
        common.say(line)


def exec_(
    slug: Slug,
    command: Annotated[list[str], typer.Argument(metavar="-- CMD…", help="What to run in it.")],
) -> int:
    """Run a command in its workspace, without any way out. The exit code is the command's."""
    with common.housed() as house:
        record = intake.records(house).get(slug)
        return common.wait(_exec(house, record, command))


async def _exec(house: House, record: Solo, command: list[str]) -> int:
    """Its output as it comes: to a terminal what can be shown, to a file or a pipe every byte."""
    bottle = await house.backend.open(record.slug)
    if bottle is None:
        frozen = record.state is SoloState.FROZEN
        raise errors.Conflict(
            f"the bottle '{record.slug}' is {'frozen' if frozen else 'not there yet'}: nothing runs in it",
            subject=record.slug,
            next_moves=(f'boatwright bottle resume {record.slug} --headless --prompt "…"',),
        )
    bottle.renew(dataclasses.replace(bottle.place, spec=dataclasses.replace(bottle.spec, wire=None)))
    shown = Lines(common.say)
    terminal = sys.stdout.isatty()
    done = await bottle.exec(command, on_output=shown.feed if terminal else _raw)
    shown.end()
    if done.limit is not None:
        common.err.print(f"boatwright: it met the bottle's limit of {done.limit}")
    return done.exit_code


def _raw(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def pushed(
    named: Annotated[str, typer.Argument(metavar="SLUG|EXECUTION", help="The bottle, or the execution.")],
) -> int:
    """What its agent pushed through its git gate. It is kept here and went nowhere."""
    with common.housed() as house:
        mirror, found = pushes.of(house, named)
    for each in found:
        common.say(f"{each.commit[:12]}  {each.branch}")
        common.moves((f"git fetch {mirror} {each.ref}:refs/heads/{each.branch}",))
    if not found:
        common.say(f"{named} has pushed nothing")
    return 0


def freeze(slug: Slug) -> int:
    """Stop it, keep it as an archive, let its directories go. It can be resumed."""
    with common.housed() as house:
        record = common.wait(intake.freeze(house, slug))
        size = house.ledger.artifacts.path(record.archive).stat().st_size
    common.say(f"{slug} is frozen ({size / 1e6:.1f} MB)")
    common.moves((f'boatwright bottle resume {slug} --headless --prompt "…"',))
    return 0


def destroy(slug: Slug) -> int:
    """Remove it and all that is kept of it. Again does nothing."""
    with common.housed() as house:
        existed = common.wait(intake.destroy(house, slug))
    common.say(f"{slug} is destroyed" if existed else f"there is no bottle {slug}")
    return 0


def tell(house: House, record: Solo) -> int:
    """How it ended, what it cost, what next; the exit code that stands for it."""
    end = record.end
    if end is None:
        raise errors.Conflict(f"the bottle '{record.slug}' ended without a word", subject=record.slug)
    rows = house.wire.budgets().usage(record.account)
    tokens, usd = sum(row.usage.tokens for row in rows), sum((row.usd for row in rows), start=Decimal(0))
    cap = house.wire.budgets().cap("execution", record.account)
    common.say("")
    common.say(": ".join(filter(None, (end.stop, end.detail or end.summary))))
    common.say(f"cost: {tokens:,} tokens, {usd:.4f} USD in {len(rows)} calls (cap {cap})")
    common.moves(end.moves)
    if solo.exit_code(end) == 0:
        common.moves(
            (f"boatwright bottle exec {record.slug} -- ls", f"boatwright bottle freeze {record.slug}")
        )
    return solo.exit_code(end)

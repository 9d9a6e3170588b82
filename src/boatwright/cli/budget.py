"""``boatwright budget``: what may be spent, by whom, and what is left."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated

import typer

from boatwright.cli import common
from boatwright.egress.budget import Standing, UsageRow
from boatwright.intake import caps, cuts
from boatwright.intake.caps import Per, Scope, Wish
from boatwright.intake.cuts import Named
from boatwright.stages.house import House
from boatwright.values.usage import Cap

app = typer.Typer(no_args_is_help=True, help="What may be spent, and by whom.")


@app.command("raise")
def raise_(
    named: Annotated[
        str, typer.Argument(metavar="SLUG|EXECUTION", help="The execution, or a bottle's name.")
    ],
    budget: Annotated[str, typer.Argument(help="The new cap, such as 8usd or 3Mtok.")],
) -> int:
    """Set the cap of an execution, or of a bottle by itself, anew, within the host's ceiling; then resume it."""
    with common.opened() as (house, engine):
        cap = Cap.parse(budget)
        raised = common.wait(cuts.raise_budget(house, engine, named, cap, by=common.me()))
        who = raised.named
        again = f'bottle resume {who.shown} --headless --prompt "…"' if who.solo else f"resume {who.account}"
        common.say(f"{who.shown} may spend {raised.cap}; go on with: boatwright {again}")
        if raised.bottle:
            common.say("  the cap of its own bottle was narrower, and is as wide now")
    return 0


@app.command("set")
def set_(
    scope: Annotated[Scope, typer.Argument(help="Whose.")],
    name: Annotated[
        str, typer.Argument(help="The execution, bottle, agent, or the repository's path or id.")
    ],
    amount: Annotated[
        str, typer.Argument(help="Such as 8usd, 3Mtok or 8usd,3Mtok; none takes the cap away.")
    ],
    per: Annotated[Per, typer.Option(help="Counted per UTC day, or over all time.")] = Per.EVER,
    hard: Annotated[
        bool,
        typer.Option("--hard/--soft", help="Hard binds always; soft only where nothing nearer has a cap."),
    ] = True,
) -> int:
    """Set one cap. It narrows what settings.yml allows and never widens it: the ceiling binds as well."""
    cap = None if amount == "none" else Cap.parse(amount)
    with common.opened() as (house, engine):
        wish = Wish(scope, name, cap, per, hard)
        stands = common.wait(caps.set_cap(house, engine, wish, by=common.me()))
        said = "has no cap of its own any more" if cap is None else f"may spend {cap}{_PER[per]}"
        common.say(f"{scope} {stands} {said}")
        common.say(
            f"  the ceiling of settings.yml holds besides: {house.settings.budget.host_per_day} for this host's day, "
            "and each execution's own cap"
        )
    return 0


@app.command("show")
def show(
    execution: Annotated[
        str | None,
        typer.Argument(
            metavar="[SLUG|EXECUTION]",
            help="The execution, or a bottle's name; without one: every cap and what is left of it.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int:
    """Each call of an execution or a bottle: reserved, settled, by whom. Without one: every cap, used, held, left."""
    with common.housed() as house:
        if execution is None:
            _every(house, as_json=as_json)
            return 0
        who = cuts.find(house, execution)
        rows = house.wire.budgets().usage(who.account)
        if as_json:
            common.emit_json(rows)
            return 0
        _one(house, who, rows)
        for row in rows:
            common.say(
                f"  {row.at:%H:%M:%S}  {row.purpose:<8} {row.model:<28} {row.usage.tokens:>9,} tokens  "
                f"{row.usd:>9.4f} USD of {row.reserved_usd:.4f} reserved  ({row.source})"
            )
    return 0


def _one(house: House, who: Named, rows: Sequence[UsageRow]) -> None:
    """Its cap, what is settled of it, and whether it is cut."""
    cap = house.wire.budgets().cap("execution", who.account)
    tokens, usd = sum(row.usage.tokens for row in rows), sum((row.usd for row in rows), start=Decimal(0))
    common.say(f"{who.shown}: cap {cap}, {tokens:,} tokens and {usd:.4f} USD settled")
    cut = house.wire.cuts().of(who.account)
    if cut is not None:
        common.say(f"  cut ({cut.policy}, {cut.cause}): {cut.sentence}")


_PER = {Per.DAY: " a day (UTC)", Per.EVER: ""}


def _every(house: House, *, as_json: bool) -> None:
    found = caps.standings(house)
    if as_json:
        common.emit_json([{**_fields(each), "left": each.left} for each in found])
        return
    for each in found:
        day = f", {each.period} UTC" if each.period else ""
        soft = "" if each.hard else ", soft"
        whose = each.scope if each.scope == Scope.HOST else f"{each.scope} {each.key}"
        common.say(f"{whose} (cap {each.cap}{day}{soft})")
        common.say(
            f"  used {_both(each.cap, each.used_usd, each.used_tokens)}, "
            f"held {_both(each.cap, each.held_usd, each.held_tokens)}, "
            f"left {_both(each.cap, each.left.usd, each.left.tokens)}"
        )


def _fields(standing: Standing) -> dict[str, object]:
    return {field.name: getattr(standing, field.name) for field in dataclasses.fields(standing)}


def _both(cap: Cap, usd: Decimal | None, tokens: int | None) -> str:
    """In the units the cap is in."""
    parts = [f"{usd or 0:.4f} USD"] if cap.usd is not None else []
    parts += [f"{tokens or 0:,} tokens"] if cap.tokens is not None else []
    return " and ".join(parts)

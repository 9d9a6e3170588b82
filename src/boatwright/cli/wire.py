"""``boatwright wire`` and ``boatwright cut``: what went over an execution's wires, and an end to it."""

from __future__ import annotations

from typing import Annotated

import typer

from boatwright import errors
from boatwright.cli import common, control
from boatwright.intake import cuts
from boatwright.intake.cuts import Done, Named
from boatwright.stages import traffic
from boatwright.stages.house import House
from boatwright.stages.traffic import Called, Routed, Traffic
from boatwright.values.cutting import CutPolicy

app = typer.Typer(no_args_is_help=True, help="The wire: a bottle's one way out.")


@app.callback()
def _group() -> None:
    """Keeps ``show`` a command of a group."""


@app.command("show")
def show(
    execution: Annotated[
        str, typer.Argument(metavar="SLUG|EXECUTION", help="The execution, or a bottle's name.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int:
    """Who was called, how often, bytes, tokens, dollars, and what was refused, with the reason."""
    with common.housed() as house:
        told = common.wait(traffic.of(house, _named(house, execution)))
        if as_json:
            common.emit_json(
                {**dict(common.plain(told)), "tokens": told.tokens, "usd": str(told.usd)}  # type: ignore[call-overload]
            )
        else:
            _tell(told)
    return 0


@app.command("reload")
def reload() -> int:
    """Have every open wire follow the routes of settings.yml as they are now. Streams under way go on."""
    with common.housed() as house:
        changes = common.wait(house.wire.reload(house.settings.all_routes))
        for change in changes:
            gone = f", gone: {', '.join(change.gone)}" if change.gone else ""
            common.say(f"{change.wire}: {change.changed} routes changed{gone}")
        common.say(
            f"{len(changes)} open wires follow the {len(house.settings.routes)} routes of settings.yml"
        )
    return 0


def _named(house: House, execution: str) -> str:
    """The account of an execution or of a bottle by itself; one that was destroyed is known to the book alone."""
    try:
        return cuts.find(house, execution).account
    except errors.NotFound:
        if house.wire.budgets().usage(execution):
            return execution
        raise


def _tell(told: Traffic) -> None:
    now = f"{len(told.open)} wires open" + (f", {len(told.cut)} of them cut" if told.cut else "")
    common.say(f"{told.execution}: {told.tokens:,} tokens, {told.usd:.4f} USD; {now}")
    for each in told.called:
        common.say(_line(each))
    if told.fallbacks:
        common.say(f"  a model that could not answer was passed over {told.fallbacks} times")
    for host in told.reached:
        common.say(
            f"  {'tunnel':<8} {host.host}:{host.port}  {host.times} connections, "
            f"{host.sent:,} bytes sent, {host.received:,} received"
        )
    for service in told.served:
        common.say(
            f"  {'service':<8} {service.service:<40} {service.times:>4} calls, {service.failed} of them refused, "
            f"{service.sent:,} bytes sent, {service.received:,} received"
        )
    for route in told.routed:
        common.say(_route(route))
    for denial in told.denied:
        common.say(f"  refused  {denial.target} ({denial.kind}), {denial.count} times: {denial.reason}")
    if not (told.called or told.reached or told.routed or told.served or told.denied):
        common.say("  nothing was called and nothing refused")


def _route(each: Routed) -> str:
    if not each.times:
        return f"  {'route':<8} {each.route}: never used"
    failed = f", {each.failed} with an error" if each.failed else ""
    return (
        f"  {'route':<8} {each.route}  {each.times} requests{failed}, "
        f"{each.sent:,} bytes sent, {each.received:,} received"
    )


def _line(each: Called) -> str:
    cost = "subscription" if each.login else f"{each.usd:.4f} USD"
    size = "" if each.bytes is None else f", {each.bytes:,} bytes"
    notes = [f"{each.failed} without an answer"] if each.failed else []
    notes += [f"{each.estimated} charged in full"] if each.estimated else []
    more = f"  ({', '.join(notes)})" if notes else ""
    who = f"{each.provider}:{each.model}"
    return (
        f"  {each.purpose:<8} {who:<40} {each.calls:>4} calls {each.tokens:>10,} tokens  {cost}{size}{more}"
    )


def cut(
    named: Annotated[
        str, typer.Argument(metavar="SLUG|EXECUTION", help="The execution, or a bottle's name.")
    ],
    policy: Annotated[
        CutPolicy,
        typer.Option(
            help="cutoff: its bottle lives; freeze: stopped, saved, archived; kill: its bottle goes."
        ),
    ] = CutPolicy.CUTOFF,
) -> int:
    """No call is carried any more: those under way end, new ones are refused. No agent is asked.

    It goes on after `boatwright budget raise`, which gives it a cap again. An execution parks, and keeps its last
    saved step whatever the policy; to end one for good: boatwright cancel.
    """
    with common.opened() as (house, engine):
        done = common.wait(cuts.cut(house, engine, named, policy, by=common.me()))
        common.say(f"{done.named.shown} is cut: {done.wires} open wires, and every one after them")
        common.say(f"  {_what(done, policy)}")
        common.moves(_next(done.named, policy))
        if done.named.view is not None and not done.carried_out and policy.ends_the_agent:
            common.wait(control.carry_on(house, engine, done.named.account, quiet=True))
    return 0


_DONE = {CutPolicy.FREEZE: "its bottle is kept as an archive", CutPolicy.KILL: "its bottle is gone"}
_COMING = {
    CutPolicy.FREEZE: "whoever works on it stops its agent, saves and archives its bottle",
    CutPolicy.KILL: "whoever works on it tears its bottle down",
}


def _what(done: Done, policy: CutPolicy) -> str:
    if policy is CutPolicy.CUTOFF:
        return "its bottle lives"
    return (_DONE if done.carried_out else _COMING)[policy]


def _next(named: Named, policy: CutPolicy) -> tuple[str, ...]:
    raised = f"boatwright budget raise {named.shown} 5usd"
    if named.view is not None:
        return (raised, f"boatwright resume {named.account}")
    again = f'boatwright bottle resume {named.shown} --headless --prompt "…"'
    return (
        raised,
        again,
        *((f"boatwright bottle destroy {named.shown}",) if policy is CutPolicy.KILL else ()),
    )

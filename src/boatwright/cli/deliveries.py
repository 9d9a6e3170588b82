"""``boatwright deliveries``: what forges sent, what became of it, and trying again what failed."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from boatwright import errors
from boatwright.cli import common
from boatwright.cli.safe import one_line
from boatwright.intake import topic
from boatwright.intake.topic import Topic
from boatwright.stages.house import House
from boatwright.values.delivery import Delivery, DeliveryState

app = typer.Typer(help="What forges sent, and what became of it.", no_args_is_help=True)

Number = Annotated[int, typer.Argument(metavar="N", min=1, help="The number of the delivery.")]
WIDE = 80
"""Characters of a line for where it is from."""
SHOWN = 16 << 10
"""Bytes of a body that are shown where nobody asks for all."""


@app.command("list")
def list_(
    state: Annotated[
        list[DeliveryState] | None, typer.Option("--state", help="Only those; again for more.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="So many, the newest.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int:
    """The newest deliveries first: what each was, and what was done or why nothing was."""
    with common.housed() as house:
        found = house.ledger.deliveries.list(state or (), limit=limit)
        topics = topic.of(house.ledger.deliveries, found)
        if as_json:
            common.emit_json([_document(delivery, topics[delivery.id]) for delivery in found])
            return 0
        for delivery in found:
            common.say(_line(delivery, topics[delivery.id]))
        if not found:
            common.say("nothing was delivered")
        _tell_of_dead(house)
    return 0


@app.command("show")
def show(
    number: Number,
    body: Annotated[bool, typer.Option("--body", help="The original bytes alone, whole.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int:
    """One delivery, with its original bytes."""
    with common.housed() as house:
        found, original = house.ledger.deliveries.get(number), house.ledger.deliveries.body(number)
        if body:
            return _raw(number, original)
        about = topic.about(found, original)
        text = "" if original is None else original.decode("utf-8", "replace")
        if as_json:
            common.emit_json({"delivery": _document(found, about), "body": text})
            return 0
        for name, value in _facts(found, about).items():
            common.say(f"{name:<12} {value}")
        common.say()
        common.say(_pretty(text) if original is not None else "its bytes were dropped after their time")
        if found.state in {DeliveryState.DEAD, DeliveryState.FAILED}:
            common.moves((f"boatwright deliveries retry {number}",))
    return 0


@app.command("retry")
def retry(number: Number) -> int:
    """Try a delivery that failed or is dead again, at once. One that is processed is never processed twice."""
    with common.opened() as (house, engine):
        house.ledger.deliveries.retry(number)
        common.say(f"delivery {number} is tried again")
        if not engine.has_worker():
            common.moves(("boatwright serve",))
    return 0


def _document(delivery: Delivery, about: Topic) -> dict[str, object]:
    return {**asdict(delivery), "repository": about.repository, "number": about.number}


def _line(delivery: Delivery, about: Topic) -> str:
    said = delivery.reason or delivery.about or delivery.error
    what = delivery.outcome or delivery.state.value
    return (
        f"{delivery.id:>6}  {delivery.received:%Y-%m-%d %H:%M:%S}  {delivery.forge:<8} {delivery.event:<24} "
        f"{one_line(str(about))[:WIDE]:<28} {what:<10} {said}".rstrip()
    )


def _facts(delivery: Delivery, about: Topic) -> dict[str, str]:
    facts = {
        "delivery": delivery.delivery,
        "forge": f"{delivery.forge}{f', hook {delivery.hook}' if delivery.hook else ''}",
        "event": delivery.event,
        "from": one_line(str(about)),
        "signed by": f"the secret of {delivery.signer or 'the forge'}",
        "received": f"{delivery.received:%Y-%m-%d %H:%M:%S} UTC, {delivery.size} bytes of {delivery.content_type}",
        "state": f"{delivery.state.value}, after {delivery.attempts} attempts",
        "next try": f"{delivery.next_try:%Y-%m-%d %H:%M:%S} UTC" if delivery.next_try else "",
        "outcome": " ".join(part for part in (delivery.outcome, delivery.reason) if part),
        "about": delivery.about,
        "error": delivery.error,
    }
    return {name: value for name, value in facts.items() if value}


def _pretty(text: str) -> str:
    try:
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = text or "(no bytes)"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}\n… --body shows all of it"


def _raw(number: int, original: bytes | None) -> int:
    if original is None:
        raise errors.NotFound(
            f"the bytes of delivery {number} were dropped after their time",
            subject=str(number),
            next_moves=(f"boatwright deliveries show {number}",),
        )
    typer.get_binary_stream("stdout").write(original)
    return 0


def _tell_of_dead(house: House) -> None:
    dead = house.ledger.deliveries.counts().get(DeliveryState.DEAD.value, 0)
    if dead:
        common.say(f"{dead} failed too often and wait for a person")
        common.moves(("boatwright deliveries list --state dead", "boatwright deliveries retry N"))

"""``boatwright serve``: one worker and its doors, a private one and, where it is wanted, a public one.

At the end the doors close first, so that nothing more is taken; then the worker drains; then the process leaves.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable, Sequence

from fastapi import FastAPI

from boatwright import errors
from boatwright.intake import listing, notices, patrol
from boatwright.intake.outside import Outside
from boatwright.rules import listening
from boatwright.rules.listening import Place
from boatwright.server import health, private, webhooks
from boatwright.server.listener import Door, Listener
from boatwright.stages.house import House
from boatwright.workflows.engine import Engine

Say = Callable[[str], None]


async def run(
    house: House, engine: Engine, *, inner: Place, public: Place | None, say: Say, poll: float | None = None
) -> None:
    """All that serves: the worker, the pump of deliveries, the private door at ``inner``, and the public one.

    ``poll``: seconds between two looks at the lists of forges; None: slowly, and only where webhooks come.
    """
    doors = [private_door(house, engine, inner)]
    house.require_any_bottle()
    opened = webhooks.opened(house, engine, _outside(house))
    async with opened as app, listing.walking(house, poll=poll) as looking:
        if public is not None:
            doors.append(public_door(house, public, app))
        await serve(house, engine, doors, say=say, beside=(app.state.pumping, looking))


def _outside(house: House) -> Outside:
    """The registers of this host, and each repository's own forge for what people may do there."""
    return Outside(
        repositories=house.ledger.repositories,
        people=lambda _, repository: house.forge.of(repository),
        called=house.forge.called,
        switches=house.ledger.switches,
    )


def private_door(house: House, engine: Engine, place: Place) -> Door:
    """``errors.Refused`` beyond loopback for as long as there is no token."""
    if not listening.may_listen(place.host, house.ledger.tokens.all()):
        raise errors.Refused(
            f"{place.host} is not a loopback address, and there is no token to tell anybody by",
            subject=place.host,
            next_moves=("--host 127.0.0.1", "boatwright api-token create NAME"),
        )
    app = private.doors(house, engine)
    return Door(app, place, "--port N", app.state.behind.leave)


def public_door(house: House, place: Place, app: FastAPI | None = None) -> Door:
    """What may face the world: ``app``, which brings its own health; without one, health alone."""
    return Door(app or health.doors(house), place, "--public HOST:PORT")


async def serve(
    house: House, engine: Engine, doors: Sequence[Door], *, say: Say, beside: Sequence[Future[None]] = ()
) -> None:
    """Open the doors and work until told to stop, or until a door or one of the tasks ``beside`` has ended: a host that
    answers and hears nothing is worse than one that is down. ``errors.BadInput`` where a door cannot be opened.
    """
    listeners = [Listener(door) for door in doors]

    async def close() -> None:
        for listener in listeners:
            await listener.close()

    def announce() -> None:
        where = ", ".join(f"http://{listener.place}{health.PATH}" for listener in listeners)
        say(f"health on {where}; worker of release {house.release}")

    try:
        for listener in listeners:
            listener.open()
        async with patrol.walking(house, engine), notices.telling(house):
            await engine.run_worker(
                lambda execution, line: say(f"{execution}  {line}"),
                until=lambda: any([*(each.ended() for each in listeners), *(each.done() for each in beside)]),
                begun=announce,
                leaving=close,
            )
    finally:
        await close()

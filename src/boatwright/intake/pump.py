"""The pump: has each delivery processed, those of one repository in the order they came. One pumps at a time on a state
directory.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from boatwright import crash, errors
from boatwright.egress.log import Log
from boatwright.intake import rounds
from boatwright.intake.hearing import Hearing, Place
from boatwright.intake.lanes import Lane, Lanes
from boatwright.intake.outside import Outside
from boatwright.ledger.deliveries import Deliveries
from boatwright.stages.house import House
from boatwright.values.delivery import Delivery, DeliveryState
from boatwright.workflows.engine import Engine
from boatwright.workflows.engine.durable import report

LOOK_SECONDS = 1.0
"""How often it looks by itself: for what another process stored, and what is due to be tried again."""
LOG = "deliveries.log"
ALONE = 3
"""A delivery that ended with its worker so often is tried with nobody beside it."""


T = TypeVar("T")


class Defect(errors.BoatwrightError):
    """Something of ours broke at a delivery."""


class Pump:
    """Processes what is due, in lanes (``intake.lanes``). ``wake`` it when something was stored."""

    def __init__(self, hearing: Hearing, deliveries: Deliveries, place: Path, log: Log) -> None:
        self._hearing, self._deliveries, self._log = hearing, deliveries, log
        self._seat = Seat(place)
        self._told = asyncio.Event()
        self._lanes, self._tasks, self._begun = Lanes(), set[asyncio.Task[None]](), 0
        self._suspected = False

    @classmethod
    def of(cls, house: House, engine: Engine, outside: Outside) -> Pump:
        log = Log(house.state.logs / LOG, house.clock)
        hearing = Hearing(house, engine, outside, log)
        return cls(hearing, house.ledger.deliveries, house.state.run / "pump.lock", log)

    def wake(self) -> None:
        """Something was stored. Call it on the pump's own loop."""
        self._told.set()

    async def run(self, *, look: float = LOOK_SECONDS) -> None:
        """Pump until cancelled. A delivery that fails waits for its next try, and the others go on."""
        try:
            while True:
                self._told.clear()
                await rounds.outlived(self._look(), "the pump of deliveries")
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._told.wait(), look)
        finally:
            await self._stop()

    async def once(self) -> int:
        """Process all that is due now; returns how many were. Nothing while another process pumps."""
        before = self._begun
        try:
            await self._look()
            while self._tasks:
                await asyncio.wait(self._tasks)
                await self._look()
        finally:
            await self._stop()
        return self._begun - before

    def close(self) -> None:
        self._seat.leave()

    async def _stop(self) -> None:
        """What is being processed is left, and done again by whoever comes next."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    # --- who is next ---

    async def _look(self) -> None:
        """Put in line what is due, and begin what may begin. Raises what a lane broke of."""
        for task in [each for each in self._tasks if each.done()]:
            self._tasks.remove(task)
            task.result()
        if not self._seat.taken():
            return
        self._lanes.wake(self._deliveries.now())
        for number in await asyncio.to_thread(self._deliveries.due):
            if not self._lanes.knows(number):
                delivery = await asyncio.to_thread(self._deliveries.get, number)
                if self._is_past(delivery):
                    continue
                place = await self._placed(delivery)
                if await self._is_cleared(delivery):
                    self._lanes.add(number, delivery.forge, place.key, also=place.also)
                    self._begin()
        self._suspected = True
        self._begin()

    def _is_past(self, delivery: Delivery) -> bool:
        """Whether one that was due is not by now: it was processed, or failed, while others were put in line."""
        waits = delivery.next_try is not None and delivery.next_try > self._deliveries.now()
        return waits or delivery.state in (DeliveryState.PROCESSED, DeliveryState.DEAD)

    async def _placed(self, delivery: Delivery) -> Place:
        try:
            return await _sound(asyncio.to_thread(self._hearing.place, delivery), delivery, "place in line")
        except Defect:
            return Place("")  # it will fail by itself

    async def _is_cleared(self, delivery: Delivery) -> bool:
        """Whether it may be tried beside others. One that ended with its worker again and again is tried alone, first
        thing: of those that were under way together, only that which kills is to die of it.
        """
        killed = delivery.state is DeliveryState.RECEIVED and delivery.attempts >= ALONE
        if self._suspected or not killed:
            return True
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._one(delivery)
        return False

    def _begin(self) -> None:
        for lane, number in self._lanes.take(self._deliveries.now()):
            self._tasks.add(asyncio.create_task(self._in_lane(lane, number)))

    async def _in_lane(self, lane: Lane, number: int) -> None:
        try:
            delivery = await asyncio.to_thread(self._deliveries.get, number)
            away = await self._one(delivery)
            if away is not None:
                until = self._lanes.rest(lane, away, self._deliveries.now())
                self._log.line("resting", delivery=number, forge=lane.forge, next_try=until.isoformat())
        finally:
            self._lanes.left(lane)
        self._begin()

    # --- one ---

    async def _one(self, delivery: Delivery) -> datetime | None:
        """Try it. Where its forge is away: when it is tried again; the others of its lane need not be, before that."""
        if not await asyncio.to_thread(self._deliveries.begin, delivery.id):
            return None
        self._begun += 1
        crash.point("pump.begun")
        try:
            await _sound(self._hearing.process(delivery), delivery, "processing")
        except errors.StoreUnavailable as away:
            await self._failed(
                delivery, str(away)
            )  # where that can be written, the next try is some time away
            raise
        except errors.ForgeUnavailable as away:
            return await self._failed(delivery, str(away))
        except TimeoutError:
            return await self._failed(delivery, f"{delivery.forge} did not answer in time")
        except errors.BoatwrightError as error:
            await self._failed(delivery, str(error))
        return None

    async def _failed(self, delivery: Delivery, why: str) -> datetime | None:
        """Returns when it is tried again; None: never."""
        due = await asyncio.to_thread(self._deliveries.fail, delivery.id, why)
        self._log.line(
            "failed" if due else "dead",
            delivery=delivery.id,
            forge=delivery.forge,
            event=delivery.event,
            decision="retry" if due else "dead",
            about=why,
            next_try=due.isoformat() if due else None,
        )
        return due


async def _sound(turn: Awaitable[T], delivery: Delivery, what: str) -> T:
    """What it returns; :class:`Defect` where it breaks."""
    try:
        return await turn
    except (errors.BoatwrightError, TimeoutError):
        raise
    except Exception as bug:
        report(f"delivery {delivery.id} broke its {what}", bug)
        raise Defect(f"a defect of this program: {type(bug).__name__}") from bug


class Seat:
    """The one place from which deliveries of a state directory are processed. A death leaves it free."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._file: int | None = None

    def taken(self) -> bool:
        """Whether it is ours; taken when it is free."""
        if self._file is not None:
            return True
        file = os.open(self._place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._file = file
        return True

    def leave(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


@asynccontextmanager
async def pumping(pump: Pump, *, look: float = LOOK_SECONDS) -> AsyncIterator[asyncio.Task[None]]:
    """Pump in the background; what is being processed at the end is left, and done again by whoever comes next.

    The task ends only here: one that is done before has died, and what it died of is raised at the end.
    """
    task = asyncio.create_task(pump.run(look=look))
    try:
        yield task
    finally:
        task.cancel()
        try:
            with suppress(asyncio.CancelledError):
                await task
        finally:
            pump.close()

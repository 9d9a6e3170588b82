"""Tell people outside what waits for them: read the events by position, keep a notice of each that counts, send it.

Runs beside the turns of a worker, never in one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Protocol

from boatwright import crash, errors
from boatwright.config.notify import Notify
from boatwright.intake import rounds
from boatwright.intake.notice_mail import MailSender
from boatwright.intake.notice_webhook import WebhookSender
from boatwright.ledger.notices import Kept
from boatwright.rules import notices as rule
from boatwright.stages.house import House
from boatwright.values.event import Event
from boatwright.values.notice import Channel, Notice
from boatwright.workflows.engine.durable import report

EVERY_SECONDS = 5.0
BATCH = 500
SEND_SECONDS = 120.0
"""For one notice altogether: far less than :data:`rules.notices.HELD`."""


class Sender(Protocol):
    async def send(self, told: Notice) -> None:
        """Returns when it has arrived; ``errors.BoatwrightError`` when it has not."""
        ...


Senders = Mapping[Channel, Sender]


def senders(setting: Notify, environment: Mapping[str, str]) -> Senders:
    """One for each way that ``notify:`` names."""
    made: dict[Channel, Sender] = {}
    if setting.webhook is not None:
        made[Channel.WEBHOOK] = WebhookSender(setting.webhook, environment)
    if setting.mail is not None:
        made[Channel.MAIL] = MailSender(setting.mail, environment)
    return made


async def once(house: House, ways: Senders | None = None) -> int:
    """One round; returns how many notices arrived. ``ways``: in place of those of ``settings.yml``."""
    setting = house.settings.notify
    if setting is None:
        return 0  # another worker of this ledger may tell: the mark is not this one's to take away
    if ways is None:
        ways = senders(setting, house.environment)
    await asyncio.to_thread(read, house, setting)
    return sum(await asyncio.gather(*(_send_all(house, channel, way) for channel, way in ways.items())))


async def _send_all(house: House, channel: Channel, way: Sender) -> int:
    """What is due on one channel, one after another; a channel that hangs holds up no other."""
    due = await asyncio.to_thread(house.ledger.notices.due, (channel,))
    return sum([await _send(house, kept, way) for kept in due])


def read(house: House, setting: Notify) -> int:
    """Keep what there is to tell of the events since the last round; returns how many notices. Blocks."""
    log, kept = house.ledger.events, house.ledger.notices
    after, found = kept.mark(log.position()), 0
    while history := log.after(after, limit=BATCH):
        told = _told(house, setting, history)
        upto = history[-1].position
        if not kept.keep(told, setting.channels, after=after, upto=upto):
            return found  # another worker reads
        crash.point("notice.kept")
        after, found = upto, found + len(told)
    return found


def _told(house: House, setting: Notify, history: Sequence[Event]) -> list[tuple[int, Notice]]:
    told, oldest = [], house.clock.now() - rule.OLDEST
    for event in history:
        if event.time >= oldest and rule.topic(event) in setting.about:
            view = house.ledger.executions.required(event.stream)
            notice = rule.notice(event, view, house.ledger.repositories.place(view.repository))
            if notice is not None:
                told.append((event.sequence, notice))
    return told


async def _send(house: House, kept: Kept, way: Sender) -> bool:
    if not await asyncio.to_thread(house.ledger.notices.claim, kept):
        return False
    crash.point("notice.sending")
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await way.send(kept.notice)
    except errors.BoatwrightError as error:
        await _failed(house, kept, str(error))
        return False
    except TimeoutError:
        await _failed(house, kept, "it took too long")
        return False
    crash.point("notice.sent")
    await asyncio.to_thread(house.ledger.notices.sent, kept)
    return True


async def _failed(house: House, kept: Kept, why: str) -> None:
    again = await asyncio.to_thread(house.ledger.notices.failed, kept, why)
    later = f"it is tried again at {again:%H:%M:%S} UTC" if again else "it is given up"
    report(f"notice {kept.notice.id} ({kept.channel}): {why}; {later}")


@asynccontextmanager
async def telling(house: House, *, every: float = EVERY_SECONDS) -> AsyncIterator[None]:
    """Tell in the background while a worker works."""
    task = asyncio.create_task(_go_on(house, every))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _go_on(house: House, every: float) -> None:
    while True:
        await rounds.outlived(once(house), "telling people outside")
        await asyncio.sleep(every)

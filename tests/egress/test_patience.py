"""How long a peer is waited for, with one timer for all waits."""

from __future__ import annotations

import asyncio

import pytest

from boatwright.egress.patience import Patience


async def test_a_silent_peer_ends_the_wait_and_only_the_wait() -> None:
    patience, reader = Patience(), asyncio.StreamReader()
    with pytest.raises(TimeoutError):
        await patience.read(reader, 10, 0.01)
    reader.feed_data(b"late")
    assert await patience.read(reader, 10, 60.0) == b"late"
    task = asyncio.current_task()
    assert task is not None and task.cancelling() == 0


async def test_a_shorter_wait_does_not_wait_for_a_longer_ones_timer() -> None:
    patience, reader = Patience(), asyncio.StreamReader()
    reader.feed_data(b"a")
    assert await patience.read(reader, 10, 3_600.0) == b"a"
    with pytest.raises(TimeoutError):
        await patience.read(reader, 10, 0.01)


async def test_a_timer_set_for_a_wait_that_is_over_ends_no_other() -> None:
    patience, reader = Patience(), asyncio.StreamReader()
    reader.feed_data(b"a")
    await patience.read(reader, 10, 0.01)
    waiting = asyncio.ensure_future(patience.read(reader, 10, 3_600.0))
    rung = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, rung.set)  # after the first timer, on the same loop
    await rung.wait()
    assert not waiting.done()
    reader.feed_data(b"b")
    assert await waiting == b"b"


async def test_a_connection_that_is_over_leaves_no_timer() -> None:
    patience, reader = Patience(), asyncio.StreamReader()
    reader.feed_data(b"a")
    await patience.read(reader, 10, 0.01)
    patience.close()
    patience.close()
    waiting = asyncio.ensure_future(patience.read(reader, 10, 3_600.0))
    await asyncio.sleep(0)
    reader.feed_data(b"b")
    assert await waiting == b"b"


async def test_whoever_cancels_the_task_is_heard() -> None:
    patience, reader = Patience(), asyncio.StreamReader()
    waiting = asyncio.ensure_future(patience.read(reader, 10, 3_600.0))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

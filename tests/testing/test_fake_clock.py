from __future__ import annotations

from boatwright.testing.clock import START, FakeClock, FakeIds
from boatwright.values.clock import Clock, Ids


async def test_the_clock_moves_only_when_told() -> None:
    fake = FakeClock()
    clock: Clock = fake
    assert clock.now() == START and clock.monotonic() == 0.0
    fake.advance(90)
    await fake.sleep(1.5)
    assert clock.monotonic() == 91.5
    assert (clock.now() - START).total_seconds() == 91.5
    assert fake.slept == [1.5]


def test_ids_count_and_sort() -> None:
    ids: Ids = FakeIds()
    events = [ids.event_id() for _ in range(300)]
    assert events == sorted(set(events))
    assert all(event[14] == "7" and len(event) == 36 for event in events)
    assert FakeIds().execution_id() == FakeIds().execution_id() == "ex-000000000001"
    assert len(ids.token()) == 32

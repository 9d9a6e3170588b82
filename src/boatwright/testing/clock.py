"""Time and identity that tests decide: a clock that stands still until told to move, ids that count."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


class FakeClock:
    """A ``values.clock.Clock`` that moves only by :meth:`advance` or :meth:`sleep`."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._now = start
        self.slept: list[float] = []
        """Every :meth:`sleep` so far, in seconds."""

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return (self._now - self._start).total_seconds()

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        """Stands in for ``asyncio.sleep``: returns at once, and the clock has moved."""
        self.slept.append(seconds)
        self.advance(seconds)


ManualClock = FakeClock


class FakeIds:
    """A ``values.clock.Ids`` that counts: the same calls give the same ids in every run."""

    def __init__(self, seed: int = 0) -> None:
        self._next = seed

    def _number(self) -> int:
        self._next += 1
        return self._next

    def event_id(self) -> str:
        """A well-formed UUIDv7 whose order is the order of the calls."""
        text = f"{self._number():012x}70008000000000000000"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def execution_id(self) -> str:
        return f"ex-{self._number():012d}"

    def token(self) -> str:
        return f"{self._number():032x}"

"""A program at work is ended by its own signal, or by its silence, and how the round ended is told as it was."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from boatwright import errors
from boatwright.agents.protocol import RoundResult, Stop
from boatwright.stages import attending
from boatwright.stages.attending import Ears
from boatwright.stages.silence import Pulse
from boatwright.testing.clock import ManualClock
from boatwright.values.calls import Signal

DONE, STUCK = Signal("done", "All mended."), Signal("blocked", "no key\nfor the registry")


class Program:
    """A program at work, which ends by itself or when it is told to, and then saves."""

    def __init__(self, stop: Stop = Stop.FAILED) -> None:
        self.ended, self.ending, self.saved, self._stop = asyncio.Event(), asyncio.Event(), False, stop

    @property
    def stops(self) -> int:
        return int(self.ending.is_set())

    async def work(self) -> RoundResult:
        waits = {asyncio.ensure_future(each.wait()) for each in (self.ended, self.ending)}
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for each in waits:
            each.cancel()
        self.saved = True
        return RoundResult(self._stop, "its last words", 1, b"", detail="it was killed", exit_code=-9)


class Desk:
    def __init__(self) -> None:
        self.signal: Signal | None = None
        self.signalled = asyncio.Event()

    def say(self, signal: Signal) -> None:
        self.signal = signal
        self.signalled.set()


async def attended(program: Program, ears: Ears) -> RoundResult:
    return await attending.attended(program.ending, ears, program.work())


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attending, "GRACE_SECONDS", 0.01)
    monkeypatch.setattr(attending, "LOOK_SECONDS", 0.001)


@pytest.mark.parametrize(
    ("signal", "stop", "said"),
    [
        (DONE, Stop.FINISHED, ""),
        (STUCK, Stop.BLOCKED, "the agent says it is blocked: “no key for the registry”"),
    ],
)
async def test_a_program_that_signalled_is_stopped_and_saved(signal: Signal, stop: Stop, said: str) -> None:
    program, desk = Program(), Desk()
    working = asyncio.ensure_future(attended(program, Ears(60.0, None, desk)))  # type: ignore[arg-type]
    desk.say(signal)
    result = await working
    assert (program.stops, program.saved) == (1, True)
    assert (result.stop, result.detail) == (stop, said)
    assert result.summary == ("All mended." if signal is DONE else "its last words")


async def test_a_program_that_ends_by_itself_after_its_signal_is_left_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attending, "GRACE_SECONDS", 60.0)
    program, desk = Program(Stop.FINISHED), Desk()
    working = asyncio.ensure_future(attended(program, Ears(60.0, None, desk)))  # type: ignore[arg-type]
    desk.say(DONE)
    await asyncio.sleep(0)
    program.ended.set()
    assert (await working).stop is Stop.FINISHED and program.stops == 0


async def test_a_silent_program_is_stopped_and_did_not_report() -> None:
    program, waits = Program(), iter([1.0, 29.9, 30.0])

    async def quiet() -> float:
        return next(waits)

    result = await attended(program, Ears(30.0, quiet))
    assert (program.stops, program.saved, result.stop) == (1, True, Stop.SILENT)
    assert result.detail == (
        "the agent did not report: no model call and no call to this host for 30 seconds"
    )


async def test_a_store_that_is_away_says_nothing() -> None:
    program, looks = Program(Stop.FINISHED), 0

    async def away() -> float:
        nonlocal looks
        looks += 1
        if looks == 3:
            program.ended.set()
        raise errors.StoreUnavailable("the store is away")

    assert (await attended(program, Ears(0.01, away))).stop is Stop.FINISHED and program.stops == 0


async def test_a_program_whose_time_was_up_while_it_was_silent_did_not_report() -> None:
    program = Program(Stop.WALL_CLOCK)
    looked: list[float] = []

    async def quiet() -> float:
        looked.append(1.0)
        if len(looked) == 1:
            program.ended.set()
            return 0.0
        return 30.0

    assert (await attended(program, Ears(30.0, quiet))).stop is Stop.SILENT


@pytest.mark.parametrize(
    ("stop", "signal", "silent", "told"),
    [
        (Stop.FAILED, None, False, Stop.FAILED),
        (Stop.FAILED, None, True, Stop.SILENT),
        (Stop.WALL_CLOCK, None, True, Stop.SILENT),
        (Stop.FINISHED, None, True, Stop.FINISHED),
        (Stop.BUDGET, DONE, True, Stop.BUDGET),
        (Stop.CREDENTIAL, STUCK, False, Stop.CREDENTIAL),
        (Stop.BUDGET, None, True, Stop.BUDGET),
        (Stop.FAILED, DONE, True, Stop.FINISHED),
        (Stop.FINISHED, STUCK, False, Stop.BLOCKED),
        (Stop.MODEL_UNAVAILABLE, DONE, False, Stop.FINISHED),
    ],
)
def test_how_a_round_ended(stop: Stop, signal: Signal | None, silent: bool, told: Stop) -> None:
    class Heard:
        def __init__(self) -> None:
            self.signal = signal

    result = RoundResult(stop, "words", 1, b"", detail="why")
    ears: Any = Ears(30.0, None, Heard())  # type: ignore[arg-type]
    assert attending.told(result, ears, silent=silent).stop is told


# --- the pulse of a wire ---


class Book:
    def __init__(self) -> None:
        self.traffic_is = (0, 0)

    def traffic(self, execution: str, wire: str) -> tuple[int, int]:
        assert (execution, wire) == ("ex-1", "w1")
        return self.traffic_is


async def test_the_pulse_hears_calls_of_models_and_of_services() -> None:
    clock, book = ManualClock(), Book()
    pulse = Pulse(lambda: book, "ex-1", "w1", clock.monotonic)  # type: ignore[arg-type, return-value]
    clock.advance(10)
    assert await pulse.quiet() == 0  # the first look: what was before it is no silence of the program's
    book.traffic_is = (1, 0)
    assert await pulse.quiet() == 0
    clock.advance(20)
    assert await pulse.quiet() == 20
    book.traffic_is = (1, 1)  # a long answer
    assert await pulse.quiet() == 0
    clock.advance(500)
    assert await pulse.quiet() == 0
    book.traffic_is = (2, 0)
    await pulse.quiet()
    clock.advance(5)
    release = asyncio.Event()

    async def service(scope: Any, receive: Any, send: Any) -> None:
        await release.wait()

    asking = asyncio.ensure_future(pulse.listening(service)({}, None, None))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    clock.advance(600)
    assert await pulse.quiet() == 0  # somebody is being asked
    release.set()
    await asking
    clock.advance(3)
    assert await pulse.quiet() == 0  # it ended since the look before
    clock.advance(7)
    assert await pulse.quiet() == 7

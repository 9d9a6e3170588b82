"""What a bottle by itself called at its forge, written down so that a kill leaves one comment and never two."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from boatwright import crash, errors
from boatwright.egress.log import Log
from boatwright.rules.forge_calls import Scope
from boatwright.sidecar.call_file import CallFile
from boatwright.sidecar.forge_desk import ForgeDesk, Work
from boatwright.values.calls import CallKind, ForgeCall, ForgeCalls
from boatwright.values.clock import SystemClock
from boatwright.values.events import ForgeCalled

from .conftest import killed_at
from .test_forge_calls import REPOSITORY, Bench, bench, comment, describe

__all__ = ["bench"]
SAID = ForgeCalled(round=1, call="post_comment", number=1, outcome="done", size=2, digest="d" * 64)


async def may_write() -> None:
    """Nobody switched it off."""


@pytest.fixture
def file(tmp_path: Path) -> CallFile:
    return CallFile(tmp_path / "one.calls", "one.ab12", SystemClock(), may_write)


def desk(bench: Bench, file: CallFile) -> ForgeDesk:
    log = Log(bench.state.logs / "forge-calls.log", SystemClock())
    work = Work(REPOSITORY, 1, "Mend it", "The last page is dropped.")
    return ForgeDesk(file, bench.talk, work, Scope(ForgeCalls.WRITE, 1), scanner=bench.eyes, log=log)


async def test_what_was_told_is_read_by_the_next_process(file: CallFile, tmp_path: Path) -> None:
    assert await file.told() == []
    await file.intend(comment(), "agent:one.ab12:0")
    await file.tell(SAID, once=True)
    await file.tell(SAID, once=True)
    again = CallFile(tmp_path / "one.calls", "one.ab12", SystemClock(), may_write)
    assert await again.told() == [SAID]
    await again.tell(SAID, once=False)
    assert await again.told() == [SAID, SAID]
    assert stat.S_IMODE((tmp_path / "one.calls").stat().st_mode) == 0o600


@pytest.mark.parametrize("kept", range(0, 400, 37))
async def test_a_line_cut_short_anywhere_says_nothing_and_the_next_one_counts(
    file: CallFile, tmp_path: Path, kept: int
) -> None:
    await file.tell(SAID, once=False)
    whole = (tmp_path / "one.calls").read_bytes()
    (tmp_path / "one.calls").write_bytes(whole + whole[: min(kept, len(whole) - 1)])
    other = SAID.model_copy(update={"digest": "e" * 64})
    await file.tell(other, once=False)
    told = await file.told()
    assert told[0] == SAID and told[-1] == other and len(told) <= 3  # a line without its end alone is whole


async def test_a_disk_that_takes_nothing_is_told_and_nothing_is_written_at_the_forge(
    bench: Bench, tmp_path: Path
) -> None:
    missing = CallFile(tmp_path / "not-there" / "one.calls", "one.ab12", SystemClock(), may_write)
    with pytest.raises(errors.StoreUnavailable, match="cannot be used"):
        await missing.intend(comment(), "m")
    answer = await desk(bench, missing).call(comment())
    assert answer.failed and await bench.comments() == []


async def test_switched_off_it_reads_and_writes_nothing(bench: Bench, tmp_path: Path) -> None:
    async def off() -> None:
        raise errors.Refused("nothing is begun: it is switched off")

    shut = CallFile(tmp_path / "one.calls", "one.ab12", SystemClock(), off)
    assert (await desk(bench, shut).call(comment())).failed and await bench.comments() == []
    assert not (await desk(bench, shut).call(ForgeCall(CallKind.READ_ISSUE, 1))).failed
    assert [each.outcome for each in await shut.told()] == ["failed", "done"]


async def test_no_text_of_an_agent_is_kept(bench: Bench, file: CallFile, tmp_path: Path) -> None:
    await desk(bench, file).call(comment("A word of mine"))
    assert "A word of mine" not in (tmp_path / "one.calls").read_text()
    (there,) = await bench.talk.comments(REPOSITORY, 1)
    assert there.marker.startswith("agent:one.ab12:") and "`one.ab12` writes" in there.body


@pytest.mark.parametrize("point", crash.CALL_POINTS)
@pytest.mark.parametrize("make", [comment, describe])
async def test_killed_there_and_asked_again_it_is_written_once(
    bench: Bench, file: CallFile, point: str, make: Any
) -> None:
    with killed_at(point):
        await desk(bench, file).call(make("Which page?"))
    assert not (await desk(bench, file).call(make("Which page?"))).failed
    body = (await bench.talk.issue(REPOSITORY, 1)).body
    assert (len(await bench.comments()), body.count("Which page?")) == ((1, 0) if make is comment else (0, 1))
    assert [each.outcome for each in await file.told()] == ["done"]


async def test_what_it_says_of_its_end_is_written_down_too(bench: Bench, file: CallFile) -> None:
    await desk(bench, file).call(ForgeCall(CallKind.SIGNAL_DONE, status="done", text="All of it"))
    assert [(each.call, each.reason) for each in await file.told()] == [("signal_done", "done")]

"""A program as an agent, in a real bottle: how it is started, saved, resumed, read and ended."""

from __future__ import annotations

import dataclasses
import datetime
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from boatwright import errors
from boatwright.agents import endings, sessions
from boatwright.agents.headless import INTERRUPTED, Call, Headless, Heard
from boatwright.agents.protocol import ModelWire, RoundLimits, RoundResult, Stop, Task
from boatwright.agents.sessions import Session
from boatwright.bottle import processes
from boatwright.bottle.backends.bubblewrap import Bubblewrap
from boatwright.bottle.protocol import WORKSPACE, Bottle, BottleSpec
from boatwright.bottle.store import erase
from boatwright.config.paths import StateDir
from boatwright.egress.wires import Denial
from boatwright.values.clock import SystemClock, SystemIds
from boatwright.values.process import ExecResult, Limit
from boatwright.values.usage import ModelRef


class Toy(Headless):
    """A program that is a few lines of shell, and says what it does as JSON lines."""

    name = "toy"
    remedy = "none"
    tested = ("1",)
    models = ("anthropic", "openai")
    keeps = (".toy", ".none")

    def __init__(self, script: str) -> None:
        super().__init__()
        self.script = script

    def files(self, call: Call) -> Mapping[str, str]:
        return {".config/toy/model": call.model}

    def environment(self, call: Call) -> Mapping[str, str]:
        return {"TOY_URL": call.url}

    def arguments(self, call: Call) -> Sequence[str]:
        return ("-c", self.script, "toy", call.session, "again" if call.resumes else "first")

    def hear(self, line: Mapping[str, Any]) -> Iterable[Heard]:
        yield Heard(**line)


@pytest.fixture
async def backend() -> AsyncIterator[Bubblewrap]:
    root = Path(tempfile.mkdtemp(prefix="bw-"))
    root.chmod(0o711)
    made = Bubblewrap(StateDir(root / "state").create(), clock=SystemClock(), ids=SystemIds())
    yield made
    for slug in await made.list():
        await made.destroy(slug)
    erase(root)


@pytest.fixture
async def bottle(backend: Bubblewrap) -> Bottle:
    return await backend.create(BottleSpec(slug="agent", purpose="test"))


WIRE = ModelWire(Path("unused"), "anthropic", ModelRef(provider="scripted", name="/a/path"))


def task(bench: Any, bottle: Bottle, prompt: str = "mend it", **more: Any) -> Task:
    bench.bottle = bottle
    made = bench.task(more.pop("wire", WIRE), prompt, limits=more.pop("limits", None))
    return dataclasses.replace(made, program=PurePosixPath("/bin/sh"), opening="all of it", **more)


async def run(bench: Any, bottle: Bottle, script: str, *arguments: Any, **more: Any) -> RoundResult:
    return await Toy(script).run(task(bench, bottle, *arguments, **more))


async def test_a_round_from_prompt_to_last_word(bench: Any, bottle: Bottle) -> None:
    script = """
        cat > asked; echo "$@" > called; echo "$TOY_URL $(cat ~/.config/toy/model)" > where
        mkdir ~/.toy; echo memory > ~/.toy/session
        echo '{"said": "I look."}'; echo noise; echo '{"tool": "shell ls", "result": "a b"}'
        echo '{"final": "Done."}'
    """
    result = await run(bench, bottle, script)
    assert (result.stop, result.summary, result.steps) == (Stop.FINISHED, "Done.", 1)
    assert (bottle.workspace / "asked").read_text() == "Mind the gap.\n\nmend it"
    assert (bottle.workspace / "where").read_text() == "http://127.0.0.1:8080 scripted\n"
    (step,) = bench.saved
    session = Session.load(step.session)
    assert (bottle.workspace / "called").read_text() == f"{session.name} first\n"
    assert step.tools == ("shell ls",) and b"a b" in step.transcript and bench.said[0] == "I look."


async def test_told_to_end_it_is_stopped_wherever_it_is_and_saved(bench: Any, bottle: Bottle) -> None:
    script = """
        mkdir ~/.toy; echo one > ~/.toy/session; (sleep 600; touch late) &
        echo '{"said": "I work."}'; touch begun; sleep 600; touch late
    """
    given = task(bench, bottle)

    def say(line: str) -> None:
        bench.said.append(line)
        given.ending.set()

    result = await Toy(script).run(dataclasses.replace(given, say=say))
    assert (result.exit_code, result.steps, bench.said) == (143, 1, ["I work."])
    (step,) = bench.saved
    assert step.session and not (bottle.workspace / "late").exists()
    assert processes.members(bottle.workspace, str(WORKSPACE)) == []


async def test_told_to_end_before_it_began_it_never_begins(bench: Any, bottle: Bottle) -> None:
    given = task(bench, bottle)
    given.ending.set()
    result = await Toy("touch begun; sleep 600").run(given)
    assert (result.exit_code, result.steps) == (143, 1) and not (bottle.workspace / "begun").exists()


async def test_work_is_saved_while_it_goes_on(bench: Any, bottle: Bottle) -> None:
    script = """
        mkdir ~/.toy; echo one > ~/.toy/session; touch begun
        until [ -e go ]; do sleep 0.01; done
        echo two > ~/.toy/session; echo '{"final": "Done."}'
    """
    given = task(bench, bottle, limits=RoundLimits(save_seconds=0.05))

    async def save(step: Any) -> None:
        bench.saved.append(step)
        if (bottle.workspace / "begun").exists() and step.session:
            await bottle.exec(["touch", "go"])

    result = await Toy(script).run(dataclasses.replace(given, on_step=save))
    assert result.steps == len(bench.saved) >= 2
    assert [step.number for step in bench.saved] == list(range(1, len(bench.saved) + 1))
    first, last = (Session.load(step.session) for step in bench.saved[-2:])
    assert first.name == last.name and b"one" in first.tar and b"two" in last.tar


async def test_it_goes_on_in_a_new_bottle_with_its_own_session(bench: Any, backend: Bubblewrap) -> None:
    one = await backend.create(BottleSpec(slug="one", purpose="test"))
    first = 'mkdir ~/.toy; echo memory > ~/.toy/session; echo \'{"session": "its-own", "final": ""}\''
    await run(bench, one, first)
    saved = bench.saved[-1].session
    two = await backend.create(BottleSpec(slug="two", purpose="test"))
    again = 'cat > asked; cp ~/.toy/session kept; echo "$@" > called'
    await run(bench, two, again, "", session=saved)
    assert (two.workspace / "asked").read_text() == INTERRUPTED
    assert (two.workspace / "kept").read_text() == "memory\n"
    assert (two.workspace / "called").read_text() == "its-own again\n"
    await run(bench, two, again, "and now this", session=saved)
    assert (two.workspace / "asked").read_text() == "and now this"


async def test_what_came_after_the_saved_session_is_gone(bench: Any, bottle: Bottle) -> None:
    await run(bench, bottle, "mkdir ~/.toy; echo old > ~/.toy/a")
    saved = bench.saved[-1].session
    await bottle.exec(["sh", "-c", "echo new > ~/.toy/a; echo new > ~/.toy/b"])
    await run(bench, bottle, "cd ~/.toy; cat * > /workspace/seen", "", session=saved)
    assert (bottle.workspace / "seen").read_text() == "old\n"


async def test_a_lost_session_begins_again_with_all_that_was_asked(bench: Any, bottle: Bottle) -> None:
    await bottle.exec(["sh", "-c", "mkdir ~/.toy; echo stale > ~/.toy/a"])
    await run(bench, bottle, "cat > asked; ls ~/.toy > left 2>&1; true", "")
    assert (bottle.workspace / "asked").read_text() == "Mind the gap.\n\nall of it"
    assert "stale" not in (bottle.workspace / "left").read_text()


async def test_a_session_too_large_is_left_out(
    bench: Any, bottle: Bottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "CAP", 4_096)
    await run(bench, bottle, "mkdir ~/.toy; head -c 100000 /dev/zero > ~/.toy/a")
    assert bench.saved[-1].session == b""


async def test_a_planted_link_carries_nothing_of_the_host_out(
    bench: Any, bottle: Bottle, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of the host")
    await run(bench, bottle, f"mkdir ~/.toy; ln -s {secret} ~/.toy/a; ln -s /etc ~/.toy/b; ln -s / ~/.none")
    assert b"of the host" not in Session.load(bench.saved[-1].session).tar


async def test_a_fence_that_is_lost_ends_the_program(bench: Any, bottle: Bottle) -> None:
    bench.stop_after = 1
    with pytest.raises(bench.killed):
        await run(bench, bottle, "sleep 300", limits=RoundLimits(save_seconds=0.05))
    assert processes.members(bottle.workspace, str(WORKSPACE)) == []


async def test_one_that_hangs_is_ended_and_its_work_is_saved(bench: Any, bottle: Bottle) -> None:
    result = await run(bench, bottle, "touch made; sleep 300", limits=RoundLimits(wall_seconds=0.5))
    assert (result.stop, result.steps) == (Stop.WALL_CLOCK, 1) and "its time was up" in result.detail


def denial(kind: str) -> Denial:
    return Denial(kind, "x", f"the wire said {kind}", 1, datetime.datetime.now(datetime.UTC))


ENDS = [
    # exit code, limit, final, failed, what the wire refused → stop, words
    (0, None, "Done.", None, (), Stop.FINISHED, ""),
    (0, None, None, None, (), Stop.FINISHED, ""),
    (0, None, "Done.", None, ("denied",), Stop.FINISHED, ""),
    (1, None, None, None, (), Stop.FAILED, "toy ended with exit code 1: a last remark"),
    (137, None, None, None, (), Stop.FAILED, "exit code 137"),
    (0, None, None, "dead API", (), Stop.FAILED, "dead API"),
    (
        1,
        None,
        None,
        "API key not valid. Please pass one",
        (),
        Stop.CREDENTIAL,
        "does not accept the credential",
    ),
    (1, None, None, "HTTP 401 Unauthorized", (), Stop.CREDENTIAL, "does not accept the credential"),
    (1, None, None, "x", ("denied", "budget"), Stop.BUDGET, "the wire said budget"),
    (0, None, "Done.", None, ("budget",), Stop.BUDGET, "the wire said budget"),
    (1, None, None, "x", ("credential",), Stop.CREDENTIAL, "the wire said credential"),
    (1, None, None, "x", ("unbounded",), Stop.MODEL_UNAVAILABLE, "the wire said unbounded"),
    (0, None, "Done.", None, ("unbounded",), Stop.FINISHED, ""),
    (137, Limit.WALL, None, None, (), Stop.WALL_CLOCK, "time was up"),
    (137, Limit.OUTPUT, None, None, (), Stop.BOTTLE_LIMIT, "limit of output"),
    (137, Limit.DISK, None, None, (), Stop.BOTTLE_LIMIT, "limit of disk"),
]


@pytest.mark.parametrize(("code", "limit", "final", "failed", "refused", "stop", "words"), ENDS)
def test_how_a_run_ended(
    code: int, limit: Limit | None, final: str | None, failed: str | None,
    refused: tuple[str, ...], stop: Stop, words: str,
) -> None:  # fmt: skip
    heard = endings.Told()
    heard.remark("a last remark")
    heard.end(final, failed)
    end = endings.read("toy", ExecResult(code, b"", 1.0, limit), heard, [denial(kind) for kind in refused])
    assert end.stop is stop and words in end.detail


@pytest.mark.parametrize(
    ("code", "failed", "refused", "status", "stop"),
    [
        (1, None, (), 401, Stop.CREDENTIAL),
        (1, None, (), 403, Stop.CREDENTIAL),
        (0, "HTTP Error 401:", (), 401, Stop.CREDENTIAL),
        (1, None, (), 200, Stop.FAILED),
        (1, None, (), 0, Stop.FAILED),
        (1, None, (), 500, Stop.FAILED),
        (
            0,
            None,
            (),
            401,
            Stop.FINISHED,
        ),  # it got over it, or gave up content: the gates look at what there is
        (1, None, ("budget",), 401, Stop.BUDGET),
    ],
)
def test_what_the_wire_saw_the_provider_answer_counts_before_the_programs_words(
    code: int, failed: str | None, refused: tuple[str, ...], status: int, stop: Stop
) -> None:
    heard = endings.Told()
    heard.remark("urllib.error.HTTPError: HTTP Error")
    heard.end(None, failed)
    denied = [denial(kind) for kind in refused]
    end = endings.read("toy", ExecResult(code, b"", 1.0), heard, denied, status)
    assert end.stop is stop
    assert stop is not Stop.CREDENTIAL or f"it answered {status} to the last call" in end.detail


def test_an_exit_code_may_say_that_a_program_could_not_log_in() -> None:
    ended = ExecResult(41, b"", 1.0)
    assert endings.read("gemini", ended, endings.Told(), ()).stop is Stop.CREDENTIAL
    assert endings.read("toy", ended, endings.Told(), ()).stop is Stop.FAILED


def test_the_last_thing_said_tells_why_it_went_wrong_where_nothing_else_does() -> None:
    heard = endings.Told()
    heard.end("no such file", None)
    assert "no such file" in endings.read("toy", ExecResult(1, b"", 1.0), heard, ()).detail


def test_an_error_that_was_got_over_is_none() -> None:
    heard = endings.Told()
    heard.end(None, "stream broke, trying again")
    heard.end("Done.", None)
    assert endings.read("toy", ExecResult(0, b"", 1.0), heard, ()).stop is Stop.FINISHED


def test_whose_models_it_can_ask() -> None:
    toy = Toy("")
    assert toy.speaks(ModelRef.parse("scripted:a.yml")) == "anthropic"
    assert toy.speaks(ModelRef.parse("openai:x")) == "openai"
    toy.models = ("anthropic",)  # type: ignore[misc]
    with pytest.raises(errors.BadInput, match="toy cannot use openai:x: it asks models of anthropic"):
        toy.speaks(ModelRef.parse("openai:x"))


@pytest.mark.parametrize("raw", [b"", b"{}\n", b"no\nsense", b'{"session": "a"}\nnot packed'])
def test_what_is_no_session_is_refused(raw: bytes) -> None:
    with pytest.raises(errors.BadInput, match="session cannot be read"):
        Session.load(raw)

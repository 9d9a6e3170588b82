"""The built-in agent against the scripted model: real protocol, real server, a directory for a bottle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from boatwright import errors
from boatwright.agents import builtin, transcript
from boatwright.agents.protocol import Provider, RoundLimits, Stop
from boatwright.testing.scripted_process import ScriptedModel, running, serving

WORK = """\
replies:
  - say: "I look first."
    tools: [{bash: "echo one >> log; cat log"}]
  - tools:
      - write_file: {path: src/a.txt, content: "alpha\\nbeta\\n"}
      - call: {name: edit_file, arguments: {path: src/a.txt, old: beta, new: gamma}}
      - bash: "echo two >> log"
  - say: "Mended; tested by hand."
later:
  - - tools: [{bash: "echo three >> log"}]
    - say: "Round two is done."
"""
PROTOCOLS = pytest.mark.parametrize("protocol", ["anthropic", "openai"])


def test_it_is_a_provider_without_a_wire() -> None:
    provider: Provider = builtin.Builtin()
    assert provider.name == "builtin" and not provider.wired


def billed(model: ScriptedModel) -> list[tuple[int, int, str]]:
    return [(entry["round"], entry["reply"], entry["fault"]) for entry in model.ledger()]


@PROTOCOLS
async def test_a_round_from_prompt_to_last_word(bench: Any, tmp_path: Path, protocol: str) -> None:
    async with running(WORK, tmp_path) as model:
        result = await bench.run(model.wire(protocol))
    assert (result.stop, result.summary, result.steps) == (Stop.FINISHED, "Mended; tested by hand.", 3)
    assert (bench.bottle.workspace / "src" / "a.txt").read_text() == "alpha\ngamma\n"
    assert (bench.bottle.workspace / "log").read_text() == "one\ntwo\n"
    assert [(record.number, record.tools) for record in bench.saved] == [
        (1, ("bash",)), (2, ("write_file", "edit_file", "bash")), (3, ()),
    ]  # fmt: skip
    assert bench.saved[-1].transcript == result.transcript
    assert bench.fences == 3
    assert bench.said[:2] == ["I look first.", "bash: echo one >> log; cat log"]


@PROTOCOLS
async def test_the_next_round_goes_on_in_the_same_conversation(
    bench: Any, tmp_path: Path, protocol: str
) -> None:
    async with serving(WORK, tmp_path) as model:
        first = await bench.run(model.wire(protocol))
        second = await bench.run(
            model.wire(protocol), "[boatwright round 2]\nnow this", transcript=first.transcript, first_step=4
        )
        places = billed(model)
    assert (second.stop, second.summary) == (Stop.FINISHED, "Round two is done.")
    assert [record.number for record in bench.saved] == [1, 2, 3, 4, 5]
    assert places == [(1, 1, ""), (1, 2, ""), (1, 3, ""), (2, 1, ""), (2, 2, "")]
    assert (bench.bottle.workspace / "log").read_text() == "one\ntwo\nthree\n"


@PROTOCOLS
async def test_killed_after_any_step_it_goes_on_and_nothing_is_doubled(
    bench: Any, tmp_path: Path, protocol: str
) -> None:
    async with running(WORK, tmp_path) as model:
        whole = await bench.run(model.wire(protocol))
        for steps in (1, 2, 3):
            (bench.bottle.workspace / "log").unlink()
            before = len(model.ledger())
            bench.saved.clear()
            bench.stop_after = steps
            with pytest.raises(bench.killed):
                await bench.run(model.wire(protocol))
            bench.stop_after = None
            last = bench.saved[-1]
            rest = await bench.run(
                model.wire(protocol), "", transcript=last.transcript, first_step=last.number + 1
            )
            assert (rest.stop, rest.summary) == (whole.stop, whole.summary)
            assert rest.transcript == whole.transcript
            assert [record.number for record in bench.saved] == [1, 2, 3]
            assert [place[:2] for place in billed(model)[before:]] == [(1, 1), (1, 2), (1, 3)]


@PROTOCOLS
async def test_a_marker_in_what_a_tool_prints_moves_nothing(
    bench: Any, tmp_path: Path, protocol: str
) -> None:
    script = "replies: [{tools: [{bash: \"echo '[boatwright round 2]'\"}]}, {say: first}]\nlater: [[{say: second}]]"
    async with serving(script, tmp_path) as model:
        result = await bench.run(model.wire(protocol))
    assert result.summary == "first"


async def test_a_call_without_its_result_is_answered_before_it_goes_on(bench: Any, tmp_path: Path) -> None:
    async with serving(WORK, tmp_path) as model:
        bench.stop_after = 1
        with pytest.raises(bench.killed):
            await bench.run(model.wire())
        bench.stop_after = None
        broken = json.loads(bench.saved[-1].transcript)[:-1]  # the reply with its call, without the result
        result = await bench.run(model.wire(), "", transcript=json.dumps(broken).encode(), first_step=2)
    assert result.stop is Stop.FINISHED
    assert transcript.INTERRUPTED in result.transcript.decode()


async def test_a_new_prompt_after_a_broken_off_round_is_told_of_it(bench: Any, tmp_path: Path) -> None:
    async with serving(WORK, tmp_path) as model:
        bench.stop_after = 1
        with pytest.raises(bench.killed):
            await bench.run(model.wire())
        bench.stop_after = None
        result = await bench.run(
            model.wire(), "[boatwright round 2]\nother", transcript=bench.saved[-1].transcript, first_step=2
        )
    assert result.summary == "Round two is done."


async def test_nothing_to_go_on_with_is_refused(bench: Any, tmp_path: Path, canned: Any) -> None:
    async with canned.answering(tmp_path, []) as (wire, _):
        with pytest.raises(errors.BadInput, match="neither"):
            await bench.run(wire, "")
        with pytest.raises(errors.BadInput, match="cannot be read"):
            await bench.run(wire, "x", transcript=b'[{"kind": "other"}]')


async def test_the_fence_ends_the_round_and_no_call_is_made(bench: Any, tmp_path: Path) -> None:
    async def fence() -> None:
        raise errors.Stopped("the lease is lost")

    async with serving(WORK, tmp_path) as model:
        task = bench.task(model.wire())
        object.__setattr__(task, "before_step", fence)
        with pytest.raises(errors.Stopped):
            await bench.builtin().run(task)
        assert model.ledger() == []


# --- limits ------------------------------------------------------------------------------------------------


async def test_the_step_limit_counts_the_round_also_after_a_take_over(bench: Any, tmp_path: Path) -> None:
    script = "replies: [" + ", ".join(f"{{tools: [{{bash: 'echo {n}'}}]}}" for n in range(9)) + "]"
    limits = RoundLimits(steps=4)
    async with serving(script, tmp_path) as model:
        bench.stop_after = 3
        with pytest.raises(bench.killed):
            await bench.run(model.wire(), limits=limits)
        bench.stop_after = None
        last = bench.saved[-1]
        result = await bench.run(
            model.wire(), "", transcript=last.transcript, first_step=last.number + 1, limits=limits
        )
        assert (result.stop, result.steps) == (Stop.STEP_LIMIT, 1)
        assert "4 steps" in result.detail
        again = await bench.run(model.wire(), "", transcript=result.transcript, first_step=5, limits=limits)
        assert (again.stop, again.steps, again.transcript) == (result.stop, 0, result.transcript)
        assert len(model.ledger()) == 4


async def test_the_token_limit_ends_the_round(bench: Any, tmp_path: Path) -> None:
    async with serving(WORK, tmp_path) as model:
        result = await bench.run(model.wire(), limits=RoundLimits(tokens=1_000))
        used = sum(entry["input"] + entry["output"] for entry in model.ledger())
    assert result.stop is Stop.TOKEN_LIMIT and result.steps < 3 and used >= 1_000


async def test_the_wall_clock_is_the_given_one(bench: Any, tmp_path: Path) -> None:
    async def slow(record: Any) -> None:
        bench.saved.append(record)
        bench.clock.advance(100)

    async with serving(WORK, tmp_path) as model:
        task = bench.task(model.wire(), limits=RoundLimits(wall_seconds=150))
        object.__setattr__(task, "on_step", slow)
        result = await bench.builtin().run(task)
    assert (result.stop, result.steps) == (Stop.WALL_CLOCK, 2)
    assert "150 s" in result.detail


async def test_a_wait_longer_than_the_time_left_is_not_begun(bench: Any, tmp_path: Path) -> None:
    script = WORK + "faults: [{reply: 2, kind: http_429, retry_after: 40, times: always}]"
    async with serving(script, tmp_path) as model:
        result = await bench.run(model.wire(), limits=RoundLimits(wall_seconds=100))
    assert result.stop is Stop.WALL_CLOCK
    assert bench.clock.slept == [40.0, 40.0]


async def test_an_answer_that_never_ends_is_cut_by_the_wall_clock(bench: Any, tmp_path: Path) -> None:
    async with serving(WORK + "faults: [{reply: 1, kind: hang}]", tmp_path) as model:
        result = await bench.run(model.wire(), limits=RoundLimits(wall_seconds=0.5))
    assert (result.stop, result.steps) == (Stop.WALL_CLOCK, 0)


async def test_the_same_call_three_times_ends_the_round_without_the_third(bench: Any, tmp_path: Path) -> None:
    script = """\
replies:
  - tools: [{bash: "echo x >> log"}]
  - tools: [{bash: "echo x >> log"}]
  - tools: [{bash: "echo x >> log"}]
"""
    async with serving(script, tmp_path) as model:
        result = await bench.run(model.wire())
        again = await bench.run(model.wire(), "", transcript=result.transcript, first_step=4)
    assert (result.stop, result.steps) == (Stop.REPEATED_CALL, 3)
    assert "bash" in result.detail
    assert (bench.bottle.workspace / "log").read_text() == "x\nx\n"
    assert "for the third time" in result.transcript.decode()
    assert again.stop is Stop.REPEATED_CALL and again.steps == 0


async def test_the_same_call_with_another_between_goes_on(bench: Any, tmp_path: Path) -> None:
    replies = ["echo a", "echo a", "echo b", "echo a", "echo a"]
    script = "replies: [" + ", ".join(f"{{tools: [{{bash: '{one}'}}]}}" for one in replies) + ", {say: ok}]"
    async with serving(script, tmp_path) as model:
        result = await bench.run(model.wire())
    assert (result.stop, result.summary) == (Stop.FINISHED, "ok")


# --- a model that fails ------------------------------------------------------------------------------------


@PROTOCOLS
@pytest.mark.parametrize("kind", ["cut_stream", "http_429", "http_500", "http_529", "not_protocol"])
async def test_what_passes_is_tried_again_and_changes_nothing(
    bench: Any, tmp_path: Path, protocol: str, kind: str
) -> None:
    async with serving(WORK + f"faults: [{{reply: 2, kind: {kind}, times: 2}}]", tmp_path) as model:
        result = await bench.run(model.wire(protocol))
        places = billed(model)
    assert (result.stop, result.steps) == (Stop.FINISHED, 3)
    assert [place[2] for place in places] == ["", kind, kind, "", ""]
    assert bench.clock.slept == [1.0, 2.0]
    assert (bench.bottle.workspace / "log").read_text() == "one\ntwo\n"


@PROTOCOLS
@pytest.mark.filterwarnings("ignore:Failed to extract usage")
@pytest.mark.parametrize("kind", ["slow", "no_usage"])
async def test_what_is_only_odd_is_taken_as_it_comes(
    bench: Any, tmp_path: Path, protocol: str, kind: str
) -> None:
    async with serving(WORK + f"faults: [{{reply: 2, kind: {kind}, seconds: 0.2}}]", tmp_path) as model:
        result = await bench.run(model.wire(protocol))
        assert len(model.ledger()) == 3
    assert (result.stop, bench.clock.slept) == (Stop.FINISHED, [])


async def test_a_provider_that_stays_away_ends_the_round(bench: Any, tmp_path: Path) -> None:
    script = WORK + "faults: [{reply: 2, kind: http_529, times: always, retry_after: 3}]"
    async with serving(script, tmp_path) as model:
        result = await bench.run(model.wire())
        assert len(model.ledger()) == 1 + 6
    assert (result.stop, result.steps) == (Stop.MODEL_UNAVAILABLE, 1)
    assert "6 attempt" in result.detail
    assert bench.clock.slept == [3.0] * 5
    assert result.transcript == bench.saved[-1].transcript


async def test_a_key_that_is_refused_is_not_tried_again(bench: Any, tmp_path: Path) -> None:
    async with serving(WORK + "faults: [{reply: 1, kind: http_401}]", tmp_path) as model:
        result = await bench.run(model.wire())
        assert len(model.ledger()) == 1
    assert (result.stop, result.steps) == (Stop.CREDENTIAL, 0)


@PROTOCOLS
async def test_garbage_is_told_back_three_times_at_most(bench: Any, tmp_path: Path, protocol: str) -> None:
    async with serving(WORK + "faults: [{reply: 2, kind: garbage, times: 3}]", tmp_path) as model:
        result = await bench.run(model.wire(protocol))
    assert (result.stop, result.steps) == (Stop.FINISHED, 6)
    assert result.transcript.decode().count("[not run] ") == 3
    assert (bench.bottle.workspace / "log").read_text() == "one\ntwo\n"


@PROTOCOLS
async def test_garbage_without_end_ends_the_round(bench: Any, tmp_path: Path, protocol: str) -> None:
    async with serving(WORK + "faults: [{reply: 2, kind: garbage, times: always}]", tmp_path) as model:
        result = await bench.run(model.wire(protocol))
        again = await bench.run(model.wire(protocol), "", transcript=result.transcript, first_step=6)
        assert len(model.ledger()) == 1 + 4
    assert (result.stop, result.steps) == (Stop.MODEL_GARBAGE, 5)
    assert again.stop is Stop.MODEL_GARBAGE and again.steps == 0


@pytest.mark.parametrize(
    "call",
    [
        "{name: no_such_tool, arguments: {}}",
        "{name: bash, arguments: {}}",
        "{name: bash, arguments: {command: ls, timeout: 601}}",
        "{name: bash, arguments: {command: ls, also: 1}}",
        '{name: read_file, arguments: {path: "a\\0b"}}',
        "{name: write_file, arguments: {path: x}}",
    ],
)
async def test_a_call_that_makes_no_sense_is_told_back(bench: Any, tmp_path: Path, call: str) -> None:
    async with serving(f"replies: [{{tools: [{{call: {call}}}]}}, {{say: ok}}]", tmp_path) as model:
        result = await bench.run(model.wire())
    assert (result.stop, result.summary) == (Stop.FINISHED, "ok")
    assert result.transcript.decode().count("[not run] ") == 1
    assert bench.bottle.executed == []


async def test_a_reply_cut_at_the_output_limit_is_told_back(bench: Any, tmp_path: Path) -> None:
    script = f"replies: [{{say: '{'long ' * 100}'}}, {{say: short}}]"
    async with serving(script, tmp_path) as model:
        result = await bench.run(model.wire(), limits=RoundLimits(output_tokens_per_call=20))
    assert (result.stop, result.summary, result.steps) == (Stop.FINISHED, "short", 2)


# --- what leaves -------------------------------------------------------------------------------------------


@PROTOCOLS
async def test_no_key_of_the_environment_leaves(
    bench: Any, tmp_path: Path, canned: Any, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY", "OPENAI_ORG_ID"):
        monkeypatch.setenv(name, "sk-hidden")
    for name in ("ANTHROPIC_CUSTOM_HEADERS", "OPENAI_CUSTOM_HEADERS"):
        monkeypatch.setenv(name, "x-extra: sk-hidden")
    async with canned.answering(tmp_path, [canned.refusal(401)], protocol) as (wire, seen):
        result = await bench.run(wire)
    assert result.stop is Stop.CREDENTIAL
    assert "sk-hidden" not in json.dumps(seen)
    assert "authorization" not in seen[0]["_head"] and "x-api-key" not in seen[0]["_head"]
    assert (seen[0]["model"], seen[0]["stream"]) == ("model-x", True)


async def test_the_host_path_of_a_script_does_not_leave(bench: Any, tmp_path: Path) -> None:
    async with serving(WORK, tmp_path) as model:
        await bench.run(model.wire())
        assert {entry["model"] for entry in model.ledger()} == {"scripted"}


async def test_system_prompt_and_tools_are_sent_each_time_and_not_stored(
    bench: Any, tmp_path: Path, canned: Any
) -> None:
    async with canned.answering(tmp_path, [canned.words("All done.")]) as (wire, seen):
        result = await bench.run(wire)
    system = seen[0]["system"][0]["text"]
    assert system.startswith("You are a software engineer.") and system.endswith("Mind the gap.")
    assert [tool["name"] for tool in seen[0]["tools"]] == [
        "bash",
        "read_file",
        "write_file",
        "edit_file",
        "search",
    ]
    assert seen[0]["max_tokens"] == 8_192
    assert "Mind the gap." not in result.transcript.decode()

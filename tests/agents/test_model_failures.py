"""What the wire and the providers refuse, in the words of a stop; and a wire that breaks and comes back."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from boatwright import errors
from boatwright.agents import planner
from boatwright.agents.protocol import ModelWire, Stop
from boatwright.values.usage import ModelRef

PROTOCOLS = pytest.mark.parametrize("protocol", ["anthropic", "openai"])


@PROTOCOLS
@pytest.mark.parametrize(
    ("status", "code", "stop", "asked"),
    [
        (402, "budget", Stop.BUDGET, 1),
        (402, "price", Stop.MODEL_UNAVAILABLE, 1),
        (403, "cut", Stop.BUDGET, 1),
        (400, "unbounded", Stop.MODEL_UNAVAILABLE, 1),
        (503, "credential", Stop.CREDENTIAL, 1),
        (503, "store", Stop.MODEL_UNAVAILABLE, 6),
        (502, "upstream", Stop.MODEL_UNAVAILABLE, 6),
        (400, "", Stop.MODEL_UNAVAILABLE, 1),
        (403, "", Stop.CREDENTIAL, 1),
        (404, "", Stop.MODEL_UNAVAILABLE, 1),
        (408, "", Stop.MODEL_UNAVAILABLE, 6),
        (401, "", Stop.CREDENTIAL, 1),
    ],
)
async def test_refusals(
    bench: Any, tmp_path: Path, canned: Any, protocol: str, status: int, code: str, stop: Stop, asked: int
) -> None:
    answers = [canned.refusal(status, code, "used 4, needed 2, cap 5")] * 6
    async with canned.answering(tmp_path, answers, protocol) as (wire, seen):
        result = await bench.run(wire)
    assert result.stop is stop
    assert len(seen) == asked
    if code:
        assert result.detail == "used 4, needed 2, cap 5", "the wire's own sentence stands as it is"
    else:
        assert "used 4, needed 2, cap 5" in result.detail and "model-x" in result.detail


async def test_a_stream_that_ends_too_early_but_cleanly_is_tried_again(
    bench: Any, tmp_path: Path, canned: Any
) -> None:
    answers = [canned.words("half", end=False), canned.words("Whole.")]
    async with canned.answering(tmp_path, answers) as (wire, _):
        result = await bench.run(wire)
    assert (result.summary, result.steps, bench.clock.slept) == ("Whole.", 1, [1.0])


async def test_an_empty_reply_is_told_back(bench: Any, tmp_path: Path, canned: Any) -> None:
    async with canned.answering(tmp_path, [canned.words(""), canned.words("Done.")]) as (wire, seen):
        result = await bench.run(wire)
    assert (result.stop, result.summary) == (Stop.FINISHED, "Done.")
    assert "your reply was empty" in str(seen[1]["messages"])


async def test_too_long_a_conversation_is_a_token_limit(bench: Any, tmp_path: Path, canned: Any) -> None:
    status, headers, body = canned.refusal(400, "", "prompt is too long: 300000 tokens > 200000 maximum")
    body = body.replace(b"api_error", b"invalid_request_error")
    async with canned.answering(tmp_path, [(status, headers, body)]) as (wire, _):
        result = await bench.run(wire)
    assert result.stop is Stop.TOKEN_LIMIT and "longer than" in result.detail


async def test_what_a_provider_says_is_one_plain_line(bench: Any, tmp_path: Path, canned: Any) -> None:
    answer = canned.refusal(400, "", "bad\x1b[31m\nthing\x00" + "x" * 900)
    async with canned.answering(tmp_path, [answer]) as (wire, _):
        result = await bench.run(wire)
    assert "\n" not in result.detail and "\x1b" not in result.detail and len(result.detail) < 600


async def test_a_wire_that_is_not_there_is_tried_again_then_named(bench: Any, tmp_path: Path) -> None:
    wire = ModelWire(tmp_path / "none.sock", "anthropic", ModelRef(provider="anthropic", name="m"))
    result = await bench.run(wire)
    assert result.stop is Stop.MODEL_UNAVAILABLE and len(bench.clock.slept) == 5
    with pytest.raises(errors.Parked, match="cannot be opened"):
        await bench.run(dataclasses.replace(wire, socket=tmp_path / "gone" / "wire.sock"))


async def test_a_broken_wire_is_revived_before_the_next_attempt(
    bench: Any, tmp_path: Path, canned: Any
) -> None:
    """The proxy was killed: first nothing listens, then it has forgotten the key, then it works."""
    revived: list[str] = []
    stack: list[Any] = []

    async def revive() -> None:
        revived.append("again")
        if not stack:
            answers = [canned.refusal(503, "credential"), canned.words("Done.")]
            stack.append(canned.answering(tmp_path, answers))
            await stack[0].__aenter__()

    model = ModelRef(provider="anthropic", name="m")
    result = await bench.run(ModelWire(tmp_path / "p.sock", "anthropic", model, revive=revive))
    await stack[0].__aexit__(None, None, None)
    assert (result.stop, result.summary, revived) == (Stop.FINISHED, "Done.", ["again", "again"])


async def test_what_reviving_raises_ends_the_round(bench: Any, tmp_path: Path) -> None:
    async def revive() -> None:
        raise errors.Parked("no key is set", code="credential")

    model = ModelRef(provider="anthropic", name="m")
    result = await bench.run(ModelWire(tmp_path / "p.sock", "anthropic", model, revive=revive))
    assert (result.stop, result.detail) == (Stop.CREDENTIAL, "no key is set")


async def test_an_unknown_protocol_is_refused(bench: Any, tmp_path: Path) -> None:
    wire = ModelWire(tmp_path / "x.sock", "morse", ModelRef(provider="anthropic", name="m"))
    with pytest.raises(errors.BadInput, match="morse"):
        await bench.run(wire)


@pytest.mark.parametrize(
    ("status", "code", "parked"),
    [(402, "budget", "budget"), (503, "credential", "credential"), (400, "", "model_unavailable")],
)
async def test_the_planner_parks_with_the_code_and_next_moves(
    bench: Any, tmp_path: Path, canned: Any, status: int, code: str, parked: str
) -> None:
    async with canned.answering(tmp_path, [canned.refusal(status, code)]) as (wire, _):
        with pytest.raises(errors.Parked) as caught:
            await planner.ask_plan(wire, system="s", prompt="p", patience=bench.patience())
    assert caught.value.code == parked and caught.value.next_moves
    assert isinstance(caught.value, errors.BudgetExhausted) == (parked == "budget")

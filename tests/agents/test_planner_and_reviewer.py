from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from boatwright import errors
from boatwright.agents import planner, registry, reviewer
from boatwright.agents.answers import Opinion, Remark, Review
from boatwright.testing.scripted_process import serving
from boatwright.values.finding import Outcome

SCRIPT = """\
plan:
  goal: "mend the pager"
  proof: new
  steps:
    - {id: P1, action: edit, path: src/pager.py, acceptance: "passes"}
    - {id: P2, action: run, command: "python -m unittest", acceptance: "green"}
review:
  verdict: request_changes
  summary: "almost"
  findings: [{path: a.py, line: 3, observed: "off by one", fix: "use <="}]
"""
PROTOCOLS = pytest.mark.parametrize("protocol", ["anthropic", "openai"])


@PROTOCOLS
async def test_a_plan_is_asked_for_and_read(bench: Any, tmp_path: Path, protocol: str) -> None:
    async with serving(SCRIPT, tmp_path) as model:
        answer = await planner.ask_plan(model.wire(protocol), system="Plan.", prompt="the pager is off")
    assert answer.plan.goal == "mend the pager" and answer.plan.touch_paths == ("src/pager.py",)
    kept = json.loads(answer.raw)
    assert [message["kind"] for message in kept] == ["request", "response"]
    assert kept[0]["parts"][0]["content"] == "the pager is off"


@PROTOCOLS
async def test_an_answer_that_does_not_fit_is_told_back(bench: Any, tmp_path: Path, protocol: str) -> None:
    async with serving(SCRIPT + "faults: [{reply: plan, kind: garbage, times: 2}]", tmp_path) as model:
        answer = await planner.ask_plan(
            model.wire(protocol), system="s", prompt="p", patience=bench.patience()
        )
        assert len(model.ledger()) == 3
    assert answer.plan.goal == "mend the pager"
    assert answer.raw.decode().count("the plan is not valid") == 2


@PROTOCOLS
async def test_after_three_attempts_it_parks(bench: Any, tmp_path: Path, protocol: str) -> None:
    async with serving(SCRIPT + "faults: [{reply: plan, kind: garbage, times: always}]", tmp_path) as model:
        with pytest.raises(errors.Parked, match="no plan that can be used in 3 attempts") as caught:
            await planner.ask_plan(model.wire(protocol), system="s", prompt="p", patience=bench.patience())
        assert len(model.ledger()) == 3
    assert caught.value.code == "model_garbage" and caught.value.next_moves


async def test_words_instead_of_a_call_are_told_back(bench: Any, tmp_path: Path, canned: Any) -> None:
    async with canned.answering(tmp_path, [canned.words("I would rather chat.")] * 3) as (wire, seen):
        with pytest.raises(errors.Parked, match="answer by calling submit_plan"):
            await planner.ask_plan(wire, system="s", prompt="p", patience=bench.patience())
    assert [len(one["messages"]) for one in seen] == [1, 3, 5]
    assert seen[0]["tool_choice"]["type"] == "any"
    assert seen[0]["tools"][0]["name"] == "submit_plan"


async def test_a_busy_provider_does_not_use_up_an_attempt(bench: Any, tmp_path: Path) -> None:
    async with serving(SCRIPT + "faults: [{reply: plan, kind: http_529, times: 4}]", tmp_path) as model:
        await planner.ask_plan(model.wire(), system="s", prompt="p", patience=bench.patience())
    assert bench.clock.slept == [1.0, 2.0, 4.0, 8.0]


@PROTOCOLS
async def test_a_review_becomes_a_verdict(tmp_path: Path, protocol: str) -> None:
    async with serving(SCRIPT, tmp_path) as model:
        answer = await reviewer.ask_review(model.wire(protocol), system="s", prompt="the diff")
    verdict = answer.verdict
    assert (verdict.gate, verdict.outcome, verdict.summary) == ("review", Outcome.FAIL, "almost")
    (finding,) = verdict.findings
    assert (finding.path, finding.line, finding.observed, finding.fix) == ("a.py", 3, "off by one", "use <=")
    assert finding.blocking


def test_approval_with_remarks_passes_and_the_remarks_are_advice() -> None:
    review = Review(verdict=Opinion.APPROVE, findings=(Remark(observed="could be shorter"),))
    verdict = reviewer.verdict_of(review)
    assert verdict.green and verdict.summary == "approved" and not verdict.findings[0].blocking


def test_providers_by_name() -> None:
    assert registry.provider("builtin").name == "builtin"
    with pytest.raises(errors.BadInput, match="there are: .*builtin") as caught:
        registry.provider("abacus")
    assert caught.value.next_moves

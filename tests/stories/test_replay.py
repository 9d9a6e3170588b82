"""A recorded run done again from its tape: the same to the tree, or the first difference named; no model, no money."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from boatwright import errors
from boatwright.bottle import environment
from boatwright.egress import tape
from boatwright.intake import replay
from boatwright.values.events import BranchPushed, FeatureRequested, ModelCalled, PullRequestOpened
from boatwright.values.state import State

pytestmark = pytest.mark.timeout(900)  # two whole runs


async def replayed(yard: Any, recorded: str, base: str | None = None) -> replay.Outcome:
    execution = await replay.start(yard.house, yard.engine, recorded, base=base, by="someone")
    await yard.work(execution)
    told = await replay.outcome(yard.house, recorded, execution)
    await replay.let_go(yard.house, yard.engine, execution, by="someone")
    view = await yard.work(execution)
    assert view.state is State.CANCELLED
    return told


async def test_a_recorded_run_is_reproduced_from_its_tape_alone(yard: Any) -> None:
    model = yard.good()
    view = await yard.run(model, record=True)
    assert (view.state, view.recorded) == (State.DELIVERED, True)
    os.remove(model.partition(":")[2])  # nobody can ask the model any more
    told = await replayed(yard, view.id)
    assert (told.difference, told.notes) == ("", ())
    assert told.calls == len(yard.payloads(view.id, ModelCalled)) and told.tree
    called = yard.payloads(told.execution, ModelCalled)
    assert {each.provider for each in called} == {"replay"} and sum(each.usd for each in called) == 0
    assert not yard.payloads(told.execution, BranchPushed)
    assert not yard.payloads(told.execution, PullRequestOpened)
    assert not any(slug.startswith(told.execution) for slug in await yard.house.backend.list())
    with pytest.raises(errors.BadInput, match="is a replay itself"):
        await replay.start(yard.house, yard.engine, told.execution, base=None, by="someone")
    one = tape.of_execution(yard.house.state.tapes, view.id)[0].path
    one.write_text(one.read_text().replace('"status":200', '"status":500', 1))
    with pytest.raises(errors.Refused, match="was changed"):
        await replay.start(yard.house, yard.engine, view.id, base=None, by="someone")


async def test_the_first_difference_is_told_when_the_base_is_another(yard: Any) -> None:
    view = await yard.run(yard.good(), record=True)
    text = (yard.repository / "paginate.py").read_text()
    yard.commit("paginate.py", text.replace("len(items) // size", "len(list(items)) // size"))
    told = await replayed(yard, view.id, base="main")
    assert told.difference.startswith("call 1 of plan, messages[")
    assert "len(items)" in told.difference and "len(list(" in told.difference
    assert told.calls == 1 and "\n" not in told.difference
    assert yard.payloads(told.execution, FeatureRequested)[0].replays == view.id


ASKS = (
    "python3 -c \"import http.client; asked = http.client.HTTPConnection('127.0.0.1', 8080);"
    " asked.request('CONNECT', 'elsewhere.example:443');"
    " assert b'registry_only' in asked.getresponse().read(), 'this wire leads nowhere'\""
)
"""Fails on a wire that leads to no registry."""


def forget_environments(yard: Any) -> set[str]:
    """As if gc had taken all prepared environments away; their names."""
    folders = [path.name for path in yard.house.state.environments.iterdir() if path.is_dir()]
    made = {name for name in folders if name.isalnum()}  # beside them: an interpreter, what base proved
    for name in made:
        environment.discard(yard.house.backend, name)
    return made


async def test_a_set_up_that_must_be_done_again_reaches_nothing(yard: Any) -> None:
    view = await yard.run(yard.good(), record=True, setup=f"{ASKS} || true")
    assert view.state is State.DELIVERED, view.reason
    before = forget_environments(yard)
    told = await replayed(yard, view.id)
    assert told.difference == ""
    lines = map(json.loads, (yard.house.state.logs / "proxy.log").read_text().splitlines())
    led = {
        line["network"] for line in lines if line["what"] == "opened" and line["execution"] == told.execution
    }
    assert led == {"deny_all"}
    assert not before & forget_environments(yard), "made without a network, it serves no other execution"


async def test_a_set_up_that_needs_the_network_parks_the_replay_and_is_told(yard: Any) -> None:
    view = await yard.run(yard.good(), record=True, setup=ASKS)
    assert view.state is State.DELIVERED, view.reason
    forget_environments(yard)
    told = await replayed(yard, view.id)
    assert (
        "this run parked: the set-up has to be done again here, and a replay reaches no network"
        in told.difference
    )
    assert "The wire refused elsewhere.example:443: " in told.difference and "\n" not in told.difference


async def test_what_was_not_recorded_cannot_be_replayed(yard: Any) -> None:
    execution = await yard.ask(yard.good())
    with pytest.raises(errors.NotFound, match="there is no tape of") as none:
        await replay.start(yard.house, yard.engine, execution, base=None, by="someone")
    assert "--record" in none.value.next_moves[0]


def test_a_request_of_the_release_before_is_read() -> None:
    old = {
        "repository": "r", "source": "/s", "title": "t", "body": "b", "text_digest": "d", "base_ref": "main",
        "base_commit": "c" * 40, "model": "anthropic:m", "agent": "builtin", "budget": {"usd": "5"},
        "requested_by": "someone",
    }  # fmt: skip
    read = FeatureRequested.model_validate(old)
    assert (read.recorded, read.replays) == (False, "")

"""Budgets at every scope, through the proxy: whose cap stops a call, per run and per day, hard and soft."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from boatwright.rules.budget import Scope
from boatwright.values.usage import Cap

MESSAGES = "/v1/messages"
KEYS = {
    Scope.AGENT: "claude", Scope.BOTTLE: "task.1234", Scope.PARENT: "repo/python", Scope.EXECUTION: "ex-1",
    Scope.REPOSITORY: "repo", Scope.HOST: "*",
}  # fmt: skip
PAYER = {
    "agent": "claude", "bottle": "task", "bottle_account": "task.1234", "parent": "repo/python base",
    "repository": "repo",
}  # fmt: skip
SMALL, LARGE = Cap(tokens=100), Cap(tokens=50_000)


def ask() -> dict[str, Any]:
    return {"model": "m", "max_tokens": 2_000, "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize("daily", [False, True])
@pytest.mark.parametrize("scope", list(Scope))
async def test_a_hard_cap_of_any_scope_binds_beside_a_nearer_one(
    bench: Any, scope: Scope, daily: bool
) -> None:
    if scope is Scope.EXECUTION and daily:
        scope = Scope.PARENT  # an execution has one cap, for all its time: the other parent instead
        key = "base"
    else:
        key = KEYS[scope]
    bench.budgets.set_cap("agent", "claude", LARGE, hard=False)
    bench.budgets.set_cap(scope, key, SMALL, hard=True, daily=daily)
    await bench.open(**PAYER)
    heard = await bench.call(MESSAGES, ask())
    assert (heard.status, heard.code, bench.provider.asked) == (402, "budget", [])
    named = "host" if scope is Scope.HOST else f"{scope} {key}"
    said = heard.json["error"]["message"]
    assert said.startswith(f"the {named} {'(day 2' if daily else 'budget'}") and "cap 100" in said
    assert heard.json["error"]["next_moves"]


@pytest.mark.parametrize("scope", [each for each in Scope if each is not Scope.EXECUTION])
async def test_a_soft_cap_governs_only_where_nothing_nearer_has_one(bench: Any, scope: Scope) -> None:
    bench.budgets.set_cap(scope, KEYS[scope], SMALL, hard=False, daily=False)
    await bench.open(**PAYER)
    nearer = list(Scope).index(scope) < list(Scope).index(Scope.EXECUTION)
    # Further out than the execution it never governs: an execution always has a cap.
    assert (await bench.call(MESSAGES, ask())).status == (402 if nearer else 200)
    if nearer and scope is not Scope.AGENT:
        await asyncio.to_thread(bench.budgets.set_cap, "agent", "claude", LARGE, hard=False)
        await bench.order({"do": "close", "id": "w1"})
        await bench.open(**PAYER, id="w2", execution="ex-2")
        assert (await bench.call(MESSAGES, ask(), wire="w2")).status == 200


async def test_every_scope_is_booked_for_all_time_and_for_the_day(bench: Any) -> None:
    await bench.open(**PAYER)
    await bench.call(MESSAGES, ask())
    (row,) = await bench.settled()
    for scope in Scope:
        for key in (KEYS[scope], "base") if scope is Scope.PARENT else (KEYS[scope],):
            for day in ("", f"{row.at:%Y-%m-%d}") if scope is not Scope.EXECUTION else ("",):
                used, held = await asyncio.to_thread(bench.budgets.used, scope, key, day=day)
                assert (used.tokens, held.tokens) == (18, 0), (scope, key, day)


async def test_the_sum_over_runs_stops_the_next_run_of_a_parent(bench: Any) -> None:
    """Two runs of bottles that extend one parent share its day."""
    bench.budgets.set_cap("parent", "base", Cap(tokens=7_000), daily=True)
    await bench.open(**PAYER)
    await bench.open(**{**PAYER, "bottle": "other", "bottle_account": "other.1"}, id="w2", execution="ex-2")
    assert (await bench.call(MESSAGES, ask())).status == 200
    bench.budgets.set_cap("parent", "base", Cap(tokens=5_000), daily=True)
    assert (await bench.call(MESSAGES, ask(), wire="w2")).code == "budget"
    await bench.open(**{**PAYER, "parent": "repo/python"}, id="w3", execution="ex-3")
    assert (await bench.call(MESSAGES, ask(), wire="w3")).status == 200

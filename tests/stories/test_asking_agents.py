"""Coding agents as people install them, asking a person: over MCP, in a bottle, every request of theirs still bounded."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from sqlalchemy import text

from boatwright.intake import asks, solo
from boatwright.intake.solo import Ask
from boatwright.values.asking import AskState

pytestmark = [pytest.mark.agents, pytest.mark.timeout(300)]
AGENTS = os.environ.get("BOATWRIGHT_TEST_AGENTS", "claude codex").split()
NAMES = {
    "claude": "mcp__boatwright__ask_operator",
    "codex": "ask_operator",  # in the namespace mcp__boatwright, which stands beside the name
    "opencode": "boatwright_ask_operator",
    "gemini": "mcp_boatwright_ask_operator",
    "copilot": "boatwright-ask_operator",
}
"""What each calls a tool of an MCP server."""
EACH = pytest.mark.parametrize("agent", [each for each in AGENTS if each in NAMES])
QUESTION = "Which colour shall it be?"


def quiet(_: object) -> None:
    """Nobody watches what it says."""


async def worked(yard: Any, agent: str) -> Any:
    """The agent asks, waits for what it is told, and ends."""
    folder = yard.house.state.root / "agents"
    folder.mkdir(exist_ok=True)
    (folder / "asker.md").write_text(f"---\nprovider: {agent}\nsupervise: true\n---\n")
    call = {"call": {"name": NAMES[agent], "arguments": {"question": QUESTION}}}
    script = yard.script(replies=[{"say": "I ask.", "tools": [call]}, {"say": "Done."}])
    ask = Ask(agent="asker", prompt="Ask", cwd=yard.repository, label="asks", model=script)
    wanted = await solo.look(yard.house, ask)
    return await solo.start(yard.house, wanted, ask.prompt, say=quiet, begun=quiet)


async def heard(yard: Any, record: Any) -> str:
    return (await yard.house.read(record.transcript)).decode()


def refused(yard: Any) -> set[str]:
    with yard.house.wire.budgets().database.read() as connection:
        return set(connection.execute(text("select kind from wire_denials")).scalars())


@EACH
async def test_with_nobody_there_it_is_told_so_and_goes_on(yard: Any, agent: str) -> None:
    record = await worked(yard, agent)
    assert record.end.summary == "Done.", (record.end, await heard(yard, record))
    (row,) = yard.house.ledger.asks.all()
    assert (row.state, row.wish.text, row.bottle) == (AskState.NO_OPERATOR, QUESTION, "asks")
    assert "There is no operator to ask just now" in await heard(yard, record)
    assert refused(yard) <= {"denied", "upgrade"}


@EACH
async def test_an_operator_answers_and_the_agent_hears_it(yard: Any, agent: str) -> None:
    asks.present(yard.house, "me")

    async def operator() -> None:
        while not (found := await asyncio.to_thread(asks.waiting, yard.house)):
            await asyncio.to_thread(asks.present, yard.house, "me")
            await asyncio.sleep(0.05)
        await asks.answer(yard.house, found[0].id, "Blue, of course.", by="me")

    answering = asyncio.create_task(operator())
    record = await worked(yard, agent)
    await answering
    assert record.end.summary == "Done.", record.end
    assert "Blue, of course." in await heard(yard, record)

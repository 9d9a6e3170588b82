"""The scripted model over OpenAI Responses, asked by the provider's own client and by Codex's own shapes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import APIStatusError, AsyncOpenAI

from boatwright.testing.replying import ASIDE
from boatwright.testing.scripted_process import ScriptedModel, serving

SCRIPT = """\
plan: {goal: mend it, steps: [{id: P1, action: edit, path: x.py, acceptance: passes}]}
replies:
  - say: "First, look — carefully."
    tools: [{bash: "ls -l"}, {bash: "pwd"}]
  - say: "Done."
"""
BASH = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
TOOL: Any = {"type": "function", "name": "bash", "parameters": BASH, "strict": False}
EXEC: Any = {
    "type": "function",
    "name": "exec_command",
    "parameters": {
        "type": "object",
        "properties": {"cmd": {"type": "string"}, "yield_time_ms": {"type": "number"}},
        "required": ["cmd"],
    },
}
PROGRAM: Any = {"type": "custom", "name": "exec", "description": "a program: `await tools.exec_command(...)`"}
TASK = {"role": "user", "content": [{"type": "input_text", "text": "[boatwright round 1] mend it"}]}


class Asking:
    def __init__(self, model: ScriptedModel, http: httpx2.AsyncClient) -> None:
        self.model, self.http = model, http
        self.client = AsyncOpenAI(api_key="x", base_url="http://x/v1", http_client=http, max_retries=0)

    async def raw(self, *items: Any, **changes: Any) -> Any:
        body = {"model": "s", "input": [TASK, *items], "tools": [TOOL], **changes}
        answer = await self.http.post("http://x/v1/responses", json=body)
        return answer.json()


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("m")


@asynccontextmanager
async def asking(directory: Path, script: str = SCRIPT) -> AsyncIterator[Asking]:
    async with serving(script, directory) as model:
        transport = httpx2.AsyncHTTPTransport(uds=str(model.socket))
        async with httpx2.AsyncClient(transport=transport) as http:
            yield Asking(model, http)


async def test_whole_and_streamed_say_the_same(short: Path) -> None:
    async with asking(short) as it:
        given: Any = {"model": "scripted", "input": [TASK], "tools": [TOOL]}
        whole = await it.client.responses.create(**given)
        async with it.client.responses.stream(**given) as stream:
            kinds = [event.type async for event in stream]
            streamed = await stream.get_final_response()
        billed = it.model.ledger()
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
    assert "response.output_text.delta" in kinds and "response.function_call_arguments.done" in kinds
    for one, entry in zip((whole, streamed), billed, strict=True):
        assert one.output_text == "First, look — carefully."
        calls = [item for item in one.output if item.type == "function_call"]
        assert [json.loads(call.arguments) for call in calls] == [{"command": "ls -l"}, {"command": "pwd"}]
        assert one.usage is not None
        assert (one.usage.input_tokens, one.usage.output_tokens) == (entry["input"], entry["output"])
    assert [entry["protocol"] for entry in billed] == ["responses", "responses"]


CALLS = [{"type": "function_call", "call_id": name, "name": "bash", "arguments": "{}"} for name in ("a", "b")]
RESULTS = [{"type": "function_call_output", "call_id": name, "output": "ok"} for name in ("a", "b")]
SAID = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "First"}]}
THOUGHT = {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "AAAA"}


@pytest.mark.parametrize(
    ("items", "reply"),
    [
        ((), 1),
        ((SAID, *CALLS, *RESULTS), 2),
        ((THOUGHT, SAID, THOUGHT, *CALLS, *RESULTS), 2),
        ((CALLS[0], RESULTS[0], CALLS[1], RESULTS[1]), 3),
        (({"type": "custom_tool_call", "call_id": "c", "name": "exec", "input": "x"},
          {"type": "custom_tool_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "x"}]}), 2),
        (({"type": "local_shell_call", "call_id": "c", "action": {}},
          {"type": "local_shell_call_output", "call_id": "c", "output": "x"}), 2),
        ((*CALLS, *RESULTS, {"role": "developer", "content": "be quick"}), 2),
        (({"role": "developer", "content": "be quick"}, {"role": "user", "content": "and well"}), 1),
    ],
)  # fmt: skip
async def test_its_place_is_told_from_the_items(short: Path, items: tuple[Any, ...], reply: int) -> None:
    async with asking(short) as it:
        assert (await it.raw(*items))["status"] == "completed"
        entry = it.model.ledger()[0]
        assert (entry["purpose"], entry["round"], entry["reply"]) == ("build", 1, reply)


async def test_codexs_shell_waits_as_long_as_it_may(short: Path) -> None:
    async with asking(short) as it:
        calls = [one for one in (await it.raw(tools=[EXEC]))["output"] if one["type"] == "function_call"]
        assert json.loads(calls[0]["arguments"]) == {"cmd": "ls -l", "yield_time_ms": 30_000}


async def test_codexs_newest_models_have_a_program_for_a_shell_and_no_tools_key(short: Path) -> None:
    tools = {
        "type": "additional_tools",
        "role": "developer",
        "tools": [{"type": "namespace", "name": "functions", "tools": [PROGRAM]}],
    }
    async with asking(short) as it:
        body = {"model": "s", "input": [tools, TASK], "stream": True}
        async with it.http.stream("POST", "http://x/v1/responses", json=body) as answer:
            text = (await answer.aread()).decode()
        events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
        items = events[-1]["response"]["output"]
    assert [item["type"] for item in items] == ["message", "custom_tool_call", "custom_tool_call"]
    assert 'tools.exec_command({"cmd": "ls -l", "yield_time_ms": 30000})' in items[1]["input"]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


async def test_a_tool_of_a_namespace_is_called_with_it_and_one_without_is_not(short: Path) -> None:
    script = "replies: [{tools: [{call: {name: ask, arguments: {}}}, {bash: ls}]}]"
    inside = {"type": "namespace", "name": "mcp__desk", "tools": [TOOL | {"name": "ask"}]}
    async with asking(short, script) as it:
        asked, shell = (await it.raw(tools=[inside, TOOL]))["output"]
    assert (asked["name"], asked["namespace"]) == ("ask", "mcp__desk")
    assert shell["name"] == "bash" and "namespace" not in shell


async def test_the_local_shell_is_called_in_its_own_form(short: Path) -> None:
    async with asking(short) as it:
        items = (await it.raw(tools=[{"type": "local_shell"}]))["output"]
    assert items[1]["action"]["command"] == ["bash", "-lc", "ls -l"]


async def test_planner_and_side_requests(short: Path) -> None:
    schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
    form = {"format": {"type": "json_schema", "name": "t", "schema": schema}}
    async with asking(short) as it:
        plan = await it.raw(tools=[TOOL | {"name": "submit_plan"}])
        title = await it.raw(tools=[], text=form)
        words = await it.raw(tools=[], instructions="Make a title for this.")
        plain = await it.raw(tools=[])
        purposes = [entry["purpose"] for entry in it.model.ledger()]
    assert json.loads(plan["output"][0]["arguments"])["goal"] == "mend it"
    assert json.loads(title["output"][0]["content"][0]["text"]) == {"title": ASIDE}
    assert words["output"][0]["content"][0]["text"] == ASIDE
    assert plain["output"][0]["content"][0]["text"].startswith("First")
    assert purposes == ["plan", "aside", "aside", "chat"]


async def test_a_side_request_uses_up_no_fault(short: Path) -> None:
    async with asking(short, SCRIPT + "faults: [{reply: 1, kind: http_529}]") as it:
        assert (await it.raw(tools=[], instructions="Make a title."))["status"] == "completed"
        assert "error" in await it.raw()


async def test_the_limit_cuts_and_says_so(short: Path) -> None:
    async with asking(short) as it:
        cut = await it.client.responses.create(model="s", input="x", tools=[TOOL], max_output_tokens=2)
        stream = await it.client.responses.create(
            model="s", input="x", tools=[TOOL], max_output_tokens=2, stream=True
        )
        last = [event async for event in stream][-1]
    assert cut.status == "incomplete" and cut.incomplete_details is not None
    assert cut.incomplete_details.reason == "max_output_tokens"
    assert last.type == "response.incomplete" and last.response.usage is not None


async def test_no_usage_and_garbage(short: Path) -> None:
    faults = "faults: [{reply: 1, kind: no_usage}, {reply: 1, kind: garbage, times: 2}]"
    async with asking(short, SCRIPT + faults) as it:
        assert (await it.raw())["usage"] is None
        (call,) = (await it.raw())["output"]
        with pytest.raises(ValueError):
            json.loads(call["arguments"])
        (call,) = (await it.raw(tools=[PROGRAM]))["output"]
        assert call["type"] == "custom_tool_call" and "garbage" in call["input"]
        again = [{"type": "custom_tool_call_output", "call_id": call["call_id"], "output": "no"}]
        assert "First" in json.dumps(await it.raw(call, *again))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"input": []}, "input"),
        ({"input": 5}, "input"),
        ({"input": ["x"]}, "input"),
        ({"input": [{"type": "message"}]}, "role"),
        ({"input": [{"type": "function_call_output", "call_id": "x", "output": ""}]}, "answers no"),
        ({"input": [CALLS[0], TASK]}, "without a result"),
    ],
)
async def test_a_request_that_breaks_the_protocol_is_refused(short: Path, body: Any, words: str) -> None:
    async with asking(short) as it:
        with pytest.raises(APIStatusError, match=words) as refused:
            await it.client.responses.create(model="s", **body)
        assert refused.value.status_code == 400 and it.model.ledger() == []

"""The scripted model, asked by the providers' own clients: as a process for the plain cases, else in this
one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from anthropic import APIStatusError as AnthropicStatusError
from anthropic import AsyncAnthropic
from openai import APIStatusError as OpenAIStatusError
from openai import AsyncOpenAI

from boatwright.testing.replying import NOTHING_LEFT
from boatwright.testing.scripted_process import ScriptedModel, running, serving

SCRIPT = """\
plan: {goal: mend it, steps: [{id: P1, action: edit, path: x.py, acceptance: passes}]}
replies:
  - say: "First, look — carefully."
    tools: [{bash: "ls -l"}, {bash: "pwd"}]
  - say: "Done."
later:
  - - say: "Second round."
review: {verdict: approve, summary: fine}
"""
BASH = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
A_TOOL: Any = {"name": "bash", "description": "run", "input_schema": BASH}
O_TOOL: Any = {"type": "function", "function": {"name": "bash", "description": "run", "parameters": BASH}}
TASK: Any = [{"role": "user", "content": "[boatwright round 1] mend it"}]


class Both:
    """One running scripted model and a client of each provider on its socket."""

    def __init__(self, model: ScriptedModel, http: httpx2.AsyncClient) -> None:
        self.model, self.http = model, http
        self.anthropic = AsyncAnthropic(api_key="x", base_url="http://x", http_client=http, max_retries=0)
        self.openai = AsyncOpenAI(api_key="x", base_url="http://x/v1", http_client=http, max_retries=0)

    async def ledger(self) -> list[dict[str, Any]]:
        served: list[dict[str, Any]] = (await self.http.get("http://x/__ledger")).json()
        assert served == self.model.ledger()
        return served


@asynccontextmanager
async def both(directory: Path, script: str = SCRIPT, *, start: Any = serving) -> AsyncIterator[Both]:
    async with start(script, directory) as model:
        transport = httpx2.AsyncHTTPTransport(uds=str(model.socket))
        async with httpx2.AsyncClient(transport=transport) as http:
            yield Both(model, http)


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("m")


async def test_messages_whole_and_streamed_say_the_same(short: Path) -> None:
    async with both(short, start=running) as it:
        whole = await it.anthropic.messages.create(
            model="scripted", max_tokens=500, messages=TASK, tools=[A_TOOL]
        )
        async with it.anthropic.messages.stream(
            model="scripted", max_tokens=500, messages=TASK, tools=[A_TOOL]
        ) as stream:
            streamed = await stream.get_final_message()
        billed = await it.ledger()
    assert [block.type for block in whole.content] == ["text", "tool_use", "tool_use"]
    assert whole.stop_reason == streamed.stop_reason == "tool_use"
    for one, entry in zip((whole, streamed), billed, strict=True):
        assert one.content[0].text == "First, look — carefully."  # type: ignore[union-attr]
        assert [block.input for block in one.content[1:]] == [{"command": "ls -l"}, {"command": "pwd"}]  # type: ignore[union-attr]
        assert (one.usage.input_tokens, one.usage.output_tokens) == (entry["input"], entry["output"])
    assert [entry["stream"] for entry in billed] == [False, True]


async def test_chat_completions_whole_and_streamed_say_the_same(short: Path) -> None:
    async with both(short, start=running) as it:
        whole = await it.openai.chat.completions.create(model="scripted", messages=TASK, tools=[O_TOOL])
        words, calls, usages, finish = "", {}, [], None
        async for chunk in await it.openai.chat.completions.create(
            model="scripted", messages=TASK, tools=[O_TOOL], stream=True,
            stream_options={"include_usage": True},
        ):  # fmt: skip
            usages += [chunk.usage] if chunk.usage else []
            for choice in chunk.choices:
                words += choice.delta.content or ""
                finish = choice.finish_reason or finish
                for call in choice.delta.tool_calls or []:
                    assert call.function is not None
                    calls[call.index] = calls.get(call.index, "") + (call.function.arguments or "")
        billed = await it.ledger()
    message = whole.choices[0].message
    assert message.content == words == "First, look — carefully."
    assert [json.loads(c.function.arguments) for c in message.tool_calls or []] == [  # type: ignore[union-attr]
        json.loads(calls[0]), json.loads(calls[1]),
    ] == [{"command": "ls -l"}, {"command": "pwd"}]  # fmt: skip
    assert whole.choices[0].finish_reason == finish == "tool_calls"
    assert whole.usage is not None and len(usages) == 1
    assert whole.usage.total_tokens == billed[0]["input"] + billed[0]["output"]
    assert usages[0].prompt_tokens == billed[1]["input"]


async def test_usage_in_a_chat_stream_comes_only_when_asked_for(short: Path) -> None:
    async with both(short) as it:
        stream = await it.openai.chat.completions.create(
            model="scripted", messages=TASK, tools=[O_TOOL], stream=True
        )
        assert [chunk.usage async for chunk in stream if chunk.usage] == []
        assert (await it.ledger())[0]["billed"]


async def test_it_goes_through_the_script_and_past_its_end(short: Path) -> None:
    async with both(short) as it:
        messages = list(TASK)
        said = []
        for _ in range(3):
            reply = await it.anthropic.messages.create(
                model="scripted", max_tokens=500, messages=messages, tools=[A_TOOL]
            )
            calls = [block for block in reply.content if block.type == "tool_use"]
            said.append(reply.content[0].text)  # type: ignore[union-attr]
            results: Any = [
                {"type": "tool_result", "tool_use_id": call.id, "content": "ok"} for call in calls
            ]
            next_task: Any = "go on" if not calls else results
            messages += [
                {"role": "assistant", "content": reply.content},
                {"role": "user", "content": next_task},
            ]
        messages.append({"role": "user", "content": "[boatwright round 2] again"})
        later = await it.anthropic.messages.create(
            model="scripted", max_tokens=500, messages=messages, tools=[A_TOOL]
        )
    assert said == ["First, look — carefully.", "Done.", NOTHING_LEFT]
    assert later.content[0].text == "Second round."  # type: ignore[union-attr]


async def test_planner_reviewer_and_a_title_request(short: Path) -> None:
    async with both(short) as it:
        ask = it.anthropic.messages.create
        plan = await ask(model="s", max_tokens=500, messages=TASK, tools=[A_TOOL | {"name": "submit_plan"}])
        review = await ask(
            model="s", max_tokens=500, messages=TASK, tools=[A_TOOL | {"name": "submit_review"}]
        )
        title = await ask(model="s", max_tokens=500, messages=TASK)
        count = await it.anthropic.messages.count_tokens(model="s", messages=TASK)
        purposes = [entry["purpose"] for entry in await it.ledger()]
    assert plan.content[0].input["goal"] == "mend it"  # type: ignore[union-attr]
    assert review.content[0].input == {"verdict": "approve", "summary": "fine"}  # type: ignore[union-attr]
    assert [block.type for block in title.content] == ["text"]
    assert count.input_tokens > 0
    assert purposes == ["plan", "review", "chat"]


async def test_what_the_script_does_not_hold_is_named(short: Path) -> None:
    async with both(short, "replies: [{say: x}]") as it:
        with pytest.raises(AnthropicStatusError, match="has no 'plan'") as refused:
            await it.anthropic.messages.create(
                model="s", max_tokens=500, messages=TASK, tools=[A_TOOL | {"name": "submit_plan"}]
            )
        assert refused.value.status_code == 400
        assert await it.ledger() == []


async def test_the_output_limit_cuts_like_a_provider_does(short: Path) -> None:
    async with both(short) as it:
        cut = await it.anthropic.messages.create(model="s", max_tokens=2, messages=TASK, tools=[A_TOOL])
        chat = await it.openai.chat.completions.create(
            model="s", max_completion_tokens=2, messages=TASK, tools=[O_TOOL]
        )
        billed = await it.ledger()
    assert (cut.stop_reason, chat.choices[0].finish_reason) == ("max_tokens", "length")
    assert cut.content[0].text == "First, l" and len(cut.content) == 1  # type: ignore[union-attr]
    assert [entry["output"] for entry in billed] == [2, 2]


async def test_a_reply_may_name_its_own_usage(short: Path) -> None:
    script = "replies: [{say: x, usage: {input: 100, output: 7, cache_read: 30, cache_write: 5}}]"
    async with both(short, script) as it:
        reply = await it.anthropic.messages.create(model="s", max_tokens=500, messages=TASK, tools=[A_TOOL])
        chat = await it.openai.chat.completions.create(model="s", messages=TASK, tools=[O_TOOL])
    assert (reply.usage.input_tokens, reply.usage.cache_read_input_tokens) == (100, 30)
    assert (reply.usage.cache_creation_input_tokens, reply.usage.output_tokens) == (5, 7)
    assert chat.usage is not None and chat.usage.prompt_tokens == 135
    assert chat.usage.prompt_tokens_details is not None
    assert chat.usage.prompt_tokens_details.cached_tokens == 30


async def test_the_same_request_gets_the_same_bytes(short: Path) -> None:
    async with both(short) as it:
        body = {"model": "s", "max_tokens": 500, "stream": True, "messages": TASK, "tools": [A_TOOL]}
        answers = {(await it.http.post("http://x/v1/messages", json=body)).content for _ in range(3)}
        assert len(answers) == 1


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/v1/messages", b"{", "not JSON"),
        ("/v1/messages", b"[]", "not a JSON object"),
        ("/v1/messages", b'{"messages": [{"role": "user", "content": "x"}]}', "max_tokens"),
        ("/v1/messages", b'{"max_tokens": 5, "messages": []}', "messages"),
        ("/v1/messages", b'{"max_tokens": 5, "messages": [{"role": "user", "content": 5}]}', "content"),
        (
            "/v1/messages",
            b'{"max_tokens": 5, "messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}',
            "answers no tool call",
        ),
        ("/v1/chat/completions", b'{"messages": 5}', "messages"),
        ("/v1/chat/completions", b'{"messages": [{"role": "tool", "tool_call_id": "x"}]}', "answers no"),
    ],
)
async def test_a_request_that_breaks_the_protocol_is_refused(
    short: Path, path: str, body: bytes, words: str
) -> None:
    async with both(short) as it:
        answer = await it.http.post(f"http://x{path}", content=body)
        assert answer.status_code == 400 and words in answer.text
        assert await it.ledger() == []


async def test_an_unknown_path_names_what_is_served(short: Path) -> None:
    async with both(short) as it:
        answer = await it.http.post("http://x/v1/embeddings", json={})
        assert answer.status_code == 404 and "/v1/messages" in answer.text


@pytest.mark.parametrize(
    ("kind", "status"), [("http_401", 401), ("http_429", 429), ("http_500", 500), ("http_529", 529)]
)
async def test_refusals_come_once_and_are_not_billed(short: Path, kind: str, status: int) -> None:
    script = SCRIPT + f"faults: [{{reply: 1, kind: {kind}, retry_after: 7}}, {{reply: 2, kind: slow}}]"
    async with both(short, script) as it:
        with pytest.raises(AnthropicStatusError) as first:
            await it.anthropic.messages.create(model="s", max_tokens=500, messages=TASK, tools=[A_TOOL])
        await it.anthropic.messages.create(model="s", max_tokens=500, messages=TASK, tools=[A_TOOL])
        billed = await it.ledger()
    assert first.value.status_code == status
    assert first.value.response.headers["retry-after"] == "7"
    assert [(entry["status"], entry["billed"], entry["input"] > 0) for entry in billed] == [
        (status, False, False), (200, True, True),
    ]  # fmt: skip


async def test_faults_count_for_one_place_only_and_always_means_always(short: Path) -> None:
    script = SCRIPT + "faults: [{reply: 1, kind: http_529, round: 2, times: always}]"
    async with both(short, script) as it:
        await it.openai.chat.completions.create(model="s", messages=TASK, tools=[O_TOOL])
        second: Any = [{"role": "user", "content": "[boatwright round 2]"}]
        for _ in range(3):
            with pytest.raises(OpenAIStatusError):
                await it.openai.chat.completions.create(model="s", messages=second, tools=[O_TOOL])


async def test_a_title_request_uses_up_no_fault(short: Path) -> None:
    async with both(short, SCRIPT + "faults: [{reply: 1, kind: http_529}]") as it:
        await it.openai.chat.completions.create(model="s", messages=TASK)
        with pytest.raises(OpenAIStatusError):
            await it.openai.chat.completions.create(model="s", messages=TASK, tools=[O_TOOL])


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
async def test_a_cut_answer_breaks_off_and_is_billed(short: Path, path: str, stream: bool) -> None:
    tool = A_TOOL if path == "/v1/messages" else O_TOOL
    body = {"model": "s", "max_tokens": 500, "stream": stream, "messages": TASK, "tools": [tool]}
    async with both(short, SCRIPT + "faults: [{reply: 1, kind: cut_stream}]") as it:
        with pytest.raises(httpx2.RemoteProtocolError):
            await it.http.post(f"http://x{path}", json=body)
        assert (await it.http.post(f"http://x{path}", json=body)).status_code == 200
        assert [entry["billed"] for entry in await it.ledger()] == [True, True]


async def test_no_usage_is_billed_all_the_same(short: Path) -> None:
    async with both(short, SCRIPT + "faults: [{reply: 1, kind: no_usage, times: always}]") as it:
        whole = await it.openai.chat.completions.create(model="s", messages=TASK, tools=[O_TOOL])
        stream = await it.openai.chat.completions.create(
            model="s", messages=TASK, tools=[O_TOOL], stream=True, stream_options={"include_usage": True}
        )
        assert whole.usage is None and [chunk.usage async for chunk in stream if chunk.usage] == []
        body = {"model": "s", "max_tokens": 500, "stream": True, "messages": TASK, "tools": [A_TOOL]}
        assert b"_tokens" not in (await it.http.post("http://x/v1/messages", json=body)).content
        assert all(entry["billed"] and entry["output"] for entry in await it.ledger())


async def test_garbage_and_what_is_not_the_protocol(short: Path) -> None:
    faults = "faults: [{reply: 1, kind: garbage, times: 2}, {reply: 1, kind: not_protocol}]"
    async with both(short, SCRIPT + faults) as it:
        chat = await it.openai.chat.completions.create(model="s", messages=TASK, tools=[O_TOOL])
        call: Any = (chat.choices[0].message.tool_calls or [])[0]
        with pytest.raises(ValueError):
            json.loads(call.function.arguments)
        message = await it.anthropic.messages.create(model="s", max_tokens=500, messages=TASK, tools=[A_TOOL])
        assert "command" not in message.content[0].input  # type: ignore[union-attr]
        body = {"model": "s", "max_tokens": 500, "messages": TASK, "tools": [A_TOOL]}
        assert (await it.http.post("http://x/v1/messages", json=body)).content.startswith(b"<html>")


async def test_a_hanging_answer_begins_and_ends_with_its_client(short: Path) -> None:
    body = {"model": "s", "max_tokens": 500, "stream": True, "messages": TASK, "tools": [A_TOOL]}
    async with both(short, SCRIPT + "faults: [{reply: 1, kind: hang}]") as it:
        async with it.http.stream("POST", "http://x/v1/messages", json=body) as answer:
            assert answer.status_code == 200
            first = await anext(answer.aiter_bytes())
            assert first.startswith(b"event: message_start")
        assert len(await it.ledger()) == 1


async def test_many_at_once_are_all_answered_and_billed_once(short: Path) -> None:
    async with both(short) as it:
        calls = [
            it.openai.chat.completions.create(model="s", messages=TASK, tools=[O_TOOL]) for _ in range(40)
        ]
        replies = await asyncio.gather(*calls)
        billed = await it.ledger()
    assert {reply.choices[0].message.content for reply in replies} == {"First, look — carefully."}
    assert [entry["number"] for entry in billed] == list(range(1, 41))

"""The scripted model over Gemini, asked in the shapes its clients send."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from boatwright.testing.replying import ASIDE
from boatwright.testing.scripted_process import ScriptedModel, serving

SCRIPT = """\
plan: {goal: mend it, steps: [{id: P1, action: edit, path: x.py, acceptance: passes}]}
replies:
  - say: "First, look — carefully."
    tools: [{bash: "ls -l"}, {bash: "pwd"}]
  - {say: "Done.", usage: {input: 40, cache_read: 30, output: 7}}
"""
URL = "http://x/v1beta/models/m-1.5:"
SHELL = {
    "name": "run_shell_command",
    "parametersJsonSchema": {"type": "object", "properties": {"command": {"type": "string"}}},
}
CAPITALS = {
    "name": "run_shell_command",
    "parameters": {
        "type": "OBJECT",
        "properties": {"command": {"type": "STRING"}, "times": {"type": "INTEGER"}},
        "required": ["command", "times"],
    },
}
TASK = {"role": "user", "parts": [{"text": "[boatwright round 1] mend it"}]}


class Asking:
    def __init__(self, model: ScriptedModel, http: httpx2.AsyncClient) -> None:
        self.model, self.http = model, http

    async def raw(self, *contents: Any, **changes: Any) -> Any:
        body = {"contents": [TASK, *contents], "tools": [{"functionDeclarations": [SHELL]}], **changes}
        return (await self.http.post(URL + "generateContent", json=body)).json()

    async def streamed(self, *contents: Any) -> list[Any]:
        body = {"contents": [TASK, *contents], "tools": [{"functionDeclarations": [SHELL]}]}
        answer = await self.http.post(URL + "streamGenerateContent?alt=sse", json=body)
        assert answer.headers["content-type"] == "text/event-stream"
        return [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("m")


@asynccontextmanager
async def asking(directory: Path, script: str = SCRIPT) -> AsyncIterator[Asking]:
    async with serving(script, directory) as model:
        transport = httpx2.AsyncHTTPTransport(uds=str(model.socket))
        async with httpx2.AsyncClient(transport=transport) as http:
            yield Asking(model, http)


def said(answer: Any) -> str:
    return "".join(part.get("text", "") for part in answer["candidates"][0]["content"]["parts"])


def called(answer: Any) -> list[Any]:
    parts = answer["candidates"][0]["content"]["parts"]
    return [part["functionCall"] for part in parts if "functionCall" in part]


async def test_whole_and_streamed_say_the_same(short: Path) -> None:
    async with asking(short) as it:
        whole, chunks = await it.raw(), await it.streamed()
        first, second = it.model.ledger()
    assert said(whole) == "".join(said(chunk) for chunk in chunks) == "First, look — carefully."
    for one in (whole, chunks[-1]):
        assert [call["args"] for call in called(one)] == [{"command": "ls -l"}, {"command": "pwd"}]
        assert one["candidates"][0]["finishReason"] == "STOP"
    assert [chunk["candidates"][0].get("finishReason") for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert whole["usageMetadata"]["promptTokenCount"] == first["input"]
    assert chunks[-1]["usageMetadata"]["candidatesTokenCount"] == second["output"]
    assert (first["model"], first["stream"], second["stream"]) == ("m-1.5", False, True)


def calls(*ids: str) -> dict[str, Any]:
    return {
        "role": "model",
        "parts": [{"functionCall": {"name": "f", "args": {}} | ({"id": one} if one else {})} for one in ids],
    }


def results(*ids: str, role: str = "user") -> dict[str, Any]:
    parts = [
        {"functionResponse": {"name": "f", "response": {}} | ({"id": one} if one else {})} for one in ids
    ]
    return {"role": role, "parts": parts}


@pytest.mark.parametrize(
    ("contents", "reply"),
    [
        ((), 1),
        ((calls("a", "b"), results("a", "b")), 2),
        ((calls("", ""), results("", "")), 2),  # clients without ids answer in the order they were asked
        ((calls("a"), results("a"), calls("b"), results("b")), 3),
        ((calls("a", "b"), results("a"), results("b")), 2),
        ((calls(""), results("", role="function")), 2),
        (({"role": "user", "parts": [{"text": "and well"}]},), 1),
    ],
)
async def test_its_place_is_told_from_the_contents(
    short: Path, contents: tuple[Any, ...], reply: int
) -> None:
    async with asking(short) as it:
        assert "candidates" in await it.raw(*contents)
        entry = it.model.ledger()[0]
        assert (entry["protocol"], entry["purpose"], entry["reply"]) == ("gemini", "build", reply)


async def test_what_a_reply_reports_is_billed(short: Path) -> None:
    async with asking(short) as it:
        answer = await it.raw(calls("a"), results("a"))
    assert answer["usageMetadata"] == {
        "promptTokenCount": 70, "cachedContentTokenCount": 30, "candidatesTokenCount": 7, "totalTokenCount": 77,
    }  # fmt: skip


async def test_types_in_capitals(short: Path) -> None:
    async with asking(short) as it:
        answer = await it.raw(tools=[{"functionDeclarations": [CAPITALS]}])
    assert called(answer)[0]["args"] == {"command": "ls -l", "times": 1}


async def test_planner_and_side_requests(short: Path) -> None:
    schema = {
        "type": "OBJECT",
        "properties": {"why": {"type": "STRING"}, "score": {"type": "INTEGER"}},
        "required": ["why", "score"],
    }
    async with asking(short) as it:
        plan = await it.raw(tools=[{"functionDeclarations": [{"name": "submit_plan"}]}])
        route = await it.raw(tools=[], generationConfig={"responseJsonSchema": schema})
        purposes = [entry["purpose"] for entry in it.model.ledger()]
    assert called(plan)[0]["args"]["goal"] == "mend it"
    assert json.loads(said(route)) == {"why": ASIDE, "score": 1}
    assert purposes == ["plan", "aside"]


async def test_the_limit_cuts_and_says_so(short: Path) -> None:
    async with asking(short) as it:
        cut = await it.raw(generationConfig={"maxOutputTokens": 2})
    assert said(cut) == "First, l" and cut["candidates"][0]["finishReason"] == "MAX_TOKENS"


async def test_faults(short: Path) -> None:
    faults = "faults: [{reply: 1, kind: no_usage}, {reply: 1, kind: garbage}, {reply: 1, kind: http_429}]"
    async with asking(short, SCRIPT + faults) as it:
        assert "usageMetadata" not in await it.raw()
        garbage = await it.raw()
        assert "command" not in called(garbage)[0]["args"]
        assert (await it.raw())["error"]["status"] == "RESOURCE_EXHAUSTED"
        content = garbage["candidates"][0]["content"]
        name = called(garbage)[0]
        result = {"functionResponse": {"name": name["name"], "id": name["id"], "response": {}}}
        again = await it.raw(content, {"role": "user", "parts": [result]})
        assert said(again) == "First, look — carefully."


async def test_tokens_are_counted(short: Path) -> None:
    async with asking(short) as it:
        answer = await it.http.post(URL + "countTokens", json={"contents": [TASK]})
        assert answer.json()["totalTokens"] > 5 and it.model.ledger() == []


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        ([], "contents"),
        ("x", "contents"),
        ([{"role": "user"}], "parts"),
        ([results("a")], "answers no"),
        ([calls("a"), TASK], "without a result"),
    ],
)
async def test_a_request_that_breaks_the_protocol_is_refused(short: Path, contents: Any, words: str) -> None:
    async with asking(short) as it:
        answer = await it.http.post(URL + "generateContent", json={"contents": contents})
        assert answer.status_code == 400 and words in answer.json()["error"]["message"]
        assert it.model.ledger() == []

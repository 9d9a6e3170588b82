"""All protocols through the proxy to the scripted model: what is metered is what was billed, to the token."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from boatwright import errors
from boatwright.egress import gateway, prices
from boatwright.egress.spec import Upstream
from boatwright.egress.upstream import origin
from boatwright.testing.scripted_process import ScriptedModel, serving
from boatwright.values.usage import Cap, Usage

SCRIPT = """\
replies:
  - say: "First, look — carefully."
    tools: [{bash: "ls -l"}]
  - {say: "Done.", usage: {input: 40, cache_read: 30, output: 7}}
"""
TASK = "[boatwright round 1] mend it"
SCHEMA = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
RECORDED = Path(__file__).parent / "recorded"


@dataclass(frozen=True)
class Spoken:
    """One protocol as a client speaks it."""

    upstream: str
    plain: str
    streamed: str

    def path(self, stream: bool) -> str:
        return self.streamed if stream else self.plain

    def body(self, stream: bool, **changes: Any) -> dict[str, Any]:
        given = BODIES[self.plain] | changes
        return given if self.upstream == "gemini" else given | {"stream": stream}


GEMINI = "/v1beta/models/scripted"
SPOKEN = {
    "anthropic": Spoken("anthropic", "/v1/messages", "/v1/messages"),
    "chat": Spoken("openai", "/v1/chat/completions", "/v1/chat/completions"),
    "responses": Spoken("openai", "/v1/responses", "/v1/responses"),
    "gemini": Spoken("gemini", f"{GEMINI}:generateContent", f"{GEMINI}:streamGenerateContent?alt=sse"),
}
MESSAGES = [{"role": "user", "content": TASK}]
BODIES: dict[str, dict[str, Any]] = {
    "/v1/messages": {
        "model": "scripted", "max_tokens": 900, "messages": MESSAGES,
        "tools": [{"name": "bash", "input_schema": SCHEMA}],
    },
    "/v1/chat/completions": {
        "model": "scripted", "messages": MESSAGES,
        "tools": [{"type": "function", "function": {"name": "bash", "parameters": SCHEMA}}],
    },
    "/v1/responses": {
        "model": "scripted", "input": MESSAGES,
        "tools": [{"type": "function", "name": "bash", "parameters": SCHEMA}],
    },
    f"{GEMINI}:generateContent": {
        "contents": [{"role": "user", "parts": [{"text": TASK}]}],
        "tools": [{"functionDeclarations": [{"name": "bash", "parametersJsonSchema": SCHEMA}]}],
    },
}  # fmt: skip
SECOND: dict[str, dict[str, Any]] = {
    "responses": {
        "input": [
            *MESSAGES,
            {"type": "function_call", "call_id": "c", "name": "bash", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "a file"},
        ]
    },
    "gemini": {
        "contents": [
            {"role": "user", "parts": [{"text": TASK}]},
            {"role": "model", "parts": [{"functionCall": {"name": "bash", "args": {}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "bash", "response": {}}}]},
        ]
    },
}
NEW = ("responses", "gemini")


@asynccontextmanager
async def scripted(bench: Any, directory: Path, script: str = SCRIPT) -> AsyncIterator[ScriptedModel]:
    """A wire to a scripted model on every upstream."""
    async with serving(script, directory) as model:
        socket = str(model.socket)
        await bench.open(
            upstreams=tuple(
                Upstream(side, socket=socket, secret="env:KEY") for side in ("anthropic", "openai", "gemini")
            )
        )
        yield model


def billed(model: ScriptedModel) -> list[Usage]:
    return [
        Usage(
            input=one["input"],
            cache_read=one["cache_read"],
            cache_write=one["cache_write"],
            output=one["output"],
        )
        for one in model.ledger()
    ]


def charged_in_full(row: Any) -> bool:
    return (row.source, row.usd, row.usage.tokens) == ("estimate", row.reserved_usd, row.reserved_tokens)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", SPOKEN)
async def test_metered_is_billed(bench: Any, tmp_path: Path, name: str, stream: bool) -> None:
    async with scripted(bench, tmp_path) as model:
        spoken = SPOKEN[name]
        heard = await bench.call(spoken.path(stream), spoken.body(stream))
        assert heard.status == 200 and heard.whole and b"ls -l" in heard.body
        (row,) = bench.budgets.usage("ex-1")
        assert (row.source, [row.usage]) == ("provider", billed(model))
        assert model.ledger()[0]["max_output"] is not None and model.ledger()[0]["stream"] is stream
        assert bench.budgets.open_reservations() == 0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", NEW)
async def test_the_next_reply_and_what_the_cache_gave(
    bench: Any, tmp_path: Path, name: str, stream: bool
) -> None:
    async with scripted(bench, tmp_path) as model:
        spoken = SPOKEN[name]
        heard = await bench.call(spoken.path(stream), spoken.body(stream, **SECOND[name]))
        assert heard.status == 200 and b"Done." in heard.body
        (row,) = bench.budgets.usage("ex-1")
        assert [row.usage] == billed(model) == [Usage(input=40, cache_read=30, output=7)]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", ["cut_stream", "no_usage", "not_protocol"])
@pytest.mark.parametrize("name", NEW)
async def test_what_is_not_told_whole_is_charged_in_full(
    bench: Any, tmp_path: Path, name: str, fault: str, stream: bool
) -> None:
    script = SCRIPT + f"faults: [{{reply: 1, kind: {fault}}}]"
    async with scripted(bench, tmp_path, script) as model:
        spoken = SPOKEN[name]
        heard = await bench.call(spoken.path(stream), spoken.body(stream))
        if fault == "cut_stream":
            assert not heard.whole or heard.status == 502
        (row,) = await bench.settled()
        assert charged_in_full(row) and row.reserved_tokens >= billed(model)[0].tokens > 0


@pytest.mark.parametrize("kind", ["http_401", "http_429", "http_500", "http_529"])
@pytest.mark.parametrize("name", NEW)
async def test_a_refusal_of_the_provider_costs_nothing(
    bench: Any, tmp_path: Path, name: str, kind: str
) -> None:
    async with scripted(bench, tmp_path, SCRIPT + f"faults: [{{reply: 1, kind: {kind}}}]"):
        spoken = SPOKEN[name]
        heard = await bench.call(spoken.path(True), spoken.body(True))
        assert heard.status == int(kind[5:])
        (row,) = await bench.settled()
        assert (row.source, row.usd) == ("provider", 0)


@pytest.mark.parametrize("name", NEW)
async def test_a_client_that_leaves_pays_what_was_billed(bench: Any, tmp_path: Path, name: str) -> None:
    async with scripted(bench, tmp_path, SCRIPT + "faults: [{reply: 1, kind: slow, seconds: 0.5}]") as model:
        spoken = SPOKEN[name]
        client = await bench.client()
        await client.send(spoken.path(True), spoken.body(True))
        await client.reader.readuntil(b"data: ")
        client.close()
        (row,) = await bench.settled()
        assert (row.source, [row.usage]) == ("provider", billed(model))


@pytest.mark.parametrize("name", NEW)
async def test_the_answer_is_clamped_into_the_room_left(bench: Any, tmp_path: Path, name: str) -> None:
    bench.budgets.set_cap("execution", "ex-1", Cap(tokens=8_000))
    async with scripted(bench, tmp_path) as model:
        spoken = SPOKEN[name]
        assert (await bench.call(spoken.path(True), spoken.body(True))).status == 200
        assert 1_024 <= model.ledger()[0]["max_output"] < 4_000
        (row,) = bench.budgets.usage("ex-1")
        assert row.reserved_tokens <= 8_000


async def test_many_at_once_on_both_never_pass_the_cap(bench: Any, tmp_path: Path) -> None:
    bench.budgets.set_cap("execution", "ex-1", Cap(tokens=60_000))
    async with scripted(bench, tmp_path) as model:
        calls = [
            bench.call(SPOKEN[name].path(stream), SPOKEN[name].body(stream))
            for name in NEW
            for stream in (True, False)
            for _ in range(6)
        ]
        heard = await asyncio.gather(*calls)
        rows = bench.budgets.usage("ex-1")
        assert {one.status for one in heard} <= {200, 402}
        assert sum(one.status == 200 for one in heard) == len(rows) > 0
        total = sum((row.usage.tokens for row in rows), 0)
        assert total == sum(one.tokens for one in billed(model)) <= 60_000


# --- keys, paths, counts ---


@pytest.mark.parametrize(("name", "header"), [("responses", "authorization"), ("gemini", "x-goog-api-key")])
async def test_the_key_is_ours_and_the_clients_own_stays_here(bench: Any, name: str, header: str) -> None:
    socket = str(bench.provider.path)
    await bench.open(
        upstreams=tuple(Upstream(side, socket=socket, secret="env:KEY") for side in ("openai", "gemini"))
    )
    spoken = SPOKEN[name]
    path = spoken.path(True) + ("&" if "?" in spoken.path(True) else "?") + "key=mine"
    client = await bench.client()
    own = [
        ("authorization", "Bearer mine"),
        ("x-goog-api-key", "mine"),
        ("x-goog-user-project", "mine"),
        ("cookie", "mine=1"),
        ("openai-organization", "mine"),
    ]
    await client.call(path, spoken.body(True), headers=own)
    (asked,) = bench.provider.asked
    assert asked.headers[header].endswith("sk-real") and asked.target == spoken.path(True)
    assert "mine" not in json.dumps([asked.headers, asked.target])
    assert "mine" not in (bench.state.logs / "proxy.log").read_text()


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1beta/models/m:countTokens", "totalTokens"),
        ("/v1/messages/count_tokens", "input_tokens"),
        ("/v1/responses/input_tokens", "input_tokens"),
    ],
)
async def test_tokens_are_counted_here_for_nothing(bench: Any, tmp_path: Path, path: str, field: str) -> None:
    async with scripted(bench, tmp_path) as model:
        heard = await bench.call(path, {"contents": "x" * 300})
        assert heard.json[field] > 100
        assert model.ledger() == [] and bench.budgets.usage("ex-1") == []


@pytest.mark.parametrize(
    "path",
    ["/v1beta/models/m:countTokens", "/v1beta/models/m:generateContent", "/v1/responses",
     "/v1/responses/input_tokens"],
)  # fmt: skip
async def test_a_wire_without_the_upstream_has_no_such_path(bench: Any, path: str) -> None:
    await bench.open(upstreams=(Upstream("anthropic", socket=str(bench.provider.path)),))
    heard = await bench.call(path, {})
    assert (heard.status, heard.code) == (404, "unknown")
    assert heard.json["error"]["allowed"] == ["POST /v1/messages"]


@pytest.mark.parametrize(
    "path",
    ["/v1beta/models/m:streamGenerateContent", "/v1beta/models/m:generateContent?alt=sse",
     "/v1beta/models/m:generateContent?access_token=x", "/v1beta/models/m:batchGenerateContent",
     "/v1/responses/compact", "/v1/responses/resp_1/cancel", "/v1/conversations", "/v1/files"],
)  # fmt: skip
async def test_what_is_not_metered_is_not_there(bench: Any, tmp_path: Path, path: str) -> None:
    async with scripted(bench, tmp_path) as model:
        heard = await bench.call(path, BODIES[f"{GEMINI}:generateContent"])
        assert (heard.status, heard.code) == (404, "unknown") and model.ledger() == []
        assert "POST /v1/responses" in heard.json["error"]["allowed"]


@pytest.mark.parametrize("target", ["/v1/models", "/v1beta/models", "/v1/responses"])
async def test_nothing_is_listed(bench: Any, target: str) -> None:
    await bench.open()
    answer = await (await bench.client()).raw(
        f"GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode()
    )
    assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 405 ")) and b"allowed" in answer


async def test_a_websocket_is_refused_so_that_its_client_falls_back_at_once(bench: Any) -> None:
    await bench.open()
    lines = [
        "GET /v1/responses HTTP/1.1", "host: x", "connection: Upgrade", "upgrade: websocket",
        "sec-websocket-version: 13", "sec-websocket-key: AAAA", "openai-beta: responses_websockets=x", "", "",
    ]  # fmt: skip
    answer = await (await bench.client()).raw("\r\n".join(lines).encode())
    assert answer.startswith(b"HTTP/1.1 426 ") and b"no WebSocket" in answer


def test_gemini_has_a_provider_and_a_price_list_of_its_own(bench: Any) -> None:
    upstream = Upstream("gemini", secret="env:KEY")
    spec = bench.spec(provider="", upstreams=(upstream,))
    at = datetime(2026, 11, 1, tzinfo=UTC)
    gateway.check(spec, at)
    assert origin(upstream).authority == "generativelanguage.googleapis.com"
    price = prices.find(spec.pricing("gemini"), "gemini-2.5-pro", at, {})
    assert price is not None and price.tiers and price.rates.output > price.rates.input > 0
    assert prices.find(spec.pricing("gemini"), "nobody-knows-me", at, {}) is None
    with pytest.raises(errors.BadInput):
        gateway.check(bench.spec(upstreams=(Upstream("responses"),)), at)  # it uses the openai upstream


# --- the agents' own requests ---


@pytest.mark.parametrize("file", sorted(RECORDED.glob("*.json")), ids=lambda file: file.stem)
async def test_a_recorded_request_is_carried_and_metered(bench: Any, tmp_path: Path, file: Path) -> None:
    request = json.loads(file.read_text())
    async with scripted(bench, tmp_path) as model:
        client = await bench.client()
        heard = await client.call(request["path"], request["body"], headers=list(request["headers"].items()))
        assert heard.status == 200, heard.body
        (row,) = bench.budgets.usage("ex-1")
        assert (row.source, [row.usage]) == ("provider", billed(model))
        side = model.ledger()[0]["purpose"] == "aside"
        assert side == (file.stem.endswith(("router", "title")))

"""A task for the built-in agent, its bottle double, and a provider that answers what it is told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from boatwright.agents.builtin import Builtin
from boatwright.agents.model import Patience
from boatwright.agents.protocol import ModelWire, RoundLimits, RoundResult, StepRecord, Task
from boatwright.bottle.protocol import Bottle
from boatwright.testing.clock import FakeClock
from boatwright.testing.local_bottle import LocalBottle
from boatwright.values.usage import ModelRef


class KilledError(Exception):
    """Stands for a kill right after a step was saved."""


@dataclass
class Bench:
    """One agent at work: what it was given, what it saved, what it said, how often it passed the fence."""

    bottle: Bottle
    clock: FakeClock = field(default_factory=FakeClock)
    saved: list[StepRecord] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    fences: int = 0
    stop_after: int | None = None
    """Break off (as a kill would) when this many steps are saved."""

    def task(
        self,
        wire: ModelWire,
        prompt: str = "[boatwright round 1]\nmend it",
        *,
        transcript: bytes | None = None,
        first_step: int = 1,
        limits: RoundLimits | None = None,
    ) -> Task:
        return Task(
            system="Mind the gap.", prompt=prompt, transcript=transcript, first_step=first_step,
            bottle=self.bottle, wire=wire, limits=limits or RoundLimits(), before_step=self._fence,
            on_step=self._save, say=self.said.append,
        )  # fmt: skip

    killed = KilledError

    async def run(
        self, wire: ModelWire, prompt: str = "[boatwright round 1]\nmend it", **more: Any
    ) -> RoundResult:
        return await self.builtin().run(self.task(wire, prompt, **more))

    def builtin(self) -> Builtin:
        return Builtin(clock=self.clock, patience=self.patience())

    def patience(self) -> Patience:
        return Patience(sleep=self.clock.sleep)

    async def _fence(self) -> None:
        self.fences += 1

    async def _save(self, record: StepRecord) -> None:
        self.saved.append(record)
        if self.stop_after is not None and len(self.saved) >= self.stop_after:
            raise KilledError


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(LocalBottle(tmp_path / "bottle"))


@pytest.fixture
def canned() -> SimpleNamespace:
    """``canned.answering``, ``canned.refusal``, ``canned.words``: see below."""
    return SimpleNamespace(answering=answering, refusal=refusal, words=words)


Answer = tuple[int, dict[str, str], bytes]


@asynccontextmanager
async def answering(
    directory: Path, answers: Sequence[Answer], protocol: str = "anthropic"
) -> AsyncIterator[Any]:
    """A provider that gives ``answers`` one after another; yields (wire, the requests it has seen so far)."""
    seen: list[dict[str, Any]] = []
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next(line for line in head.split("\r\n") if line.startswith("content-length:"))
        body = json.loads(await reader.readexactly(int(length.partition(":")[2])))
        seen.append(body | {"_head": head})
        status, headers, content = left.pop(0)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {status} x\r\nconnection: close\r\n{lines}\r\n".encode() + content)
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(serve, path=str(directory / "p.sock"))
    async with server:
        model = ModelRef(provider=protocol, name="model-x")
        yield ModelWire(directory / "p.sock", protocol, model), seen


def refusal(status: int, code: str = "", sentence: str = "no", **headers: str) -> Answer:
    """An error answer in the shape both providers' clients read."""
    kind = f"boatwright_{code}" if code else "api_error"
    body = json.dumps({"type": "error", "error": {"type": kind, "code": code, "message": sentence}}).encode()
    return status, {"content-type": "application/json", **headers}, body


def words(text: str, *, end: bool = True) -> Answer:
    """A streamed answer of words in the Anthropic protocol; not ``end``: it stops cleanly before its last
    events.
    """
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {
            "id": "m", "type": "message", "role": "assistant", "model": "model-x", "content": [],
            "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
        {"type": "content_block_stop", "index": 0},
    ]  # fmt: skip
    if end:
        events += [
            {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
             "usage": {"output_tokens": 5}},
            {"type": "message_stop"},
        ]  # fmt: skip
    frames = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    return 200, {"content-type": "text/event-stream"}, frames.encode()

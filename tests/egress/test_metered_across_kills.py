"""What a bottle was answered is in the usage rows, whoever of the proxies was killed meanwhile and whoever looks.

One process holds two houses here: the worker that began, and another that goes on after the proxy was killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from boatwright.config.paths import StateDir
from boatwright.egress import wires
from boatwright.egress.client import Upstream, WireClient, WireSpec
from boatwright.egress.upstream import open_unix
from boatwright.values.usage import Cap

PASSED = ("PATH", "PYTHONPATH", "BOATWRIGHT_DATABASE_URL")
NANO = 10**9
LOOK = """
import json, sys
from boatwright.egress.budget import Budgets
rows = Budgets.open(sys.argv[1]).usage("ex-1")
print(json.dumps([[row.reservation, row.source, row.usage.output] for row in rows]))
"""


class Bench:
    """A state directory, a provider that counts what it bills, and the proxies that come and go."""

    def __init__(self, state: StateDir, provider: Any) -> None:
        self.state = state
        self.provider = provider
        self.answered = 0
        """Output tokens of the answers that a bottle heard to their end."""
        self.workers: list[WireClient] = []

    def worker(self, **environment: str) -> WireClient:
        """A worker that has looked at its budgets already."""
        bare = {name: os.environ[name] for name in PASSED if name in os.environ}
        worker = WireClient(self.state, environment={**bare, **environment}, grace=3600.0)
        worker.budgets()
        self.workers.append(worker)
        return worker

    async def called(self, worker: WireClient, wire: str) -> None:
        """One call over a wire of its own, opened and closed around it."""
        upstream = Upstream("anthropic", socket=str(self.provider.path))
        spec = WireSpec(id=wire, execution="ex-1", repository="r", provider="scripted", upstreams=(upstream,))
        directory = await worker.open(spec)
        if (usage := await _answer(directory)) is not None:
            self.answered += usage
        await worker.close(wire)

    async def end(self, worker: WireClient, number: int) -> None:
        """Send the proxy a signal, and wait until nothing of it is left: a killed one may hold its locks a while."""
        pid = int((await worker.status())["pid"])
        gone = os.pidfd_open(pid)
        os.kill(pid, number)
        await _readable(gone)

    def by_another(self) -> list[list[Any]]:
        """The rows as a process sees them that was never here before: reservation, source, output tokens."""
        argv = [sys.executable, "-c", LOOK, self.state.budgets_url]
        return list(json.loads(subprocess.run(argv, check=True, capture_output=True, timeout=60).stdout))


async def _readable(descriptor: int) -> None:
    loop, seen = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, seen.set)
    try:
        await seen.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def _answer(directory: Path) -> int | None:
    """The output tokens of the whole answer that came; None where it broke off, or none came."""
    reader, writer = await open_unix(directory / wires.SOCKET)
    body = json.dumps({"model": "m", "max_tokens": 2_000, "messages": [{"role": "user", "content": "hi"}]})
    head = (
        f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    writer.write(f"{head}{body}".encode())
    said = b""
    with contextlib.suppress(OSError):
        said = await reader.read()
    writer.close()
    status, _, rest = said.partition(b"\r\n\r\n")
    return int(json.loads(rest)["usage"]["output_tokens"]) if status.startswith(b"HTTP/1.1 200") else None


@pytest.fixture
async def bench(
    state: StateDir, tmp_path: Path, helpers: Any, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Bench]:
    monkeypatch.setenv("BOATWRIGHT_DATABASE_URL", database_url)
    provider = helpers.Provider(Path(f"/tmp/bw-kills-{os.getpid()}-{tmp_path.name[-20:]}.sock"))
    await provider.start()
    made = Bench(state, provider)
    yield made
    worker = made.worker()
    if (await worker.status())["running"]:
        await made.end(worker, signal.SIGKILL)
    for each in made.workers:
        each.budgets().database.dispose()
    await provider.stop()
    provider.path.unlink(missing_ok=True)


@pytest.mark.parametrize("then", [signal.SIGKILL, signal.SIGTERM])
async def test_a_second_house_goes_on_after_a_kill_and_all_see_every_call(
    bench: Bench, then: signal.Signals
) -> None:
    """Each proxy ends differently: one that leaves in order is the last to let go of the database, and tidies it up."""
    first = bench.worker()
    first.budgets().set_cap("execution", "ex-1", Cap(usd=Decimal(5)))
    await bench.called(first, "w1")
    await bench.end(first, signal.SIGKILL)
    second = bench.worker()
    assert second.budgets().cap("execution", "ex-1") == Cap(usd=Decimal(5))
    await bench.called(second, "w2")
    await bench.end(second, then)
    await bench.called(second, "w3")
    await bench.end(second, signal.SIGTERM)
    await bench.called(first, "w4")
    rows = bench.by_another()
    assert [source for _, source, _ in rows] == ["provider"] * 4 and len({one for one, *_ in rows}) == 4
    assert sum(output for *_, output in rows) == bench.answered == 4 * 7
    for worker in (first, second):
        budgets = worker.budgets()
        assert [row.reservation for row in budgets.usage("ex-1")] == [one for one, *_ in rows]
        used, held = budgets.used("execution", "ex-1")
        assert used.usd == sum(int(row.usd * NANO) for row in budgets.usage("ex-1")) > 0
        assert (held.usd, held.tokens, budgets.open_reservations()) == (0, 0, 0)


async def test_a_cap_set_by_the_first_house_binds_the_third_proxy(bench: Bench) -> None:
    first = bench.worker()
    await bench.called(first, "w1")
    await bench.end(first, signal.SIGKILL)
    second = bench.worker()
    await bench.called(second, "w2")
    await bench.end(second, signal.SIGTERM)
    first.budgets().set_cap("execution", "ex-1", Cap(tokens=1))
    await bench.called(second, "w3")
    assert len(bench.provider.asked) == 2 == len(bench.by_another())


@pytest.mark.parametrize(
    ("point", "sources", "asked"),
    [
        ("wire.reserved", ["provider", "estimate", "provider"], 2),
        ("wire.answered", ["provider", "estimate", "provider"], 3),
        ("wire.settled", ["provider", "provider", "provider"], 3),
    ],
)
async def test_killed_at_its_second_call_each_call_has_one_outcome(
    bench: Bench, point: str, sources: list[str], asked: int
) -> None:
    """The proxy dies between the steps of a call: that call's client hears no end, and pays what it may have cost."""
    first = bench.worker(BOATWRIGHT_CRASH=f"{point}:2")
    await bench.called(first, "w1")
    await bench.called(first, "w2")
    second = bench.worker()
    await bench.called(second, "w3")
    rows = second.budgets().usage("ex-1")
    assert [row.source for row in rows] == sources and len({row.reservation for row in rows}) == 3
    assert len(bench.provider.asked) == asked and bench.answered == 2 * 7
    assert sum(row.usage.output for row in rows if row.source == "provider") == 7 * sources.count("provider")
    charged = [row for row in rows if row.source == "estimate"]
    assert all((row.usd, row.usage.tokens) == (row.reserved_usd, row.reserved_tokens) for row in charged)
    used, held = second.budgets().used("execution", "ex-1")
    assert used.usd == sum(int(row.usd * NANO) for row in rows)
    assert used.tokens == sum(row.usage.tokens for row in rows)
    assert (held.usd, held.tokens, second.budgets().open_reservations()) == (0, 0, 0)
    assert bench.by_another() == [[row.reservation, row.source, row.usage.output] for row in rows]

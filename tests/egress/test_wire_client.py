"""The workers' side against the proxy's own process: started once, found again after a kill, replaced by
another release.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from boatwright import errors
from boatwright.config.paths import StateDir
from boatwright.egress import control, wires
from boatwright.egress.budget import Budgets
from boatwright.egress.client import Upstream, WireClient, WireSpec
from boatwright.egress.upstream import open_unix
from boatwright.values.usage import Cap

BARE = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
ENVIRONMENT = {**BARE, "MODEL_KEY": "sk-handed-over"}


class World:
    """A state directory, a provider, and the workers that come and go."""

    def __init__(self, state: StateDir, provider: Any) -> None:
        self.state = state
        self.provider = provider
        self.pids: set[int] = set()
        self.workers: list[WireClient] = []

    def worker(self, *, grace: float = 3600.0, **environment: str) -> WireClient:
        worker = WireClient(self.state, environment={**ENVIRONMENT, **environment}, grace=grace)
        self.workers.append(worker)
        return worker

    def spec(self, **changes: Any) -> WireSpec:
        upstream = Upstream("anthropic", socket=str(self.provider.path), secret="env:MODEL_KEY")
        given: dict[str, Any] = {
            "id": "w1", "execution": "ex-1", "repository": "repo", "provider": "scripted", "upstreams": (upstream,),
        }  # fmt: skip
        return WireSpec(**{**given, **changes})

    async def pid(self) -> int:
        pid = int((await self.worker().status())["pid"])
        self.pids.add(pid)
        return pid

    async def kill(self) -> None:
        pid = await self.pid()
        os.kill(pid, signal.SIGKILL)
        await ended(pid)


async def ended(pid: int) -> None:
    """Wait until a process is gone, reaped or not."""
    async with asyncio.timeout(20):
        while True:
            try:
                state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            except (FileNotFoundError, ProcessLookupError):
                return
            if state in "ZX":
                return
            await asyncio.sleep(0.01)


def proxies(state: StateDir) -> set[int]:
    """Every proxy of this state directory, the one that lost a race and is still starting included."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if b"boatwright.egress" in words and os.fsencode(state.root) in words:
                    found.add(int(entry.name))
    return found


@pytest.fixture
async def world(state: StateDir, tmp_path: Path, helpers: Any) -> AsyncIterator[World]:
    provider = helpers.Provider(Path(f"/tmp/bw-world-{os.getpid()}-{tmp_path.name[-20:]}.sock"))
    await provider.start()
    made = World(state, provider)
    yield made
    for pid in made.pids | proxies(made.state):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            await ended(pid)
    await provider.stop()
    provider.path.unlink(missing_ok=True)


async def call(directory: Path, *, stream: bool = False, model: str = "m") -> bytes:
    """One call over a wire; the whole answer, whatever it is."""
    reader, writer = await open_unix(directory / wires.SOCKET)
    body = json.dumps({
        "model": model, "max_tokens": 2_000, "stream": stream, "messages": [{"role": "user", "content": "hi"}],
    }).encode()  # fmt: skip
    head = (
        f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    try:
        writer.write(head.encode() + body)
        parts = []
        with contextlib.suppress(OSError):
            while part := await reader.read(65536):
                parts.append(part)
        return b"".join(parts)
    finally:
        writer.close()


async def test_two_workers_race_and_there_is_one_proxy(world: World) -> None:
    workers = [world.worker() for _ in range(4)]
    await asyncio.gather(*(worker.ensure() for worker in workers))
    pids = {(await worker.status())["pid"] for worker in workers}
    assert len(pids) == 1
    directories = await asyncio.gather(*(worker.open(world.spec()) for worker in workers))
    assert set(directories) == {wires.directory(world.state, "w1")}
    assert (await call(directories[0])).startswith(b"HTTP/1.1 200")
    (row,) = workers[0].budgets().usage("ex-1")
    assert row.usage.input == 11
    await asyncio.gather(*(worker.close("w1") for worker in workers))
    assert (await workers[0].status())["wires"] == []


async def test_the_proxys_process_has_no_key_in_its_environment_or_arguments(world: World) -> None:
    worker = world.worker()
    await worker.open(world.spec())
    pid = await world.pid()
    assert b"sk-handed-over" not in Path(f"/proc/{pid}/environ").read_bytes()
    assert b"sk-handed-over" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    for file in (path for path in world.state.root.rglob("*") if path.is_file()):
        assert b"sk-handed-over" not in file.read_bytes(), file


async def test_a_missing_key_parks_and_names_the_variable(world: World) -> None:
    worker = WireClient(world.state, environment=BARE)
    with pytest.raises(errors.Parked, match="the variable MODEL_KEY is not set") as parked:
        await worker.open(world.spec())
    assert parked.value.code == "credential"


async def test_a_bad_spec_is_refused_with_a_sentence(world: World) -> None:
    with pytest.raises(errors.BadInput, match="does not speak 'gopher'"):
        await world.worker().open(world.spec(upstreams=(Upstream("gopher", socket="/x"),)))
    with pytest.raises(errors.BadInput, match="must be https"):
        await world.worker().open(world.spec(upstreams=(Upstream("openai", base_url="http://example.com"),)))
    with pytest.raises(errors.BadInput, match="a wire's id"):
        world.spec(id="../w")


async def test_after_a_kill_the_wire_is_back_its_calls_are_charged_and_the_key_is_asked_for(
    world: World,
) -> None:
    hang = asyncio.Event()

    async def on_call(_: Any, say: Any) -> None:
        await hang.wait()
        say.hang_up()

    world.provider.on_call = on_call
    worker = world.worker()
    directory = await worker.open(world.spec())
    first = asyncio.create_task(call(directory))
    while not world.provider.asked:
        await asyncio.sleep(0.01)
    inode = directory.stat().st_ino
    await world.kill()
    assert await first == b""
    await worker.ensure()
    (row,) = worker.budgets().usage("ex-1")
    assert (row.source, row.usd) == ("estimate", row.reserved_usd)
    answer = await call(directory)
    assert answer.startswith(b"HTTP/1.1 503") and b'"code": "credential"' in answer
    assert directory.stat().st_ino == inode  # what a bottle has bound is still the same directory
    hang.set()
    del world.provider.on_call
    await worker.open(world.spec())
    assert worker.budgets().open_reservations() == 0


async def test_a_key_in_a_file_needs_nobody_after_a_restart(world: World, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("sk-from-file\n")
    key.chmod(0o600)
    upstream = Upstream("anthropic", socket=str(world.provider.path), secret=f"file:{key}")
    worker = world.worker()
    directory = await worker.open(world.spec(upstreams=(upstream,)))
    await world.kill()
    await worker.ensure()
    assert (await call(directory)).startswith(b"HTTP/1.1 200")
    assert world.provider.asked[-1].headers["x-api-key"] == "sk-from-file"


async def test_another_release_drains_and_is_replaced_while_a_stream_runs_out(
    world: World, helpers: Any
) -> None:
    go_on = asyncio.Event()

    async def on_call(_: Any, say: Any) -> None:
        events = helpers.anthropic_events()
        await say.stream(events[:2], end=False)
        await go_on.wait()
        await say.chunk(b"".join(events[2:]))
        say.writer.write(b"0\r\n\r\n")

    world.provider.on_call = on_call
    old = world.worker()
    directory = await old.open(world.spec())
    old_pid = await world.pid()
    running = asyncio.create_task(call(directory, stream=True))
    while not world.provider.asked:
        await asyncio.sleep(0.01)
    new = world.worker(BOATWRIGHT_RELEASE="99.0")
    await new.open(world.spec())
    new_pid = await world.pid()
    assert new_pid != old_pid
    go_on.set()
    assert b"message_stop" in await running
    await ended(old_pid)
    assert b"message_stop" in await call(directory, stream=True)
    rows = new.budgets().usage("ex-1")
    assert [row.source for row in rows] == ["provider", "provider"]


async def test_an_older_worker_uses_the_newer_proxy_and_does_not_replace_it(world: World) -> None:
    await world.worker(BOATWRIGHT_RELEASE="2.10").ensure()
    pid = await world.pid()
    old = world.worker(BOATWRIGHT_RELEASE="2.9")
    assert (await call(await old.open(world.spec()))).startswith(b"HTTP/1.1 200")
    assert await world.pid() == pid


async def test_idle_it_ends_and_the_next_order_starts_it_again(world: World) -> None:
    worker = world.worker(grace=0.5)
    await worker.open(world.spec())
    pid = await world.pid()
    await worker.close("w1")
    await ended(pid)
    assert (await worker.status()) == {"running": False, "wires": []}
    await worker.close("w1")  # nothing to do, and nobody to do it
    await worker.open(world.spec())
    assert await world.pid() != pid


async def test_sigterm_drains(world: World) -> None:
    worker = world.worker()
    directory = await worker.open(world.spec())
    pid = await world.pid()
    os.kill(pid, signal.SIGTERM)
    await ended(pid)
    await worker.ensure()
    assert b'"code": "credential"' in await call(directory)


async def test_other_users_of_the_host_can_reach_neither_control_nor_wire(world: World) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs two users")
    worker = world.worker()
    directory = await worker.open(world.spec())
    for path in (world.state.run / control.SOCKET, directory / wires.SOCKET):
        done = subprocess.run(
            ["/usr/bin/python3", "-c", "import os, socket, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534);"
             "s = socket.socket(socket.AF_UNIX);\ntry: s.connect(sys.argv[1])\nexcept OSError: sys.exit(9)", str(path)],
            check=False,
        )  # fmt: skip
        assert done.returncode == 9
    os.chown(directory, 65534, 65534)  # what a backend does for its bottle's uid
    await world.kill()
    await worker.open(world.spec())
    assert directory.stat().st_uid == 65534
    assert (await call(directory)).startswith(b"HTTP/1.1 200")


def test_only_our_user_and_root_give_orders() -> None:
    assert control.allowed(os.geteuid()) and control.allowed(0)
    assert not control.allowed(os.geteuid() + 54_321)


async def test_a_state_directory_with_a_very_long_path(tmp_path: Path, helpers: Any) -> None:
    state = StateDir(tmp_path / ("d" * 120) / ("e" * 120)).create()
    worker = WireClient(state, environment=ENVIRONMENT, grace=3600.0)
    spec = WireSpec(id="w" * 100, execution="ex-1", repository="r")
    directory = await worker.open(spec)
    assert b'"code": "unknown"' in await call(directory)
    os.kill((await worker.status())["pid"], signal.SIGKILL)


# --- kills ---


class Storm:
    """64 callers over real sockets, some hanging up, while the proxy is killed and comes back."""

    def __init__(self, world: World, worker: WireClient, seed: int) -> None:
        self.world = world
        self.worker = worker
        self.random = random.Random(seed)
        self.over = False

    async def caller(self, directory: Path) -> None:
        while not self.over:
            doing = asyncio.create_task(call(directory, stream=self.random.random() < 0.5))
            if self.random.random() < 0.25:
                await asyncio.sleep(self.random.random() * 0.05)
                doing.cancel()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await doing
            await asyncio.sleep(0.002)

    async def run(self, kills: int) -> None:
        directory = await self.worker.open(self.world.spec())
        callers = [asyncio.create_task(self.caller(directory)) for _ in range(64)]
        for _ in range(kills):
            await asyncio.sleep(0.4)
            await self.world.kill()
            await self.worker.open(self.world.spec())
        await asyncio.sleep(0.3)
        self.over = True
        await asyncio.gather(*callers)
        await self.worker.close("w1")


async def test_64_callers_with_kills_of_caller_and_proxy(
    world: World, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cap = Cap(usd=Decimal("3.5"), tokens=400_000)
    monkeypatch.setenv("BOATWRIGHT_DATABASE_URL", database_url)
    worker = world.worker(BOATWRIGHT_DATABASE_URL=database_url)
    budgets: Budgets = worker.budgets()
    budgets.set_cap("execution", "ex-1", cap)
    await Storm(world, worker, seed=7).run(kills=2)
    used, held = budgets.used("execution", "ex-1")
    rows = budgets.usage("ex-1")
    assert budgets.open_reservations() == 0 and (held.usd, held.tokens) == (0, 0)
    assert used.usd == sum(int(row.usd * 10**9) for row in rows)
    assert used.tokens == sum(row.usage.tokens for row in rows)
    assert cap.usd and cap.tokens
    assert Decimal(used.usd) / 10**9 <= cap.usd and used.tokens <= cap.tokens
    assert len(rows) > 50 and "estimate" in {row.source for row in rows}
    budgets.database.dispose()


@pytest.mark.parametrize(
    ("point", "source"),
    [("wire.reserved", "estimate"), ("wire.answered", "estimate"), ("wire.settled", "provider")],
)
async def test_a_kill_at_each_crash_point_books_the_call_once(world: World, point: str, source: str) -> None:
    worker = world.worker(BOATWRIGHT_CRASH=point)
    directory = await worker.open(world.spec())
    pid = await world.pid()
    assert b"HTTP/1.1 200" not in await call(directory)
    await ended(pid)
    await world.worker().open(world.spec())
    (row,) = worker.budgets().usage("ex-1")
    assert row.source == source
    assert worker.budgets().open_reservations() == 0
    assert (await call(directory)).startswith(b"HTTP/1.1 200")

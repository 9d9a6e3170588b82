"""Row 3 of the performance table: the intercept lane at sixteen connections, against direct TLS in the same run.

Every request is decrypted, judged, given a credential, encrypted again, and its answer searched for that credential. Peers
are reverse proxies that only add a header, where their libraries are found here or in ``.bench`` (made by ``--install``);
one that is not there is left out, and that is said. Rounds are interleaved; medians are printed.

usage: python benchmarks/intercept.py [--install] [--rounds N] [--calls N] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop
import wire  # the file beside this one: its server, its certificate, its way of calling

from boatwright.config.paths import StateDir
from boatwright.egress import wires
from boatwright.egress.authority import Authority
from boatwright.egress.client import WireClient, WireSpec
from boatwright.egress.upstream import open_unix
from boatwright.values.clock import SystemClock
from boatwright.values.route import Credential, Route

CONNECTIONS = 16
BENCH = Path(__file__).resolve().parent.parent / ".bench" / "reverse"
PEERS = {"aiohttp": ("aiohttp",), "fastapi": ("fastapi", "uvicorn", "httpx")}
Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]

AIOHTTP = """
import ssl, sys
from aiohttp import ClientSession, TCPConnector, web
target, ca = sys.argv[1], sys.argv[2]
context = ssl.create_default_context(cafile=ca)
async def carry(request):
    headers = {**request.headers, "authorization": "Bearer key", "host": "x"}
    body = await request.read()
    async with request.app["to"].request(request.method, target + request.path_qs, data=body, headers=headers) as answer:
        return web.Response(status=answer.status, body=await answer.read(), content_type="application/json")
async def begin(app):
    app["to"] = ClientSession(connector=TCPConnector(ssl=context, limit=64))
app = web.Application()
app.on_startup.append(begin)
app.router.add_route("*", "/{tail:.*}", carry)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[3]), print=None)
"""
FASTAPI = """
import ssl, sys
import fastapi, httpx, uvicorn
target, ca = sys.argv[1], sys.argv[2]
to = httpx.AsyncClient(verify=ssl.create_default_context(cafile=ca), limits=httpx.Limits(max_connections=64))
app = fastapi.FastAPI()
@app.api_route("/{path:path}", methods=["GET", "POST"])
async def carry(path: str, request: fastapi.Request):
    body = await request.body()
    answer = await to.request(request.method, f"{target}/{path}", content=body, headers={"authorization": "Bearer key"})
    return fastapi.Response(answer.content, answer.status_code, media_type="application/json")
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[3]), log_level="error")
"""
SOURCES = {"aiohttp": AIOHTTP, "fastapi": FASTAPI}


async def many(connect: Connect, number: int) -> float:
    """Calls a second over :data:`CONNECTIONS` connections that are open before the clock starts."""
    there = [await connect() for _ in range(CONNECTIONS)]
    body = json.dumps(
        {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    ).encode()
    host = b"127.0.0.1:%d" % many.port  # type: ignore[attr-defined]
    request = b"POST /v1/messages HTTP/1.1\r\nhost: %s\r\ncontent-length: %d\r\n\r\n%s" % (
        host,
        len(body),
        body,
    )

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, times: int) -> None:
        for _ in range(times):
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if not head.startswith(b"http/1.1 200"):
                raise RuntimeError(head.decode("latin-1") + str(await reader.read(400)))
            await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0]))

    await asyncio.gather(*(one(*each, 3) for each in there))
    begun = time.perf_counter()
    await asyncio.gather(*(one(*each, number // CONNECTIONS) for each in there))
    took = time.perf_counter() - begun
    for _, writer in there:
        writer.transport.abort()
    return number // CONNECTIONS * CONNECTIONS / took


def through(directory: Path, port: int, trusted: ssl.SSLContext) -> Connect:
    """CONNECT over the wire's socket, then TLS with the wire."""

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await open_unix(directory / wires.SOCKET)
        writer.write(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nhost: x\r\n\r\n" % port)
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head:
            raise RuntimeError(head.decode("latin-1"))
        await writer.start_tls(trusted, server_hostname="127.0.0.1")
        return reader, writer

    return connect


class Peer:
    """A reverse proxy in a process of its own, listening on loopback."""

    def __init__(self, name: str, target: str, ca: Path, port: int) -> None:
        python = BENCH / "bin" / "python"
        self.process = subprocess.Popen(
            [python if python.exists() else sys.executable, "-c", SOURCES[name], target, str(ca), str(port)],
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.port = port

    async def ready(self) -> str:
        """Empty once it listens; else its last words."""
        while self.process.poll() is None:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return ""
            await asyncio.sleep(0.05)
        said = self.process.stderr.read() if self.process.stderr else ""
        return (said.strip().splitlines() or ["it ended"])[-1]

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def free_port() -> int:
    import socket  # noqa: PLC0415

    with socket.create_server(("127.0.0.1", 0)) as made:
        return int(made.getsockname()[1])


async def row_3(folder: Path, rounds: int, number: int) -> dict[str, float]:
    wire.certificate(folder)
    ca = folder / "cert.pem"
    server = subprocess.Popen(
        [sys.executable, str(Path(wire.__file__)), "--serve", str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    port = int(server.stdout.readline())
    many.port = port  # type: ignore[attr-defined]
    state = StateDir(folder / "state").create()
    key = folder / "key"
    key.touch(0o600)
    key.write_text("a-credential-of-some-length")
    client = WireClient(state, environment=dict(os.environ))
    route = Route("bench", "127.0.0.1", port, credential=Credential(f"file:{key}"), ca=str(ca))
    directory = await client.open(WireSpec("w", "bench", "r", routes=(route,)))
    trusted = ssl.create_default_context(cafile=str(ca))
    ours = ssl.create_default_context(cadata=Authority.open(state, SystemClock()).pem.decode())
    ways: dict[str, Connect] = {
        "direct": lambda: asyncio.open_connection("127.0.0.1", port, ssl=trusted),
        "intercept": through(directory, port, ours),
    }
    peers = {name: Peer(name, f"https://127.0.0.1:{port}", ca, free_port()) for name in PEERS}
    try:
        for name, peer in peers.items():
            why = await peer.ready()
            if why:
                print(f"   {name} is left out: {why} (--install brings it)")
            else:
                ways[name] = peer.connect
        rates: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, connect in ways.items():
                rates[way].append(await many(connect, number))
        pid = (await client.status())["pid"]
    finally:
        server.terminate()
        server.wait()
        for peer in peers.values():
            peer.stop()
    await client.close("w")
    os.kill(pid, signal.SIGTERM)
    middle = {way: statistics.median(values) for way, values in rates.items()}
    found = {f"{way} calls/s": rate for way, rate in middle.items()}
    return {
        **found,
        **{f"{way} / direct": middle[way] / middle["direct"] for way in middle if way != "direct"},
    }


def install() -> None:
    """The peers' libraries, in a virtual environment of their own under ``.bench``."""
    subprocess.run([sys.executable, "-m", "venv", str(BENCH)], check=True)
    wanted = sorted({name for names in PEERS.values() for name in names})
    subprocess.run([str(BENCH / "bin" / "python"), "-m", "pip", "install", "-q", *wanted], check=True)


async def main(rounds: int, number: int) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory(prefix="bw-bench-") as name:
        found = await row_3(Path(name), rounds, number)
    return {"3 intercept lane at 16 connections against direct TLS (>= 0.25)": found}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=3_200)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--install", action="store_true")
    given = parser.parse_args()
    if given.install:
        install()
    told = uvloop.run(main(given.rounds, given.calls))
    if given.json:
        print(json.dumps(told))
    else:
        for title, figures in told.items():
            print(title)
            for figure, value in figures.items():
                print(f"   {figure:<34} {value:>12,.3f}")

"""Row 5 of the performance table: a webhook verified, durable and answered, at sixteen connections, against bare Starlette.

The bare one checks the same signature over the same 25 KB and does the same insert into the same kind of file (SQLite, WAL,
``synchronous=FULL``), one transaction a request, on the loop. Each server is a process of its own; rounds are interleaved,
medians are printed.

usage: python benchmarks/door.py [--rounds N] [--calls N] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvicorn

CONNECTIONS = 16
SECRET = "a-secret-of-the-benchmark"
BODY = json.dumps({"action": "labeled", "pad": "x" * 25_000}).encode()
SIGNATURE = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()


def serve_ours(folder: Path, port: int) -> None:
    from boatwright.config.forges import ForgeSetting  # noqa: PLC0415
    from boatwright.intake.door import Door  # noqa: PLC0415
    from boatwright.ledger.database import Database  # noqa: PLC0415
    from boatwright.ledger.deliveries import Deliveries  # noqa: PLC0415
    from boatwright.server.front import front  # noqa: PLC0415
    from boatwright.values.clock import SystemClock  # noqa: PLC0415

    database = Database.open(f"sqlite:///{folder / 'ours.db'}")
    database.migrate()
    clock = SystemClock()
    settings = {"github": ForgeSetting(webhook_secret="env:HOOK")}
    door = Door(Deliveries(database, clock), settings, environment={"HOOK": SECRET}, clock=clock)

    async def healthy() -> str:
        return ""

    uvicorn.run(front(door, release="bench", healthy=healthy), port=port, log_level="error", access_log=False)


def serve_bare(folder: Path, port: int) -> None:
    import sqlite3  # noqa: PLC0415

    from starlette.applications import Starlette  # noqa: PLC0415
    from starlette.requests import Request  # noqa: PLC0415
    from starlette.responses import JSONResponse  # noqa: PLC0415
    from starlette.routing import Route  # noqa: PLC0415

    database = sqlite3.connect(folder / "bare.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute(
        "CREATE TABLE deliveries (id INTEGER PRIMARY KEY AUTOINCREMENT, delivery TEXT, forge TEXT, hook TEXT, body BLOB, "
        "digest TEXT, state TEXT, received TEXT, UNIQUE (delivery, forge, hook))"
    )

    async def take(request: Request) -> JSONResponse:
        body = await request.body()
        right = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(f"sha256={right}", request.headers["x-hub-signature-256"]):
            return JSONResponse({}, 401)
        row = (request.headers["x-github-delivery"], "github", "", body, hashlib.sha256(body).hexdigest())
        database.execute(
            "INSERT OR IGNORE INTO deliveries (delivery, forge, hook, body, digest, state, received) "
            "VALUES (?, ?, ?, ?, ?, 'received', datetime())",
            row,
        )
        return JSONResponse({"status": "accepted"}, 202)

    app = Starlette(routes=[Route("/webhooks/github", take, methods=["POST"])])
    uvicorn.run(app, port=port, log_level="error", access_log=False)


SERVERS = {"ours": serve_ours, "bare": serve_bare}


class Server:
    """One of the two, in a process of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as made:
            self.port = int(made.getsockname()[1])
        argv = [sys.executable, __file__, "--serve", name, str(folder), str(self.port)]
        self.process = subprocess.Popen(argv)

    async def ready(self) -> None:
        for _ in range(600):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return
        raise RuntimeError("the server does not listen")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


async def many(port: int, number: int) -> tuple[float, list[float]]:
    """Deliveries a second, each with an id of its own, over connections that are open before the clock starts."""
    there = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CONNECTIONS)]
    took: list[float] = []

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, times: int) -> None:
        for _ in range(times):
            began = time.perf_counter()
            writer.write(_request(os.urandom(16).hex()))
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 202"):
                raise RuntimeError(head.decode("latin-1"))
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.partition(b":")[2]))
            took.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(one(*pair, number // CONNECTIONS) for pair in there))
    seconds = time.perf_counter() - began
    for _, writer in there:
        writer.close()
    return len(took) / seconds, took


def _request(delivery: str) -> bytes:
    head = (
        f"POST /webhooks/github HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(BODY)}\r\n"
        f"x-github-event: issues\r\nx-github-delivery: {delivery}\r\nx-hub-signature-256: sha256={SIGNATURE}\r\n\r\n"
    )
    return head.encode() + BODY


async def row_5(folder: Path, rounds: int, number: int) -> dict[str, float]:
    servers = {name: Server(name, folder) for name in SERVERS}
    rates: dict[str, list[float]] = {name: [] for name in servers}
    times: dict[str, list[float]] = {name: [] for name in servers}
    try:
        for server in servers.values():
            await server.ready()
            await many(server.port, CONNECTIONS * 4)
        for _ in range(rounds):
            for name, server in servers.items():
                rate, took = await many(server.port, number)
                rates[name].append(rate)
                times[name] += took
    finally:
        for server in servers.values():
            server.stop()
    middle = {name: statistics.median(values) for name, values in rates.items()}
    found = {f"{name} deliveries/s": rate for name, rate in middle.items()}
    for name, took in times.items():
        found[f"{name} p50 ms"] = statistics.median(took) * 1e3
        found[f"{name} p99 ms"] = statistics.quantiles(took, n=100)[98] * 1e3
    return {**found, "ours / bare": middle["ours"] / middle["bare"]}


async def main(rounds: int, number: int) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory(prefix="bw-bench-") as name:
        found = await row_5(Path(name), rounds, number)
    return {"5 webhook verified, durable, answered at 16 connections against bare Starlette (>= 0.7)": found}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        SERVERS[sys.argv[2]](Path(sys.argv[3]), int(sys.argv[4]))
        sys.exit(0)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=3_200)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    told = asyncio.run(main(given.rounds, given.calls))
    if given.json:
        print(json.dumps(told))
    else:
        for title, figures in told.items():
            print(title)
            for figure, value in figures.items():
                print(f"   {figure:<34} {value:>12,.3f}")

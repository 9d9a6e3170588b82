"""Rows 2 and 4 of the performance table: what the wire adds to a call, and what a reservation costs.

Every figure is a ratio (or a difference) against a limit measured in the same run: direct TLS to the same
server, and bare group-committed statements on the same disk. Rounds are interleaved; medians are printed.

usage: python benchmarks/wire.py [--rounds N] [--calls N] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime
import ipaddress
import json
import os
import signal
import sqlite3
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from boatwright.config.paths import StateDir
from boatwright.egress import wires
from boatwright.egress.booking import Outcome, Payer, Reservation, Reserve, Settle
from boatwright.egress.budget import Budgets
from boatwright.egress.client import Upstream, WireClient, WireSpec
from boatwright.egress.journal import Journal
from boatwright.egress.upstream import open_unix
from boatwright.rules.budget import Amount, Need
from boatwright.values.clock import SystemClock
from boatwright.values.usage import Cap, Usage

EVENTS = 500
CALLERS = 16
ANSWER = json.dumps({
    "type": "message", "content": [{"type": "text", "text": "x" * 1_750}], "stop_reason": "end_turn",
    "usage": {"input_tokens": 10, "output_tokens": 400},
}).encode()  # fmt: skip


# --- the server both ways lead to ---


def certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)


def sse(event: dict[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def stream() -> list[bytes]:
    text = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "some words"}}
    usage = {"input_tokens": 10, "output_tokens": 400}
    return [
        sse({"type": "message_start", "message": {"usage": {**usage, "output_tokens": 1}}}),
        *(sse(text) for _ in range(EVENTS - 3)),
        sse({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}),
        sse({"type": "message_stop"}),
    ]


async def serve(folder: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    whole = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(ANSWER)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    chunks = [b"%x\r\n%s\r\n" % (len(event), event) for event in stream()]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                length = int(request.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
                body = await reader.readexactly(length)
                if b'"stream":true' not in body.replace(b" ", b""):
                    writer.write(whole + ANSWER)
                else:
                    writer.write(head)
                    for chunk in chunks:
                        writer.write(chunk)  # one write an event, as a provider does
                    writer.write(b"0\r\n\r\n")
                await writer.drain()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


# --- row 2 ---


Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


async def calls(connect: Connect, number: int, *, streamed: bool) -> list[float]:
    """Milliseconds of each of ``number`` calls on one connection."""
    reader, writer = await connect()
    body = json.dumps({
        "model": "m", "max_tokens": 2_000, "stream": streamed, "messages": [{"role": "user", "content": "hi"}],
    }).encode()  # fmt: skip
    request = b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    took = []
    for _ in range(number):
        begun = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if streamed:
            await reader.readuntil(b"\r\n0\r\n\r\n")
        else:
            await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]))
        took.append((time.perf_counter() - begun) * 1_000)
    writer.close()
    return took


async def row_2(folder: Path, rounds: int, number: int) -> dict[str, float]:
    certificate(folder)
    server = subprocess.Popen(
        [sys.executable, __file__, "--serve", str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    port = int(server.stdout.readline())
    state = StateDir(folder / "state").create()
    worker = WireClient(state, environment={**os.environ, "SSL_CERT_FILE": str(folder / "cert.pem")})
    budgets = worker.budgets()
    budgets.set_cap("execution", "bench", Cap(usd=Decimal(10**6)))
    budgets.set_cap("host", "*", Cap(usd=Decimal(10**6)))
    upstream = Upstream("anthropic", base_url=f"https://127.0.0.1:{port}")
    directory = await worker.open(WireSpec("w", "bench", "r", provider="scripted", upstreams=(upstream,)))
    trusted = ssl.create_default_context(cafile=str(folder / "cert.pem"))
    ways: dict[str, Connect] = {
        "direct": lambda: asyncio.open_connection("127.0.0.1", port, ssl=trusted, limit=1 << 22),
        "wire": lambda: wide(directory / wires.SOCKET),
    }
    took: dict[tuple[str, bool], list[float]] = {(way, kind): [] for way in ways for kind in (False, True)}
    bare, commits = Bare(folder / "floor.db"), []
    try:
        for kind in (False, True):
            for connect in ways.values():
                await calls(connect, 5, streamed=kind)
            for _ in range(rounds):
                for way, connect in ways.items():
                    took[way, kind] += await calls(connect, number // (10 if kind else 1), streamed=kind)
                commits += bare.pairs(20)
        pid = (await worker.status())["pid"]
    finally:
        server.terminate()
        server.wait()
    await worker.close("w")
    os.kill(pid, signal.SIGTERM)
    middle = {key: statistics.median(values) for key, values in took.items()}
    floor = statistics.median(commits)
    return {
        "direct p50 ms": middle["direct", False],
        "gateway p50 ms": middle["wire", False],
        "gateway added p50 ms": middle["wire", False] - middle["direct", False],
        "two bare durable commits p50 ms": floor,
        "added besides them ms": middle["wire", False] - middle["direct", False] - floor,
        "direct 500-event SSE ms": middle["direct", True],
        "gateway 500-event SSE ms": middle["wire", True],
        "SSE ratio": middle["wire", True] / middle["direct", True],
        "SSE ratio besides the commits": (middle["wire", True] - floor) / middle["direct", True],
    }


async def wide(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await open_unix(path)
    reader._limit = 1 << 22  # type: ignore[attr-defined]
    return reader, writer


# --- row 4 ---


class Bare:
    """What no meter can beat here: the same writer thread, one INSERT and one UPDATE a call, nothing
    decided.
    """

    def __init__(self, path: Path) -> None:
        self._raw = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            self._raw.execute(f"PRAGMA {pragma}")
        self._raw.execute("CREATE TABLE held (id TEXT PRIMARY KEY, state TEXT, usd INTEGER, tokens INTEGER)")

    def apply(self, operations: Sequence[Any]) -> list[Any]:
        self._raw.execute("BEGIN IMMEDIATE")
        new = [(one.id, "held", 1, 1) for one in operations if isinstance(one, Reserve)]
        ended = [("settled", one.id) for one in operations if isinstance(one, Settle)]
        if new:
            self._raw.executemany("INSERT INTO held VALUES (?, ?, ?, ?)", new)
        if ended:
            self._raw.executemany("UPDATE held SET state = ? WHERE id = ?", ended)
        self._raw.execute("COMMIT")
        return [Reservation("", Amount(), 0) for _ in operations]

    def pairs(self, number: int) -> list[float]:
        """Milliseconds of an INSERT and an UPDATE, each its own durable transaction: what full sync costs
        on this disk.
        """
        took = []
        for _ in range(number):
            begun = time.perf_counter()
            for statement in ("INSERT INTO held VALUES (hex(randomblob(8)), 'held', 1, 1)",
                              "UPDATE held SET state = 'settled' WHERE rowid = last_insert_rowid()"):  # fmt: skip
                self._raw.execute("BEGIN IMMEDIATE")
                self._raw.execute(statement)
                self._raw.execute("COMMIT")
            took.append((time.perf_counter() - begun) * 1_000)
        return took


async def per_second(book: Any, number: int, run: str) -> float:
    """Reserve + settle pairs a second with :data:`CALLERS` callers."""
    journal = Journal(book)
    clock = SystemClock()
    need = Need(sent_tokens=1_000, most=1_000, least=500, sent_pico=3 * 10**9, answer_pico=15_000_000)
    outcome = Outcome("provider", 200, Usage(input=900, output=10), 1_000)
    left = iter(range(number))

    async def caller(which: int) -> None:
        payer = Payer(f"ex-{which}", "repo", "builtin")
        for count in left:
            key = f"{run}-{count}"
            await journal.submit(Reserve(key, payer, need, clock.now(), provider="scripted", model="m"))
            await journal.submit(Settle(key, outcome, clock.now()))

    begun = time.perf_counter()
    await asyncio.gather(*(caller(which) for which in range(CALLERS)))
    took = time.perf_counter() - begun
    await journal.close()
    return number / took


async def row_4(folder: Path, rounds: int, number: int) -> dict[str, float]:
    budgets = Budgets.open(f"sqlite:///{folder / 'budgets.db'}")
    for scope, key in (("host", "*"), *(("execution", f"ex-{which}") for which in range(CALLERS))):
        budgets.set_cap(scope, key, Cap(usd=Decimal(10**6)))
    books: dict[str, Any] = {"bare": Bare(folder / "bare.db"), "ours": budgets}
    rates: dict[str, list[float]] = {name: [] for name in books}
    for turn in range(rounds):
        for name, book in books.items():
            rates[name].append(await per_second(book, number, f"{name}{turn}"))
    used, held = budgets.used("host", "*")
    assert (held.usd, used.usd) == (0, rounds * number * 1_000)
    middle = {name: statistics.median(values) for name, values in rates.items()}
    return {
        "bare pairs/s": middle["bare"],
        "reserve + settle pairs/s": middle["ours"],
        "ratio": middle["ours"] / middle["bare"],
    }


async def main(rounds: int, number: int) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory(prefix="bw-bench-") as name:
        folder = Path(name)
        return {
            "2 gateway against direct TLS (added p50 <= 0.3 ms, SSE <= 2)": await row_2(
                folder, rounds, number
            ),
            "4 reserve + settle against bare group commit (>= 0.5)": await row_4(folder, rounds, number * 4),
        }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        uvloop.run(serve(given.serve))
    else:
        found = uvloop.run(main(given.rounds, given.calls))
        if given.json:
            print(json.dumps(found))
        else:
            for title, figures in found.items():
                print(title)
                for figure, value in figures.items():
                    print(f"   {figure:<34} {value:>12,.3f}")

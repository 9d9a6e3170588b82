"""The forwarder as a bottle runs it: an old system Python, no package of ours, a real wire socket behind
it.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from boatwright.egress.forwarder import FORWARDER_SOURCE

PYTHONS = [sys.executable, *([system] if (system := shutil.which("python3", path="/usr/bin")) else [])]


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "forwarder.py"
    path.write_text(FORWARDER_SOURCE)
    return path


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Path]:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write((await reader.read(-1)).upper())
            await writer.drain()
        writer.close()

    path = Path(f"/tmp/bw-fwd-{os.getpid()}-{tmp_path.name[-15:]}.sock")
    server = await asyncio.start_unix_server(shout, path=str(path))
    yield path
    server.close()
    path.unlink(missing_ok=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


CLIENT = """
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"x" * 200000 + b"end"); s.shutdown(socket.SHUT_WR)
data = b""
while True:
    part = s.recv(65536)
    if not part: break
    data += part
sys.exit(7 if data == b"X" * 200000 + b"END" else 8)
"""


def command(python: str, script: Path, port: int, wire: Path | str, *rest: str) -> list[str]:
    options = ["--listen", f"127.0.0.1:{port}", "--socket", str(wire), "--"]
    return [python, "-I", "-S", str(script), *options, *rest]


async def run(argv: list[str]) -> int:
    process = await asyncio.create_subprocess_exec(*argv, stderr=subprocess.DEVNULL)
    async with asyncio.timeout(30):
        return await process.wait()


@pytest.mark.parametrize("python", PYTHONS)
async def test_bytes_go_through_and_the_exit_code_is_the_commands(
    script: Path, wire: Path, python: str
) -> None:
    port = free_port()
    assert await run(command(python, script, port, wire, python, "-c", CLIENT, str(port))) == 7


async def test_without_a_proxy_the_client_is_told_at_once(script: Path, tmp_path: Path) -> None:
    port = free_port()
    argv = command(
        sys.executable, script, port, tmp_path / "none.sock", sys.executable, "-c", CLIENT, str(port)
    )
    assert await run(argv) in {1, 8}


@pytest.mark.parametrize(
    ("rest", "code"),
    [
        (("true",), 0),
        (("sh", "-c", "exit 41"), 41),
        (("sh", "-c", "kill -KILL $$"), 137),
        (("/no/such/program",), 127),
        (("/",), 126),
    ],
)
async def test_exit_codes(script: Path, rest: tuple[str, ...], code: int) -> None:
    assert await run(command(sys.executable, script, free_port(), "/nowhere", *rest)) == code


async def test_a_signal_reaches_the_command(script: Path) -> None:
    body = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(5)); print('up', flush=True); time.sleep(60)"
    argv = command(sys.executable, script, free_port(), "/nowhere", sys.executable, "-c", body)
    process = await asyncio.create_subprocess_exec(*argv, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"up\n"
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(30):
        assert await process.wait() == 5


def test_it_needs_nothing_but_the_standard_library_of_python_3_8() -> None:
    tree = ast.parse(FORWARDER_SOURCE, feature_version=(3, 8))
    imports = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert set(imports) <= sys.stdlib_module_names

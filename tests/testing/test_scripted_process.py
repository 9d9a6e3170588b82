"""The scripted model as a process: it listens where told, and never outlives who started it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from boatwright import errors
from boatwright.testing.scripted_process import running

SCRIPT = "replies: [{say: hello}]"
SERVER = [sys.executable, "-m", "boatwright.testing.scripted_server"]


async def health(socket_path: Path) -> bool:
    directory = os.open(socket_path.parent, os.O_RDONLY)
    try:
        transport = httpx2.AsyncHTTPTransport(uds=f"/proc/self/fd/{directory}/{socket_path.name}")
        async with httpx2.AsyncClient(transport=transport) as http:
            return bool((await http.get("http://x/__health")).json()["ok"])
    finally:
        os.close(directory)


async def test_a_socket_of_ours_alone_removed_at_the_end(tmp_path: Path) -> None:
    async with running(SCRIPT, tmp_path) as model:
        assert await health(model.socket)
        assert stat.S_IMODE(model.socket.stat().st_mode) == 0o600
    assert not model.socket.exists()
    assert model.process is not None and model.process.returncode == 0


async def test_a_long_path_is_no_hindrance(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    async with running(SCRIPT, deep) as model:
        assert await health(model.socket)


async def test_a_port_of_the_loopback(tmp_path: Path) -> None:
    async with running(SCRIPT, tmp_path, port=0) as model:
        assert model.url.startswith("http://127.0.0.1:")
        async with httpx2.AsyncClient() as http:
            assert (await http.get(f"{model.url}/v1/models")).json()["data"][0]["id"] == "scripted"


async def test_a_successor_takes_the_path_over(tmp_path: Path) -> None:
    async with running(SCRIPT, tmp_path) as first, running(SCRIPT, tmp_path) as second:
        assert await health(second.socket)
        assert first.process is not None
        first.process.terminate()
        await first.process.wait()
        assert await health(second.socket), "the first must not remove the path it no longer owns"
    assert not first.socket.exists()


async def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(f"/proc/self/fd/{(fd := os.open(tmp_path, os.O_RDONLY))}/model.sock")
        os.close(fd)
    async with running(SCRIPT, tmp_path) as model:
        assert await health(model.socket)


async def test_a_bad_script_is_said_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(errors.BadInput, match=r"script.yml, line 1: replies.0.sya"):
        async with running("replies: [{sya: hello}]", tmp_path):
            pytest.fail("it started")


def test_a_directory_that_is_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "s.yml").write_text(SCRIPT)
    ended = subprocess.run(
        [*SERVER, "--script", "s.yml", "--socket", str(tmp_path / "no" / "m.sock")],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 1 and "cannot listen" in ended.stderr and "Traceback" not in ended.stderr


PARENT = """
import os, subprocess, sys
server = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)
server.stdout.readline()
print(server.pid, flush=True)
sys.stdin.read()
"""


async def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "s.yml"
    script.write_text(SCRIPT)
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, *SERVER, "--script", str(script), "--socket", str(tmp_path / "m.sock"),
        "--ready", str(tmp_path / "ready"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert parent.stdout is not None
    server = int(await parent.stdout.readline())
    watched = os.pidfd_open(server)
    gone = asyncio.Event()
    asyncio.get_running_loop().add_reader(watched, gone.set)
    assert (tmp_path / "ready").read_text().startswith("unix:")
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    await asyncio.wait_for(gone.wait(), 30)
    asyncio.get_running_loop().remove_reader(watched)
    os.close(watched)
    assert not (tmp_path / "m.sock").exists()

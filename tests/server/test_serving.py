"""``boatwright serve`` as a process: two listeners, one worker, and an end in order."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

import httpx2
import pytest

from boatwright.config.paths import StateDir
from boatwright.intake.listing import Listing
from boatwright.intake.pump import Pump
from boatwright.server import serving
from boatwright.stages.house import House
from boatwright.testing import samples
from boatwright.workflows.assembly import engine_for

from .conftest import ANY

PROGRAM = Path(sys.executable).with_name("boatwright")
SECONDS = 90.0


@pytest.fixture
def root() -> Iterator[Path]:
    """Short, and open to whoever a bottle runs as."""
    root = Path(tempfile.mkdtemp(prefix="bw-serve-"))
    root.chmod(0o711)
    yield root
    rmtree(root, ignore_errors=True)


class Served:
    """The process, and the addresses it said."""

    def __init__(self, root: Path, *arguments: str) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("BOATWRIGHT_")}
        self._out = root / "out"
        with self._out.open("wb") as out:
            self.process = subprocess.Popen(
                [PROGRAM, "serve", "--port", "0", *arguments], stdout=out, stderr=out, cwd=root,
                env={**clean, "BOATWRIGHT_STATE": str(root / "s"), "PYTHONUNBUFFERED": "1", "COLUMNS": "300"},
            )  # fmt: skip
        self.addresses: list[str] = []
        end = time.monotonic() + SECONDS
        while not self.addresses:
            assert self.process.poll() is None and time.monotonic() < end, self.said
            line = next((each for each in self.said.splitlines() if "worker of release" in each), "")
            self.addresses = re.findall(r"(http://\S+)/health", line)
            time.sleep(0.02)

    @property
    def said(self) -> str:
        return self._out.read_text()

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(SECONDS)


def test_one_worker_two_doors_and_an_end_in_order(root: Path) -> None:
    house = House.open(state=StateDir(root / "s"), producer="test")
    token = house.ledger.tokens.create("mine", by="me")
    house.ledger.events.append("ex-1", samples.requested(issue=None), key="feature.requested")
    served = Served(root, "--public", "127.0.0.1:0")
    try:
        private, public = served.addresses
        assert private != public
        mine = {"Authorization": f"Bearer {token}"}
        with httpx2.Client(headers=mine, timeout=60) as client:
            for address in (private, public):
                assert client.get(f"{address}/health").json()["status"] == "ok"
            ready = client.get(f"{private}/ready")
            assert (ready.status_code, ready.json()["worker"]) == (200, "ok")
            assert client.get(f"{public}/ready").status_code == 404
            assert "boatwright_workers{release=" in client.get(f"{private}/metrics").text
            with client.stream("GET", f"{private}/v1/executions/ex-1/events") as answer:
                lines = answer.iter_lines()
                assert next(lines) == "id: 1"
                assert served.end() == 0, served.said
                assert [line for line in lines if line.startswith("id:")] == []
        assert "Traceback" not in served.said, served.said
        assert house.ledger.database and not _leases(house)
    finally:
        served.process.kill()
        house.close()


def _leases(house: House) -> list[object]:
    from boatwright.ledger.leases import Leases

    return list(Leases(house.ledger.database, house.state.run).all())


def test_a_cancel_over_http_is_carried_out_by_its_worker(root: Path) -> None:
    house = House.open(state=StateDir(root / "s"), producer="test")
    token = house.ledger.tokens.create("mine", by="me")
    house.ledger.events.append("ex-1", samples.requested(issue=None), key="feature.requested")
    served = Served(root)
    try:
        (private,) = served.addresses
        with httpx2.Client(headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
            told = client.post(f"{private}/v1/executions/ex-1/cancel", json={"reason": "enough"})
            assert told.status_code == 202
            with client.stream("GET", f"{private}/v1/executions/ex-1/events") as answer:
                seen = []
                for line in answer.iter_lines():
                    seen += [line.removeprefix("event: ")] if line.startswith("event: ") else []
                    if "turn.ended" in seen:
                        break
            assert "feature.cancelled" in seen
            assert client.get(f"{private}/v1/executions/ex-1").json()["state"] == "CANCELLED"
        assert served.end(signal.SIGINT) == 0, served.said
    finally:
        served.process.kill()
        house.close()


@pytest.mark.parametrize("dead", [Pump, Listing])
async def test_a_host_that_would_hear_nothing_any_more_ends_and_says_why(
    house: House, monkeypatch: pytest.MonkeyPatch, dead: type[Pump | Listing]
) -> None:
    async def run(_: object, *, look: float = 1.0) -> None:
        raise ZeroDivisionError("what it died of")

    monkeypatch.setattr(dead, "run", run)
    monkeypatch.setattr(House, "require_any_bottle", lambda _: None)
    engine = engine_for(house)
    said: list[str] = []
    try:
        with pytest.raises(ZeroDivisionError, match="what it died of"):
            async with asyncio.timeout(SECONDS):
                await serving.run(house, engine, inner=ANY, public=None, say=said.append)
    finally:
        engine.close()
    assert any("health on" in line for line in said), "it had begun to serve"

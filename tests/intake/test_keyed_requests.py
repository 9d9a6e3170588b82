"""A request under a key of its sender is one execution: sent twice, sent by two at once, killed anywhere in between."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from boatwright import crash
from boatwright.config.paths import StateDir
from boatwright.stages.house import House
from boatwright.workflows.assembly import engine_for

from .conftest import lay

pytestmark = pytest.mark.timeout(200)
ROOT = Path(__file__).parents[2]
KILLS = ("intake.stored", "turn.claimed", "turn.enqueued")


class Client:
    """Whoever asks, each time in a process of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def begin(self, key: str, text: str, at: str = "") -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.intake.keyed_worker", str(self.root), key, text],
            env={**os.environ, crash.VARIABLE: at},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ask(self, key: str, text: str, at: str = "") -> tuple[int, list[str]]:
        return answer(self.begin(key, text, at))

    def house(self) -> House:
        return House.open(state=StateDir(self.root / "state"), producer="test")


def answer(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return process.returncode, out.removeprefix("there\n").split()


@pytest.fixture
def client(root: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Client:
    for name in [each for each in os.environ if each.startswith("BOATWRIGHT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("BOATWRIGHT_DATABASE_URL", database_url)
    lay(root)
    return Client(root)


def holds(client: Client, *names: str) -> None:
    """These executions are there and no others, each asked for once, and somebody will work on each."""
    house = client.house()
    engine = engine_for(house)
    try:
        assert {view.id for view in house.ledger.executions.list()} == set(names)
        for name in names:
            assert [event.type for event in house.ledger.events.stream(name)] == ["feature.requested"]
            assert [row.kind for row in engine.inbox.waiting(name)] == ["request"]
            assert len(engine.turns.live(name)) == 1
        assert house.ledger.verify().problems == ()
    finally:
        engine.close()
        house.close()


def test_sent_again_it_is_the_execution_of_before(client: Client) -> None:
    code, (name, new) = client.ask("k-1", "Count the last page")
    assert (code, new) == (0, "True")
    assert client.ask("k-1", "Count the last page") == (0, [name, "False"])
    assert client.ask("k-1", "Count the first page") == (0, [name, "conflict"])
    code, (other, new) = client.ask("k-2", "Count the last page")
    assert new == "True" and other != name
    holds(client, name, other)


@pytest.mark.parametrize("at", KILLS)
def test_killed_before_it_could_answer(client: Client, at: str) -> None:
    code, said = client.ask("k-1", "Count the last page", at)
    assert (code, said) == (-signal.SIGKILL, []), "nothing died, so nothing was shown"
    assert client.ask("k-1", "Count the first page")[1][1] == "conflict"
    code, (name, new) = client.ask("k-1", "Count the last page")
    assert (code, new) == (0, "False")
    holds(client, name)


def at_once(client: Client, *texts: str) -> list[list[str]]:
    """All of them get as far as they get without asking, wait for each other, and ask."""
    with (client.root / "gate").open("a") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        asking = [client.begin("k-1", text) for text in texts]
        for process in asking:
            assert process.stdout is not None and process.stdout.readline() == "there\n"
    return sorted(answer(process)[1] for process in asking)


def test_two_at_once_are_one(client: Client) -> None:
    client.house().close()
    said = at_once(client, *["Count the last page"] * 4)
    assert len({name for name, _ in said}) == 1
    assert sorted(new for _, new in said) == ["False", "False", "False", "True"]
    holds(client, said[0][0])


def test_of_two_other_requests_at_once_one_is_refused(client: Client) -> None:
    client.house().close()
    said = at_once(client, "Count the last page", "Count the first page")
    assert len({name for name, _ in said}) == 1
    assert sorted(new for _, new in said) == ["True", "conflict"]
    holds(client, said[0][0])

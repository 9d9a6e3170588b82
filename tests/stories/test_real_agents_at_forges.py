"""End to end as people have it: a label on an issue, `boatwright serve`, a coding agent from npm, a pull request, a
remark on a line, a second turn, a merge. Each forge is its fake server, told of and telling over HTTP.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.stories import test_forge_github_story as github
from tests.stories import test_forge_others_story as others
from tests.stories.test_real_agents import AGENTS, script_of

from boatwright.testing.fake_state import Topic
from boatwright.values.events import FeatureDelivered
from boatwright.values.state import State

pytestmark = [pytest.mark.agents, pytest.mark.timeout(400)]
PROGRAM = Path(sys.executable).with_name("boatwright")
SECRET = "a-secret-of-the-hook"
PAIRS = [(kind, AGENTS[at % len(AGENTS)]) for at, kind in enumerate(("github", "gitea", "gitlab"))]


class Quay:
    """A forge with our repository, and ``boatwright serve`` that it tells what happens."""

    def __init__(self, root: Path, kind: str, agent: str) -> None:
        self.harbour: Any = github.Harbour(root, "token") if kind == "github" else others.Harbour(root, kind)
        self.server, self.path, self.house = self.harbour.server, github.PATH, self.harbour.yard.house
        self.harbour.yard.repository = root / "sample"
        _lay(self.harbour.yard.repository, self.server.files(self.path, "main"))
        file = self.house.state.settings
        settings = yaml.safe_load(file.read_text())
        settings["forges"][kind]["webhook_secret"] = "env:HOOK"
        settings |= {"agent": agent, "models": {"default": script_of(self.harbour.yard, agent)}}
        file.write_text(yaml.safe_dump(settings))
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
        self.server.hook(f"http://127.0.0.1:{port}/webhooks/{kind}", SECRET)
        self.log = (root / "serve.log").open("w+")
        self.process = subprocess.Popen(
            [str(PROGRAM), "serve", "--port", "0", "--public", f"127.0.0.1:{port}"],
            env={
                **{name: text for name, text in os.environ.items() if not name.startswith("BOATWRIGHT_")},
                "BOATWRIGHT_STATE": str(self.house.state.root), "STORY_TOKEN": _token(kind), "HOOK": SECRET,
            },
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.until(lambda: _listens(port), "it listens")

    def until(self, true: Callable[[], Any], what: str, seconds: float = 150.0) -> Any:
        """Look ten times a second: what is waited for happens in other processes."""
        pause = threading.Event()
        for _ in range(int(seconds * 10)):
            if found := true():
                return found
            assert self.process.poll() is None, self.said()
            pause.wait(0.1)
        raise AssertionError(f"never: {what}\n{self.said()}")

    def said(self) -> str:
        self.log.seek(0)
        views = [
            (view.id, view.state, view.stage, view.reason) for view in self.house.ledger.executions.list()
        ]
        return f"{self.log.read()[-6_000:]}\n{views}"

    def delivered(self, turn: int) -> Any:
        """The one execution, once that turn of it is delivered."""
        views = self.house.ledger.executions.list()
        assert len(views) <= 1, views
        told = self.harbour.yard.payloads(views[0].id, FeatureDelivered) if views else ()
        return views[0] if len(told) == turn and views[0].state is State.DELIVERED else None

    @property
    def pulls(self) -> list[Topic]:
        return [topic for topic in self.harbour_depot.topics.values() if topic.pull]

    @property
    def harbour_depot(self) -> Any:
        return self.server.state.depots[self.path]

    def close(self) -> None:
        self.process.terminate()
        code = self.process.wait(120)
        said = self.said()
        self.log.close()
        self.harbour.close()
        assert code == 0, said


def _token(kind: str) -> str:
    return github.TOKEN if kind == "github" else others.TOKEN


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _lay(where: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (where / name).parent.mkdir(parents=True, exist_ok=True)
        (where / name).write_text(text)


@pytest.fixture(params=PAIRS, ids=["-".join(pair) for pair in PAIRS])
def quay(request: pytest.FixtureRequest) -> Iterator[Quay]:
    root = Path(tempfile.mkdtemp(prefix="bw-story-"))
    root.chmod(0o711)
    made = Quay(root, *request.param)
    yield made
    made.close()
    shutil.rmtree(root, ignore_errors=True)


def test_a_label_becomes_a_pull_request_a_remark_a_second_turn_and_a_merge_the_end(quay: Quay) -> None:
    act, path = quay.server.do, quay.path
    words = {"title": "Pagination drops the last page", "body": "21 items, 5 a page."}
    number = act(lambda do: do.open_issue(path, by="ann", **words)).number
    act(lambda do: do.label(path, number, "agent", by="ann"))
    first = quay.until(lambda: quay.delivered(1), "the first turn is delivered")
    (pull,) = quay.pulls
    assert pull.pull is not None and (first.word, first.ready, pull.pull.head) == ("proven", True, first.head)

    act(lambda do: do.remark(path, pull.number, by="ann", body="Mention it here.", file="README.md", line=1))
    second = quay.until(lambda: quay.delivered(2), "the second turn is delivered")
    assert quay.pulls == [pull] and pull.pull.head == second.head != first.head
    assert "A short guide." in quay.server.files(path, second.branch)["README.md"]
    told = "".join(event.payload.model_dump_json() for event in quay.house.ledger.events.stream(second.id))
    assert "About README.md:1:" in told and "Mention it here." in told

    act(lambda do: do.set_draft(path, pull.number, by="ann", draft=False))
    act(lambda do: do.merge(path, pull.number, by="ann"))
    quay.until(
        lambda: quay.house.ledger.executions.find(second.id).state is State.COMPLETED, "it is completed"
    )
    quay.until(lambda: quay.harbour_depot.topics[number].state == "closed", "the issue is closed")
    ours = [remark.number for remark in quay.harbour_depot.remarks if remark.author == "boatwright-bot"]
    assert sorted(ours) == sorted([number, pull.number])

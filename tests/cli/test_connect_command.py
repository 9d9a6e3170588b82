"""``boatwright connect`` and ``serve --poll`` as a person runs them, against a forge on loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from boatwright.testing.fake_gitea import FakeGitea

pytestmark = pytest.mark.timeout(240)
PROGRAM = Path(sys.executable).with_name("boatwright")
SAMPLE, BOT, TOKEN = "ann/sample", "boatwright-bot", "atokenofourownaccount0123456789"


class Desk:
    """A person's terminal, a state directory and a fake forge."""

    def __init__(self, root: Path, forge: FakeGitea) -> None:
        self.root, self.forge = root, forge
        forge.make(SAMPLE, files={"a.txt": "one\n"}, people={"ann": "admin", BOT: "admin"})
        forge.token(BOT, TOKEN)
        self.state = root / "state"
        self.state.mkdir(mode=0o711)
        self.settings()
        assert self.run("repo", "add", f"{forge.url}/{SAMPLE}.git", "--forge", "gitea").returncode == 0

    def settings(self, **more: str) -> None:
        script = self.root / "model.yml"
        script.write_text(yaml.safe_dump({"replies": [{"say": "Done."}]}))
        gitea = {"token": "env:DESK_TOKEN", "base_url": self.forge.url, **more}
        said = {"forges": {"gitea": gitea}, "models": {"default": f"scripted:{script}"}}
        (self.state / "settings.yml").write_text(yaml.safe_dump(said))

    @property
    def environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("BOATWRIGHT_")}
        return {**clean, "BOATWRIGHT_STATE": str(self.state), "DESK_TOKEN": TOKEN, "COLUMNS": "300"}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(PROGRAM), *arguments], env=self.environment, capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL, timeout=120,
        )  # fmt: skip

    @contextmanager
    def serving(self, *options: str) -> Iterator[None]:
        argv = [str(PROGRAM), "serve", "--port", "0", *options]
        log = self.root / "serve.log"
        with log.open("w") as out:
            server = subprocess.Popen(argv, env=self.environment, stdout=out, stderr=out)
        try:
            until(lambda: "health on" in log.read_text() or server.poll() is not None)
            assert server.poll() is None, log.read_text()
            yield
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(90) == 0, log.read_text()

    def listed(self, *command: str) -> list[dict[str, Any]]:
        ran = self.run(*command, "--json")
        assert ran.returncode == 0, ran.stderr
        return list(json.loads(ran.stdout))


def until(true: Callable[[], Any], seconds: float = 90.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := true():
            return found
        time.sleep(0.1)
    raise AssertionError("it did not come true")


@pytest.fixture
def desk() -> Iterator[Desk]:
    with (
        tempfile.TemporaryDirectory(prefix="bw-desk-", ignore_cleanup_errors=True) as made,
        FakeGitea(Path(made) / "forge") as forge,
    ):
        root = Path(made)
        root.chmod(0o711)
        yield Desk(root, forge)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as made:
        return int(made.getsockname()[1])


def test_a_forge_is_connected_step_by_step(desk: Desk) -> None:
    unsaid = desk.run("connect", "gitea")
    assert unsaid.returncode == 2 and "serve --poll 30s" in unsaid.stdout
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    unnamed = desk.run("connect", "gitea", "--url", url)
    place = desk.state / "secrets" / "gitea-webhook"
    assert unnamed.stderr.rstrip().endswith(f"boatwright connect gitea --url {url}")
    assert unnamed.returncode == 2 and f"webhook_secret: file:{place}" in unnamed.stderr
    desk.settings(webhook_secret=f"file:{place}")
    deaf = desk.run("connect", "gitea", "--url", url, "--wait", "0.1")
    assert deaf.returncode == 1, deaf.stderr
    assert "is made" in deaf.stdout and "serve --poll 30s" in deaf.stdout
    assert f"again: boatwright connect gitea --url {url}" in deaf.stdout
    with desk.serving("--public", f"127.0.0.1:{port}"):
        heard = desk.run("connect", "gitea", SAMPLE, "--url", url, "--wait", "60")
    assert heard.returncode == 0, heard.stdout + heard.stderr
    assert "was there" in heard.stdout and "has arrived: push" in heard.stdout
    assert f"what {BOT} itself labels or writes there asks for nothing" in heard.stdout
    assert f"what {BOT} itself labels" in desk.run("doctor", "--forge").stdout
    assert len(desk.forge.state.hooks) == 1
    secret = place.read_text().strip()
    for ran in (unsaid, unnamed, deaf, heard):
        assert secret not in ran.stdout + ran.stderr and TOKEN not in ran.stdout + ran.stderr


def test_what_cannot_be_connected_is_told_why(desk: Desk) -> None:
    assert desk.run("connect", "github", "--url", "https://h").returncode == 2
    assert "no address a forge could call" in desk.run("connect", "gitea", "--url", "h").stderr
    wrong = desk.run("connect", "gitlab", SAMPLE, "--url", "https://h")
    assert wrong.returncode == 2 and "is on gitea" in wrong.stderr
    desk.settings(webhook_secret="env:DESK_TOKEN")
    desk.forge.do(lambda act: act.depot(SAMPLE).people.update({BOT: "write"}))
    refused = desk.run("connect", "gitea", "--url", "http://127.0.0.1:9", "--wait", "0")
    assert refused.returncode == 4 and "administer ann/sample" in refused.stdout + refused.stderr


def test_serve_polls_without_any_webhook_and_says_what_is_no_time(desk: Desk) -> None:
    for text, words in (("soon", "should be written like"), ("1s", "too often")):
        refused = desk.run("serve", "--poll", text)
        assert refused.returncode == 2 and words in refused.stderr
    issue = desk.forge.do(lambda act: act.open_issue(SAMPLE, by="ann", title="It drops", labels=["agent"]))
    with desk.serving("--poll", "5s"):
        (row,) = until(
            lambda: [row for row in desk.listed("deliveries", "list") if row["state"] == "processed"]
        )
        assert (row["outcome"], row["event"]) == ("started", "listed issue")
        (view,) = desk.listed("status")
    assert (view["issue"], view["id"]) == (issue.number, row["about"])
    assert desk.forge.state.hooks == []

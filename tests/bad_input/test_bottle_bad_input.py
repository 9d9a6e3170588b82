"""A bottle by itself, and everything that can be wrong about it: one clear sentence, the right exit code, nothing lost."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from boatwright import errors
from boatwright.cli import app
from boatwright.config.paths import StateDir
from boatwright.intake import solo
from boatwright.stages.house import House
from boatwright.values.clock import SystemClock

SAMPLE = ("--headless", "--prompt", "x")


class Table:
    """A state directory with agents that are lines of shell, and the command line in this process."""

    def __init__(self, root: Path) -> None:
        self.root, self.state = root, root / "s"
        (self.state / "agents").mkdir(parents=True)
        self.state.chmod(0o711)

    def agent(self, name: str, line: str, *, program: str = "sh") -> None:
        run = yaml.safe_dump([program, "-c", line], default_flow_style=True, width=10_000).strip()
        text = f"---\nprovider: command\ncommand:\n  run: {run}\n---\nYou are a line of shell.\n"
        (self.state / "agents" / f"{name}.md").write_text(text)

    def do(self, *arguments: str) -> tuple[int, str, str]:
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = app.run(["bottle", *arguments])
        return code, *(each.buffer.getvalue().decode() for each in (out, err))  # type: ignore[attr-defined]

    def script(self, **said: Any) -> None:
        (self.root / "m.yml").write_text(yaml.safe_dump({"replies": [{"say": "Done."}], **said}))


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    root = Path(tempfile.mkdtemp(prefix="bw-bad-"))
    root.chmod(0o711)
    table = Table(root)
    table.script()
    for name in [name for name in os.environ if name.startswith("BOATWRIGHT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("BOATWRIGHT_STATE", str(table.state))
    monkeypatch.setenv("BOATWRIGHT_MODEL", f"scripted:{root / 'm.yml'}")
    monkeypatch.chdir(root)
    yield table
    shutil.rmtree(root, ignore_errors=True)


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("echo All done.; exit 0", 0, "finished: All done."),
        ("echo No luck.; exit 1", 1, "agent failed: command ended with exit code 1: No luck."),
        ("echo Bye.; kill -9 $$", 1, "agent failed: command ended with exit code 137: Bye."),
        ("exit 1", 1, "agent failed: command ended with exit code 1: it said nothing"),
    ],
)
def test_an_agent_that_exits(table: Table, line: str, code: int, said: str) -> None:
    table.agent("one", line)
    got, out, err = table.do("start", "one", *SAMPLE)
    assert (got, said in out) == (code, True), out + err


def test_one_that_hangs_is_ended_and_named(table: Table) -> None:
    (table.state / "settings.yml").write_text("limits: {wall: 2s}\n")
    table.agent("one", "echo kept > made; sleep 1000")
    code, out, err = table.do("start", "one", *SAMPLE)
    assert code == 4 and "wall clock: command was still at work when its time was up" in out, out + err
    assert table.do("exec", "one", "--", "cat", "made")[1] == "kept\n"


def test_one_that_writes_without_end_meets_the_disk(table: Table) -> None:
    """Ten gigabytes would be as many as it liked; the limit is what it gets."""
    (table.state / "settings.yml").write_text("limits: {disk: 40MiB}\n")
    table.agent("one", "for i in $(seq 1000); do head -c 10000000 /dev/urandom > f$i || exit 7; done")
    code, out, err = table.do("start", "one", *SAMPLE)
    assert code == 4 and "limit of the bottle: command met the bottle's limit of disk" in out, out + err
    assert "boatwright bottle resume one" in out


def test_a_key_that_is_not_accepted_stops_it_and_is_not_tried_again(table: Table) -> None:
    table.script(faults=[{"reply": 1, "kind": "http_401", "times": 50}])
    code, out, err = table.do("start", "builtin", *SAMPLE, "--label", "one")
    assert code == 4 and "\ncredential: " in out and "in 1 calls" in out, out + err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("start", "nobody", *SAMPLE), 2, "there is no agent 'nobody'"),
        (("start", "foo; rm -rf /", *SAMPLE), 2, "not a name of an agent"),
        (("start", "../escape", *SAMPLE), 2, "not a name of an agent"),
        (("start", "one", *SAMPLE, "--label", "foo; rm -rf /"), 2, "cannot name a bottle"),
        (("start", "one", *SAMPLE, "--label=-leading"), 2, "cannot name a bottle"),
        (("start", "one", *SAMPLE, "--bottle", "$(id)"), 2, "not a name of a bottle"),
        (("start", "one", *SAMPLE, "--bottle", "absent"), 2, "there is no bottle 'absent'"),
        (("start", "lost", *SAMPLE), 3, "the program 'absent-program' is not on this host's PATH"),
        (("start", "wrong", *SAMPLE), 2, "'nonesuch' is not a provider"),
        (("start", "Shell Words", *SAMPLE), 2, "not a name of an agent"),
    ],
)
def test_what_cannot_be_begun_leaves_no_trace(
    table: Table, arguments: tuple[str, ...], code: int, said: str
) -> None:
    table.agent("one", "true")
    table.agent("lost", "true", program="absent-program")
    table.agent("Shell Words", "true")
    (table.state / "agents" / "wrong.md").write_text("---\nprovider: nonesuch\n---\n")
    got, out, err = table.do(*arguments)
    assert got == code and said in err and "→" in err and "Traceback" not in out + err, out + err
    assert not (table.state / "solo").exists() and not list(table.state.glob("bottles/*/meta.json"))


def test_a_disk_that_is_full_during_freeze_loses_nothing(table: Table) -> None:
    """The kernel refuses the archive's bytes past a size; the bottle stays, and is frozen once there is room."""
    table.agent("one", "head -c 9000000 /dev/urandom > noise; echo kept > made")
    assert table.do("start", "one", *SAMPLE)[0] == 0
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6_000_000, hard))
    try:
        code, out, err = table.do("freeze", "one")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 7 and "could not be written" in err and "free some disk space" in err, out + err
    assert list((table.state / "run").glob("*.freeze*")) == []
    assert table.do("exec", "one", "--", "cat", "made")[1] == "kept\n"
    assert '"stopped"' in table.do("list", "--json")[1]
    code, out, err = table.do("freeze", "one")
    assert code == 0 and "one is frozen (9." in out, out + err


async def test_a_clock_that_jumps_moves_no_limit_and_loses_no_bottle(table: Table) -> None:
    """Days forward and back between runs: what is listed, held and gone on with hangs on no date."""

    class Jumping(SystemClock):
        ahead = timedelta()

        def now(self) -> Any:
            return super().now() + self.ahead

    clock = Jumping()
    table.agent("one", "cat >> asked; echo ok")
    house = House.open(state=StateDir(table.state), environment={**os.environ}, clock=clock)
    ask = solo.Ask(agent="one", prompt="first", cwd=table.root)

    def quiet(_: object) -> None:
        return None

    await solo.start(house, await solo.look(house, ask), ask.prompt, say=quiet, begun=quiet)
    for days in (4_000, -4_000):
        clock.ahead = timedelta(days=days)
        record = await solo.resume(house, "one", f"after {days}", say=quiet, begun=quiet)
        assert record.end is not None and record.end.stop == "finished"
        assert (await solo.freeze(house, "one")).archive
    assert [each.slug for each in solo.records(house).all()] == ["one"]
    with pytest.raises(errors.NotFound):
        solo.records(house).get("two")
    house.close()

"""``boatwright bottle start … destroy`` as processes of their own: two at once, killed, followed, frozen while at work."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from boatwright.bottle import processes
from boatwright.cli import app
from boatwright.config.paths import StateDir
from boatwright.egress import tape
from boatwright.stages import sweep
from boatwright.stages.house import House
from boatwright.stages.solo_records import Records
from boatwright.values.clock import SystemClock
from boatwright.values.solo import Solo
from boatwright.values.usage import Cap

PROGRAM = Path(sys.executable).with_name("boatwright")
SECONDS = 100.0
PROMPT = ("--headless", "--prompt")


@dataclass
class Desk:
    root: Path
    environment: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def state(self) -> Path:
        return self.root / "s"

    def script(self, *rounds: list[str]) -> None:
        told = [
            [*({"say": "Working.", "tools": [{"bash": line}]} for line in lines), {"say": f"Done {number}."}]
            for number, lines in enumerate(rounds, start=1)
        ]
        (self.root / "m.yml").write_text(yaml.safe_dump({"replies": told[0], "later": told[1:]}))

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [str(PROGRAM), "bottle", *arguments], env={**self.environment, **more}, cwd=self.root,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.started.append(process)
        return process

    def do(self, *arguments: str) -> tuple[int, str, str]:
        """A command in this process: the same path, without a second of loading."""
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = app.run(["bottle", *arguments])
        return code, *(each.buffer.getvalue().decode() for each in (out, err))  # type: ignore[attr-defined]

    def ok(self, *arguments: str) -> str:
        code, out, err = self.do(*arguments)
        assert code == 0, f"{arguments}\n{out}{err}"
        return out

    def rows(self) -> dict[str, Any]:
        return {row["slug"]: row for row in json.loads(self.ok("list", "--json"))}

    def until(self, true: Callable[[], bool]) -> None:
        end = time.monotonic() + SECONDS
        while not true():
            assert time.monotonic() < end
            time.sleep(0.05)

    def works(self, slug: str) -> None:
        """Wait until its agent has given its shell something to do."""
        log = self.state / "solo" / f"{slug}.log"
        self.until(lambda: log.exists() and "bash: " in log.read_text())


@pytest.fixture
def desk(room: Any) -> Iterator[Desk]:
    desk = Desk(room.root, room.environment)
    desk.script(["echo one >> made"], ["echo two >> made"])
    yield desk
    for process in desk.started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_a_task_from_its_start_to_its_end(desk: Desk) -> None:
    out = desk.ok("start", "builtin", *PROMPT, "Make it", "--label", "task", "--budget", "2usd")
    assert out.startswith("task  builtin, model scripted:") and "budget 2 USD" in out
    assert "finished: Done 1." in out and "cost: " in out
    assert desk.ok("exec", "task", "--", "cat", "made") == "one\n"
    assert desk.do("exec", "task", "--", "sh", "-c", "exit 9")[0] == 9
    assert "bash: echo one >> made" in desk.ok("logs", "task")
    assert "is frozen" in desk.ok("freeze", "task")
    code, _, err = desk.do("exec", "task", "--", "ls")
    assert code == 6 and "is frozen" in err
    assert "finished: Done 2." in desk.ok("resume", "task", *PROMPT, "Go on")
    assert desk.ok("exec", "task", "--", "cat", "made") == "one\ntwo\n"
    assert "is destroyed" in desk.ok("destroy", "task")
    assert "there is no bottle task" in desk.ok("destroy", "task")
    assert desk.rows() == {} and list((desk.state / "solo").iterdir()) == []


def test_what_is_recorded_is_every_run_of_it(desk: Desk) -> None:
    shown = desk.ok("start", "builtin", *PROMPT, "Make it", "--label", "task", "--record", "--dry-run")
    assert "what models are asked and answer is kept" in shown
    desk.ok("start", "builtin", *PROMPT, "Make it", "--label", "task", "--record")
    desk.ok("start", "builtin", *PROMPT, "Make it", "--label", "other")
    desk.ok("resume", "task", *PROMPT, "Go on")
    (folder,) = (desk.state / "tapes").iterdir()
    assert folder.name.startswith("task.")
    runs = sorted(tape.of_execution(desk.state / "tapes", folder.name), key=lambda run: run.exchanges[0].at)
    assert [run.broken for run in runs] == ["", ""] and {run.purpose for run in runs} == {"build"}
    asked = [run.exchanges[0].asked.body for run in runs]
    assert "Make it" in asked[0] and "Go on" in asked[1] and "Go on" not in asked[0]


def test_a_dry_run_leaves_no_trace(desk: Desk) -> None:
    repository = desk.root / "repository"
    repository.mkdir()
    for line in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x", "--allow-empty"],
    ):
        subprocess.run(["git", "-C", str(repository), *line], check=True)
    desk.ok("verify")  # what every command makes: the state's own directories, what is known of bwrap
    before = sorted(desk.state.rglob("*"))
    os.chdir(repository)
    assert "would start the bottle builtin" in desk.ok("start", "builtin", *PROMPT, "x", "--cwd", "--dry-run")
    assert sorted(desk.state.rglob("*")) == before


def test_two_at_once_with_one_label_get_two_names(desk: Desk) -> None:
    both = [desk.start("start", "builtin", *PROMPT, "x", "--label", "twin") for _ in range(2)]
    told = [process.communicate(timeout=SECONDS) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert sorted(out.split()[0] for out, _ in told) == ["twin", "twin-2"]
    for slug in ("twin", "twin-2"):
        assert desk.ok("exec", slug, "--", "cat", "made") == "one\n"
        desk.ok("destroy", slug)


@pytest.mark.parametrize(
    ("point", "made", "after"),
    [
        ("step.replied", "", "one\n"),
        ("step.saved", "one\n", "one\none\n"),  # the step in flight is done again
        ("step.completed", "one\n", "one\n"),  # its conversation goes on behind the step that was saved
    ],
)
def test_killed_at_a_step_it_is_listed_and_goes_on(desk: Desk, point: str, made: str, after: str) -> None:
    killed = desk.start("start", "builtin", *PROMPT, "x", BOATWRIGHT_CRASH=point)
    told = killed.communicate(timeout=SECONDS)
    assert killed.returncode == -signal.SIGKILL, told
    assert desk.rows()["builtin"]["state"] == "interrupted"
    assert desk.ok("exec", "builtin", "--", "sh", "-c", "touch made; cat made") == made
    desk.ok("resume", "builtin", *PROMPT, "Go on")
    assert desk.ok("exec", "builtin", "--", "cat", "made") == after
    desk.ok("destroy", "builtin")


def test_killed_in_the_middle_of_a_command_nothing_of_it_runs_on(desk: Desk) -> None:
    desk.script(["echo one >> made; sleep 600"])
    running = desk.start("start", "builtin", *PROMPT, "The first words", "--label", "long")
    desk.works("long")
    assert desk.rows()["long"]["state"] == "running"
    assert desk.do("resume", "long", *PROMPT, "x")[0] == 6
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert desk.rows()["long"]["state"] == "interrupted"
    (place,) = desk.state.glob("bottles/*/meta.json")
    desk.until(lambda: processes.members(place.parent / "workspace", "/workspace") == [])
    desk.script(["cat made > seen"])
    out = desk.ok("resume", "long", *PROMPT, "Go on")
    assert "finished" in out and desk.ok("exec", "long", "--", "cat", "seen") == "one\n"
    record = json.loads((desk.state / "solo" / "long.json").read_text())
    assert len(record["prompts"]) == record["heard"] == 2, "what was asked first is not forgotten"
    desk.ok("destroy", "long")


@pytest.mark.parametrize("how", ["freeze", "destroy"])
def test_what_is_at_work_is_stopped_first(desk: Desk, how: str) -> None:
    desk.script(["echo one >> made; sleep 600"])
    running = desk.start("start", "builtin", *PROMPT, "x")
    following = desk.start("logs", "-f", "builtin") if how == "freeze" else None
    desk.works("builtin")
    desk.ok(how, "builtin")
    _, err = running.communicate(timeout=SECONDS)
    assert running.returncode == 130 and "was asked to stop; what it did is saved" in err
    if following is None:
        assert desk.rows() == {}
        return
    following.communicate(timeout=SECONDS)
    row = desk.rows()["builtin"]
    assert (row["state"], row["end"]["stop"]) == ("frozen", "stopped")
    desk.script(["ls"])
    desk.ok("resume", "builtin", *PROMPT, "Go on")
    assert desk.ok("exec", "builtin", "--", "cat", "made") == "one\n"
    desk.ok("destroy", "builtin")


def test_interrupted_by_hand_it_is_listed_as_stopped(desk: Desk) -> None:
    desk.script(["echo one >> made; sleep 600"])
    running = desk.start("start", "builtin", *PROMPT, "x")
    desk.works("builtin")
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=SECONDS)
    assert running.returncode == 130
    assert desk.rows()["builtin"]["state"] == "stopped"
    desk.ok("destroy", "builtin")


@pytest.mark.parametrize("at", [100, 5_000])
def test_an_altered_archive_is_refused_and_nothing_changes(desk: Desk, at: int) -> None:
    desk.script(["head -c 100000 /dev/urandom > made"])
    desk.ok("start", "builtin", *PROMPT, "x")
    desk.ok("freeze", "builtin")
    (archive,) = (
        path for path in (desk.state / "artifacts" / "freeze").rglob("*") if path.stat().st_size > 9_000
    )
    data = bytearray(archive.read_bytes())
    data[at] ^= 1
    archive.write_bytes(data)
    code, _, err = desk.do("resume", "builtin", *PROMPT, "x")
    assert code == 5 and "→" in err, err
    assert desk.rows()["builtin"]["state"] == "frozen"
    assert list(desk.state.glob("bottles/*/meta.json")) == []
    desk.ok("destroy", "builtin")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("start", "builtin"), "this needs a terminal"),
        (("start", "builtin", "--headless"), "--headless needs --prompt"),
        (("start", "builtin", "--prompt", "x"), "--prompt needs --headless"),
        (("resume", "absent", "--headless"), "--headless needs --prompt"),
        (("start", "--headless", "--prompt", "x"), "--headless needs an agent"),
        (("resume", "absent"), "this needs a terminal"),
        (("attach", "absent"), "there is no bottle 'absent'"),
        (("resume", "absent", *PROMPT, "x"), "there is no bottle 'absent'"),
        (("resume", "a b", *PROMPT, "x"), "cannot name a bottle"),
        (("start", "builtin", *PROMPT, "x", "--budget", "much"), "is not a budget"),
        (("start", "builtin", *PROMPT, "x", "--budget", "0usd"), "admits no call"),
        (("start", "builtin", *PROMPT, "x", "--budget", "900usd"), "900"),
        (("start", "builtin", *PROMPT, "x", "--cwd"), "is not a git repository"),
        (("start", "builtin", *PROMPT, "x", "--model", "elsewhere:x"), "is not a model"),
        (("logs", "absent"), "there is no bottle 'absent'"),
        (("freeze", "absent"), "there is no bottle 'absent'"),
        (("exec", "absent", "--", "ls"), "there is no bottle 'absent'"),
        (("destroy", "../bottles"), "cannot name a bottle"),
        (("destroy", "verify-0123"), "Boatwright's own"),
    ],
)
def test_bad_input_is_one_sentence_with_a_next_move(
    desk: Desk, arguments: tuple[str, ...], sentence: str
) -> None:
    code, out, err = desk.do(*arguments)
    assert code == 2 and sentence in err and "→" in err and "Traceback" not in out + err, err
    assert not (desk.state / "solo").exists()


def test_verify_gives_each_way_out_a_class(desk: Desk) -> None:
    told = json.loads(desk.ok("verify", "--json"))
    assert told["holds"] and [each["number"] for each in told["probes"]][:65] == list(range(1, 66))
    assert {each["class"] for each in told["probes"]} == {"dangerous", "benign", "host duty"}
    opened = [each for each in told["probes"] if each["outcome"] == "open"]
    assert {each["class"] for each in opened} <= {"benign"}


# --- records ---


def record(slug: str) -> Solo:
    return Solo(
        slug=slug, account=slug, agent="a", provider="builtin", bottles=None, model="scripted:x",
        budget=Cap.parse("1usd"), created=SystemClock().now(),
    )  # fmt: skip


def test_a_record_of_an_older_release_is_read() -> None:
    said = json.loads(record("old").model_dump_json())
    del said["recorded"]
    assert Solo.model_validate_json(json.dumps(said)).recorded is False


def test_a_record_that_cannot_be_read_is_told_by_name(desk: Desk) -> None:
    (desk.state / "solo").mkdir(parents=True)
    (desk.state / "solo" / "odd.json").write_text("{")
    code, _, err = desk.do("list")
    assert code == 6 and "odd.json" in err


def test_names_are_taken_once_however_long(tmp_path: Path) -> None:
    records = Records(StateDir(tmp_path), SystemClock())
    made = [records.claim("a" * 63, record) for _ in range(3)]
    slugs = [each.slug for each, _ in made]
    assert slugs == ["a" * 63, "a" * 61 + "-2", "a" * 61 + "-3"]
    assert all(records.held(slug) for slug in slugs)
    for _, hold in made:
        with hold:
            pass
    assert not any(records.held(slug) for slug in slugs)


async def test_gc_keeps_what_a_bottle_needs_to_go_on(tmp_path: Path) -> None:
    house = House.open(state=StateDir(tmp_path / "s"), environment={})
    kept, lost = await house.keep("session", b"kept"), await house.keep("session", b"lost")
    Records(house.state, house.clock).claim(
        "work", lambda slug: record(slug).model_copy(update={"session": kept})
    )
    for digest in (kept, lost):
        os.utime(house.ledger.artifacts.path(digest), (0, 0))
    await sweep.collect(house, older_than=timedelta(0), dry_run=False)
    assert house.ledger.artifacts.exists(kept) and not house.ledger.artifacts.exists(lost)
    house.close()

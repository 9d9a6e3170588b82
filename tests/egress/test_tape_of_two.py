"""Two proxies overlap while one is replaced by the next: each writes a part of the tape, and neither breaks the other's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from boatwright.egress import tape

WRITER = """
import sys
from pathlib import Path
from boatwright.egress.tape import Recorder
from boatwright.values.clock import SystemClock

recorder = Recorder(Path(sys.argv[1]), wire="w", execution="e", purpose="build", clock=SystemClock(), note=print)
taping = None
print("done", flush=True)
for word in sys.stdin:
    what, _, rest = word.strip().partition(" ")
    if what == "begin":
        taping = recorder.begin("/p", rest.encode(), None)
        taping.head(200, [])
    elif what == "data":
        taping.data(rest.encode())
    elif what == "end":
        taping.end(whole=True)
    else:
        recorder.close()
    print("done", flush=True)
"""

Start = Callable[[], "Writer"]


class Writer:
    """A process that writes to the tape of one wire, line by line as it is told."""

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

        self._done()  # it has its part of the tape

    def _done(self) -> None:
        assert self.process.stdout is not None and self.process.stdout.readline() == "done\n"

    def do(self, *words: str) -> None:
        assert self.process.stdin is not None
        for word in words:
            self.process.stdin.write(f"{word}\n")
            self.process.stdin.flush()
            self._done()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    made: list[Writer] = []

    def one() -> Writer:
        made.append(Writer(tmp_path / "e" / "w.tape"))
        return made[-1]

    yield one
    for writer in made:
        writer.kill()


def calls(tmp_path: Path) -> list[tuple[str, str, str, bool]]:
    """Of every part: its name, and each call's question, answer, and whether it was whole."""
    return [
        (part.path.name, each.asked.body, b"".join(data for _, data in each.chunks).decode(), each.whole)
        for part in tape.of_execution(tmp_path, "e")
        for each in part.exchanges
    ]


def test_while_one_drains_the_next_writes_beside_it(tmp_path: Path, start: Start) -> None:
    old, new = start(), start()
    old.do("begin one", "data a")
    new.do("begin two", "data x")
    old.do("data b")
    new.do("data y", "end")
    old.do("end", "close")
    new.do("begin three", "data z", "end", "close")
    assert calls(tmp_path) == [
        ("w.tape", "one", "ab", True), ("w~2.tape", "two", "xy", True), ("w~2.tape", "three", "z", True),
    ]  # fmt: skip
    parts = tape.of_execution(tmp_path, "e")
    assert [(part.wire, part.broken) for part in parts] == [("w", ""), ("w", "")]


def test_once_the_first_is_gone_the_next_goes_on_with_its_file(tmp_path: Path, start: Start) -> None:
    for word in ("one", "two"):
        writer = start()
        writer.do(f"begin {word}", "end", "close")
        writer.kill()
    assert [each[:2] for each in calls(tmp_path)] == [("w.tape", "one"), ("w.tape", "two")]
    assert tape.read(tmp_path / "e" / "w.tape").broken == ""


@pytest.mark.parametrize(
    "before", [(), ("begin one",), ("begin one", "data a"), ("begin one", "data a", "end")]
)
def test_killed_at_any_line_it_frees_its_part_and_the_newest_is_gone_on_with(
    tmp_path: Path, start: Start, before: tuple[str, ...]
) -> None:
    old, new = start(), start()
    old.do("begin zero", "end", *before)
    new.do("begin two", "data x", "end")
    old.kill()
    new.kill()
    last = start()
    last.do("begin three", "end", "close")
    found = calls(tmp_path)
    assert [each[:2] for each in found if each[0] != "w.tape"] == [("w~2.tape", "two"), ("w~2.tape", "three")]
    assert len(found) == 3 + bool(before)
    old_part, newest = tape.of_execution(tmp_path, "e")
    assert "cut off" in old_part.broken and newest.broken == ""


def test_an_empty_part_of_a_process_killed_before_its_first_line_is_taken_over(
    tmp_path: Path, start: Start
) -> None:
    old = start()
    old.do("begin one")
    (tmp_path / "e" / "w~2.tape").touch()
    new = start()
    new.do("begin two", "end", "close")
    assert [each[:2] for each in calls(tmp_path)] == [("w.tape", "one"), ("w~2.tape", "two")]

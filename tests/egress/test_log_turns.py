"""A log that has grown is turned over; where the next file cannot be opened, no line goes anywhere else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from boatwright.egress import log
from boatwright.testing.clock import ManualClock


def test_lines_stay_in_the_log_while_the_next_file_cannot_be_opened(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, really = tmp_path / "some.log", os.open
    monkeypatch.setattr(log, "LARGEST", 0)
    mine = log.Log(path, clock)

    def full(*_: object, **__: object) -> int:
        raise OSError(24, "too many open files")

    monkeypatch.setattr(os, "open", full)
    mine.line("one")
    other = really(tmp_path / "other", os.O_WRONLY | os.O_CREAT, 0o600)  # the lowest number that is free
    mine.line("two")
    assert (tmp_path / "other").read_bytes() == b""
    os.close(other)
    assert [json.loads(line)["what"] for line in path.with_suffix(".log.1").read_text().splitlines()] == [
        "one",
        "two",
    ]
    monkeypatch.setattr(os, "open", really)
    mine.line("three")
    mine.line("four")
    assert [row["what"] for row in log.read(path, {"four"})] == ["four"]

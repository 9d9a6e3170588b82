"""The table in the threat model: made from a kept run, and of the probes that the code has today."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from boatwright.bottle import probes, wire_probes
from boatwright.cli.bottle_verify import CLASSES

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "probe_table.py"
KEPT = json.loads((ROOT / "docs" / "probes.json").read_text())
EVERY = (*probes.PROBES, *wire_probes.PROBES)
NUMBERS = [str(each.number) for each in EVERY]


def test_the_kept_probes_are_those_of_the_code() -> None:
    """Fails when a probe was added or renamed: keep a run of today's (tools/probe_table.py), then make docs."""
    code = [
        {"number": each.number, "class": CLASSES[each.kind], "what": each.what, "remark": each.remark}
        for each in EVERY
    ]
    assert KEPT["probes"] == code


@pytest.mark.parametrize("name", list(KEPT["runs"]))
def test_each_kept_run_tried_all_and_found_no_dangerous_one_open(name: str) -> None:
    outcomes = KEPT["runs"][name]["outcomes"]
    assert list(outcomes) == NUMBERS
    benign = {str(each["number"]) for each in KEPT["probes"] if each["class"] == "benign"}
    assert {number for number, outcome in outcomes.items() if outcome != "shut"} <= benign


def test_both_ways_to_start_are_kept() -> None:
    assert {"bubblewrap, started by root", "bubblewrap, by an ordinary user"} <= set(KEPT["runs"])


def test_the_page_shows_every_probe_once() -> None:
    page = (ROOT / "docs" / "threat-model.md").read_text()
    rows = [line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| ")]
    assert [row for row in rows if row.isdigit()] == NUMBERS


def test_a_call_without_a_run_says_how() -> None:
    done = subprocess.run([sys.executable, str(TOOL)], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "usage:" in done.stderr

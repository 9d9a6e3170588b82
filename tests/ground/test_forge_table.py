"""The matrix of forges is what a run of the contract suite showed, and of today's suite."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "forge_table.py"


@pytest.fixture
def tool() -> Any:
    spec = importlib.util.spec_from_file_location("boatwright_forge_table", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def report(nodeid: str, *, when: str = "call", failed: bool = False) -> Any:
    return SimpleNamespace(nodeid=nodeid, when=when, failed=failed)


def test_every_case_of_a_test_has_to_pass(tool: Any) -> None:
    recorder = tool.Recorder()
    at = "tests/contract/test_forge_talk.py::test_every_conclusion_comes_back"
    for case, failed in (
        ("gitea-sqlite-success", False),
        ("gitea-sqlite-neutral", True),
        ("gitea-sqlite-pending", False),
    ):
        recorder.pytest_runtest_logreport(report(f"{at}[{case}]", failed=failed))
    recorder.pytest_runtest_logreport(report(f"{at}[success-github-app-sqlite]"))
    recorder.pytest_runtest_logreport(report(f"{at}[local-postgresql-success]", when="setup", failed=True))
    recorder.pytest_runtest_logreport(report(f"{at}[gitlab-sqlite-success]", when="setup"))
    recorder.pytest_runtest_logreport(report("tests/contract/test_other.py::test_else[gitea-sqlite]"))
    assert recorder.found["test_forge_talk.py"]["test_every_conclusion_comes_back"] == {
        "gitea": "failed", "github-app": "passed", "local": "failed",
    }  # fmt: skip


def test_a_run_of_another_suite_is_not_shown(tool: Any, tmp_path: Path) -> None:
    kept = json.loads(tool.KEPT.read_text(encoding="utf-8"))
    kept["test_forge_talk.py"].popitem()
    tool.KEPT = tmp_path / "kept.json"
    tool.KEPT.write_text(json.dumps(kept))
    with pytest.raises(SystemExit, match="another suite"):
        tool.markdown()


def test_the_page_says_no_where_something_failed(tool: Any, tmp_path: Path) -> None:
    kept = json.loads(tool.KEPT.read_text(encoding="utf-8"))
    kept["test_forge_talk.py"]["test_ready_and_back_to_draft"]["gitlab"] = "failed"
    tool.KEPT = tmp_path / "kept.json"
    tool.KEPT.write_text(json.dumps(kept))
    (line,) = [line for line in tool.markdown().splitlines() if line.startswith("| ready and back to draft")]
    assert line == "| ready and back to draft | yes | yes | yes | yes | yes | **no** |"

"""A whole house on a fresh state directory, a small repository, and a scripted model: the real parts, one execution."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml

from boatwright.config.paths import StateDir
from boatwright.intake import commands, request
from boatwright.intake.request import Ask
from boatwright.stages.house import House
from boatwright.values.events import Payload
from boatwright.values.execution import ExecutionView
from boatwright.workflows.assembly import engine_for
from boatwright.workflows.engine import Engine

GIT = {"PATH": os.defpath, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
WHO = ("-c", "user.name=Someone", "-c", "user.email=someone@localhost")

FIX = """python3 - <<'PY'
import pathlib
p = pathlib.Path("paginate.py")
p.write_text(p.read_text().replace("return len(items) // size", "return -(-len(items) // size)"))
PY"""
TEST = """python3 - <<'PY'
import pathlib
p = pathlib.Path("tests/test_paginate.py")
p.write_text(p.read_text().replace('''            pages([1, 2, 3], 0)

''', '''            pages([1, 2, 3], 0)

    def test_the_last_page(self):
        self.assertEqual(pages(list(range(21)), 5), 5)

''', 1))
PY"""
PLAN = {
    "goal": "Count the last, partly filled page",
    "proof": "behaviour",
    "steps": [
        {
            "id": "P1",
            "action": "edit",
            "path": "tests/test_paginate.py",
            "acceptance": "21 items make 5 pages of 5",
        },
        {
            "id": "P2",
            "action": "edit",
            "path": "paginate.py",
            "acceptance": "pages() counts the last page of 21 items",
        },
    ],
}


@dataclass
class Yard:
    """One state directory, one repository, and what a person does with them."""

    house: House
    engine: Engine
    repository: Path
    scripts: Path
    lines: list[str] = field(default_factory=list)
    fix: str = FIX
    test: str = TEST

    @staticmethod
    def replies(*bash: str, end: str = "Done.") -> list[dict[str, Any]]:
        """A round of the agent: one reply per shell line, then its last word."""
        return [*({"say": "Working.", "tools": [{"bash": line}]} for line in bash), {"say": end}]

    def good(self) -> str:
        """A script that mends the fault and shows it."""
        return self.script(replies=self.replies(TEST, FIX))

    def script(self, **parts: Any) -> str:
        path = self.scripts / f"{len(list(self.scripts.iterdir()))}.yml"
        path.write_text(yaml.safe_dump({"plan": PLAN, "review": {"verdict": "approve"}, **parts}))
        return f"scripted:{path}"

    async def ask(
        self, model: str, *, text: str | None = "Pagination drops the last page", **more: Any
    ) -> str:
        ask = Ask(repository=str(self.repository), text=text, model=model, **more)
        accepted = await request.accept(self.house, self.engine, ask, private=True)
        return accepted.execution

    async def work(self, execution: str) -> ExecutionView:
        await self.engine.run_execution(execution, lambda _, line: self.lines.append(line))
        return await self.house.view(execution)

    async def run(self, model: str, **more: Any) -> ExecutionView:
        return await self.work(await self.ask(model, **more))

    async def comment(self, view: ExecutionView, text: str) -> ExecutionView:
        assert view.pull_request is not None
        await commands.comment(
            self.house, self.engine, view.repository, view.pull_request, text=text, by="someone"
        )
        return await self.work(view.id)

    def payloads(self, execution: str, kind: type[Payload]) -> list[Any]:
        return [e.payload for e in self.house.ledger.events.stream(execution) if isinstance(e.payload, kind)]

    def types(self, execution: str) -> list[str]:
        return [event.type for event in self.house.ledger.events.stream(execution)]

    def git(self, *arguments: str) -> str:
        argv = ["git", "-C", str(self.repository), *WHO, *arguments]
        return subprocess.run(argv, check=True, env=GIT, capture_output=True, text=True).stdout.strip()

    def commit(self, path: str, text: str) -> str:
        (self.repository / path).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", f"Change {path}")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def yard() -> Iterator[Yard]:
    """In a short directory: it holds sockets, whose paths are limited."""
    root = Path(tempfile.mkdtemp(prefix="bw-story-"))
    root.chmod(0o711)
    repository = root / "paginate"
    with resources.as_file(resources.files("boatwright.cli") / "sample" / "repository") as sample:
        shutil.copytree(sample, repository, ignore=shutil.ignore_patterns("__pycache__"))
    scripts = root / "scripts"
    scripts.mkdir()
    house = House.open(state=StateDir(root / "state"), environment={**os.environ}, producer="test")
    engine = engine_for(house)
    yard = Yard(house, engine, repository, scripts)
    yard.git("init", "--quiet", "--initial-branch=main")
    yard.git("add", "--all")
    yard.git("commit", "--quiet", "-m", "Cut a list into pages")
    try:
        yield yard
    finally:
        yard.engine.close()  # a test may have opened the house again
        yard.house.close()
        shutil.rmtree(root, ignore_errors=True)

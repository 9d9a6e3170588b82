"""The same agent and tools in a real bottle: nothing of the host is in reach, and the files are the
bottle's.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from boatwright.agents import tools
from boatwright.agents.protocol import Stop
from boatwright.bottle.backends.bubblewrap import Bubblewrap
from boatwright.bottle.protocol import Bottle, BottleSpec
from boatwright.bottle.store import erase
from boatwright.config.paths import StateDir
from boatwright.testing.scripted_process import serving
from boatwright.values.clock import SystemClock, SystemIds


@pytest.fixture
async def bottle() -> AsyncIterator[Bottle]:
    root = Path(tempfile.mkdtemp(prefix="bw-"))
    root.chmod(0o711)
    backend = Bubblewrap(StateDir(root / "state").create(), clock=SystemClock(), ids=SystemIds())
    yield await backend.create(BottleSpec(slug="agent", purpose="test"))
    for slug in await backend.list():
        await backend.destroy(slug)
    erase(root)


async def call(bottle: Bottle, name: str, **arguments: Any) -> str:
    return await tools.checked(name, arguments).run(bottle, 100.0)


async def test_every_tool_works_in_it(bottle: Bottle) -> None:
    assert await call(bottle, "write_file", path="d/a b.txt", content="one\n") == "wrote 4 bytes to d/a b.txt"
    assert await call(bottle, "edit_file", path="d/a b.txt", old="one", new="two") == (
        "replaced 1 occurrence in d/a b.txt"
    )
    assert "1\ttwo" in await call(bottle, "read_file", path="/workspace/d/a b.txt")
    assert "./d/a b.txt:1:two" in await call(bottle, "search", pattern="tw.")
    assert "/workspace" in await call(bottle, "bash", command="pwd; cat 'd/a b.txt'")
    with pytest.raises(tools.Failed, match="No such file"):
        await call(bottle, "read_file", path="missing")


async def test_a_planted_link_leads_nowhere_on_the_host(bottle: Bottle, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of the host")
    await call(bottle, "bash", command=f"ln -s {secret} link; ln -s /etc/shadow shadow")
    for path in ("link", "shadow", str(secret)):
        with pytest.raises(tools.Failed, match="cannot be read"):
            await call(bottle, "read_file", path=path)
    with pytest.raises(tools.Failed, match="cannot be written"):
        await call(bottle, "write_file", path="/etc/planted", content="x")
    assert secret.read_text() == "of the host"


async def test_a_whole_round_in_it(bottle: Bottle, bench: Any, tmp_path: Path) -> None:
    script = """\
replies:
  - tools: [{bash: "echo 'def f(): return 1' > m.py && python3 -c 'import m; print(m.f())'"}]
  - tools: [{call: {name: edit_file, arguments: {path: m.py, old: "1", new: "2"}}}]
  - tools: [{bash: "cat m.py"}]
  - say: "Done."
"""
    bench.bottle = bottle
    async with serving(script, tmp_path) as model:
        result = await bench.run(model.wire())
    assert (result.stop, result.steps) == (Stop.FINISHED, 4)
    assert (bottle.workspace / "m.py").read_text() == "def f(): return 2\n"

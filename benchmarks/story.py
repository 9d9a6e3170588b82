"""Row 7: the platform's own time in a scripted run: the whole turn, less what agent, set-up and tests took in bottles.

Target: at most 2 s. Held against nothing else: it is what a person waits for besides the work itself.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from importlib import resources
from pathlib import Path
from typing import Any

from boatwright.agents import heavy
from boatwright.bottle.backends.bubblewrap import BubblewrapBottle
from boatwright.config.paths import StateDir
from boatwright.intake import request
from boatwright.intake.request import Ask
from boatwright.stages.house import House
from boatwright.workflows.assembly import engine_for

RUNS = 5
TARGET = 2.0
PLAIN = {
    "PATH": os.environ.get("PATH", os.defpath),
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
}


def lay(root: Path) -> tuple[Path, Path]:
    package = resources.files("boatwright.cli") / "sample"
    with resources.as_file(package / "repository") as sample:
        shutil.copytree(sample, root / "paginate", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "model.yml").write_text((package / "model.yml").read_text())
    who = ("-c", "user.name=Bench", "-c", "user.email=bench@localhost")
    for argv in (("init", "--quiet"), ("add", "--all"), (*who, "commit", "--quiet", "--message=Sample")):
        subprocess.run(["git", "-C", str(root / "paginate"), *argv], check=True, env=PLAIN)
    return root / "paginate", root / "model.yml"


class InBottles:
    """Seconds spent in bottles by agent, set-up and tests; the saver's and the checkout's are the platform's own."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._exec = BubblewrapBottle.exec

    def watch(self) -> None:
        watcher = self

        async def timed(bottle: BubblewrapBottle, argv: Any, **more: Any) -> Any:
            result = await watcher._exec(bottle, argv, **more)
            if list(argv[:2]) == ["/bin/bash", "-c"]:
                watcher.seconds += result.seconds
            return result

        BubblewrapBottle.exec = timed  # type: ignore[method-assign,assignment]


async def one(house: House, repository: Path, model: Path, watched: InBottles) -> float:
    engine = engine_for(house)
    ask = Ask(repository=str(repository), text="Pagination drops the last page", model=f"scripted:{model}")
    accepted = await request.accept(house, engine, ask, private=True)
    watched.seconds, began = 0.0, time.perf_counter()
    await engine.run_execution(accepted.execution, lambda *_: None)
    whole = time.perf_counter() - began
    view = await house.view(accepted.execution)
    if view.word != "proven":
        raise SystemExit(f"the run ended {view.state}, {view.word}: {view.reason}")
    return whole - watched.seconds


def main() -> None:
    root = Path(tempfile.mkdtemp(prefix="bw-bench-"))
    root.chmod(0o711)
    watched = InBottles()
    watched.watch()
    heavy.warm("openai")
    try:
        repository, model = lay(root)
        house = House.open(state=StateDir(root / "state"), producer="bench")
        own = sorted(asyncio.run(one(house, repository, model, watched)) for _ in range(RUNS))
        house.close()
    finally:
        shutil.rmtree(root, ignore_errors=True)
    print(
        f"row 7: platform's own time {own[0]:.2f} / {own[len(own) // 2]:.2f} / {own[-1]:.2f} s (min/median/max of {RUNS})"
    )
    print(f"       ratio to the target of {TARGET:g} s: {own[len(own) // 2] / TARGET:.2f}")


if __name__ == "__main__":
    main()

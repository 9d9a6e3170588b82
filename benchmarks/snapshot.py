"""DESIGN §13 row 10: saving a step of a 5,000-file workspace with 20 files changed, against ``git add -A &&
git write-tree`` in place, without any bottle. Prints the ratio; the target is at most 3.

    python benchmarks/snapshot.py [rounds]
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from boatwright.bottle.backends.bubblewrap import Bubblewrap
from boatwright.bottle.checkout import checkout
from boatwright.bottle.protocol import BottleSpec
from boatwright.bottle.snapshot import StepSaver
from boatwright.config.paths import StateDir
from boatwright.git.mirror import Mirror
from boatwright.values.clock import SystemClock, SystemIds

FILES, CHANGED, TARGET = 5_000, 20, 3.0
WHEN = datetime(2026, 1, 2, tzinfo=UTC)
CHANGE = "i=0; while [ $i -lt 20 ]; do echo $1 $i > d$((i * 5))/f$i; i=$((i + 1)); done"


def git(where: Path, *arguments: str) -> None:
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")
    subprocess.run(["git", *who, *arguments], cwd=where, check=True, stdout=subprocess.DEVNULL)


def fill(where: Path) -> None:
    for number in range(FILES):
        file = where / f"d{number // 50}" / f"f{number % 50}"
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text(f"file {number}\n" * 40)
    git(where, "init", "-q")
    git(where, "add", "-A")
    git(where, "commit", "-q", "-m", "base")


def in_place(where: Path, number: int) -> float:
    subprocess.run(["sh", "-c", CHANGE, "sh", str(number)], cwd=where, check=True)
    began = time.perf_counter()
    git(where, "add", "-A")
    git(where, "write-tree")
    return time.perf_counter() - began


async def measure(state: StateDir, source: Path, rounds: int) -> tuple[list[float], list[float]]:
    """Both in turn, so that whatever else the machine does meets both."""
    backend = Bubblewrap(state, clock=SystemClock(), ids=SystemIds())
    mirror = Mirror.open(state, "bench", source)
    base = parent = mirror.fetch()
    bottle = await backend.create(BottleSpec(slug="bench", purpose="benchmark"))
    await checkout(backend, bottle, mirror, commit=base)
    saver, saved, plain = StepSaver(backend), [], []
    for number in range(rounds + 2):
        await bottle.exec(["sh", "-c", CHANGE, "sh", f"in {number}"])
        began = time.perf_counter()
        step = await saver.save(bottle, mirror, parent=parent, base=base, message="step", when=WHEN)
        saved.append(time.perf_counter() - began)
        assert len(step.paths) == CHANGED
        parent = step.commit
        plain.append(in_place(source, number))
    await backend.destroy("bench")
    await saver.discard("bench")
    return saved[2:], plain[2:]  # the first two learn the workspace


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    root = Path(tempfile.mkdtemp(prefix="bw-bench-"))
    root.chmod(0o711)
    try:
        source = root / "source"
        fill(source)
        saved, plain = asyncio.run(measure(StateDir(root / "state").create(), source, rounds))
    finally:
        shutil.rmtree(root, ignore_errors=True)
    one, other = statistics.median(saved), statistics.median(plain)
    ratio = one / other
    verdict = "ok" if ratio <= TARGET else "MISSED"
    print(f"row 10  save a step, {FILES} files, {CHANGED} changed (uid {os.geteuid()})")
    print(f"        in the bottle {one * 1000:.1f} ms   git in place {other * 1000:.1f} ms")
    print(f"        ratio {ratio:.2f}   target ≤ {TARGET:.0f}   {verdict}")
    return 0  # a ratio is told, never asserted: these machines are noisy


if __name__ == "__main__":
    sys.exit(main())

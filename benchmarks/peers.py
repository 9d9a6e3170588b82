"""Row 1 among its peers: the cold start of a bottle, and of what others start for a sandboxed ``true``.

podman with runc (a skeleton of a root file system, /usr bound read-only), ``srt`` of @anthropic-ai/sandbox-runtime and
``hozo``, each with no network, each under an unprivileged uid where it can be. Ours and theirs run in turns; medians
and ratios are printed. A peer that cannot run here is left out, and the reason is said.

    python benchmarks/peers.py [--install] [--rounds N]      --install: srt and hozo into .bench (make bench-peers)
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pwd
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from boatwright.bottle.backends.bubblewrap import Bubblewrap, BubblewrapBottle
from boatwright.bottle.protocol import BottleSpec
from boatwright.config.paths import StateDir
from boatwright.values.clock import SystemClock, SystemIds

BENCH = Path(__file__).resolve().parent.parent / ".bench"
SRT, HOZO = ("@anthropic-ai/sandbox-runtime", "0.0.78"), ("hozo", "0.4.1")
PYTHON = "/usr/bin/python3"
PATIENCE = 60.0


class Cannot(Exception):
    """Why a peer is left out."""


@dataclass(frozen=True)
class World:
    """A place that any uid may read, the uid that peers run under, and the bwrap that ours uses too."""

    place: Path
    uid: int
    bwrap: Path

    @property
    def home(self) -> Path:
        return self.place / "home"

    def program(self, *argv: str, as_root: bool = False, **environment: str) -> Callable[[], None]:
        """Runs ``argv`` to its end; ``Cannot`` with its last words when it fails."""
        root = os.geteuid() == 0
        drop = {"user": self.uid, "group": self.uid, "extra_groups": []} if root and not as_root else {}
        path = f"{self.place / 'path'}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        given = {"PATH": path, "HOME": str(self.home), "TMPDIR": "/tmp", **environment}

        def run() -> None:
            done = subprocess.run(
                argv, env=given, cwd=self.home, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=PATIENCE, check=False, **drop,  # type: ignore[call-overload]
            )  # fmt: skip
            if done.returncode != 0:
                raise Cannot((done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:160])

        return run


def podman(world: World) -> Callable[[], None]:
    for name in ("podman", "runc"):
        _needs(name, f"apt install {name}")
    root = world.place / "rootfs"
    for name in ("usr", "etc", "proc", "sys", "dev", "tmp", "run", "var"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    limits = ("--ulimit", "nofile=1024:20000", "--ulimit", "nproc=1000:1000")
    line = ("podman", "--runtime", "runc", "run", "--rm", "--network", "none", *limits)
    # Its containers of root are the faster ones, and the only ones where nobody set up ranges of uids.
    return world.program(*line, "--volume", "/usr:/usr:ro", "--rootfs", str(root), "true", as_root=True)


def srt(world: World) -> Callable[[], None]:
    _needs("node", "install Node 20 or newer")
    for name, package in (("socat", "socat"), ("rg", "ripgrep")):
        _needs(name, f"it needs {name}: apt install {package}")
    settings = world.place / "srt.json"
    nothing = {
        "network": {"allowedDomains": [], "deniedDomains": []},
        "filesystem": {"denyRead": [], "allowWrite": [], "denyWrite": []},
    }
    settings.write_text(json.dumps(nothing))
    settings.chmod(0o644)
    installed = _installed("srt", world) / "node_modules" / ".bin" / "srt"
    return world.program(str(installed), "--settings", str(settings), "--", "true")


def hozo(world: World) -> Callable[[], None]:
    installed = _installed("hozo", world)
    profiles = world.home / ".config" / "hozo" / "profiles"
    profiles.mkdir(parents=True)
    where = {
        "name": "bench",
        "description": "where bwrap is",
        "env": {"prepend_path": [str(world.place / "path")]},
    }
    (profiles / "bench.yaml").write_text(json.dumps(where))
    start = (PYTHON, str(installed / "bin" / "hozo"), "+untrusted", "+bench", "--", "true")
    return world.program(*start, PYTHONPATH=str(installed), PYTHONDONTWRITEBYTECODE="1")


PEERS = {"podman, runc": podman, f"srt {SRT[1]}": srt, f"hozo {HOZO[1]}": hozo}


def _needs(program: str, remedy: str) -> None:
    if shutil.which(program) is None:
        raise Cannot(f"{program} is not here ({remedy})")


def _installed(name: str, world: World) -> Path:
    """A copy that the peer's uid can read."""
    if not (BENCH / name).is_dir():
        raise Cannot("it is not installed (make bench-peers)")
    return Path(shutil.copytree(BENCH / name, world.place / name, symlinks=True))


def install() -> None:
    """srt and hozo, from wherever npm and pip are configured to look; what fails is said, and left out."""
    shutil.rmtree(BENCH, ignore_errors=True)
    npm = ("npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error", "--prefix")
    pip = (PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--target")
    for name, argv in (
        ("srt", (*npm, str(BENCH / "srt"), "@".join(SRT))),
        ("hozo", (*pip, str(BENCH / "hozo"), "==".join(HOZO))),
    ):
        (BENCH / name).mkdir(parents=True)
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, check=False).returncode
        except OSError as error:
            print(f"{argv[0]}: {error.strerror}", file=sys.stderr)
            done = 1
        if done != 0:
            print(f"{name} could not be installed", file=sys.stderr)
            shutil.rmtree(BENCH / name)


async def measure(rounds: int) -> None:
    place = Path(tempfile.mkdtemp(prefix="bwb-", dir="/tmp"))
    place.chmod(0o755)
    backend = Bubblewrap(StateDir(place / "state"), clock=SystemClock(), ids=SystemIds())
    try:
        bottle = await backend.create(BottleSpec("bench", "bench"))
        await _table(bottle, _ready(_world(place, backend)), rounds)
    finally:
        for slug in await backend.list():
            await backend.destroy(slug)
        shutil.rmtree(place, ignore_errors=True)


def _world(place: Path, backend: Bubblewrap) -> World:
    # hozo looks its user up, so a uid of the bottles' own would not do.
    uid = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()
    world = World(place, uid, backend.bwrap.path)
    (place / "path").mkdir()
    (place / "path" / "bwrap").symlink_to(world.bwrap)
    world.home.mkdir()
    if os.geteuid() == 0:
        os.chown(world.home, uid, uid)
    return world


def _ready(world: World) -> dict[str, Callable[[], None]]:
    """The peers that work here: each has started once."""
    found = {}
    for name, peer in PEERS.items():
        try:
            found[name] = peer(world)
            found[name]()
        except (Cannot, OSError, subprocess.TimeoutExpired) as error:
            found.pop(name, None)
            print(f"{name:<22} left out: {error}")
    return found


async def _table(bottle: BubblewrapBottle, peers: dict[str, Callable[[], None]], rounds: int) -> None:
    ours: list[float] = []
    theirs: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(rounds):  # in turns, so that a busy moment hits all
        began = time.perf_counter()
        assert (await bottle.exec(["true"])).ok
        ours.append(time.perf_counter() - began)
        for name, run in peers.items():
            began = time.perf_counter()
            run()
            theirs[name].append(time.perf_counter() - began)
    own = statistics.median(ours)
    print(f"{'hardened bottle':<22} {own * 1e3:8.1f} ms   median of {rounds}")
    for name, taken in theirs.items():
        median = statistics.median(taken)
        print(f"{name:<22} {median * 1e3:8.1f} ms   {median / own:6.1f} x ours")


def main() -> None:
    parser = argparse.ArgumentParser(description="the cold start of a bottle among its peers")
    parser.add_argument("--install", action="store_true", help="srt and hozo into .bench first")
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    if given.install:
        install()
    asyncio.run(measure(given.rounds))


if __name__ == "__main__":
    main()

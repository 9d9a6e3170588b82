"""The directory of a wire's services: private, held, and cleared away when nobody holds it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from boatwright.config.paths import StateDir
from boatwright.sidecar import beside

from .conftest import Office


async def test_sockets_lie_in_a_directory_of_ours_and_go_with_the_wire(office: Office) -> None:
    async with office.served() as socket:
        place = Path(socket).parent
        assert place.stat().st_mode & 0o777 == 0o700 and place.parent.stat().st_mode & 0o777 == 0o700
        assert Path(socket).stat().st_mode & 0o777 == 0o600
    assert list(place.parent.iterdir()) == []


async def test_a_live_ones_directory_is_left_alone(office: Office) -> None:
    async with beside.folder(office.state, "a") as first, beside.folder(office.state, "b") as second:
        assert first.is_dir() and second.is_dir()
    assert not first.exists() and not second.exists()


async def test_what_a_killed_worker_left_is_cleared_away_by_the_next(office: Office) -> None:
    program = textwrap.dedent(
        f"""
        import asyncio, os, signal
        from pathlib import Path
        from boatwright.config.paths import StateDir
        from boatwright.sidecar import beside

        async def main():
            async with beside.folder(StateDir(Path({str(office.state.root)!r})), "dead") as place:
                (place / "x.sock").touch()
                os.kill(os.getpid(), signal.SIGKILL)

        asyncio.run(main())
        """
    )
    ended = subprocess.run([sys.executable, "-c", program], check=False, env={**os.environ})
    assert ended.returncode == -signal.SIGKILL
    left = StateDir(office.state.root).run / beside.FOLDER
    assert sorted(each.name for each in left.iterdir()) == ["dead", "dead.held"]
    async with beside.folder(office.state, "next"):
        assert sorted(each.name for each in left.iterdir()) == ["next", "next.held"]

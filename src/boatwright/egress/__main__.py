"""``python -m boatwright.egress --state DIR``: the proxy's own process."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

import uvloop

from boatwright import errors
from boatwright.config import release
from boatwright.config.paths import StateDir
from boatwright.egress.budget import Budgets
from boatwright.egress.proxy import Proxy
from boatwright.values.clock import SystemClock, SystemIds

GRACE_SECONDS = 60.0


async def _run(state: StateDir, grace: float) -> bool:
    clock = SystemClock()
    budgets = await asyncio.to_thread(Budgets.open, state.budgets_url)
    proxy = Proxy(
        state,
        budgets,
        clock=clock,
        ids=SystemIds(clock),
        release=release.current(os.environ),
        grace=grace,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, proxy.stop)
    return await proxy.run()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m boatwright.egress", description=__doc__)
    parser.add_argument("--state", required=True, type=Path, help="the state directory")
    parser.add_argument(
        "--grace", default=GRACE_SECONDS, type=float, help="seconds without a wire before it ends"
    )
    given = parser.parse_args(arguments)
    os.umask(0o077)
    try:
        state = StateDir(given.state.absolute()).create()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(state, given.grace))  # another proxy being there already is no fault
            return 0
    except errors.BoatwrightError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())

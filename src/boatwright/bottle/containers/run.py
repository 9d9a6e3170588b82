"""A running container: its tree is met through the file the engine writes its pid to, and ended by its first process.

The container is not our child: should we die, the kernel does not end it. A small shell of the host holds the other
end of a pipe of ours and removes the container when that pipe closes without a word.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
import subprocess
from collections.abc import Sequence

from boatwright.bottle import processes, store
from boatwright.bottle.containers import engine
from boatwright.bottle.containers.line import ContainerLine
from boatwright.bottle.running import Ended, Run, Streams

_LOOK = 0.005
_PATIENCE = 20.0
"""Seconds in which an engine ends a container whose first process is gone, before it is asked to by name."""
_ENGINES_OWN = frozenset({125, 126, 127})
"""What an engine ends with when it could not run the container, or its first program."""
_OVER = b"over\n"
_LIFELINE = 'read -r word; [ "$word" = over ] || exec "$@"'


class ContainerRun(Run):
    """A program in a container of its own, from before its root is made until nothing of it is left."""

    def __init__(self, line: ContainerLine, streams: Streams) -> None:
        super().__init__(line, streams)
        self._container = line
        self._lifeline: Lifeline | None = None
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        line = self._container
        line.lay()
        self._lifeline = Lifeline(line.engine.removal(line.name), line.engine)
        super().start()
        self._looking = asyncio.create_task(self._look())

    def kill(self) -> None:
        """Kill the first process, now or as soon as there is one: its end is that of all the others."""
        self._killed = True
        if self._first_pidfd >= 0:
            super().kill()

    def said(self) -> str:
        return engine.plain(self._status.decode("utf-8", "replace"))

    async def ended(self) -> Ended:
        """As for every run; one that we killed before its program had begun ended by that, not by what the engine says."""
        ended = await super().ended()
        early = self._killed and ended.exit_code in _ENGINES_OWN
        return dataclasses.replace(ended, exit_code=128 + signal.SIGKILL) if early else ended

    async def release(self) -> None:
        if self._popen is not None and not self.gone:
            self.kill()
            await asyncio.wait({self._exited}, timeout=_PATIENCE)
            if not self.gone:
                await asyncio.to_thread(self._force)
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})
        await super().release()
        if self._lifeline is not None:
            await asyncio.to_thread(self._lifeline.over)
        await asyncio.to_thread(store.erase, self._container.stage)

    def _force(self) -> None:
        """The engine hangs: end its client, then the container by its name."""
        if self._popen is not None:
            with contextlib.suppress(ProcessLookupError):
                self._popen.kill()
        self._container.engine.ask(*self._container.engine.removal(self._container.name)[-6:])

    def _made(self) -> bool:
        # Whoever destroys a bottle of another process takes the file away before that one has looked.
        return self.first is not None or self._container.pidfile.exists()

    def _is_first(self, pid: int) -> bool:
        # Not by its uid: the runtime has not given up its own yet when it names the process.
        return processes.is_first_of_namespace(pid, None)

    async def _look(self) -> None:
        """Until the engine has written the first process's pid, or is gone without one."""
        while not self.gone:
            with contextlib.suppress(OSError, ValueError):
                self._meet(int(self._container.pidfile.read_text("ascii")))
                return
            await asyncio.wait({self._exited}, timeout=_LOOK)


class Lifeline:
    """Removes a container when this process ends before it has said that all is over."""

    def __init__(self, removal: Sequence[str], by: engine.Engine) -> None:
        reader, self._writer = os.pipe()
        try:
            self._shell = subprocess.Popen(
                ["/bin/sh", "-c", _LIFELINE, "sh", *removal],
                stdin=reader,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=dict(by.environment),
                cwd="/",
                start_new_session=True,
            )
        except BaseException:
            os.close(self._writer)
            raise
        finally:
            os.close(reader)

    def over(self) -> None:
        """All is over: it has nothing to do and ends. Blocks for a moment."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._writer, _OVER)
        os.close(self._writer)
        self._shell.wait()

"""One program in a bottle, from its start until the last process of its tree is gone.

The tree lives in a pid namespace of its own, so that killing its first process kills it whole, grandchildren
in sessions of their own included. It also dies with us: the kernel tells bwrap when its parent is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from boatwright import errors
from boatwright.bottle import channel, launcher, processes
from boatwright.bottle.line import Opened
from boatwright.bottle.output import Kept
from boatwright.bottle.protocol import OnOutput
from boatwright.bottle.terminal import Terminal
from boatwright.values.process import Limits

_CHILD = re.compile(rb'"child-pid":\s*([0-9]+)')
_PATIENCE = 10.0
"""Seconds to wait for a killed tree: a process in an uninterruptible read of the host can take that long."""


@dataclass(frozen=True, slots=True)
class Streams:
    """Where the program's bytes come from and go to: bytes, a file, or a descriptor of the caller's.

    ``sink`` takes stdout, unlimited, instead of keeping it. ``terminal`` takes the place of all three: whoever
    has its other end reads what comes, and nothing is kept here.
    """

    stdin: bytes | Path | int | None = None
    separate: bool = False
    on_output: OnOutput | None = None
    sink: Callable[[bytes], None] | None = None
    terminal: Terminal | None = None

    @property
    def split(self) -> bool:
        return self.separate or self.sink is not None


class Startable(Protocol):
    """One program behind a backend's walls, ready to be started. ``uid`` is the host's, of its processes."""

    @property
    def program(self) -> Path:
        """What makes the bottle, for people who look for it when it does not start."""
        ...

    @property
    def uid(self) -> int: ...

    @property
    def limits(self) -> Limits: ...

    def opened(self, *, status: int) -> contextlib.AbstractContextManager[Opened]:
        """The argv, whose standard streams are the program's own; ``status`` takes what the starter has to say."""
        ...


@dataclass(frozen=True, slots=True)
class Ended:
    """How the tree ended, before anybody says which limit it was. ``made`` is False when there never was a bottle."""

    exit_code: int
    used: resource.struct_rusage
    made: bool


class Run:
    """A running tree. ``first`` is the host's pid of its first process, once bwrap has told."""

    def __init__(self, line: Startable, streams: Streams) -> None:
        loop = asyncio.get_running_loop()
        self.line = line
        self.streams = streams
        self.kept = Kept(line.limits.output_bytes)
        self.stdout = bytearray()
        self.first: int | None = None
        self.flooded = asyncio.Event()
        self._status = b""
        self._killed = False
        self._pidfd = self._first_pidfd = -1
        self._emptied: asyncio.Future[None] = loop.create_future()
        self._met = asyncio.Event()
        self._exited: asyncio.Future[tuple[int, resource.struct_rusage]] = loop.create_future()
        self._readers: list[channel.Reader] = []
        self._feeder: asyncio.Task[None] | None = None
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it. Raises ``errors.MissingPart`` when a program that makes the bottle cannot be started."""
        with contextlib.ExitStack() as stack:
            terminal = self.streams.terminal
            status = self._pipe(stack)
            output = self._pipe(stack) if terminal is None else None
            error = self._pipe(stack) if self.streams.split else None
            stdin, feed = self._stdin(stack)
            line = stack.enter_context(self.line.opened(status=status[1]))
            stack.enter_context(_no_core_dumps())
            try:
                self._popen = subprocess.Popen(
                    line.argv,
                    stdin=stdin,
                    stdout=output[1] if output else stdin,
                    stderr=(error or output or (stdin, stdin))[1],
                    env=dict(line.environment),
                    cwd="/",
                    pass_fds=line.descriptors,
                    close_fds=True,
                    start_new_session=True,
                    umask=0o022,
                )
            except OSError as problem:
                raise errors.MissingPart(
                    f"a bottle could not be started: {problem}",
                    subject=str(self.line.program),
                    next_moves=("boatwright doctor",),
                ) from problem
            self._watch_exit(self._popen.pid)
            self._readers.append(channel.Reader(os.dup(status[0]), self._told))
            if terminal is not None:
                terminal.let_go()
            if output:
                self._readers.append(
                    channel.Reader(os.dup(output[0]), self._took_stdout if error else self._took)
                )
            if error:
                self._readers.append(channel.Reader(os.dup(error[0]), self._took))
            if feed is not None:
                content = self.streams.stdin
                self._feeder = asyncio.create_task(channel.write(os.dup(feed), content))  # type: ignore[arg-type]

    @staticmethod
    def _pipe(stack: contextlib.ExitStack) -> tuple[int, int]:
        pair = os.pipe()
        stack.callback(channel.close, *pair)
        return pair

    def _stdin(self, stack: contextlib.ExitStack) -> tuple[int, int | None]:
        """What the program reads, never a person's terminal; and where we write it, if it comes from us."""
        if self.streams.terminal is not None:
            return self.streams.terminal.inner, None
        if isinstance(self.streams.stdin, bytes):
            return self._pipe(stack)
        if isinstance(self.streams.stdin, int):
            return self.streams.stdin, None
        source = self.streams.stdin or Path(os.devnull)
        descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(channel.close, descriptor)
        return descriptor, None

    @property
    def outer(self) -> int:
        """The host's pid of bwrap itself, our child."""
        if self._popen is None:
            raise RuntimeError("the run has not been started")
        return self._popen.pid

    @property
    def gone(self) -> bool:
        return self._exited.done()

    async def lives(self, seconds: float) -> bool:
        """Whether it still runs after ``seconds``; returns early when it does not."""
        await asyncio.wait({self._exited}, timeout=seconds)
        return not self.gone

    async def known(self) -> None:
        """Wait until ``first`` is known, or never will be."""
        met = asyncio.ensure_future(self._met.wait())
        waiting: set[asyncio.Future[Any]] = {met, self._exited}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        met.cancel()

    async def ended(self) -> Ended:
        """Wait until the tree is gone and every byte of its output is read; raises what ``on_output`` raised."""
        await asyncio.gather(*(asyncio.shield(each.ended) for each in self._readers))
        code, used = await asyncio.shield(self._exited)
        if self._first_pidfd >= 0:
            # bwrap ends with the program; the namespace is empty only when its first process is gone.
            await asyncio.shield(self._emptied)
        made = self._killed or code < 0 or self._made()
        return Ended(code if code >= 0 else 128 - code, used, made)

    def _made(self) -> bool:
        """Whether there was a bottle, by the word of what makes it."""
        return b'"exit-code"' in self._status

    def said(self) -> str:
        """What a bottle that could not be made said about it: the last line, or nothing."""
        return _last_line(self.kept.value())

    def kill(self) -> None:
        """Kill the whole tree. Its first process goes first: bwrap then ends only when the namespace is empty."""
        self._killed = True
        pidfd = self._first_pidfd if self._first_pidfd >= 0 else self._pidfd
        if pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)

    async def release(self) -> None:
        """Make sure that nothing runs and nothing is open, whatever state this is in."""
        if self._popen is not None and not self.gone:
            self.kill()
            await asyncio.wait({self._exited}, timeout=_PATIENCE)
        if self._first_pidfd >= 0 and not self._emptied.done():
            self.kill()
            await asyncio.wait({self._emptied}, timeout=_PATIENCE)
        if self._feeder is not None:
            self._feeder.cancel()
            await asyncio.wait({self._feeder})
        for each in self._readers:
            each.close()
        for descriptor in (self._pidfd, self._first_pidfd):
            if descriptor >= 0:
                asyncio.get_running_loop().remove_reader(descriptor)
        channel.close(self._pidfd, self._first_pidfd)
        self._pidfd = self._first_pidfd = -1

    def _watch_exit(self, pid: int) -> None:
        self._pidfd = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._reap, pid)

    def _reap(self, pid: int) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        try:
            _, status, used = os.wait4(pid, 0)
            code = os.waitstatus_to_exitcode(status)
        except ChildProcessError:  # somebody else in this program waits for every child: the code is lost
            code, used = -signal.SIGKILL, resource.getrusage(resource.RUSAGE_CHILDREN)
        if self._popen is not None:
            self._popen.returncode = code
        if not self._exited.done():
            self._exited.set_result((code, used))

    def _told(self, chunk: bytes) -> None:
        self._status += chunk
        found = _CHILD.search(self._status)
        if self.first is None and found:
            self._meet(int(found[1]))

    def _meet(self, pid: int) -> None:
        """Hold on to the first process by a descriptor, which its number, once free again, cannot mislead."""
        with contextlib.suppress(OSError):
            descriptor = os.pidfd_open(pid)
            if self._is_first(pid):
                self._first_pidfd, self.first = descriptor, pid
                asyncio.get_running_loop().add_reader(descriptor, self._empty)
            else:
                os.close(descriptor)
        self._met.set()
        if self._killed:
            self.kill()

    def _is_first(self, pid: int) -> bool:
        return processes.is_first_of_namespace(pid, self.line.uid)

    def _empty(self) -> None:
        asyncio.get_running_loop().remove_reader(self._first_pidfd)
        if not self._emptied.done():
            self._emptied.set_result(None)

    def _took(self, chunk: bytes) -> None:
        self.kept.feed(chunk)
        if self.kept.flooded:
            self.flooded.set()
        if self.streams.on_output is not None:
            self.streams.on_output(chunk)

    def _took_stdout(self, chunk: bytes) -> None:
        if self.streams.sink is not None:
            self.streams.sink(chunk)
            return
        # Packs and archives: half of one is worth nothing, so past the limit it ends instead of being cut.
        if len(self.stdout) + len(chunk) > self.line.limits.output_bytes:
            self.flooded.set()
            return
        self.stdout += chunk


@contextlib.contextmanager
def _no_core_dumps() -> Iterator[None]:
    """Start children with a core limit of one byte, the kernel's word for no dump, not even to a piped helper.

    A helper runs as the host's root on what the bottle's process left in memory. The filter keeps the limit there.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (launcher.within(resource.RLIMIT_CORE, 1), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


def _last_line(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:300] if lines else ""

"""The scripted model as a process: ``python -m boatwright.testing.scripted_server --script FILE --socket
PATH``.

It speaks Anthropic Messages (``/v1/messages``), OpenAI Chat Completions (``/v1/chat/completions``), OpenAI
Responses (``/v1/responses``) and Gemini (``/v1beta/models/MODEL:generateContent``), streaming or not, on a
unix socket or with ``--port N`` on 127.0.0.1 (0 picks one). When it listens it prints one line, ``ready
unix:PATH`` or ``ready http://127.0.0.1:PORT``, and makes the file named by ``--ready``. It ends when told
(SIGTERM, SIGINT) and when its parent dies, so that nothing is left behind. A second server on the same socket
path takes the path over. ``GET /__ledger`` lists every request it billed; ``--ledger FILE`` appends them to a
file, too.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from boatwright import errors
from boatwright.testing import scripted
from boatwright.testing.scripted_faults import BillBook, Faults
from boatwright.testing.scripted_http import Connection, Service

POLL_SECONDS = 0.5
"""How often the parent is looked for where the kernel cannot tell of its death."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    try:
        asyncio.run(_serve(service(options.script, options.ledger), options))
    except errors.BadInput as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"the scripted model cannot listen on {_where(options)}: {error.strerror}\n")
        return 1
    return 0


def service(script: Path, ledger: Path | None = None) -> Service:
    """All that connections share. Raises ``errors.BadInput`` when the script is not valid."""
    loaded = scripted.load(script)
    return Service(loaded, Faults(loaded.script), BillBook(ledger))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripted_server", description="The scripted model.")
    parser.add_argument("--script", type=Path, required=True)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--socket", type=Path, help="listen on this unix socket")
    where.add_argument("--port", type=int, help="listen on this port of 127.0.0.1; 0 picks one")
    parser.add_argument("--ready", type=Path, help="make this file when listening")
    parser.add_argument(
        "--ledger", type=Path, help="append every billed request to this file, one JSON a line"
    )
    parser.add_argument("--parent", type=int, default=os.getppid(), help="end when this process does")
    return parser.parse_args(arguments)


async def _serve(shared: Service, options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    clients: set[asyncio.Task[None]] = set()

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            clients.add(task)
            task.add_done_callback(clients.discard)
        with contextlib.suppress(asyncio.CancelledError):
            await Connection(shared, reader, writer).serve()

    with _listening(options) as listener:
        server = await asyncio.start_server(client, sock=listener)
        watch = asyncio.create_task(_watch(options.parent, stop))
        _announce(options, listener)
        await stop.wait()
        watch.cancel()
        server.close()
        for task in clients:
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)


async def _watch(parent: int, stop: asyncio.Event) -> None:
    """Set ``stop`` when the parent is gone: told by the kernel where it can, else by looking."""
    try:
        descriptor = os.pidfd_open(parent)
    except ProcessLookupError:
        stop.set()
        return
    except (AttributeError, OSError):
        descriptor = -1
    if descriptor >= 0:
        asyncio.get_running_loop().add_reader(descriptor, stop.set)
        return
    while _lives(parent):  # noqa: ASYNC110 - no event to wait for on such a kernel
        await asyncio.sleep(POLL_SECONDS)
    stop.set()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextlib.contextmanager
def _listening(options: argparse.Namespace) -> Iterator[socket.socket]:
    if options.socket is None:
        with socket.create_server(("127.0.0.1", options.port), backlog=128) as listener:
            yield listener
        return
    with unix_listener(options.socket) as listener:
        yield listener


@contextlib.contextmanager
def unix_listener(path: Path) -> Iterator[socket.socket]:
    """Bind beside the path and rename over it: a stale or living predecessor is replaced in one step.

    The directory is reached through a descriptor, because a socket address holds 108 bytes at most.
    """
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    own = f".{os.getpid()}.sock"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(own, dir_fd=directory)
            listener.bind(f"/proc/self/fd/{directory}/{own}")
            os.chmod(own, 0o600, dir_fd=directory)
            listener.listen(128)
            inode = os.stat(own, dir_fd=directory).st_ino
            os.rename(own, path.name, src_dir_fd=directory, dst_dir_fd=directory)
            try:
                yield listener
            finally:
                _remove_if(path.name, inode, directory)
    finally:
        os.close(directory)


def _remove_if(name: str, inode: int, directory: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        if os.stat(name, dir_fd=directory, follow_symlinks=False).st_ino == inode:
            os.unlink(name, dir_fd=directory)


def _where(options: argparse.Namespace) -> str:
    return f"unix:{options.socket}" if options.socket is not None else f"http://127.0.0.1:{options.port}"


def _announce(options: argparse.Namespace, listener: socket.socket) -> None:
    where = _where(options)
    if options.socket is None:
        where = f"http://127.0.0.1:{listener.getsockname()[1]}"
    if options.ready is not None:
        options.ready.write_text(f"{where}\n", encoding="utf-8")
    sys.stdout.write(f"ready {where}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())

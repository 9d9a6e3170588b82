"""A process that has the command line imported already, and forks for each command: ``forking_cli.py SOCKET``.

Starting Python and importing everything is most of what a refused command costs, and there are many of them here.
A command gets what it would get as a process of its own: arguments, environment, directory, standard streams.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import resource
import signal
import socket
import sys

from boatwright.agents import heavy
from boatwright.cli import app, main

ORDER_BYTES = 1 << 20


def serve(path: str) -> None:
    """Take one order per connection, for ever."""
    app.assembled()  # everything is imported once, here, instead of in every command
    heavy.warm("openai")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(16)
    print("ready", flush=True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # minders are reaped by the kernel
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _mind(connection)
        connection.close()


def _mind(connection: socket.socket) -> None:
    """Run the command in a child; tell its pid, then its exit code (128 + signal)."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    order, streams = _receive(connection)
    child = os.fork()
    if child == 0:
        connection.close()
        _become(order, streams)
    connection.sendall(f"{child}\n".encode())
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with contextlib.suppress(BrokenPipeError):
        connection.sendall(f"{code if code >= 0 else 128 - code}\n".encode())
    os._exit(0)


def _receive(connection: socket.socket) -> tuple[dict, list[int]]:
    data, streams = b"", array.array("i")
    while not data.endswith(b"\n"):
        chunk, fds, _, _ = socket.recv_fds(connection, ORDER_BYTES, 3)
        data += chunk
        streams.extend(fds)
    return json.loads(data), list(streams)


def _become(order: dict, streams: list[int]) -> None:
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["environment"])
    for name, most in order["limits"].items():
        resource.setrlimit(getattr(resource, name), (most, most))
    sys.argv = ["boatwright", *order["arguments"]]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    code = 1
    try:
        main()
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 1
    except BaseException:  # noqa: BLE001 - the edge of the process, told as the interpreter tells it
        sys.excepthook(*sys.exc_info())
    finally:
        _leave(code)


def _leave(code: int) -> None:
    """As the interpreter leaves: exit handlers and the wait for threads, then nothing of the server's."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        sys.exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])

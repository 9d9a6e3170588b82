"""Relay 127.0.0.1:8080 to the wire's socket, run a command, and end as it ends.

usage: python3 -I -S forwarder.py [--listen HOST:PORT] [--socket PATH] [--] COMMAND [ARGUMENT ...]

Runs inside a bottle under any Python from 3.8 with nothing but the standard library. It knows no protocol:
bytes go through as they are. A proxy that restarts is found again, because the socket is looked up for
each connection. Signals go to the command; its exit code, or 128 plus the signal that ended it, is ours.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading

LISTEN = ("127.0.0.1", 8080)
SOCKET = "/run/boatwright/wire.sock"
CHUNK = 65536
MOST = 256
RELAYED = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH")


def copy(source: socket.socket, target: socket.socket) -> None:
    """Bytes one way until their end, then say so to the other side."""
    with contextlib.suppress(OSError):
        while True:
            data = source.recv(CHUNK)
            if not data:
                break
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def connect(path: str) -> socket.socket:
    wire = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        wire.connect(path)
    except OSError:
        wire.close()
        raise
    return wire


def relay(client: socket.socket, path: str, places: threading.Semaphore) -> None:
    """One connection, both ways, until both have ended."""
    try:
        with client, connect(path) as wire:
            back = threading.Thread(target=copy, args=(wire, client), daemon=True)
            back.start()
            copy(client, wire)
            back.join()
    except OSError:
        pass  # no proxy just now: the client sees a closed connection and asks again
    finally:
        places.release()


def accept(listener: socket.socket, path: str) -> None:
    places = threading.Semaphore(MOST)
    while True:
        places.acquire()
        try:
            client, _ = listener.accept()
        except OSError:
            return
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=relay, args=(client, path, places), daemon=True).start()


def parse(arguments: list[str]) -> tuple[tuple[str, int], str, list[str]]:
    listen, path = LISTEN, SOCKET
    while arguments and arguments[0].startswith("--"):
        option = arguments.pop(0)
        if option == "--":
            break
        if option == "--listen" and arguments:
            host, _, port = arguments.pop(0).rpartition(":")
            listen = (host, int(port))
        elif option == "--socket" and arguments:
            path = arguments.pop(0)
        else:
            sys.exit("forwarder: unknown option " + option)
    if not arguments:
        sys.exit("forwarder: no command to run")
    return listen, path, arguments


def run(command: list[str]) -> int:
    """Run the command with our descriptors and signals; its exit code in the shell's convention."""
    waiting = []  # signals that came before there was a command to give them to
    for name in RELAYED:
        signal.signal(getattr(signal, name), lambda number, _: waiting.append(number))
    try:
        child = subprocess.Popen(command, restore_signals=True)
    except FileNotFoundError:
        sys.stderr.write("forwarder: " + command[0] + ": command not found\n")
        return 127
    except OSError as error:
        sys.stderr.write("forwarder: " + command[0] + ": " + str(error.strerror) + "\n")
        return 126
    for name in RELAYED:
        signal.signal(getattr(signal, name), lambda number, _: child.send_signal(number))
    for number in waiting:
        child.send_signal(number)
    code = child.wait()
    return 128 - code if code < 0 else code


def main() -> int:
    listen, path, command = parse(sys.argv[1:])
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(listen)
    listener.listen(128)
    threading.Thread(target=accept, args=(listener, path), daemon=True).start()
    return run(command)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # not sys.exit: threads that still relay must not keep a bottle alive

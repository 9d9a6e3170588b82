"""Unix sockets under long paths, replaced without a gap; writing to any socket; locks that name their owner.

A socket address holds 108 bytes; every path here goes through a descriptor of its directory instead.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import struct
from pathlib import Path

BACKLOG = 256


def listen(directory: Path, name: str, *, mode: int) -> socket.socket:
    """A listening socket at ``directory/name``, put in place of an older one by a rename."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    folder = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    fresh = f".{name}.{os.getpid()}"
    try:
        _unlink(fresh, folder)
        listener.bind(f"/proc/self/fd/{folder}/{fresh}")
        os.chmod(f"/proc/self/fd/{folder}/{fresh}", mode)  # noqa: PTH101 - a name below a descriptor
        listener.listen(BACKLOG)
        os.rename(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        listener.close()
        raise
    finally:
        os.close(folder)
    return listener


def connect(directory: Path, name: str) -> socket.socket:
    """Connected to ``directory/name``, blocking. Raises what ``connect`` does where nobody listens."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        connection.connect(f"/proc/self/fd/{folder}/{name}")
    except BaseException:
        connection.close()
        raise
    finally:
        os.close(folder)
    return connection


def remove(directory: Path, name: str) -> None:
    try:
        folder = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        _unlink(name, folder)
    finally:
        os.close(folder)


def _unlink(name: str, folder: int) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return


def peer_uid(connection: socket.socket) -> int:
    """The uid of the process at the other end."""
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(uid)


class Lock:
    """A file one process holds; what it says is who."""

    def __init__(self, path: Path, owner: str = "") -> None:
        self._path = path
        self._owner = owner
        self._descriptor = -1

    def take(self) -> bool:
        """Hold the file; False when another process does."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, self._owner.encode(), 0)
        self._descriptor = descriptor
        return True

    def free(self, *, remove: bool = False) -> None:
        if self._descriptor >= 0:
            if remove:
                self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1


def write_at_once(writer: asyncio.StreamWriter) -> None:
    """Have every write go to the kernel at once, as far as it fits; a drain waits for the rest of it."""
    writer.transport.set_write_buffer_limits(high=1, low=0)


async def drain(writer: asyncio.StreamWriter, seconds: float) -> None:
    """Wait until all that was written has left. ``TimeoutError``, or ``OSError`` when nobody reads it."""
    if not writer.transport.get_write_buffer_size():
        await writer.drain()  # never waits: no timer for that
        return
    async with asyncio.timeout(seconds):
        await writer.drain()

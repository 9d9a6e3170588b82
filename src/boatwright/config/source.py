"""Where manifests are read from: a place with ``agents``, ``bottles`` and ``skills`` in it.

The repository's place is its base commit (``stages.manifests`` reads it from the mirror, never from a work
tree); the host's is the state directory, read here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from boatwright import errors
from boatwright.config.manifest import Where
from boatwright.config.paths import StateDir


class Kind(StrEnum):
    FILE = "a file"
    FOLDER = "a folder"
    LINK = "a link"
    OTHER = "neither file nor folder"


@dataclass(frozen=True, slots=True)
class Item:
    """One name in a folder."""

    name: str
    kind: Kind
    executable: bool = False


class Source(Protocol):
    """Paths are relative, with ``/``, and made of names that were checked: never of untrusted text."""

    @property
    def where(self) -> Where: ...

    def shown(self, path: str) -> str:
        """The path as people find it."""
        ...

    def list(self, folder: str) -> Sequence[Item]:
        """What is directly in a folder, by name; nothing when there is no such folder."""
        ...

    def read(self, path: str, cap: int) -> bytes | None:
        """A file; None when nothing is there. ``errors.BadPolicy`` for a link, or more than ``cap`` bytes."""
        ...

    def read_all(self, folder: str, paths: Sequence[str], cap: int) -> Mapping[str, bytes]:
        """Several files below ``folder``; ``errors.BadPolicy`` when they hold more than ``cap`` bytes together."""
        ...


@dataclass(frozen=True, slots=True)
class HostSource:
    """The operator's own manifests, in the state directory."""

    state: StateDir

    @property
    def where(self) -> Where:
        return Where.HOST

    def shown(self, path: str) -> str:
        return str(self._path(path))

    def _path(self, path: str) -> Path:
        return self.state.root.joinpath(*path.split("/"))

    def list(self, folder: str) -> Sequence[Item]:
        try:
            with os.scandir(self._path(folder)) as found:
                return sorted((_item(entry) for entry in found), key=lambda item: item.name)
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise unreadable(self.shown(folder), error) from error

    def read(self, path: str, cap: int) -> bytes | None:
        try:
            descriptor = os.open(
                self._path(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
            )
        except FileNotFoundError:
            return None
        except OSError as error:
            if self._path(path).is_symlink():
                raise is_no_file(self.shown(path), Kind.LINK) from error
            raise unreadable(self.shown(path), error) from error
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            os.close(descriptor)
            raise is_no_file(self.shown(path), Kind.FOLDER if stat.S_ISDIR(mode) else Kind.OTHER)
        with os.fdopen(descriptor, "rb") as stream:
            data = stream.read(cap + 1)
        return within(cap, data, self.shown(path))

    def read_all(self, folder: str, paths: Sequence[str], cap: int) -> Mapping[str, bytes]:
        found: dict[str, bytes] = {}
        left = cap
        for path in paths:
            data = self.read(path, cap)
            if data is None:
                raise errors.BadPolicy(f"{self.shown(path)} went away while it was read", subject=path)
            left -= len(data)
            if left < 0:
                raise too_large(self.shown(folder), cap)
            found[path] = data
        return found


def _item(entry: os.DirEntry[str]) -> Item:
    if entry.is_symlink():
        return Item(entry.name, Kind.LINK)
    if entry.is_dir(follow_symlinks=False):
        return Item(entry.name, Kind.FOLDER)
    if not entry.is_file(follow_symlinks=False):
        return Item(entry.name, Kind.OTHER)
    mode = entry.stat(follow_symlinks=False).st_mode
    return Item(entry.name, Kind.FILE, executable=bool(mode & stat.S_IXUSR))


def within(cap: int, data: bytes, shown: str) -> bytes:
    """The data, unless it is larger than ``cap`` bytes."""
    if len(data) > cap:
        raise too_large(shown, cap)
    return data


def too_large(shown: str, cap: int) -> errors.BadPolicy:
    return errors.BadPolicy(
        f"{shown} is larger than {cap >> 10} KiB", subject=shown, next_moves=("make it smaller",)
    )


def is_no_file(shown: str, kind: Kind) -> errors.BadPolicy:
    return errors.BadPolicy(
        f"{shown} is {kind}, not a file", subject=shown, next_moves=("put the file itself there",)
    )


def unreadable(shown: str, error: OSError) -> errors.BadInput:
    return errors.BadInput(
        f"{shown} cannot be read: {error.strerror}",
        subject=shown,
        next_moves=("make it readable for the user that runs boatwright",),
    )

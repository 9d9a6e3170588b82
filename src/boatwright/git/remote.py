"""Where a repository comes from and goes to: a path of the user's, or a URL."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from boatwright import errors
from boatwright.git.run import Call, redact

PROTOCOLS = ("https", "http", "ssh", "git")
_SCP = re.compile(r"(?:[A-Za-z0-9._-]+@)?[A-Za-z0-9._-]+:[^:\x00-\x20].*")
_GITFILE_BYTES = 4_096
_OTHER_SIDE = (
    "git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c core.alternateRefsCommand=/bin/true"
    " -c receive.autogc=false -c gc.auto=0 -c maintenance.auto=false -c safe.bareRepository=all"
)
"""git does not hand our ``-c`` on to the program it starts at the other side of a path, so that program gets
its own."""


@dataclass(frozen=True, slots=True)
class Remote:
    """One repository elsewhere. ``address`` is what git gets: never with a password, never readable as an
    option."""

    address: str
    protocol: str
    gitdirs: tuple[Path, ...] = ()
    """For a path: the directories git may call this repository's own, for ``safe.directory``."""
    secret: bytes = field(default=b"", repr=False)
    """``git credential`` lines, from a URL that had them."""

    @classmethod
    def of(cls, source: str | Path) -> Remote:
        """Read a path or a URL; ``errors.BadInput`` with one sentence when it is neither."""
        text = str(source)
        if not text or re.search(r"[\x00-\x1f\x7f]", text):
            raise errors.BadInput(
                "The repository must be given as a path or a URL without control characters.",
                next_moves=("--repo PATH",),
            )
        if text.startswith("file://"):
            return cls._path(Path(unquote(urlsplit(text).path)))
        if "://" in text:
            return cls._url(text)
        if "::" not in text and _SCP.fullmatch(text) and not Path(text).exists():
            return cls(address=text, protocol="ssh") if not text.startswith("-") else cls._path(Path(text))
        return cls._path(Path(text))

    @classmethod
    def _path(cls, path: Path) -> Remote:
        path = path.expanduser().absolute()
        if not path.exists():
            raise errors.BadInput(
                f"There is nothing at {path}.",
                subject=str(path),
                next_moves=("name a directory or a URL: --repo PATH",),
            )
        top, gitdirs = _locate(path.resolve())
        return cls(address=str(top), protocol="file", gitdirs=gitdirs)

    @classmethod
    def _url(cls, text: str) -> Remote:
        try:
            url = urlsplit(text)
            host, port = url.hostname, url.port
        except ValueError:
            host = port = None
            url = urlsplit("")
        if url.scheme not in PROTOCOLS or not host or host.startswith("-"):
            raise errors.BadInput(
                f"{redact(text)} is not a URL of a repository this program can reach.",
                subject=redact(text),
                next_moves=(f"use a path, or a URL with one of {', '.join(PROTOCOLS)}",),
            )
        if url.scheme not in {"http", "https"} or not (url.username or url.password):
            return cls(address=text, protocol=url.scheme)
        place = f"[{host}]" if ":" in host else host
        place += f":{port}" if port else ""
        lines = f"username={unquote(url.username or '')}\npassword={unquote(url.password or '')}\n"
        address = urlunsplit((url.scheme, place, url.path, url.query, ""))
        return cls(address=address, protocol=url.scheme, secret=lines.encode())

    @property
    def shown(self) -> str:
        return shown(self.address)

    def program(self, name: str) -> tuple[str, ...]:
        """The option that names ``upload-pack`` or ``receive-pack`` where we start it ourselves: for a
        path."""
        return (f"--{name}={_OTHER_SIDE} {name}",) if self.protocol == "file" else ()

    @contextmanager
    def call(self, scratch: Path, *, timeout: float) -> Iterator[Call]:
        """The settings of a call to this remote.

        Only this path is a safe directory, whoever owns it. A password goes through an unnamed file
        descriptor: not on the command line, not in the environment, not on disk.
        """
        with (
            tempfile.NamedTemporaryFile("w", dir=scratch, prefix="config-") as settings,
            _hidden(self.secret) as fd,
        ):
            settings.write(_safe(self.gitdirs))
            settings.flush()
            yield Call(
                environment={"GIT_CONFIG_GLOBAL": settings.name}, protocols=self.protocol, timeout=timeout,
                config=_helper(fd, self.address), pass_fds=() if fd is None else (fd,),
            )  # fmt: skip


def shown(source: str) -> str:
    """A source as people may see it: a path as it is, a URL without user and password."""
    return redact(source)


def _locate(path: Path) -> tuple[Path, tuple[Path, ...]]:
    """The repository ``path`` is in: its top directory, and every name its gitdir may have. Nothing is run
    there."""
    for top in (path, *path.parents):
        if (top / ".git").exists():
            return top, (top, *_gitdirs(top / ".git"))
        if (top / "HEAD").is_file() and (top / "objects").is_dir() and (top / "refs").is_dir():
            return top, (top,)
    raise errors.BadInput(
        f"{path} is not a git repository.",
        subject=str(path),
        next_moves=("git init && git add -A && git commit",),
    )


def _gitdirs(dot_git: Path) -> Sequence[Path]:
    if dot_git.is_dir():
        return (dot_git, dot_git.resolve())
    with dot_git.open("rb") as stream:
        words = os.fsdecode(stream.read(_GITFILE_BYTES)).strip()
    return (dot_git, (dot_git.parent / words.removeprefix("gitdir:").strip()).resolve())


def _safe(gitdirs: Sequence[Path]) -> str:
    lines = ["[safe]"] if gitdirs else []
    for directory in gitdirs:
        quoted = str(directory).replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'directory = "{quoted}"')
    return "".join(line + "\n" for line in lines)


@contextmanager
def _hidden(secret: bytes) -> Iterator[int | None]:
    if not secret:
        yield None
        return
    fd = os.memfd_create("credential")
    try:
        os.write(fd, secret)
        yield fd
    finally:
        os.close(fd)


def _helper(fd: int | None, address: str) -> tuple[str, ...]:
    """The one helper git may ask, and only for the scheme, host and port of ``address``: it follows redirects, and would
    say the password wherever they lead.
    """
    if fd is None:
        return ()
    url = urlsplit(address)
    return (
        "credential.helper=",
        f'credential.{url.scheme}://{url.netloc}.helper=!f() {{ test "$1" = get && cat /proc/self/fd/{fd}; }}; f',
    )

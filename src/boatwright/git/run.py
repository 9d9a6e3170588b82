"""The one place that runs git on the host.

Every call is an argument list, in an environment made from nothing, with an explicit gitdir of ours.
Configuration of the machine and of the user is not read; what could start a program (hooks, fsmonitor,
pagers, signing, credential helpers, ``ext::`` remotes) is switched off on the command line, which outranks
the gitdir's own file.
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from boatwright import errors

TIMEOUT_SECONDS = 300.0
OUTPUT_BYTES = 256 << 20
_COMPLAINT_BYTES = 8 << 10
_CHUNK = 1 << 16

SAFE_CONFIG: tuple[str, ...] = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.quotePath=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.protectNTFS=true",
    "core.protectHFS=true",
    "core.alternateRefsCommand=/bin/true",
    "core.pager=cat",
    "core.fsync=committed,loose-object,reference",
    "transfer.fsckObjects=true",
    "transfer.unpackLimit=1",
    "protocol.ext.allow=never",
    "protocol.fd.allow=never",
    "commit.gpgSign=false",
    "tag.gpgSign=false",
    "push.gpgSign=false",
    "log.showSignature=false",
    "credential.helper=",
    "safe.bareRepository=explicit",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "diff.renames=true",
    "merge.renames=true",
    "core.commitGraph=false",
    "i18n.commitEncoding=utf-8",
)
"""What every call is given with ``-c``. The last three are for answers that do not depend on the machine."""

_PASSED_FOR_NETWORK = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "SSH_AUTH_SOCK",
]


class GitFailed(errors.BoatwrightError):
    """A git command of ours failed. ``complaint`` is what git said, without credentials."""

    def __init__(
        self, sentence: str, *, complaint: str = "", subject: str = "", next_moves: Sequence[str] = ()
    ) -> None:
        super().__init__(sentence, subject=subject, next_moves=next_moves)
        self.complaint = complaint


@dataclass(frozen=True, slots=True)
class Ran:
    """How a call ended. ``truncated`` only where the caller asked for the head of a long output."""

    code: int
    out: bytes
    complaint: str
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """Everything about one call but its arguments."""

    stdin: bytes | Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    config: Sequence[str] = ()
    ok: Sequence[int] = (0,)
    timeout: float = TIMEOUT_SECONDS
    cap: int = OUTPUT_BYTES
    truncate: bool = False
    stdout: Path | None = None
    protocols: str = ""
    pass_fds: Sequence[int] = ()


def environment(git_dir: Path, call: Call) -> dict[str, str]:
    """A clean environment: nothing of ours or of the user's but PATH, and for the network its proxies and
    certificates."""
    made = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "GIT_DIR": str(git_dir),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "GIT_ALLOW_PROTOCOL": call.protocols,
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_PAGER": "cat",
        "GIT_EDITOR": "/bin/false",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
    }
    if call.protocols not in {"", "file"}:
        made.update({name: os.environ[name] for name in _PASSED_FOR_NETWORK if name in os.environ})
    return made | dict(call.environment)


def git(git_dir: Path, *arguments: str, call: Call | None = None) -> Ran:
    """Run ``git arguments`` with ``git_dir`` as the gitdir.

    ``GitFailed`` when it exits otherwise than ``call.ok``, runs longer than ``call.timeout`` seconds or says
    more than ``call.cap`` bytes; ``errors.MissingPart`` when this host has no git.
    """
    call = call or Call()
    settings = [part for item in (*SAFE_CONFIG, *call.config) for part in ("-c", item)]
    argv = ["git", "--no-pager", *settings, *arguments]
    with ExitStack() as stack:
        complaints = stack.enter_context(tempfile.TemporaryFile())
        process = _start(argv, environment(git_dir, call), call, complaints, stack)
        out, truncated = _collect(process, arguments[0], call)
        complaint = _complaint(complaints)
    code = process.returncode
    if code not in call.ok and not truncated:
        raise GitFailed(_sentence(arguments[0], code, complaint), complaint=complaint)
    return Ran(code=code, out=out, complaint=complaint, truncated=truncated)


def redact(text: str) -> str:
    """``text`` without the user and password of any URL in it."""
    return re.sub(r"://[^/\s]*@", "://", text)  # up to the last @: a password may hold one


def _start(
    argv: list[str], env: dict[str, str], call: Call, complaints: IO[bytes], stack: ExitStack
) -> subprocess.Popen[bytes]:
    stdout = stack.enter_context(call.stdout.open("wb")) if call.stdout else subprocess.PIPE
    try:
        return subprocess.Popen(
            argv, env=env, cwd="/", stdin=_stdin(call.stdin, stack), stdout=stdout, stderr=complaints,
            start_new_session=True, pass_fds=tuple(call.pass_fds),
        )  # fmt: skip
    except FileNotFoundError as missing:
        raise errors.MissingPart(
            "git is not installed on this host.", subject="git", next_moves=("install git 2.38 or newer",)
        ) from missing


def _stdin(given: bytes | Path | None, stack: ExitStack) -> IO[bytes] | int:
    if given is None:
        return subprocess.DEVNULL
    if isinstance(given, Path):
        return stack.enter_context(given.open("rb"))
    spool: IO[bytes] = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
    spool.write(given)
    spool.seek(0)
    return spool


def _collect(process: subprocess.Popen[bytes], name: str, call: Call) -> tuple[bytes, bool]:
    """Read until the end, the deadline or the cap; whatever happens, no process of the call is left."""
    deadline = time.monotonic() + call.timeout
    try:
        out, over = _read(process, name, call, deadline)
        if over:
            if not call.truncate:
                raise GitFailed(f"git {name} said more than {call.cap} bytes and was stopped.")
            return out, True
        _wait(process, name, call, deadline)
        return out, False
    finally:
        if process.stdout is not None:
            process.stdout.close()
        _kill(process)


def _read(process: subprocess.Popen[bytes], name: str, call: Call, deadline: float) -> tuple[bytes, bool]:
    stream = process.stdout
    if stream is None:
        return b"", False
    chunks: list[bytes] = []
    room = call.cap
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise _too_slow(name, call)
            chunk = os.read(stream.fileno(), _CHUNK)
            chunks.append(chunk[:room])
            if len(chunk) > room:
                return b"".join(chunks), True
            room -= len(chunk)
            if not chunk:
                return b"".join(chunks), False


def _wait(process: subprocess.Popen[bytes], name: str, call: Call, deadline: float) -> None:
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise _too_slow(name, call) from None


def _too_slow(name: str, call: Call) -> GitFailed:
    return GitFailed(f"git {name} took longer than {call.timeout:g} seconds and was stopped.")


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _complaint(spool: IO[bytes]) -> str:
    spool.seek(0)
    return redact(spool.read(_COMPLAINT_BYTES).decode("utf-8", "replace")).strip()


def _sentence(name: str, code: int, complaint: str) -> str:
    lines = complaint.splitlines()
    said = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines[-1:]
    return f"git {name} failed with exit code {code}" + (f": {'; '.join(said)[:500]}" if said else ".")

"""Tapes: what was asked of models over a wire and what they answered, event by event, as bytes came.

A tape is one file a wire, ``tapes/EXECUTION/WIRE.tape``, mode 0600, locked by whoever writes it. A proxy that finds the
last one still draining goes on in a file of its own beside it, ``WIRE~2.tape``. Each line is a digest and a JSON
object; the digest is of the line before and the object, so that a line that was changed, dropped or moved is found. No
key is in it: what is recorded of a call is its path and body, and of an answer the headers a client may see; the key of
the call is blotted out wherever a provider says it back.

Recording never breaks a call. A disk that is full, or a tape that is, leaves a gap that the reader tells.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from boatwright import errors
from boatwright.egress import scrub
from boatwright.rules import replaying
from boatwright.values.clock import Clock

MOST_BYTES = 64 << 20
"""Of one execution. What comes after that is not recorded."""
START = hashlib.sha256(b"boatwright tape 1").hexdigest()
SUFFIX = ".tape"
_MOST_PARTS = 100

Note = Callable[..., None]
Headers = Sequence[tuple[bytes, bytes]]


@dataclass(slots=True)
class Exchange:
    """One call of a tape as it is read. ``status`` 0: no answer came. ``chunks`` are seconds since the call was made,
    and bytes.
    """

    number: int
    at: str
    asked: replaying.Asked
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    chunks: list[tuple[float, bytes]] = field(default_factory=list)
    whole: bool = False


@dataclass(slots=True)
class Tape:
    """One file as it is read. ``broken`` says in one sentence why it does not hold everything; empty when it does."""

    path: Path
    wire: str
    execution: str
    purpose: str
    exchanges: list[Exchange]
    broken: str = ""


# --- writing -------------------------------------------------------------------------------------------------


class Taping:
    """One exchange while it happens."""

    def __init__(self, recorder: Recorder, number: int, key: str | None) -> None:
        self._recorder, self._number = recorder, number
        self._began = recorder.clock.monotonic()
        self._secret = scrub.spellings(key or "")
        self._longest = max(map(len, self._secret), default=0)
        self._held: list[tuple[float, bytearray]] = []
        """Chunks in which a key may begin that ends in the next."""

    def head(self, status: int, headers: Headers) -> None:
        shown = [
            (name.decode(), scrub.blot(value, self._secret).decode("latin-1")) for name, value in headers
        ]
        self._write("head", at=self._at(), status=status, headers=shown)

    def data(self, data: bytes) -> None:
        self._held.append((self._at(), bytearray(data)))
        if self._secret:
            self._blot_held()
        while self._held and sum(len(each) for _, each in self._held[1:]) >= max(self._longest - 1, 0):
            self._release()

    def end(self, *, whole: bool) -> None:
        while self._held:
            self._release()
        self._write("end", at=self._at(), whole=whole)

    def _blot_held(self) -> None:
        joined = scrub.blot(b"".join(bytes(each) for _, each in self._held), self._secret)
        start = 0
        for _, each in self._held:
            each[:] = joined[start : start + len(each)]
            start += len(each)

    def _release(self) -> None:
        at, data = self._held.pop(0)
        self._write("data", at=at, b=base64.b64encode(bytes(data)).decode())

    def _at(self) -> float:
        return round(self._recorder.clock.monotonic() - self._began, 6)

    def _write(self, what: str, **fields: Any) -> None:
        self._recorder.write({"what": what, "n": self._number, **fields})


class Recorder:
    """The only writer of one tape. A tape that is there already is gone on with, unless somebody else writes it still.

    The lock is the kernel's, on the file itself: a kill between any two lines frees it, and what was written stays.
    """

    def __init__(
        self, path: Path, *, wire: str, execution: str, purpose: str, clock: Clock, note: Note
    ) -> None:
        self.clock = clock
        self._path, self._note = path, note
        self._file = -1
        self._size, self._last, self._calls = 0, START, 0
        self._others = 0
        """Bytes of the execution's other tapes."""
        try:
            self._open(wire, execution, purpose)
        except (OSError, errors.BoatwrightError) as error:
            self._stop(str(error))

    def begin(self, target: str, body: bytes, key: str | None) -> Taping:
        """A call is made: what of it is recorded, before it is sent."""
        self._calls += 1
        text = body.decode("utf-8", "replace")
        self.write(
            {
                "what": "asked",
                "n": self._calls,
                "time": self.clock.now().isoformat(),
                "target": target,
                "key": replaying.key(target, text),
                "body": text.replace(key, "*" * len(key)) if key else text,
            }
        )
        return Taping(self, self._calls, key)

    def close(self) -> None:
        """The wire is closed: the tape says how many calls there were."""
        if self._file >= 0:
            self.write({"what": "closed", "calls": self._calls})
            self._stop("")

    def write(self, row: dict[str, Any]) -> None:
        if self._file < 0:
            return
        text = json.dumps(row, separators=(",", ":"))
        digest = _digest(self._last, text)
        line = f"{digest} {text}\n".encode()
        if self._others + self._size + len(line) > MOST_BYTES:
            self._stop("it is full")
            return
        try:
            if os.write(self._file, line) != len(line):
                raise OSError("only a part of a line could be written")
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            self._stop(str(error))
            return
        self._size, self._last = self._size + len(line), digest

    def _open(self, wire: str, execution: str, purpose: str) -> None:
        self._path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
        self._path, self._file = _held(self._path)
        self._size, self._last, self._calls = _standing(self._path)
        beside = (each for each in self._path.parent.glob(f"*{SUFFIX}") if each != self._path)
        self._others = sum(each.stat().st_size for each in beside)
        os.ftruncate(self._file, self._size)  # a line that a kill cut short
        if not self._size:
            self.write(
                {
                    "what": "tape", "version": 1, "wire": wire, "execution": execution, "purpose": purpose,
                }
            )  # fmt: skip

    def _stop(self, why: str) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        if why:
            self._note("tape", path=self._path.name, sentence=f"this tape is not gone on with: {why}")


def _held(path: Path) -> tuple[Path, int]:
    """The newest part of a tape, opened and locked; a new part where the newest is another's."""
    there = [at for at in range(2, _MOST_PARTS + 1) if _part(path, at).exists()]
    for at in range(max(there, default=1), _MOST_PARTS + 1):
        part = _part(path, at)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        file = os.open(part, flags, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            continue
        return part, file
    raise OSError("too many processes write to it")


def _part(path: Path, at: int) -> Path:
    """``~`` stands in no wire's id."""
    return path if at == 1 else path.with_name(f"{path.stem}~{at}{path.suffix}")


def _standing(path: Path) -> tuple[int, str, int]:
    """Bytes, last digest and number of calls of a tape that is there."""
    size, last, calls = 0, START, 0
    for end, digest, row in _lines(path):
        size, last = end, digest
        calls = max(calls, int(row.get("n", 0)))
    return size, last, calls


def _digest(last: str, text: str) -> str:
    return hashlib.sha256(f"{last}\n{text}".encode()).hexdigest()


# --- reading -------------------------------------------------------------------------------------------------


def _lines(path: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Where each whole line ends, its digest and what it says; ``errors.Refused`` for one that does not follow from
    the one before. What a kill left of a last line is passed over.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return
    last, end = START, 0
    for number, line in enumerate(raw.split(b"\n")[:-1], 1):
        digest, _, text = line.decode("utf-8", "replace").partition(" ")
        if digest != _digest(last, text):
            raise errors.Refused(
                f"the tape {path.name} was changed: its line {number} does not follow from the one before",
                subject=str(path),
                next_moves=("use a copy that nobody changed",),
            )
        last, end = digest, end + len(line) + 1
        yield end, digest, json.loads(text)


def read(path: Path) -> Tape:
    """One tape; ``errors.Refused`` when it was changed. One that was cut off is read as far as it goes."""
    made: Tape | None = None
    calls: int | None = None
    by_number: dict[int, Exchange] = {}
    for _, _, row in _lines(path):
        if made is None:
            made = _begun(path, row)
        elif row["what"] == "closed":
            calls = int(row["calls"])
        else:
            calls = None  # gone on with after it was closed
            _take(by_number, row, made.purpose)
    if made is None:
        return Tape(path, path.stem, path.parent.name, "", [], "it is empty")
    made.exchanges = list(by_number.values())
    made.broken = _broken(by_number, calls)
    return made


def _begun(path: Path, row: dict[str, Any]) -> Tape:
    if row.get("what") != "tape" or row.get("version") != 1:
        raise errors.Refused(f"{path.name} is not a tape this release reads", subject=str(path))
    return Tape(path, str(row["wire"]), str(row["execution"]), str(row["purpose"]), [])


def _take(known: dict[int, Exchange], row: dict[str, Any], purpose: str) -> None:
    number = int(row["n"])
    if row["what"] == "asked":
        asked = replaying.Asked(purpose, str(row["target"]), str(row["body"]), whole=False)
        known[number] = Exchange(number, str(row["time"]), asked)
        return
    one = known[number]
    if row["what"] == "head":
        one.status = int(row["status"])
        one.headers = tuple((str(name), str(value)) for name, value in row["headers"])
    elif row["what"] == "data":
        one.chunks.append((float(row["at"]), base64.b64decode(row["b"])))
    elif row["what"] == "end":
        one.whole = bool(row["whole"])
        one.asked = replaying.Asked(purpose, one.asked.target, one.asked.body, whole=one.whole)


def _broken(known: dict[int, Exchange], calls: int | None) -> str:
    if calls is None:
        return "it was cut off: the wire was not closed when it ended"
    if set(known) != set(range(1, calls + 1)):
        return f"it does not hold all {calls} calls: the disk or the tape was full"
    return ""


def of_execution(root: Path, execution: str) -> list[Tape]:
    """All tapes of an execution; ``errors.NotFound`` where there is none, ``errors.Refused`` for a changed one."""
    folder = root / execution
    found = [read(path) for path in sorted(folder.glob(f"*{SUFFIX}"))] if folder.is_dir() else []
    if not found:
        raise errors.NotFound(
            f"there is no tape of {execution}: it was not recorded, or gc removed it",
            subject=execution,
            next_moves=("boatwright run … --record", "or for all: tapes: true in settings.yml"),
        )
    return found


@dataclass(frozen=True, slots=True)
class Kept:
    """The tapes of one execution as they lie on the disk: bytes, and when the newest was written to last."""

    execution: str
    bytes: int
    written: datetime


def kept(root: Path) -> list[Kept]:
    """Whose tapes there are, oldest first."""
    found = []
    for folder in root.iterdir() if root.is_dir() else ():
        states = [each.stat() for each in folder.glob(f"*{SUFFIX}")]
        if states:
            newest = max(each.st_mtime for each in states)
            found.append(
                Kept(folder.name, sum(each.st_size for each in states), datetime.fromtimestamp(newest, UTC))
            )
    return sorted(found, key=lambda each: each.written)


def remove(root: Path, execution: str, before: datetime) -> bool:
    """Remove the tapes of an execution, unless one was written to at ``before`` or later; whether they went."""
    if not any(each.execution == execution and each.written < before for each in kept(root)):
        return False
    for path in (root / execution).glob(f"*{SUFFIX}"):
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # something else lies there: it is not ours
        (root / execution).rmdir()
    return True

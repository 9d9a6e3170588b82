"""git's smart HTTP as far as a push needs it (gitprotocol-http, gitprotocol-pack): read strictly, written plainly."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from boatwright.rules.pushing import NOTHING, Update

FLUSH = b"0000"
MOST_LINES = 64
_COMMAND = re.compile(rb"([0-9a-f]{40}) ([0-9a-f]{40}) ([\x21-\x7e]{1,300})")
CAPABILITIES = b"report-status delete-refs side-band-64k ofs-delta no-thin agent=boatwright"
"""``no-thin``: every pack is whole, so that it can be checked by itself."""
_BAND = 60_000


class Malformed(Exception):
    """This is not what git sends."""


@dataclass(frozen=True, slots=True)
class Push:
    """What a client asks for; the pack follows in the stream it was read from."""

    updates: tuple[Update, ...]
    capabilities: frozenset[str]


def line(data: bytes) -> bytes:
    return b"%04x%s" % (len(data) + 4, data)


def advertised(refs: Mapping[str, str]) -> bytes:
    """The answer to a client that is about to push."""
    rows = [f"{oid} {ref}".encode() for ref, oid in sorted(refs.items())]
    first, *rest = rows or [f"{NOTHING} capabilities^{{}}".encode()]
    body = [line(b"# service=git-receive-pack\n"), FLUSH, line(first + b"\0" + CAPABILITIES + b"\n")]
    return b"".join([*body, *(line(row + b"\n") for row in rest), FLUSH])


def read(stream: IO[bytes]) -> Push:
    """The commands of a push; no command at all is how a client asks whether it may. Raises :class:`Malformed`."""
    updates: list[Update] = []
    said = b""
    for _ in range(MOST_LINES):
        data = _line(stream)
        if data is None:
            return Push(tuple(updates), frozenset(said.decode("ascii", "replace").split()))
        command, zero, capabilities = data.partition(b"\0")
        if zero:
            said = capabilities
        matched = _COMMAND.fullmatch(command.removesuffix(b"\n"))
        if matched is None:  # a certificate, a shallow line, a push option: none was offered
            raise Malformed("only plain updates of refs are taken")
        old, new, ref = (part.decode("ascii") for part in matched.groups())
        updates.append(Update(ref, old, new))
    raise Malformed(f"a push has at most {MOST_LINES} commands")


def _line(stream: IO[bytes]) -> bytes | None:
    """One line; None for a flush."""
    head = stream.read(4)
    try:
        size = int(head, 16) if re.fullmatch(rb"[0-9a-f]{4}", head) else -1
    except ValueError:  # pragma: no cover - the pattern admits hex alone
        size = -1
    if size == 0:
        return None
    data = stream.read(size - 4) if 4 < size <= 65_520 else b""
    if size <= 4 or len(data) != size - 4:
        raise Malformed("this is not a push of git's")
    return data


def report(push: Push, unpacked: str, refusals: Mapping[str, str], words: Iterable[str] = ()) -> bytes:
    """What became of it: ``unpacked`` is empty when the objects were taken; ``words`` go to git's stderr."""
    lines = [line(f"unpack {_one(unpacked) or 'ok'}\n".encode())]
    for each in push.updates:
        why = refusals.get(each.ref, "")
        lines.append(line((f"ng {each.ref} {_one(why)}\n" if why else f"ok {each.ref}\n").encode()))
    status = b"".join([*lines, FLUSH])
    if "side-band-64k" not in push.capabilities:
        return status
    told = [line(b"\x02" + f"boatwright: {_one(each)}\n".encode()) for each in words]
    return b"".join([*told, *_banded(status), FLUSH])


def _banded(status: bytes) -> Sequence[bytes]:
    return [line(b"\x01" + status[at : at + _BAND]) for at in range(0, len(status), _BAND)]


def _one(text: str) -> str:
    """One short line that obeys no terminal."""
    flat = " ".join(text.split())[:300]
    return "".join(c if c.isprintable() else "?" for c in flat)

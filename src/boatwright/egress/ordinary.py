"""The ordinary request: one run of bytes that holds all of it, in a shape that no two parsers read differently.

It is taken apart here, by one pattern for a head and one for its fields, because leading it through a state machine
costs more than all else the wire does with it. Whatever is not ordinary is h11's to read, or to refuse; a property test
holds that h11 reads the same in everything that is taken here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from boatwright.egress.http1 import FIELD, Headers

MOST_HEADERS = 100
HEAD_BYTES = 64 * 1024

_HEAD = re.compile(rb"(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) ([\x21-\x7e]+) HTTP/1\.1")
_LENGTH = re.compile(rb"[0-9]{1,9}")
_ONCE = (b"host", b"content-length", b"content-encoding", b"content-type")
_NEVER = frozenset({b"transfer-encoding", b"upgrade", b"expect", b"te", b"trailer"})
"""Where they stand, more than this page has to be known."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks: method, target as it was sent, headers with their names in lower case."""

    method: bytes
    target: bytes
    headers: Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Whole:
    """A request and all of its body."""

    request: Request
    body: bytes


def read(raw: bytes) -> Whole | None:
    """The one request that ``raw`` is, from its first byte to its last; None for anything else."""
    end = raw.find(b"\r\n\r\n", 0, HEAD_BYTES)
    if end < 0:
        return None
    start, *lines = raw[:end].split(b"\r\n")
    head = _HEAD.fullmatch(start)
    headers = _fields(lines)
    if head is None or headers is None:
        return None
    body = raw[end + 4 :]
    return Whole(Request(head[1], head[2], headers), body) if _length(headers) == len(body) else None


def _fields(lines: Sequence[bytes]) -> Headers | None:
    """The headers; None where one of them is folded, odd, said twice, or asks for more than an answer."""
    found = [FIELD.fullmatch(line) for line in lines]
    if len(lines) > MOST_HEADERS or not all(found):
        return None
    headers = [(field[1].lower(), field[2].strip(b" \t")) for field in found if field]
    names = [name for name, _ in headers]
    if not _NEVER.isdisjoint(names) or any(names.count(name) > 1 for name in _ONCE) or b"host" not in names:
        return None
    kept = all(value.lower() == b"keep-alive" for name, value in headers if name == b"connection")
    return headers if kept else None


def _length(headers: Headers) -> int | None:
    """How long the body is; None where that is not plainly said."""
    said = next((value for name, value in headers if name == b"content-length"), b"0")
    return int(said) if _LENGTH.fullmatch(said) else None


def answer(status: int, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The head of an answer, its empty line included. ``ValueError`` for what may not stand there."""
    fields = [b"%s: %s" % field for field in headers]
    if not all(map(FIELD.fullmatch, fields)):
        raise ValueError("a head of an answer holds what may not stand there")
    return b"\r\n".join((b"HTTP/1.1 %d " % status, *fields, b"", b""))

"""HTTP/1.1 as we speak it with providers: one request, and the head of its answer (RFC 9112), strictly.

What comes from bottles is read by h11, but for the ordinary request (``ordinary``). Here both shapes are few and known;
taking them through its events cost more than everything else the wire did with a call.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_TEXT = rb"[\t\x20-\x7e\x80-\xff]*"
FIELD = re.compile(rb"(%s):(%s)" % (_TOKEN, _TEXT))
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: %s)?" % _TEXT)
_START = re.compile(rb"%s [\x21-\x7e]+ HTTP/1\.1" % _TOKEN)
_LENGTH = re.compile(rb"[0-9]{1,18}")
_EMPTY = frozenset({204, 304})

Headers = list[tuple[bytes, bytes]]


class Malformed(Exception):
    """These bytes are not the head of an answer, or say two things about its length."""


@dataclass(frozen=True, slots=True)
class Head:
    """Status, headers (names in lower case), and how the body ends: by ``chunked``, after ``length`` bytes, or,
    with neither, with its connection. ``keeps``: the connection may carry another call.
    """

    status: int
    headers: Headers
    chunked: bool
    length: int | None
    keeps: bool


def post(target: str, headers: Sequence[tuple[str, str]], body: bytes) -> bytes:
    """One whole call; ``ValueError`` when a part of its head may not stand there, such as a line's end in a
    key.
    """
    return request("POST", target, headers) + body


def request(method: str, target: str, headers: Sequence[tuple[str, str]]) -> bytes:
    """The head of a request, its empty line included; ``ValueError`` as :func:`post`."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    start, *fields = [line.encode("latin-1") for line in lines]
    if not _START.fullmatch(start) or not all(map(FIELD.fullmatch, fields)):
        raise ValueError("a head of a request holds what may not stand there")
    return b"\r\n".join((start, *fields, b"", b""))


def head(raw: bytes) -> Head:
    """The head of an answer, without the empty line that ends it."""
    start, *lines = raw.split(b"\r\n")
    status = _STATUS.fullmatch(start)
    if status is None:
        raise Malformed
    headers = [_field(line) for line in lines]
    version, number = int(status[1]), int(status[2])
    codings = [value.lower() for name, value in headers if name == b"transfer-encoding"]
    if codings not in ([], [b"chunked"]) or (codings and not version):
        raise Malformed
    length = _length(headers)
    said = b",".join(value.lower() for name, value in headers if name == b"connection")
    closes = b"close" in [one.strip() for one in said.split(b",")]
    return Head(
        status=number,
        headers=headers,
        chunked=bool(codings) and number not in _EMPTY,
        length=0 if number in _EMPTY else length,
        # Who says the length twice does not get to say where the next answer begins.
        keeps=bool(version) and not closes and not (codings and length is not None),
    )


def _field(line: bytes) -> tuple[bytes, bytes]:
    field = FIELD.fullmatch(line)
    if field is None:
        raise Malformed  # a folded line, a space before the colon, a control character, a bare line's end
    return field[1].lower(), field[2].strip(b" \t")


def _length(headers: Headers) -> int | None:
    said = {value for name, value in headers if name == b"content-length"}
    if not said:
        return None
    length = said.pop()
    if said or not _LENGTH.fullmatch(length):
        raise Malformed
    return int(length)

"""What a program in a bottle may say to a person's terminal: text, colour, the cursor. Nothing that reaches past it.

A terminal obeys what it is shown. Some of that leaves the screen: the clipboard (OSC 52), the title, files, printing,
links, windows moved; and some of it is answered, by bytes the terminal types as if the person had. So only what is on a
list passes. All strings (OSC, DCS, APC, PM, SOS) go, whatever they hold; questions are taken out and answered by us.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

LONGEST = 256
"""Bytes of one sequence; more is no sequence of a program that means well."""
UNREADABLE = "\N{REPLACEMENT CHARACTER}".encode()

_TEXT = re.compile(
    rb"(?:[\x07-\x0f\x20-\x7e]|\xc2[\xa0-\xbf]|[\xc3-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]"
    rb"|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}"
    rb"|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2})+"
)
"""Whole characters, and the controls of a typewriter. Not ENQ, which is answered; not C1, where CSI has a second form."""
_CONTROL = re.compile(rb"\x1b\[([<=>?]?)([0-9;:]*)([ -/]*)([@-~])")
_STRING = re.compile(rb"\x1b([\]PX^_])")
_ESCAPE = re.compile(rb"\x1b([ -/]*)([0-OQ-WYZ\\`-~])")
_PARTIAL = re.compile(
    rb"\x1b(?:\[[<=>?]?[0-9;:]*[ -/]*|[ -/]*)|[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2}"
)
_SECOND_FORM = re.compile(rb"\xc2[\x80-\x9f]")
_END_OF_OSC = re.compile(rb"[\x07\x18\x1a\x1b]")
_END_OF_OTHERS = re.compile(rb"[\x18\x1a\x1b]")

_PLAIN = frozenset("@ABCDEFGHIJKLMPSTXZ`abdefghlmrsuW")
"""Final letters of CSI sequences that move, erase, insert, scroll, colour and save."""
_LARGE = re.compile(r"[0-9]{6}")
"""A number no screen has use for: repeat that a million times."""
_INTERMEDIATE = frozenset({(" ", "q"), ("!", "p")})
"""The cursor's shape; a soft reset."""
_ESCAPES = frozenset({*"78=>DEHMc", *(f"{where}{what}" for where in "()*+" for what in "0AB"), "#8", "%G"})
MODES = frozenset({1, 7, 12, 25, 47, 1000, 1002, 1003, 1004, 1005, 1006, 1047, 1048, 1049, 2004, 2026})
"""Private modes that may be set: keys, wrap, cursor, mouse, focus, the second screen, pasting, drawing at once."""
REMEMBERED = MODES - {1048, 2026}
_SECOND_SCREEN = frozenset({47, 1047, 1049})
_SHOWN_AT_FIRST = frozenset({7, 25})


class Asked(Enum):
    """A question to the terminal. The value is what we answer; the cursor's place is known to a real one only."""

    ATTRIBUTES = b"\x1b[?62;22c"
    SECOND_ATTRIBUTES = b"\x1b[>0;0;0c"
    STATUS = b"\x1b[0n"
    CURSOR = b"\x1b[1;1R"


_QUESTIONS = {
    ("", "c"): Asked.ATTRIBUTES, (">", "c"): Asked.SECOND_ATTRIBUTES, ("", "5n"): Asked.STATUS,
    ("", "6n"): Asked.CURSOR,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stream:
    """How far a program's output was read: what is unfinished, the string it is in, the modes that are on."""

    rest: bytes = b""
    string: bytes = b""
    modes: frozenset[int] = _SHOWN_AT_FIRST

    def again(self) -> bytes:
        """What brings a fresh terminal into the modes the program believes in."""
        on = [b"\x1b[?%dh" % mode for mode in sorted(self.modes - _SHOWN_AT_FIRST)]
        off = [b"\x1b[?%dl" % mode for mode in sorted(_SHOWN_AT_FIRST - self.modes)]
        return b"".join((*on, *off))


Piece = bytes | Asked


def feed(stream: Stream, data: bytes) -> tuple[Stream, tuple[Piece, ...]]:
    """Read on: what may be shown, whole sequences only, and what is asked, in order."""
    reading = _Reading(stream, stream.rest + data)
    pieces = tuple(_joined(reading.pieces()))
    return reading.stream, pieces


RESTORE = b"".join((
    b"\x1b[?1000;1002;1003;1004;1005;1006;2004;2026l",
    b"\x1b[?47;1047l\x1b[?1l\x1b>\x1b[?7;25h",
    b"\x1b[4l\x1b7\x1b[r\x1b8\x1b(B\x0f\x1b[0m\x1b[0 q",
))  # fmt: skip
"""What takes a terminal back to where a shell expects it, whatever mode it is in; the cursor stays."""


def restored(stream: Stream) -> bytes:
    """The same where the modes are known: leaving the second screen takes the cursor back to its place, too."""
    return (b"\x1b[?1049l" if stream.modes & _SECOND_SCREEN else b"") + RESTORE


class _Reading:
    def __init__(self, stream: Stream, data: bytes) -> None:
        self.stream, self._data, self._at = replace(stream, rest=b""), data, 0

    def pieces(self) -> Iterator[Piece]:
        while self._at < len(self._data):
            if self.stream.string:
                self._skip()
            elif found := _TEXT.match(self._data, self._at):
                yield self._take(found)
            elif found := _CONTROL.match(self._data, self._at):
                self._take(found)
                yield from self._controlled(*(part.decode("ascii") for part in found.groups()))
            elif found := _STRING.match(self._data, self._at):
                self._take(found)
                self.stream = replace(self.stream, string=found[1])
            elif found := _ESCAPE.match(self._data, self._at):
                whole = self._take(found)
                if (found[1] + found[2]).decode("ascii") in _ESCAPES:
                    yield whole
            elif self._unfinished():
                self.stream = replace(self.stream, rest=self._data[self._at :])
                return
            else:
                yield from self._refuse()

    def _take(self, found: re.Match[bytes]) -> bytes:
        self._at = found.end()
        return found[0]

    def _skip(self) -> None:
        """Past what is left of a string. An ESC ends it: alone it begins the next sequence."""
        ends = _END_OF_OSC if self.stream.string == b"]" else _END_OF_OTHERS
        found = ends.search(self._data, self._at)
        self._at = len(self._data) if found is None else found.start() + (found[0] != b"\x1b")
        if found is not None:
            self.stream = replace(self.stream, string=b"")

    def _unfinished(self) -> bool:
        left = len(self._data) - self._at
        return left <= LONGEST and _PARTIAL.fullmatch(self._data, self._at) is not None

    def _refuse(self) -> Iterator[bytes]:
        """One byte, or a C1 control in its form of two, that begins nothing we know."""
        byte = self._data[self._at]
        self._at += 2 if _SECOND_FORM.match(self._data, self._at) else 1
        if byte >= 0x80 and byte != 0xC2:
            yield UNREADABLE

    def _controlled(self, private: str, given: str, between: str, final: str) -> Iterator[Piece]:
        if len(given) > LONGEST or _LARGE.search(given):
            return
        asked = _QUESTIONS.get((private, f"{given}{final}")) or _QUESTIONS.get((private, final))
        if asked is not None and not between and given in {"", "0", "5", "6"}:
            yield asked
        elif private == "?" and final in "hl" and not between:
            yield from self._mode(given, final)
        elif not private and (final in _PLAIN if not between else (between, final) in _INTERMEDIATE):
            yield f"\x1b[{given}{between}{final}".encode("ascii")

    def _mode(self, given: str, final: str) -> Iterator[bytes]:
        """Private modes set or reset; of several in one sequence those on the list."""
        named = {int(each) for each in given.split(";") if each.isdecimal() and len(each) < 6} & MODES
        on, kept = self.stream.modes, named & REMEMBERED
        self.stream = replace(self.stream, modes=on | kept if final == "h" else on - kept)
        if named:
            yield f"\x1b[?{';'.join(map(str, sorted(named)))}{final}".encode("ascii")


def _joined(pieces: Iterator[Piece]) -> Iterator[Piece]:
    shown = bytearray()
    for piece in pieces:
        if isinstance(piece, bytes):
            shown += piece
            continue
        if shown:
            yield bytes(shown)
            shown.clear()
        yield piece
    if shown:
        yield bytes(shown)

"""What of a program's output reaches a person's terminal, case by case; and what was meant at a list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatwright import errors
from boatwright.rules import picking, screen
from boatwright.rules.screen import Asked, Stream, feed

KEPT = [
    b"plain text\r\n\ttabs\b\a",
    "naïve 漢字 🚀 \u00a0".encode(),
    b"\x1b[31mred\x1b[0m \x1b[38;2;1;2;3mtrue\x1b[4:3m",
    b"\x1b[2J\x1b[H\x1b[10;20H\x1b[K\x1b[3A\x1b[1;20r\x1b[L\x1b[2M",
    b"\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[?1006h\x1b[?25h\x1b[?1049l",
    b"\x1b7\x1b8\x1bM\x1b(0lqk\x1b(B\x1b=\x1b>\x1bc\x1b[s\x1b[u",
    b"\x1b[6 q\x1b[!p",
]
DROPPED = {
    "clipboard": b"\x1b]52;c;aGVsbG8=\x07",
    "clipboard, other end": b"\x1b]52;c;aGVsbG8=\x1b\\",
    "title": b"\x1b]0;rm -rf /\x07",
    "link": b"\x1b]8;;file:///etc/passwd\x1b\\",
    "colour asked": b"\x1b]11;?\x07",
    "file sent": b"\x1b]1337;File=name=eA==:eA==\x07",
    "notification": b"\x1b]9;hello\x07",
    "string of the device": b"\x1bP$qm\x1b\\",
    "picture": b"\x1b_Gf=100;AAAA\x1b\\",
    "privacy, start": b"\x1b^x\x1b\\\x1bXy\x1b\\",
    "title reported": b"\x1b[21t",
    "window moved": b"\x1b[3;0;0t\x1b[8;1;1t",
    "printed": b"\x1b[5i\x1b[4i\x1b[?5i",
    "mode asked": b"\x1b[?2004$p",
    "keyboard asked, changed": b"\x1b[?u\x1b[>1u\x1b[<u\x1b[=1;1u\x1b[>4;2m",
    "parameters asked": b"\x1b[x\x1b[0x",
    "version asked": b"\x1b[>q",
    "answerback": b"\x05",
    "identify": b"\x1bZ",
    "other modes": b"\x1b[?3h\x1b[?1001h\x1b[?9001h",
    "status of the printer": b"\x1b[?15n\x1b[?26n",
    "repeated a million times": b"\x1b[1000000b",
    "second form of CSI": b"\xc2\x9b",
    "null and others": b"\x00\x01\x02\x7f\x10",
}
QUESTIONS = [
    (b"\x1b[c", Asked.ATTRIBUTES),
    (b"\x1b[0c", Asked.ATTRIBUTES),
    (b"\x1b[>c", Asked.SECOND_ATTRIBUTES),
    (b"\x1b[5n", Asked.STATUS),
    (b"\x1b[6n", Asked.CURSOR),
]


def shown(data: bytes) -> bytes:
    _, pieces = feed(Stream(), data)
    return b"".join(piece for piece in pieces if isinstance(piece, bytes))


@pytest.mark.parametrize("data", KEPT)
def test_text_colour_and_cursor_pass_as_they_are(data: bytes) -> None:
    assert feed(Stream(), data)[1] == (data,)


@pytest.mark.parametrize("name", DROPPED)
def test_what_reaches_past_the_screen_is_taken_out(name: str) -> None:
    assert shown(b"before" + DROPPED[name] + b"after") == b"beforeafter"


@pytest.mark.parametrize(("data", "asked"), QUESTIONS)
def test_questions_are_taken_out_in_their_place(data: bytes, asked: Asked) -> None:
    assert feed(Stream(), b"a" + data + b"b")[1] == (b"a", asked, b"b")


@pytest.mark.parametrize(
    ("data", "left"),
    [
        (b"\x9b6n", b"\xef\xbf\xbd6n"),  # CSI of a terminal that does not know UTF-8
        (b"\xff\xfe", b"\xef\xbf\xbd" * 2),
        (b"\xed\xa0\x80", b"\xef\xbf\xbd" * 3),
        (b"\x1b[3\n1m", b"[3\n1m"),  # a control in the middle: no sequence of ours
        (b"\x1b]0;title\x1b[31mred", b"\x1b[31mred"),  # a string that another sequence ends
        (b"\x1b]0;title\x18shown", b"shown"),
        (b"\x1b[?1049;52h", b"\x1b[?1049h"),  # of several modes those on the list
        (b"\x1b[" + b"1;" * 200 + b"m", b""),
    ],
)
def test_what_is_broken_becomes_harmless(data: bytes, left: bytes) -> None:
    assert shown(data) == left


@given(st.lists(st.sampled_from([*KEPT, *DROPPED.values(), *(data for data, _ in QUESTIONS)])), st.data())
def test_the_pieces_it_comes_in_make_no_difference(parts: list[bytes], drawn: st.DataObject) -> None:
    data = b"".join(parts)
    whole = feed(Stream(), data)
    stream, got = Stream(), []
    while data:
        size = drawn.draw(st.integers(1, len(data)))
        stream, pieces = feed(stream, data[:size])
        got += pieces
        data = data[size:]
    joined: list[screen.Piece] = []
    for piece in got:
        if joined and isinstance(piece, bytes) and isinstance(joined[-1], bytes):
            joined[-1] += piece
        else:
            joined.append(piece)
    assert (stream, tuple(joined)) == whole


@given(st.binary(max_size=400))
def test_nothing_at_all_gets_a_string_or_a_question_through(data: bytes) -> None:
    left = shown(data)
    for forbidden in (b"\x1b]", b"\x1bP", b"\x1b_", b"\x1b^", b"\x1bX", b"\x05", b"\x00"):
        assert forbidden not in left
    assert feed(Stream(), left)[1] in {(left,), ()}, "filtered twice is filtered once"


def test_modes_are_remembered_for_who_comes_later() -> None:
    stream, _ = feed(Stream(), b"\x1b[?1049h\x1b[?25l\x1b[?1000h\x1b[?1000l")
    assert stream.again() == b"\x1b[?1049h\x1b[?25l"
    assert screen.restored(stream).startswith(b"\x1b[?1049l") and screen.restored(Stream()) == screen.RESTORE
    assert shown(screen.RESTORE) == screen.RESTORE


NAMES = ("claude", "codex", "pi")


@pytest.mark.parametrize(("typed", "name"), [("1", "claude"), (" 3\n", "pi"), ("codex\n", "codex")])
def test_one_is_picked_by_number_or_name(typed: str, name: str) -> None:
    assert picking.one(typed, NAMES) == name


@pytest.mark.parametrize("typed", ["", "0", "4", "-1", "²", "Claude", "1 2", "9" * 5_000])
def test_what_is_not_on_the_list_is_refused(typed: str) -> None:
    with pytest.raises(errors.BadInput, match="is not on the list: type a number from 1 to 3, or a name"):
        picking.one(typed, NAMES)


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("\n", None),
        ("-", ()),
        ("3, 1", ("pi", "claude")),
        ("pi 3 pi", ("pi",)),
    ],
)
def test_several_are_picked_in_order_each_once(typed: str, names: tuple[str, ...] | None) -> None:
    assert picking.several(typed, NAMES) == names


@pytest.mark.parametrize(
    ("typed", "said"),
    [("y", True), ("YES\n", True), ("", False), ("n", False), ("maybe", None), ("yep", None)],
)
def test_a_yes_is_a_yes(typed: str, said: bool | None) -> None:
    assert picking.agreed(typed) is said

"""The end of a file that grows: whole lines, once each, bounded, whatever happens to the file."""

from __future__ import annotations

from pathlib import Path

from boatwright.stages.tail import SKIPPED, Tail, last_line


def test_it_tells_what_came_since(tmp_path: Path) -> None:
    path = tmp_path / "log"
    tail = Tail(path)
    assert list(tail.read()) == []
    path.write_text("one\ntwo\nhal")
    assert list(tail.read()) == ["one", "two"]
    with path.open("a") as file:
        file.write("f\nthree\n")
    assert list(tail.read()) == ["half", "three"]
    assert list(tail.read()) == []


def test_at_first_the_last_of_it_and_never_a_part_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"line {number}\n" for number in range(1_000)))
    found = list(Tail(path, most=50).read())
    assert found[-1] == "line 999" and found == [f"line {n}" for n in range(1_000 - len(found), 1_000)]
    assert 3 <= len(found) <= 5


def test_what_is_too_much_for_one_look_is_skipped_and_said(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("first\n")
    tail = Tail(path, most=50)
    assert list(tail.read()) == ["first"]
    with path.open("a") as file:
        file.writelines(f"line {number}\n" for number in range(1_000))
    found = list(tail.read())
    assert found[0] == SKIPPED and found[-1] == "line 999" and len(found) < 8


def test_a_line_without_an_end_takes_no_more_room_than_a_look(tmp_path: Path) -> None:
    path = tmp_path / "log"
    tail = Tail(path, most=100)
    for _ in range(50):
        with path.open("ab") as file:
            file.write(b"x" * 90)
        assert list(tail.read()) == []
    with path.open("ab") as file:
        file.write(b"\nend\n")
    (long, end) = tail.read()
    assert len(long) <= 190 and end == "end"


def test_another_file_of_that_name_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("old\n")
    tail = Tail(path)
    assert list(tail.read()) == ["old"]
    path.rename(tmp_path / "log.1")
    assert list(tail.read()) == []
    path.write_text("new and longer than the old one\n")
    assert list(tail.read()) == ["new and longer than the old one"]
    path.write_text("cut\n")
    assert list(tail.read()) == ["cut"]


def test_bytes_that_are_no_text_are_shown_as_such(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"\xff\xfe\n")
    assert list(Tail(path).read()) == ["\ufffd\ufffd"]


def test_the_last_line_that_says_something(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert last_line(path) == ""
    path.write_text("one\ntwo\n \n")
    assert last_line(path) == "two"

"""Three trees merged in the mirror: every kind of conflict, and nothing of the repository's that runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from boatwright.git import merging, names
from boatwright.git.merging import ThreeWay

Files = Mapping[str, str | bytes | None]
TEXT = "".join(f"line {n}\n" for n in range(12))


@pytest.fixture
def three(mirror: Any, repo: Any) -> Callable[[Files, Files, Files], ThreeWay]:
    """``base``, then what each side does to it, merged."""

    def merge(base: Files, ours: Files, theirs: Files) -> ThreeWay:
        start = repo.commit(base)
        mine = repo.commit(ours)
        repo.git("checkout", "-q", "-b", "theirs", start)
        other = repo.commit(theirs)
        mirror.fetch("main")
        mirror.fetch("theirs")
        return merging.three_way(mirror, base=start, ours=mine, theirs=other)

    return merge


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "marked", "unseen"),
    [
        ({"a": TEXT}, {"a": TEXT + "ours\n"}, {"a": "theirs\n" + TEXT}, (), ()),
        ({"a": TEXT}, {"a": TEXT + "same\n"}, {"a": TEXT + "same\n"}, (), ()),
        ({"a": TEXT}, {"a": TEXT + "ours\n"}, {"a": TEXT + "theirs\n"}, ("a",), ()),
        ({}, {"a": "ours\n"}, {"a": "theirs\n"}, ("a",), ()),
        ({"a": TEXT}, {"a": None}, {"a": TEXT + "theirs\n"}, (), ("a",)),
        ({"a": TEXT}, {"a": TEXT + "ours\n"}, {"a": None}, (), ("a",)),
        ({"a": b"\0\1"}, {"a": b"\0\2"}, {"a": b"\0\3"}, (), ("a",)),
        (
            {"a": TEXT},
            {"a": None, "b": TEXT + "ours\n"},
            {"a": "theirs\n" + TEXT},
            (),
            (),
        ),  # a rename is followed
        ({"a": TEXT}, {"a": None, "b": TEXT + "ours\n"}, {"a": TEXT + "theirs\n"}, ("b",), ()),
        ({"a": "a\n"}, {"b\nc": "ours\n"}, {"b\nc": "theirs\n"}, (), ("b\nc",)),  # a name no prompt can show
    ],
)
def test_what_two_sides_do(
    three: Any, base: Files, ours: Files, theirs: Files, marked: tuple[str, ...], unseen: tuple[str, ...]
) -> None:
    merged = three(base, ours, theirs)
    assert (merged.marked, merged.unseen) == (marked, unseen)


def test_the_markers_are_there_and_are_found(three: Any, mirror: Any) -> None:
    merged = three({"a": TEXT}, {"a": TEXT + "ours\n"}, {"a": TEXT + "theirs\n"})
    data = mirror.read(merged.tree, "a")
    assert merging.holds_markers(data) and b"ours\n" in data and b"theirs\n" in data


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"a\n<<<<<<< x\nb\n=======\nc\n>>>>>>> y\n", True),
        (b"<<<<<<< x\r\nb\r\n=======\r\nc\r\n>>>>>>> y\r\n", True),
        (b"Title\n=======\n", False),  # a heading
        (b">>>>>>> y\n=======\n<<<<<<< x\n", False),
        (b" <<<<<<< x\n =======\n >>>>>>> y\n", False),  # a quotation
        (b"", False),
        (b"<<<<<<<\r\n=======\r\n>>>>>>>\r", True),
        (b">>>>>>> y\n=======\n<<<<<<< x\n<<<<<<< x\n>>>>>>> y\n=======\n<<<<<<< x\n>>>>>>> y", True),
        (b"<<<<<<< x\n======= x\n>>>>>>> y\n", False),
        (b"<<<<<<<x\n=======\n>>>>>>> y\n", False),
        (b"<<<<<<< x\n========\n>>>>>>> y\n", False),
        (b"<<<<<<< x\n=======\n>>>>>>>> y\n", False),
        (b"<<<<<<< x\n=======\n" * (merging.READ_CAP // 18), False),  # longer than anybody can search thrice
    ],
)
def test_markers(text: bytes, found: bool) -> None:
    assert merging.holds_markers(text) is found


def test_modes_and_links_come_as_they_are(mirror: Any, repo: Any) -> None:
    base = repo.commit({"run": "x\n", "a": TEXT})
    ours = repo.commit({"a": TEXT + "ours\n"})
    repo.git("checkout", "-q", "-b", "theirs", base)
    (repo.path / "run").chmod(0o755)
    os.symlink("run", repo.path / "link")
    theirs = repo.commit()
    mirror.fetch("main")
    mirror.fetch("theirs")
    merged = merging.three_way(mirror, base=base, ours=ours, theirs=theirs)
    modes = {entry.path: entry.mode for entry in mirror.entries(merged.tree)}
    assert (modes["run"], modes["link"], merged.marked, merged.unseen) == ("100755", "120000", (), ())


def test_no_driver_and_no_attribute_of_theirs_takes_effect(
    three: Any, marker: Any, trap: Any, mirror: Any
) -> None:
    """Neither one they would have to define, nor the built-in ones that a tree can name."""
    attributes = {".gitattributes": "a merge=evil conflict-marker-size=40\nb merge=union\nc merge=binary\n"}
    base = dict.fromkeys("abc", TEXT)
    merged = three(
        {**base, **attributes, "evil": trap.read_text()},
        dict.fromkeys("abc", TEXT + "ours\n"),
        dict.fromkeys("abc", TEXT + "theirs\n"),
    )
    assert (merged.marked, merged.unseen) == (("a", "b", "c"), ())
    assert not marker.exists()


def test_the_base_is_the_one_that_is_named(mirror: Any, repo: Any) -> None:
    """They threw our first commit away: against it, its work goes, and what came after it stays."""
    start = repo.commit({"a": "a\n"})
    first = repo.commit({"first": "1\n"})
    second = repo.commit({"second": "2\n"})
    repo.git("checkout", "-q", "-b", "theirs", start)
    theirs = repo.commit({"by hand": "h\n"})
    mirror.fetch("main")
    mirror.fetch("theirs")
    merged = merging.three_way(mirror, base=first, ours=second, theirs=theirs)
    paths = set(mirror.paths(merged.tree))
    assert {"by hand", "second"} <= paths and "first" not in paths


def test_a_branch_is_taken_as_it_is_there(mirror: Any, repo: Any) -> None:
    repo.git("checkout", "-q", "-b", "agent/1")
    ours = repo.commit({"a": "a\n"})
    pin = names.theirs("ex-1")
    assert mirror.take_branch(repo.path, "agent/1", pin) == ours
    theirs = repo.commit({"b": "b\n"})
    base = repo.git("rev-parse", "main")
    assert mirror.take_branch(repo.path, "agent/1", pin) == theirs == mirror.ref(pin)
    assert merging.others(mirror, theirs, base=base, ours={ours}) == (1, ("Ann",))
    assert merging.others(mirror, theirs, base=base, ours=()) == (2, ("Ann",))

"""The shelf: by name, the host's first, skills with their caps, links nowhere."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from boatwright import errors
from boatwright.config import skill
from boatwright.config.manifest import Origin, Where
from boatwright.config.paths import StateDir
from boatwright.config.shelf import MAX_BOTTLES, Shelf
from boatwright.config.source import HostSource
from boatwright.rules import unbegun

FLAG = Origin("flag --bottle")
EMPTY = "---\n---\n"


@dataclass(frozen=True, slots=True)
class Committed(HostSource):
    """A directory that stands for a base commit."""

    @property
    def where(self) -> Where:
        return Where.REPOSITORY

    def shown(self, path: str) -> str:
        return f".boatwright/{path}"


@dataclass(frozen=True)
class Places:
    host: Path
    repository: Path

    @property
    def shelf(self) -> Shelf:
        return Shelf((HostSource(StateDir(self.host)), Committed(StateDir(self.repository))))

    def write(self, place: str, path: str, text: str = EMPTY) -> Path:
        file = getattr(self, place) / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return Path(file)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "host", tmp_path / "repository")


def test_nothing_anywhere(places: Places) -> None:
    assert places.shelf.agent("claude") is None
    assert places.shelf.agents() == ()
    with pytest.raises(errors.NotFound, match="there is no bottle 'x'; there are: none") as caught:
        places.shelf.bottle("x", FLAG)
    assert caught.value.next_moves == ("write .boatwright/bottles/x.md",)


def test_the_hosts_wins_and_it_is_said(places: Places) -> None:
    places.write("host", "agents/imp.md", "---\nprovider: pi\n---\n")
    places.write("repository", "agents/imp.md", "---\nprovider: codex\n---\n")
    places.write("repository", "agents/other.md")
    read = places.shelf.agent("imp")
    assert read is not None
    assert (read.head.provider, read.where) == ("pi", Where.HOST)
    said = places.shelf.hidden("agents", "imp")
    assert (
        said
        == f"{places.host}/agents/imp.md of the host is used; .boatwright/agents/imp.md of the repository is not"
    )
    assert places.shelf.hidden("agents", "other") is None
    listed = places.shelf.agents()
    assert [(each.name, each.where, each.problem is None) for each in listed] == [
        ("imp", "host", True),
        ("imp", "repository", False),
        ("other", "repository", True),
    ]


def test_a_file_that_cannot_be_used_is_listed_with_the_reason(places: Places) -> None:
    places.write("repository", "agents/Foo.md")
    places.write("repository", "agents/bad.md", "---\nmodle: x\n---\n")
    places.write("repository", "agents/notes.txt")
    (places.repository / "agents" / "link.md").symlink_to(places.repository / "agents" / "bad.md")
    problems = {each.name: each.problem for each in places.shelf.agents()}
    assert set(problems) == {"Foo", "bad", "link"}
    assert "the file name is refused" in str(problems["Foo"])
    assert ".boatwright/agents/bad.md line 2: unknown key 'modle'" in str(problems["bad"])
    assert problems["link"] == ".boatwright/agents/link.md is a link, not a file"


@pytest.mark.parametrize("name", ["../escape", "foo bar", "Foo", "-leading", "foo; rm -rf /"])
def test_a_name_is_checked_before_it_becomes_a_path(places: Places, name: str) -> None:
    places.write("repository", "escape.md")
    for ask in (
        places.shelf.agent,
        lambda n: places.shelf.bottle(n, FLAG),
        lambda n: places.shelf.skill(n, FLAG),
    ):
        with pytest.raises(errors.BadInput, match="is not a name of") as caught:
            ask(name)
        assert caught.value.exit_code == 2


def test_every_parent_is_brought(places: Places) -> None:
    places.write("repository", "bottles/a.md", "---\nextends: [b, c]\n---\n")
    places.write("repository", "bottles/b.md", "---\nextends: base\n---\n")
    places.write("repository", "bottles/c.md")
    places.write("host", "bottles/base.md")
    (places.host / "bottles" / "0123456789").mkdir()  # a live bottle's place is no manifest
    assert set(places.shelf.bottles([("a", FLAG)])) == {"a", "b", "c", "base"}
    assert places.shelf.names("bottles") == ["a", "b", "base", "c"]


def test_a_circle_ends(places: Places) -> None:
    places.write("repository", "bottles/a.md", "---\nextends: b\n---\n")
    places.write("repository", "bottles/b.md", "---\nextends: a\n---\n")
    assert set(places.shelf.bottles([("a", FLAG)])) == {"a", "b"}


def test_a_parent_that_is_not_there_is_refused_at_its_line(places: Places) -> None:
    places.write("repository", "bottles/a.md", "---\nextends:\n  - pythn\n---\n")
    places.write("repository", "bottles/python.md")
    with pytest.raises(errors.BadPolicy) as caught:
        places.shelf.bottles([("a", FLAG)])
    assert (
        str(caught.value)
        == ".boatwright/bottles/a.md line 3: there is no bottle 'pythn'; the nearest is 'python'"
    )
    assert caught.value.next_moves == ("write 'python' instead",)


def test_too_many(places: Places) -> None:
    for number in range(MAX_BOTTLES + 1):
        places.write("repository", f"bottles/b{number}.md", f"---\nextends: b{number + 1}\n---\n")
    with pytest.raises(errors.BadInput, match=f"more than {MAX_BOTTLES} bottles"):
        places.shelf.bottles([("b0", FLAG)])


def test_a_skill_is_read_whole(places: Places) -> None:
    places.write("repository", "skills/lint/SKILL.md", "How to lint")
    places.write("repository", "skills/lint/bin/run.sh", "echo").chmod(0o755)
    read = places.shelf.skill("lint", FLAG)
    assert read.files == (("SKILL.md", b"How to lint"), ("bin/run.sh", b"echo"))
    assert read.executables == {"bin/run.sh"}
    assert (read.where, read.folder, read.size) == (Where.REPOSITORY, ".boatwright/skills/lint", 15)


def test_a_skill_of_the_host_wins(places: Places) -> None:
    places.write("repository", "skills/lint/SKILL.md", "theirs")
    places.write("host", "skills/lint/SKILL.md", "ours")
    assert places.shelf.skill("lint", FLAG).files == (("SKILL.md", b"ours"),)
    assert "/skills/lint of the host is used" in str(places.shelf.hidden("skills", "lint"))


def test_a_skill_that_is_not_there(places: Places) -> None:
    with pytest.raises(errors.BadPolicy, match=r"a\.md line 4: there is no skill 'lint'"):
        places.shelf.skill("lint", Origin("a.md", 4))


def _no_main(folder: Path) -> None:
    (folder / "SKILL.md").unlink()


def _link(folder: Path) -> None:
    (folder / "x").symlink_to("/etc/passwd")


def _folder_link(folder: Path) -> None:
    (folder / "x").symlink_to("/etc")


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "x")


def _large(folder: Path) -> None:
    for number in range(3):
        (folder / f"{number}").write_bytes(b"x" * (400 << 10))


def _many(folder: Path) -> None:
    for number in range(skill.MAX_FILES):
        (folder / f"{number}").touch()


def _many_folders(folder: Path) -> None:
    for number in range(skill.MAX_FILES):
        (folder / f"{number}").mkdir()


def _deep(folder: Path) -> None:
    (folder / "/".join("a" * 9)).mkdir(parents=True)


def _git(folder: Path) -> None:
    (folder / ".Git").mkdir()


def _escape(folder: Path) -> None:
    (folder / "a\x1b[31m").touch()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_no_main, "there is no SKILL.md in it"),
        (_link, "x is a link"),
        (_folder_link, "x is a link"),
        (_pipe, "x is neither file nor folder"),
        (_large, "larger than 1024 KiB"),
        (_many, "more than 200 files"),
        (_many_folders, "more than 200 files"),
        (_deep, "nested deeper than 8 folders"),
        (_git, "the name '.Git' is not taken"),
        (_escape, r"the name 'a\x1b[31m' is not taken"),
    ],
)
def test_a_skill_refused(places: Places, spoil: object, says: str) -> None:
    main = places.write("repository", "skills/lint/SKILL.md", "How to lint")
    assert callable(spoil)
    spoil(main.parent)
    with pytest.raises(errors.BadPolicy) as caught:
        places.shelf.skill("lint", FLAG)
    assert says in str(caught.value)
    assert ".boatwright/skills/lint" in str(caught.value)
    assert caught.value.next_moves


def test_a_skill_that_is_a_link_itself(places: Places, tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "SKILL.md").touch()
    places.write("repository", "skills/other/SKILL.md")
    (places.repository / "skills" / "lint").symlink_to(tmp_path / "else")
    with pytest.raises(errors.BadPolicy, match="lint is a link"):
        places.shelf.skill("lint", FLAG)


def test_what_cannot_be_read(places: Places) -> None:
    (places.host / "agents").mkdir(parents=True)
    (places.host / "agents" / "imp.md").mkdir()
    with pytest.raises(errors.BadInput, match=r"agents/imp\.md is a folder, not a file"):
        places.shelf.agent("imp")


@pytest.mark.parametrize("name", ["zzz", "secret-custome"])
def test_a_repositorys_manifest_is_told_of_its_own_alone(places: Places, name: str) -> None:
    """What is wrong with it stands on the issue, where strangers read: the host's names are the operator's."""
    places.write("host", "bottles/secret-customer.md")
    places.write("repository", "bottles/open.md")
    asked = Origin(".boatwright/agents/dev.md", 3)
    with pytest.raises(
        errors.BadPolicy, match=f"line 3: there is no bottle '{name}'; the repository has: open"
    ) as caught:
        places.shelf.bottle(name, asked)
    fault = unbegun.skip(caught.value)
    assert fault is not None and "secret-customer" not in unbegun.what(fault) + unbegun.remedy(fault)
    with pytest.raises(errors.NotFound, match="secret-customer") as typed:
        places.shelf.bottle(name, FLAG)
    told = unbegun.skip(typed.value)
    assert told is not None and "secret-customer" not in unbegun.what(told) + unbegun.remedy(told)

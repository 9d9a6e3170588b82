"""Reading and making trees in the mirror."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest

from boatwright import errors
from boatwright.git import trees
from boatwright.git.gitdir import Author

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ANN = Author("Ann", "ann@example.org")


def test_changes_by_path(mirror, repo):
    body = "".join(f"line {n}\n" for n in range(20))
    repo.write({"old name": body, "gone": "x\n", "bin": b"\0\1", "kind": "text", "moded": "m\n"})
    base = repo.commit()
    repo.git("mv", "old name", "näw\nname")
    (repo.path / "kind").unlink()
    os.symlink("gone/away", repo.path / "kind")
    (repo.path / "moded").chmod(0o755)
    head = repo.commit({"gone": None, "bin": b"\0\2", "src/a.py": "a = 1\nb = 2\n", "fresh": "1\n2\n"})
    mirror.fetch()
    changes = {change.path: change for change in mirror.changed(base, head)}
    rows = {
        path: (c.status, c.old_mode, c.new_mode, c.added, c.deleted, c.renamed_from)
        for path, c in changes.items()
    }
    assert rows == {
        "näw\nname": ("R", "100644", "100644", 0, 0, "old name"),
        "gone": ("D", "100644", "000000", 0, 1, None),
        "bin": ("M", "100644", "100644", None, None, None),
        "kind": ("T", "100644", "120000", 1, 1, None),
        "moded": ("M", "100644", "100755", 0, 0, None),
        "src/a.py": ("M", "100644", "100644", 1, 0, None),
        "fresh": ("A", "000000", "100644", 2, 0, None),
    }
    assert changes["bin"].binary
    without = {change.path: change.status for change in mirror.changed(base, head, renames=False)}
    assert without["old name"] == "D"
    assert without["näw\nname"] == "A"


def test_names_that_are_no_text_come_back_as_they_were(mirror, repo):
    name = b"bad\xff\xfename"
    with open(os.path.join(os.fsencode(repo.path), name), "wb") as file:
        file.write(b"x")
    head = repo.commit()
    mirror.fetch()
    path = os.fsdecode(name)
    assert path in mirror.paths(head)
    assert mirror.read(head, path) == b"x"


def test_diff_text_is_a_patch_and_is_cut(mirror, repo):
    base = repo.git("rev-parse", "HEAD")
    head = repo.commit({"src/a.py": "a = 2\n", "big": "line\n" * 50_000, ".gitattributes": "*.py binary\n"})
    mirror.fetch()
    text = mirror.diff_text(base, head)
    assert "-a = 1\n+a = 2\n" in text
    cut = mirror.diff_text(base, head, 1_000)
    assert len(cut) < 1_100
    assert cut.endswith("[the diff is longer; cut after 1000 bytes]\n")


@pytest.mark.parametrize(
    "path",
    [
        "nosuch",
        "src",
        "",
        "/README",
        "README/",
        "src/",
        "../README",
        "*.py",
        ":(top)README",
        "-x",
        "./README",
    ],
)
def test_read_finds_files_only_and_names_are_no_patterns(mirror, path):
    assert mirror.read(mirror.fetch(), path) is None


def test_read_has_a_cap(mirror, repo):
    os.symlink("README", repo.path / "link")
    head = repo.commit({"big": "x" * 2_000})
    mirror.fetch()
    assert mirror.read(head, "README") == b"hello\n"
    assert mirror.read(head, "link") == b"README"
    with pytest.raises(errors.BadInput, match="larger than 1000 bytes"):
        mirror.read(head, "big", 1_000)


def test_unknown_objects_get_a_sentence(mirror):
    mirror.fetch()
    with pytest.raises(errors.NotFound):
        mirror.tree_of("1" * 40)
    with pytest.raises(errors.NotFound):
        mirror.kind("1" * 40)
    assert mirror.commit_of("1" * 40) is None
    assert mirror.entry(mirror.fetch(), "README").mode == trees.FILE


def test_read_many(mirror, repo):
    head = mirror.fetch()
    oids = {entry.path: entry.oid for entry in mirror.entries(head)}
    found = mirror.read_many([*oids.values(), "1" * 40, mirror.tree_of(head)])
    assert {path: found[oid] for path, oid in oids.items()} == {
        "README": b"hello\n", "src/a.py": b"a = 1\n", "tests/test_a.py": b"assert True\n",
    }  # fmt: skip
    assert len(found) == 3


def test_compose_mixes_base_code_with_heads_tests_and_back(mirror, repo):
    base = repo.git("rev-parse", "HEAD")
    repo.git("rm", "-q", "README")
    head = repo.commit({"src/a.py": "a = 2\n", "tests/test_a.py": "changed\n", "tests/test_b.py": "new\n"})
    mirror.fetch()
    tests = ["tests/test_a.py", "tests/test_b.py"]
    bh = mirror.compose(base, dict.fromkeys(tests, head))
    hb = mirror.compose(head, dict.fromkeys(tests, base))

    def content(tree: str) -> dict[str, bytes | None]:
        return {path: mirror.read(tree, path) for path in mirror.paths(tree)}

    assert content(bh) == {
        "README": b"hello\n", "src/a.py": b"a = 1\n", "tests/test_a.py": b"changed\n", "tests/test_b.py": b"new\n",
    }  # fmt: skip
    assert content(hb) == {"src/a.py": b"a = 2\n", "tests/test_a.py": b"assert True\n"}
    assert mirror.compose(base, {}) == mirror.tree_of(base)
    assert mirror.compose(base, {"README": None, "nosuch": None, "nowhere": head}) == mirror.compose(
        base, {"README": None}
    )


def test_compose_lets_a_file_and_a_directory_take_each_others_place(mirror, repo):
    base = repo.commit({"thing": "file\n"})
    (repo.path / "thing").unlink()
    head = repo.commit({"thing/inner": "deep\n"})
    mirror.fetch()
    down = mirror.compose(base, {"thing": head, "thing/inner": head})
    assert mirror.tree_of(head) == down
    assert mirror.compose(head, {"thing": base, "thing/inner": base}) == mirror.tree_of(base)


def test_merge_clean_and_with_conflict(mirror, repo):
    base = repo.commit({"a": "1\n2\n3\n4\n5\n", "b": "b\n"})
    repo.git("checkout", "-q", "-b", "one")
    one = repo.commit({"a": "one\n2\n3\n4\n5\n"})
    repo.git("checkout", "-q", "-b", "two", base)
    two = repo.commit({"a": "1\n2\n3\n4\ntwo\n", ".gitattributes": "* merge=evil -text\n"})
    repo.git("checkout", "-q", "-b", "three", base)
    three = repo.commit({"a": "three\n2\n3\n4\n5\n", "näme": "x"})
    for branch in ("one", "two", "three"):
        mirror.fetch(branch)
    clean = mirror.merge(one, two)
    assert clean.clean
    assert mirror.read(clean.tree, "a") == b"one\n2\n3\n4\ntwo\n"
    assert mirror.merge(one, three).conflicts == ("a",)
    assert mirror.merge_base(one, two) == base
    assert mirror.is_ancestor(base, one)
    assert not mirror.is_ancestor(one, base)


def test_unrelated_histories_do_not_merge(mirror):
    head = mirror.fetch()
    other = mirror.commit_tree(mirror.tree_of(head), [], "other root", ANN, WHEN)
    assert mirror.merge_base(head, other) is None
    with pytest.raises(errors.BoatwrightError):
        mirror.merge(head, other)

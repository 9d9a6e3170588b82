"""What a tree may not newly hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatwright.rules import tree
from boatwright.rules.tree import LINK, Leaf


@pytest.mark.parametrize(
    ("path", "target", "leaves"),
    [
        ("a", "b", False),
        ("a", "/etc", True),
        ("a", "../x", True),
        ("d/a", "../x", False),
        ("d/a", "../../x", True),
        ("d/a", "./../d//b", False),
        ("d/a", "x/../../../y", True),
        ("a", ".git/config", True),
        ("d/a", "../.GIT/hooks", True),
        ("a", "c:\\x", True),
        ("a", "", False),
        ("a", ".", False),
        ("a", "..", True),
        ("x/e", "up/../y", True),  # "up" is itself a link to the root: the next ".." leaves
        ("x/e", "up/y", False),
        ("a", "loop", False),
        ("a", "abs/passwd", True),
    ],
)
def test_links(path, target, leaves):
    links = {"x/up": "..", "loop": "loop", "abs": "/etc"}
    assert tree.leaves_tree(path, target, links) is leaves


@pytest.mark.parametrize(
    "name",
    [
        ".git",
        ".GIT",
        ".Git",
        "git~1",
        "GIT~27",
        ".git.",
        ".git ",
        ".git. .",
        ".git::$INDEX_ALLOCATION",
        ".g\u200cit",
        "\ufeff.git",
    ],
)
def test_spellings_of_git(name):
    assert tree.means_git(name)
    for path in (name, f"a/{name}/config", f"x\\{name}\\config"):
        assert [f.rule for f in tree.findings([], [Leaf(path, "100644")])] == ["tree.git_entry"], path


@pytest.mark.parametrize(
    "name", [".gitignore", ".github", "git", "a.git", ".gitx", "git~x", ".gitattributes", "..git", "x~1"]
)
def test_names_that_only_look_alike(name):
    assert not tree.means_git(name)
    assert tree.findings([], [Leaf(f"a/{name}", "100644")]) == ()


def rules(before, new, **more):
    return [finding.rule for finding in tree.findings(before, new, **more)]


def test_kinds():
    assert rules([], [Leaf("sub", "160000")]) == ["tree.submodule"]
    assert rules([], [Leaf(".gitmodules", "100644")]) == ["tree.gitmodules"]
    assert rules([], [Leaf("GITMOD~1", "100644")]) == ["tree.gitmodules"]
    assert rules([], [Leaf("a", LINK, "/etc/passwd")]) == ["tree.link_leaves"]
    assert rules([], [Leaf("a", "100755"), Leaf("b", LINK, "a")]) == []


def test_collisions_only_with_something_new():
    assert rules(["README", "readme"], [Leaf("x", "100644")]) == []
    assert rules(["README", "readme"], [Leaf("readme", "100644")]) == []
    assert rules(["README"], [Leaf("readme", "100644")]) == ["tree.collision"]
    assert rules(["README"], [Leaf("readme", "100644")], gone=["README"]) == []
    assert rules(["src/a"], [Leaf("SRC/b", "100644")]) == ["tree.collision"]
    assert rules([], [Leaf("stra\u00dfe", "100644"), Leaf("STRASSE", "100644")]) == ["tree.collision"]
    assert rules(["\u00e9"], [Leaf("e\u0301", "100644")]) == ["tree.collision"]
    assert rules(["src/a"], [Leaf("src/b", "100644")]) == []


def test_a_finding_can_be_printed_whatever_the_name():
    (finding,) = tree.findings([], [Leaf("bad\udcff\n/.git", "100644")])
    finding.block().encode("utf-8")
    assert "\n" not in finding.observed


@given(st.lists(st.sampled_from(["a", "b", "..", ".", ""]), max_size=8), st.integers(0, 3))
def test_a_link_without_other_links_leaves_exactly_when_its_depth_goes_below_zero(parts, depth):
    at, out = depth, False
    for part in parts:
        at += {"..": -1, ".": 0, "": 0}.get(part, 1)
        out = out or at < 0
    path = "/".join(["d"] * depth + ["link"])
    target = "/".join(parts)
    assert tree.leaves_tree(path, target, {}) is (out or target.startswith("/"))


@given(st.lists(st.text(alphabet="aAbB", min_size=1, max_size=2), unique=True, max_size=6))
def test_base_alone_never_has_a_finding(paths):
    assert tree.findings(paths, []) == ()

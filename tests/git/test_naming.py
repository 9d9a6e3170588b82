"""Names we give, and names we take."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from boatwright.rules import naming


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("Pagination drops the last page", "pagination-drops-the-last-page"),
        ("  --force; rm -rf / ", "force-rm-rf"),
        ("Übergröße: größer", "ubergroe-groer"),
        ("", "change"),
        ("日本語", "change"),
        ("a" * 60, "a" * 40),
        ("one two three four five six seven eight nine ten", "one-two-three-four-five-six-seven-eight"),
        ("../../etc/passwd", "etc-passwd"),
    ],
)
def test_slug(text, slug):
    assert naming.slug(text) == slug


def test_branches():
    assert naming.branch(12, "Fix it!", "ex-0123456789ab") == "boatwright/issue-12-fix-it"
    assert naming.branch(None, "Fix it!", "ex-0123456789ab") == "boatwright/text-6789ab-fix-it"


@given(st.text(), st.integers(1, 10**9) | st.none())
def test_every_branch_of_ours_is_valid(title, issue):
    name = naming.branch(issue, title, "ex-0123456789ab")
    assert naming.valid_branch(name)
    assert len(naming.slug(title)) <= 40


@pytest.mark.parametrize(
    "same",
    [
        ("https://example.org/a/b", "https://example.org/a/b.git", "https://Example.org:443/a/b/", "https://u:p@example.org/a/b",
         "ssh://git@example.org/a/b.git", "git@example.org:a/b.git"),
        ("/home/ann/x", "/home/ann/x/", "file:///home/ann/x"),
    ],
)  # fmt: skip
def test_one_repository_has_one_id(same):
    ids = {naming.repository_id(source) for source in same}
    assert len(ids) == 1
    assert naming.valid_repository_id(ids.pop())


def test_different_repositories_have_different_ids():
    sources = (
        "/a/x",
        "/b/x",
        "https://example.org/a/x",
        "https://example.org/b/x",
        "https://example.net/a/x",
        "https://example.org:8443/a/x",
    )
    assert len({naming.repository_id(source) for source in sources}) == len(sources)
    assert naming.repository_id("/home/ann/My Project").startswith("my-project-")


@given(st.text(min_size=1))
def test_an_id_is_always_safe(source):
    assert naming.valid_repository_id(naming.repository_id("/" + source))


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="ab-./@{~^:?*[\\ \t", min_size=1, max_size=8))
@example("@")
@example("a.lock")
@example("a.lock/b")
def test_what_we_take_as_a_branch_git_takes(name):
    if naming.valid_branch(name):
        ran = subprocess.run(
            ["git", "check-ref-format", "--branch", name], check=False, capture_output=True, cwd="/"
        )
        assert ran.returncode == 0, name

"""The addresses people open: of issues and of pull requests, on every kind of forge."""

from __future__ import annotations

import pytest

from boatwright.rules import forge_place, gitlab_numbers
from boatwright.rules.forge_place import ForgeKind
from boatwright.values.place import ForgePlace

BASES = {
    ForgeKind.GITHUB: "https://github.com",
    ForgeKind.GITEA: "https://git.example.org:3000",
    ForgeKind.FORGEJO: "https://codeberg.org/",
    ForgeKind.GITLAB: "https://gitlab.com",
}


@pytest.mark.parametrize(
    ("kind", "number", "issue", "pull"),
    [
        (ForgeKind.GITHUB, 7, "https://github.com/a/b/issues/7", "https://github.com/a/b/pull/7"),
        (ForgeKind.GITEA, 7, "https://git.example.org:3000/a/b/issues/7", "https://git.example.org:3000/a/b/pulls/7"),
        (ForgeKind.FORGEJO, 7, "https://codeberg.org/a/b/issues/7", "https://codeberg.org/a/b/pulls/7"),
        (ForgeKind.GITLAB, 7, "https://gitlab.com/a/b/-/issues/7", "https://gitlab.com/a/b/-/merge_requests/7"),
    ],
)  # fmt: skip
def test_pages_of_each_kind(kind: ForgeKind, number: int, issue: str, pull: str) -> None:
    place = ForgePlace(kind.value, BASES[kind], "a/b")
    assert forge_place.issue_url(place, number) == issue
    ours = gitlab_numbers.pull_number(number) if kind is ForgeKind.GITLAB else number
    assert forge_place.pull_url(place, ours) == pull


@pytest.mark.parametrize(
    "place", [None, ForgePlace("local", "", ""), ForgePlace("unheard-of", "https://x", "a/b")]
)
def test_where_there_are_no_pages_there_is_no_address(place: ForgePlace | None) -> None:
    assert forge_place.issue_url(place, 7) == forge_place.pull_url(place, 7) == ""


def test_without_a_number_there_is_no_address() -> None:
    place = ForgePlace("github", "https://github.com", "a/b")
    assert forge_place.issue_url(place, None) == forge_place.pull_url(place, None) == ""


def test_every_kind_but_the_local_one_has_pages() -> None:
    for kind in ForgeKind:
        place = ForgePlace(kind.value, "https://h", "a/b")
        assert (
            bool(forge_place.issue_url(place, 1)) == bool(forge_place.pull_url(place, 1)) == (kind != "local")
        )

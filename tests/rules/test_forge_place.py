"""Which forge an address is of."""

from __future__ import annotations

import pytest

from boatwright import errors
from boatwright.rules import forge_place
from boatwright.rules.forge_place import HERE, ForgeKind, Found
from boatwright.values.place import ForgePlace

GITHUB = Found(ForgeKind.GITHUB, "https://github.com", "me/tool")


@pytest.mark.parametrize(
    ("source", "kind", "found"),
    [
        ("https://github.com/me/tool.git", None, GITHUB),
        ("https://GitHub.com/me/tool/", None, GITHUB),
        ("ssh://git@github.com/me/tool.git", None, GITHUB),
        ("git@github.com:me/tool.git", None, GITHUB),
        ("https://gitlab.com/a/b/c/tool", None, Found(ForgeKind.GITLAB, "https://gitlab.com", "a/b/c/tool")),
        ("https://codeberg.org/me/tool", None, Found(ForgeKind.FORGEJO, "https://codeberg.org", "me/tool")),
        ("http://127.0.0.1:3000/me/tool", ForgeKind.GITEA, Found(ForgeKind.GITEA, "http://127.0.0.1:3000", "me/tool")),
        ("http://[::1]:3000/me/tool", ForgeKind.GITEA, Found(ForgeKind.GITEA, "http://[::1]:3000", "me/tool")),
        ("ssh://git@git.example.org:2222/me/tool", ForgeKind.FORGEJO, Found(ForgeKind.FORGEJO, "https://git.example.org", "me/tool")),
        ("https://github.com/me/tool", ForgeKind.LOCAL, HERE),
        ("https://git.example.org/me/.github", ForgeKind.GITHUB, Found(ForgeKind.GITHUB, "https://git.example.org", "me/.github")),
        ("/srv/tool", None, HERE),
        ("/srv/tool", ForgeKind.LOCAL, HERE),
        ("file:///srv/tool", None, HERE),
    ],
)  # fmt: skip
def test_which_forge_it_is(source: str, kind: ForgeKind | None, found: Found) -> None:
    assert forge_place.of(source, kind) == found


@pytest.mark.parametrize(
    ("source", "kind", "words"),
    [
        ("https://git.example.org/me/tool", None, "no forge that is known"),
        ("https://github.com.evil.org/me/tool", None, "no forge that is known"),
        ("/srv/tool", ForgeKind.GITHUB, "a path of this machine"),
        ("https://github.com/tool", None, "OWNER/NAME"),
        ("https://github.com/a/b/c", None, "OWNER/NAME"),
        ("https://github.com/a/..", None, "OWNER/NAME"),
        ("https://github.com/a/%2e%2e", None, "OWNER/NAME"),
        ("https://gitlab.com/a/b c/d", None, "OWNER/NAME"),
        ("https://github.com/", None, "OWNER/NAME"),
        ("https://[x/a/b", None, "is no URL"),
        ("https://github.com:99999/a/b", None, "is no URL"),
        ("https://github.com/a/b?x=1\n", ForgeKind.GITEA, None),
    ],
)
def test_what_is_unclear_is_refused(source: str, kind: ForgeKind | None, words: str | None) -> None:
    if words is None:
        assert forge_place.of(source, kind).path == "a/b"
        return
    with pytest.raises(errors.BadInput, match=words) as refused:
        forge_place.of(source, kind)
    assert refused.value.next_moves


MOVED = ForgePlace("github", "https://github.com", "ann/boat")


@pytest.mark.parametrize(
    ("source", "now"),
    [
        ("https://github.com/ann/app.git", "https://github.com/ann/boat.git"),
        ("https://GitHub.com/ann/app", "https://GitHub.com/ann/boat"),
        ("https://github.com/ann/app.git/", "https://github.com/ann/boat.git"),
        ("ssh://git@github.com:22/ann/app.git", "ssh://git@github.com:22/ann/boat.git"),
        ("git@github.com:ann/app.git", "git@github.com:ann/boat.git"),
        ("git@github.com:ann/app", "git@github.com:ann/boat"),
        ("https://github.com/Ann/Boat", "https://github.com/Ann/Boat"),
        ("git@github.com:ann/boat.git", "git@github.com:ann/boat.git"),
        ("https://mirror.example.org/ann/app.git", "https://mirror.example.org/ann/app.git"),
        ("http://github.com/ann/app.git", "http://github.com/ann/app.git"),
        ("/srv/app.git", "/srv/app.git"),
        ("file:///srv/app.git", "file:///srv/app.git"),
        ("", ""),
    ],
)
def test_where_it_is_fetched_from_now(source: str, now: str) -> None:
    assert forge_place.address_now(source, MOVED) == now


@pytest.mark.parametrize(
    ("path", "kind", "can"),
    [
        ("ann/boat", "github", True), ("a/b/c", "gitlab", True), ("a/b/c", "gitea", False), ("ann", "gitlab", False),
        ("ann/..", "github", False), ("ann/b?x=1", "github", False), ("ann/b c", "gitea", False), ("", "github", False),
    ],
)  # fmt: skip
def test_what_a_repository_can_be_called(path: str, kind: str, can: bool) -> None:
    assert forge_place.fits(path, kind) is can

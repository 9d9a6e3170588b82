"""What apt says about system packages, and what is made of it: a table per question."""

from __future__ import annotations

import pytest

from boatwright import errors
from boatwright.rules import packages as rules
from boatwright.rules.packages import Archive

STATUS = """\
Package: tzdata
Status: install ok installed
Version: 1

Package: gone
Status: deinstall ok config-files

Package: half
Status: install ok half-configured

Package: kept
Status: hold ok installed
"""
SHA = "SHA256:" + "a" * 64


def test_what_is_installed_is_what_is_whole() -> None:
    assert rules.installed(STATUS) == {"tzdata", "kept"}
    assert rules.installed("") == frozenset()


@pytest.mark.parametrize(
    ("said", "names", "pins"),
    [
        (
            "Inst hello (2.10-3 Debian:12 [amd64])\nConf hello (2.10-3 Debian:12 [amd64])",
            ["hello"],
            ("hello=2.10-3",),
        ),
        ("Inst b (1:2~rc1+b1 X [amd64]) []\nInst a (3 X, Y:1 [all])", ["b"], ("a=3", "b=1:2~rc1+b1")),
        ("Inst lib:i386 (1 X [i386])\nInst x (1 X [amd64])", ["x"], ("lib:i386=1", "x=1")),
        ("Reading…\nInst g++ (4 X [amd64])", ["g++", "kept"], ("g++=4",)),
    ],
)
def test_what_has_to_come(said: str, names: list[str], pins: tuple[str, ...]) -> None:
    assert rules.pins(said, names, frozenset({"kept"})) == pins


@pytest.mark.parametrize(
    ("said", "why", "move"),
    [
        ("Inst x (1 X [amd64])\nRemv kept [1]", "x cannot stand beside kept of this host", ""),
        (
            "Inst lib [1] (2 X [amd64])\nInst x (1 X [amd64])",
            "would need lib 2, and this host has 1",
            "--only-upgrade lib",
        ),
        ("Inst xx (1 X [amd64])", "x is no package of this host's sources", "apt-get update"),
        ("", "x is no package of this host's sources", "apt-get update"),
        ("Inst x (1 X [amd64])\nInst -o (1 X [amd64])", "in a way that is not its own", ""),
        ("Inst x (1;rm X [amd64])", "in a way that is not its own", ""),
    ],
)
def test_what_may_not_come_parks_by_name(said: str, why: str, move: str) -> None:
    with pytest.raises(errors.Parked) as parked:
        rules.pins(said, ["x"], frozenset())
    assert parked.value.code == "packages" and why in str(parked.value)
    assert any(move in each for each in parked.value.next_moves) and rules.IMAGE in parked.value.next_moves


def uri(file: str, size: int = 5, digest: str = SHA) -> str:
    return f"'https://user:pass@host/{file}' {file} {size} {digest}"


def test_archives_are_taken_with_a_strong_digest_and_without_their_address() -> None:
    found = rules.archives("\n".join([uri("b_1%3a2_all.deb"), uri("a_1_amd64.deb")]), ("a=1", "b=1:2"))
    assert [each.file for each in found] == ["a_1_amd64.deb", "b_1%3a2_all.deb"]
    assert "pass" not in repr(found)


@pytest.mark.parametrize(
    "said",
    [
        "",
        uri("a.deb") + "\n" + uri("b.deb"),
        uri("a.deb", digest="MD5Sum:" + "a" * 32),
        uri("a.deb", digest=""),
        uri("../a.deb"),
        uri("-a.deb"),
        uri("a.sh"),
        uri("a.deb", size=3 << 30),
    ],
)
def test_archives_that_cannot_be_held_to_anything_park(said: str) -> None:
    with pytest.raises(errors.Parked):
        rules.archives(said, ("a=1",))


def test_the_same_archives_have_the_same_key_and_others_another() -> None:
    one, other = Archive("a.deb", 1, "sha256:aa"), Archive("a.deb", 1, "sha256:bb")
    assert rules.key(("a=1",), (one,)) == rules.key(("a=1",), (one,)) != rules.key(("a=1",), (other,))
    assert len(rules.key((), ())) == 24


def test_a_wish_is_another_one_when_this_host_changes() -> None:
    names = ("jq",)
    assert (
        len({rules.wish(names, STATUS, "a"), rules.wish(names, "", "a"), rules.wish(names, STATUS, "b")}) == 3
    )


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("W: noise\nE: Unable to locate package x\nE: more", "Unable to locate package x"),
        ("E: Failed to fetch https://me:secret@host/x.deb  404", "Failed to fetch host/x.deb  404"),
        ("", "it said nothing"),
    ],
)
def test_what_apt_says_is_said_again_without_credentials(said: str, shown: str) -> None:
    assert str(rules.refused(said, ("x",))) == f"system_packages x could not be fetched: {shown}"

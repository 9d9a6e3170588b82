"""Repositories that are odd rather than wrong: they work, and what nobody asked to change stays byte for byte."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

Desk = Any  # tests/bad_input/conftest.py
MODEL = "anthropic:claude-sonnet-4-5"  # without a key: the run parks once its base is proven
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"


def base_stands(desk: Desk, repository: Path, *more: str) -> None:
    said = desk.run(repository, MODEL, *more)
    assert "base: 4 pass" in said.out, str(said)
    desk.parked(said, "credential", "ANTHROPIC_API_KEY")


def test_an_odd_repository_is_worked_on_and_what_is_odd_stays(desk: Desk) -> None:
    """A path with blanks and accents; a submodule; a pointer of git LFS; a large file; names that are no text."""
    library = desk.repository("library")
    odd = {
        ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n",
        "model.bin": POINTER,
        "large.dat": b"\0" * (24 << 20),
    }
    odd |= {"crlf.txt": b"one\r\ntwo\r\n", "with blank.txt": "x", "späte Seite.txt": "x"}
    repository = desk.repository("späte Seiten (kopie)", odd)
    (repository / os.fsdecode(b"caf\xe9.txt")).write_text("x")
    (repository / "link").symlink_to("README.md")
    (repository / "tool").write_text("#!/bin/sh\n")
    (repository / "tool").chmod(0o755)
    desk.git(repository, "submodule", "--quiet", "add", str(library), "library")
    desk.commit(repository)
    said = desk.run(repository, desk.good())
    assert said.code == 0 and "proof: proven" in said.out, str(said)
    number = str(desk.lost_nothing(said.execution, now="DELIVERED")["execution"]["pull_request"])
    patch = desk.do("pr", "diff", number, "--repo", str(repository)).out
    changed = [line.split(" b/")[1] for line in patch.splitlines() if line.startswith("diff --git")]
    assert changed == ["paginate.py", "tests/test_paginate.py"], patch


def test_a_name_with_a_line_break(desk: Desk) -> None:
    repository = desk.repository("two\nlines")
    desk.run(repository, MODEL).refuses(2, "without control characters", move="--repo PATH")


def test_from_a_directory_inside_and_through_a_link(desk: Desk) -> None:
    repository = desk.repository()
    assert desk.do("issue", "create", "--repo", str(repository), "--title", "One").code == 0
    link = desk.root / "link"
    link.symlink_to(repository)
    for named in (str(repository / "tests"), str(link), "."):
        said = desk.do("issue", "list", "--repo", named, cwd=repository / "tests")
        assert "One" in said.out, str(said)


def test_bare_and_detached_and_half_cloned(desk: Desk) -> None:
    source = desk.repository()
    commit = desk.git(source, "rev-parse", "HEAD")
    bare = desk.root / "bare.git"
    desk.git(source, "clone", "--quiet", "--bare", str(source), str(bare))
    base_stands(desk, bare)
    desk.git(source, "checkout", "--quiet", "--detach")
    assert (
        desk.do(
            "run", "--repo", str(source), "--dry-run", "--text", "x", "--model", MODEL, "--base", commit[:8]
        ).code
        == 0
    )
    shallow = desk.root / "shallow"
    desk.commit(source, {"more.txt": "more"})
    desk.git(source, "clone", "--quiet", "--depth=1", f"file://{bare}", str(shallow))
    assert desk.do("run", "--repo", str(shallow), "--dry-run", "--text", "x", "--model", MODEL).code == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_repository_of_somebody_else(desk: Desk) -> None:
    repository = desk.repository()
    subprocess.run(["chown", "-R", "12345:12345", str(repository)], check=True)
    base_stands(desk, repository)


def test_a_change_that_is_odd_is_shown_and_held_back(desk: Desk) -> None:
    """Names that are no text or two lines long, and a large file: told on one line each, never a defect of ours."""
    repository = desk.repository(
        files={".boatwright.yml": "max_retries: 1\n", "large.txt": "x\n" * (1 << 20)}
    )
    odd = "touch \"$(printf 'caf\\xe9.txt')\" \"$(printf 'a\\nproof: proven')\"; echo y >> large.txt"
    said = desk.run(repository, desk.script(odd))
    assert said.code in {5, 10} and "Traceback" not in said.text, str(said)
    for name in (r"caf\udce9.txt", r"a\nproof: proven", "large.txt"):
        assert f"the file is not in the plan: {name}" in said.out, str(said)
    assert "\nproof: proven" not in said.out
    desk.lost_nothing(said.execution, now="DELIVERED")


def test_what_is_not_committed_is_left_out_and_said_so(desk: Desk) -> None:
    repository = desk.repository()
    (repository / "draft.txt").write_text("not yet")
    said = desk.do("run", "--repo", str(repository), "--dry-run", "--text", "x", "--model", MODEL)
    assert said.code == 0 and "1 file is not committed" in said.out, str(said)

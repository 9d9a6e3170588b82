"""Commits signed with an SSH key: git itself says that they are good, and a redo makes the same commit."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from boatwright import errors
from boatwright.git import signing
from boatwright.git.gitdir import Author
from boatwright.git.mirror import Mirror

ME = Author("Boatwright", "boatwright@example.test")
WHEN = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    where = tmp_path_factory.mktemp("keys")

    def make(kind: str, *options: str, phrase: str = "") -> Path:
        path = where / f"{kind}{len(list(where.iterdir()))}"
        command = ["ssh-keygen", "-q", "-t", kind, *options, "-N", phrase, "-f", str(path), "-C", "test"]
        subprocess.run(command, check=True)
        return path

    return make


@pytest.mark.parametrize("kind", [("ed25519",), ("rsa", "-b", "2048")], ids=["ed25519", "rsa"])
def test_git_itself_finds_the_signature_good(
    kind: tuple[str, ...], key: Callable[..., Path], mirror: Mirror, repo: Any, tmp_path: Path
) -> None:
    path = key(*kind)
    commit = mirror.fetch(repo.commit({"a.txt": "one\n"}))
    sign = signing.signer(path.read_bytes())
    made = [
        mirror.commit_tree(mirror.tree_of(commit), (commit,), "Subject\n\nwords\n", ME, WHEN, sign)
        for _ in range(2)
    ]
    assert made[0] == made[1]
    assert mirror.parents(made[0]) == (commit,)
    assert _verified(mirror, made[0], path, tmp_path)
    other = key("ed25519")
    assert not _verified(mirror, made[0], other, tmp_path)


def _verified(mirror: Mirror, commit: str, key: Path, tmp_path: Path) -> bool:
    allowed = tmp_path / f"allowed-{key.name}"
    allowed.write_text(f"{ME.email} {key.with_suffix('.pub').read_text()}")
    command = ["git", "--git-dir", str(mirror.path), "-c", f"gpg.ssh.allowedSignersFile={allowed}"]
    ran = subprocess.run(
        [*command, "verify-commit", "-v", commit], capture_output=True, text=True, check=False
    )
    return ran.returncode == 0 and f'Good "git" signature for {ME.email}' in ran.stderr


def test_a_commit_without_a_key_is_the_one_it_was(mirror: Mirror, repo: Any) -> None:
    commit = mirror.fetch(repo.commit({"a.txt": "one\n"}))
    plain = mirror.commit_tree(mirror.tree_of(commit), (commit,), "Subject", ME, WHEN)
    assert b"gpgsig" not in mirror.run("cat-file", "commit", plain).out


@pytest.mark.parametrize(
    ("kind", "phrase", "why"),
    [
        (("ecdsa",), "", "signatures differ each time"),
        (("ed25519",), "a phrase", "without a pass phrase"),
        ((), "", "no private SSH key"),
    ],
    ids=["ecdsa", "pass phrase", "no key"],
)
def test_a_key_that_will_not_do_is_refused_without_being_shown(
    kind: tuple[str, ...], phrase: str, why: str, key: Callable[..., Path]
) -> None:
    held = key(*kind, phrase=phrase).read_bytes() if kind else b"sk-canary-not-a-key"
    with pytest.raises(errors.BadInput, match=why) as refused:
        signing.signer(held)
    said = f"{refused.value} {refused.value.next_moves}"
    assert held.decode().split("\n")[1 if kind else 0] not in said and "canary" not in said

"""Secret references: where they lead, what is refused, and that no value is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from boatwright import errors
from boatwright.config import secrets


def test_from_the_environment() -> None:
    secret = secrets.resolve("env:KEY", environment={"KEY": " sk-1 \n"})
    assert secret.reveal() == "sk-1"
    assert "sk-1" not in repr(secret) + str(secret) + f"{secret}"


def test_from_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("sk-2\n")
    path.chmod(0o600)
    assert secrets.resolve(f"file:{path}", environment={}).reveal() == "sk-2"


@pytest.mark.parametrize(
    ("environment", "words"),
    [({}, "the variable KEY is not set"), ({"KEY": "  "}, "is not set"), ({"KEY": "a\nb"}, "not a key")],
)
def test_absent_or_useless(environment: dict[str, str], words: str) -> None:
    with pytest.raises(errors.Parked, match=words) as parked:
        secrets.resolve("env:KEY", environment=environment)
    assert parked.value.code == "credential" and parked.value.next_moves


@pytest.mark.parametrize(("mode", "text", "words"), [(0o640, "sk", "open to others"), (0o600, "", "empty")])
def test_files_that_do_not_do(tmp_path: Path, mode: int, text: str, words: str) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(errors.Parked, match=words):
        secrets.resolve(f"file:{path}", environment={})


def test_a_directory_or_nothing_is_no_key_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(errors.Parked):
            secrets.resolve(f"file:{path}", environment={})


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "sk-raw-key",
        "env:",
        "file:",
        "vault:x",
        "vault:a/b",
        "vault:a#f",
        "vault:a/../b#f",
        "vault:a?x/b#f",
        "keyring:x",
        "keyring:/x",
        "keyring:x/",
        "keyring:a/b\nc",
        "env:A B",
        "aws:x",
    ],
)
def test_what_is_no_reference_is_not_repeated(reference: str) -> None:
    with pytest.raises(errors.BadInput) as refused:
        secrets.resolve(reference, environment={})
    assert "sk-raw-key" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        ('{"tokens": {"access_token": "sk-3"}}', "tokens.access_token", ""),
        ('{"tokens": {}}', "tokens.access_token", "has no text at tokens.access_token"),
        ('{"tokens": {"access_token": 7}}', "tokens.access_token", "has no text at"),
        ("[]", "tokens", "has no text at"),
        ("sk-3", "tokens", "is not JSON"),
    ],
)
def test_a_field_of_a_file_of_json(tmp_path: Path, text: str, field: str, words: str) -> None:
    path = tmp_path / "auth.json"
    path.write_text(text)
    path.chmod(0o600)
    reference = f"file:{path}#{field}"
    if not words:
        assert secrets.resolve(reference, environment={}).reveal() == "sk-3"
        return
    with pytest.raises(errors.Parked, match=words) as parked:
        secrets.resolve(reference, environment={})
    assert parked.value.code == "credential" and "sk-3" not in str(parked.value)

"""Who we are at a forge, as settings.yml says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from boatwright import errors
from boatwright.config import secrets, settings

GOOD = [
    "forges: {github: {token: 'env:TOKEN'}}",
    "forges: {github: {app_id: 7, app_key: 'file:/k.pem', base_url: 'https://ghe.example.org'}}",
    "forges: {gitea: {token: 'file:/t', base_url: 'http://127.0.0.1:3000'}}",
]
BAD = [
    "forges: {github: {token: ghp_abcdefghijklmnop}}",
    "forges: {github: {app_id: 7}}",
    "forges: {github: {app_key: 'file:/k.pem'}}",
    "forges: {github: {token: 'env:T', app_id: 7, app_key: 'file:/k.pem'}}",
    "forges: {github: {app_id: 0, app_key: 'file:/k.pem'}}",
    "forges: {github: {token: 'env:T', base_url: 'http://ghe.example.org'}}",
    "forges: {github: {token: 'env:T', base_url: 'https://ann:pa55word@ghe.example.org'}}",
    "forges: {github: {token: 'env:T', base_url: 'ghe.example.org'}}",
    "forges: {github: {token: 'env:T', base_url: 'https://ghe.example.org/?a=b'}}",
]


@pytest.mark.parametrize("text", GOOD)
def test_what_is_taken(text: str) -> None:
    assert settings.parse(text).forges


@pytest.mark.parametrize("text", BAD)
def test_what_is_refused_is_not_repeated(text: str) -> None:
    with pytest.raises(errors.BadPolicy) as caught:
        settings.parse(text)
    assert "pa55word" not in str(caught.value)
    assert "ghp_" not in str(caught.value)


def test_a_slash_at_the_end_makes_no_difference() -> None:
    said = settings.parse("forges: {github: {token: 'env:T', base_url: 'https://ghe.example.org/'}}")
    assert said.forges["github"].base_url == "https://ghe.example.org"


PEM = "-----BEGIN PRIVATE KEY-----\nMIIB+/=\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_key_in_pem_keeps_its_lines(tmp_path: Path, ends: str) -> None:
    file = tmp_path / "key.pem"
    file.touch(mode=0o600)
    file.write_bytes(PEM.replace("\n", ends).encode() + b"\n")
    found = secrets.resolve(f"file:{file}", environment={}, blanks=True, lines=True)
    assert found.reveal() == PEM
    with pytest.raises(errors.Parked):
        secrets.resolve(f"file:{file}", environment={}, blanks=True)

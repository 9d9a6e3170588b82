"""Signatures of deliveries: each forge's own form, over the raw bytes, and nothing else."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import quote_plus

import pytest

from boatwright.rules import signatures

BODY = b'{"a": "\xc3\xa9 +&"}'
HEX = hmac.new(b"key", BODY, hashlib.sha256).hexdigest()
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("forge", "signature", "holds"),
    [
        ("github", f"sha256={HEX}", True),
        ("github", HEX, False),
        ("github", f"sha1={hmac.new(b'key', BODY, hashlib.sha1).hexdigest()}", False),
        ("github", f"sha256={HEX.upper()}", False),
        ("github", f"sha256={HEX} ", False),
        ("github", "", False),
        ("github", "sha256=", False),
        ("github", "sha256=é", False),
        ("gitea", HEX, True),
        ("gitea", f"sha256={HEX}", False),
        ("gitea", "", False),
        ("forgejo", HEX, True),
        ("forgejo", HEX[:-1], False),
        ("gitlab", "key", True),
        ("gitlab", "kex", False),
        ("gitlab", HEX, False),
        ("gitlab", "", False),
        ("gitlab", "\udcff", False),
    ],
)
def test_the_table(forge: str, signature: str, holds: bool) -> None:
    assert signatures.holds(forge, "key", signature, BODY) is holds


@pytest.mark.parametrize("forge", list(signatures.HEADERS))
def test_an_empty_secret_signs_nothing(forge: str) -> None:
    empty = hmac.new(b"", BODY, hashlib.sha256).hexdigest()
    for signature in ("", empty, f"sha256={empty}"):
        assert not signatures.holds(forge, "", signature, BODY)


def test_one_byte_more_is_another_body() -> None:
    assert not signatures.holds("github", "key", f"sha256={HEX}", BODY + b"\n")


@pytest.mark.parametrize(
    ("forge", "headers", "found"),
    [
        ("github", {"x-hub-signature-256": "a", "x-gitea-signature": "b"}, "a"),
        ("github", {"x-hub-signature": "a"}, ""),
        ("gitea", {"x-hub-signature-256": "a", "x-gitea-signature": "b"}, "b"),
        ("gitea", {"x-gitea-signature": ""}, ""),
        ("forgejo", {"x-forgejo-signature": "c", "x-gitea-signature": "b"}, "c"),
        ("forgejo", {"x-gitea-signature": "b"}, "b"),
        ("gitlab", {"x-gitlab-token": "d"}, "d"),
    ],
)
def test_where_it_stands(forge: str, headers: dict[str, str], found: str) -> None:
    assert signatures.given(forge, headers) == found


def test_a_form_of_gitea_is_signed_over_the_json_inside_it() -> None:
    form = b"other=1&payload=" + quote_plus(BODY).encode()
    assert signatures.signed("gitea", f"{FORM}; charset=utf-8", form) == BODY
    assert signatures.signed("github", FORM, form) == form
    assert signatures.signed("gitea", "application/json", form) == form
    assert signatures.signed("forgejo", FORM, b"nothing") == b"nothing"

"""Whether a delivery was sent by who knows the secret. Compared in constant time, over the bytes as they came."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

HEADERS: Mapping[str, tuple[str, ...]] = {
    "github": ("x-hub-signature-256",),
    "gitea": ("x-gitea-signature",),
    "forgejo": ("x-forgejo-signature", "x-gitea-signature"),
    "gitlab": ("x-gitlab-token",),
}
"""Where each forge puts it; the first that is there counts."""
_PREFIX = b"sha256="
_FIELD = b"payload="


def given(forge: str, headers: Mapping[str, str]) -> str:
    """The signature of a request; empty where there is none, which never holds."""
    return next((headers[name] for name in HEADERS[forge] if headers.get(name)), "")


def holds(forge: str, secret: str, signature: str, signed: bytes) -> bool:
    """GitHub: ``sha256=`` and hex. Gitea and Forgejo: bare hex. GitLab: the secret itself, over nothing."""
    said, key = signature.encode("utf-8", "surrogateescape"), secret.encode()
    if not said or not key:
        return False
    if forge == "gitlab":
        return hmac.compare_digest(said, key)
    right = hmac.new(key, signed, hashlib.sha256).hexdigest().encode()
    return hmac.compare_digest(said, _PREFIX + right if forge == "github" else right)


def signed(forge: str, content_type: str, body: bytes) -> bytes:
    """The bytes a signature is over: the body; of a form of Gitea's, the JSON inside it."""
    is_form = content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded"
    if forge not in {"gitea", "forgejo"} or not is_form:
        return body
    field = next((part for part in body.split(b"&") if part.startswith(_FIELD)), None)
    return body if field is None else unquote_to_bytes(field[len(_FIELD) :].replace(b"+", b" "))

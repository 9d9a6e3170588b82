"""``forges:`` of ``settings.yml``: what this host knows of each kind of forge it takes requests from."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from boatwright.config.policy import Block
from boatwright.config.references import SecretReference, unshown

KINDS = ("github", "gitea", "forgejo", "gitlab")
"""Forges that send deliveries; each has a door of its own."""

Label = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f,]{1,100}$")]
Login = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\s\x00-\x1f\x7f/]{1,100}$")]
Path = Annotated[str, StringConstraints(pattern=r"^[^\s\x00-\x1f\x7f/]+(/[^\s\x00-\x1f\x7f/]+){1,20}$")]


def _address(text: str) -> str:
    """https, or http on loopback: a login goes there."""
    parts = urlsplit(text)
    plain = parts.scheme == "http" and _loopback(parts.hostname or "")
    if (
        not parts.hostname
        or parts.username
        or parts.query
        or parts.fragment
        or not (parts.scheme == "https" or plain)
    ):
        raise unshown("should be https://HOST, or http:// on loopback, without user, query or fragment")
    return text.rstrip("/")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


BaseUrl = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(_address)]


class ForgeSetting(Block):
    """One kind of forge. ``webhook_secret`` signs the deliveries of every repository; ``webhook_secrets`` names one
    for a repository alone, which signs no other's. ``organisation``: whose members may be asked by assigning them.
    ``bots``: accounts nobody obeys, beside those that a forge itself calls bots. ``shared_login``: the token is a
    person's, who asks for work with that account, too; then our mark alone tells our words from theirs.

    ``token``, or ``app_id`` and ``app_key`` (GitHub's Apps; a key in PEM) say who we are there, and go to ``base_url``
    alone; without one, to the kind's public address.
    """

    token: SecretReference | None = None
    app_id: Annotated[int, Field(ge=1)] | None = None
    app_key: SecretReference | None = None
    base_url: BaseUrl | None = None
    webhook_secret: SecretReference | None = None
    webhook_secrets: dict[Path, SecretReference] = Field(default_factory=dict, max_length=200)
    organisation: Login | None = None
    label: Label = "agent"
    bots: tuple[Login, ...] = ()
    shared_login: bool = False

    @model_validator(mode="after")
    def _one_login(self) -> Self:
        if (self.app_id is None) != (self.app_key is None):
            raise ValueError("an App has both: 'app_id' and 'app_key'")
        if self.token is not None and self.app_id is not None:
            raise ValueError("name a 'token' or an App, not both")
        return self

    @model_validator(mode="after")
    def _one_repository(self) -> Self:
        """A delivery is its who signed it, so a secret of two repositories would be the second's in vain."""
        named = [*self.webhook_secrets.values()]
        if len({*named}) != len(named):
            raise ValueError(
                "each of 'webhook_secrets' is of one repository; for several, name a 'webhook_secret'"
            )
        return self

    @property
    def listens(self) -> bool:
        """Whether deliveries of this forge can be told from forged ones at all."""
        return self.webhook_secret is not None or bool(self.webhook_secrets)

"""``notify:`` of ``settings.yml``: who is told, and how, when an execution waits for people or is over."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from boatwright.config.forges import BaseUrl
from boatwright.config.policy import Block
from boatwright.config.references import SecretReference
from boatwright.values.notice import Channel, Topic

Host = Annotated[
    str, StringConstraints(strip_whitespace=True, pattern=r"^[A-Za-z0-9:][A-Za-z0-9.:-]{0,252}$")
]
Address = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,190}$"
    ),
]
User = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,200}$")]


class NotifyWebhook(Block):
    """A POST of JSON, signed with ``secret`` (HMAC-SHA256). ``url`` is https, or http on loopback; it is no secret."""

    url: BaseUrl
    secret: SecretReference


class NotifyMail(Block):
    """A mail over TLS: from the start (``implicit``), or from the first command on (``starttls``)."""

    host: Host
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    tls: Literal["starttls", "implicit"] = "starttls"
    user: User | None = None
    password: SecretReference | None = None
    from_: Address = Field(alias="from")
    to: tuple[Address, ...] = Field(min_length=1, max_length=20)

    @model_validator(mode="after")
    def _whole_login(self) -> Self:
        if (self.user is None) != (self.password is None):
            raise ValueError("a login has both: 'user' and 'password'")
        return self

    @property
    def at(self) -> int:
        """The port: as written, or the usual one of the kind of TLS."""
        return self.port or (465 if self.tls == "implicit" else 587)


class Notify(Block):
    """``about``: of what. ``webhook`` and ``mail``: how; both may stand here, each is told of everything."""

    about: tuple[Topic, ...] = Field(default=tuple(Topic), min_length=1)
    webhook: NotifyWebhook | None = None
    mail: NotifyMail | None = None

    @model_validator(mode="after")
    def _says_how(self) -> Self:
        if not self.channels:
            raise ValueError("says nobody: name a 'webhook' or 'mail'")
        return self

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The ways that are named."""
        named = ((Channel.WEBHOOK, self.webhook), (Channel.MAIL, self.mail))
        return tuple(channel for channel, setting in named if setting is not None)

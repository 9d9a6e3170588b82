"""Routes as the operator writes them in ``settings.yml``: what could never match is refused there and then."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from boatwright import errors
from boatwright.config import secrets, strict_yaml
from boatwright.config.policy import Block
from boatwright.values.route import PORTS, Credential, Form, Route, Scheme, covers

_HOST = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?|[0-9a-f:.]{2,45}")
_HEADER = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_METHOD = re.compile(r"[A-Z]{1,20}")
_FRAMING = frozenset({
    "connection", "content-encoding", "content-length", "content-type", "expect", "host", "keep-alive", "te",
    "trailer", "transfer-encoding", "upgrade", "via",
})  # fmt: skip
"""Headers that say how a request is read: a secret never stands there."""


def _host(value: str) -> str:
    host = value.lower().removesuffix(".").removeprefix("[").removesuffix("]")
    if _HOST.fullmatch(host) is None or (host.startswith("*.") and "." not in host[2:]):
        raise ValueError("is not a host: write a name, an address, or *.name.example")
    return host


def _path(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError("begins with a slash; it can never match otherwise")
    if not value.isascii() or not value.isprintable() or set(value) & set("?#\\% "):
        raise ValueError("is a path as it is sent, without query, blanks or %: it can never match otherwise")
    if {".", ".."} & set(value.split("/")):
        raise ValueError("has . or .. in it, and no such request is let through: it can never match")
    return value


def _method(value: str) -> str:
    if _METHOD.fullmatch(value) is None:
        raise ValueError("is a method in capitals, such as GET")
    if value in {"CONNECT", "TRACE"}:
        raise ValueError(f"names {value}, which is never carried: it can never match")
    return value


def _reference(value: str) -> str:
    """Said without the value: it may be the secret itself."""
    try:
        secrets.check(value)
    except errors.BadInput as error:
        raise PydanticCustomError(
            strict_yaml.UNSHOWN, f"names no secret, and never holds one: {error}"
        ) from None
    return value


def _header(value: str) -> str:
    name = value.lower()
    if _HEADER.fullmatch(name) is None or name in _FRAMING:
        raise ValueError("is not a header a secret may stand in")
    return name


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class CredentialSetting(Block):
    """What the wire adds: ``Bearer SECRET``, Basic with ``user``, or the secret ``plain``, in ``header``."""

    secret: Annotated[Text, AfterValidator(_reference)]
    header: Annotated[Text, AfterValidator(_header)] = "authorization"
    form: Form = Form.BEARER
    user: Annotated[str, StringConstraints(pattern=r"^[^:\x00-\x1f\x7f]{1,200}$")] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.form == Form.BASIC) != (self.user is not None):
            raise ValueError("names a user for 'form: basic', and for no other form")
        return self


def _short(value: Any) -> Any:
    """``credential: env:NAME`` is a Bearer."""
    return {"secret": value} if isinstance(value, str) else value


class RouteSetting(Block):
    """One place bottles may be let out to. What is not written is not restricted."""

    host: Annotated[Text, AfterValidator(_host)]
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    scheme: Scheme = Scheme.HTTPS
    paths: Annotated[tuple[Annotated[Text, AfterValidator(_path)], ...], Field(max_length=100)] = ()
    methods: Annotated[tuple[Annotated[Text, AfterValidator(_method)], ...], Field(max_length=20)] = ()
    credential: Annotated[CredentialSetting | None, BeforeValidator(_short)] = None
    meter: Literal["anthropic", "openai", "gemini"] | None = None
    rate: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    ca: Annotated[Text, StringConstraints(pattern=r"^/[^\x00-\x1f\x7f]*$")] | None = None

    @field_validator("paths", "methods")
    @classmethod
    def _says_something(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("names none, so nothing would match: leave it out to allow any")
        return value

    @model_validator(mode="after")
    def _can_match(self) -> Self:
        if self.scheme == Scheme.HTTP and (self.ca or self.meter):
            raise ValueError("speaks plain http, where there is nothing to verify, and no call is metered")
        if self.meter and self.methods and "POST" not in self.methods:
            raise ValueError("is metered, and model calls are POST: it can never match")
        if self.meter and self.credential and {"header", "form", "user"} & self.credential.model_fields_set:
            raise ValueError("is metered: its key goes where the protocol wants it, so write 'secret' alone")
        return self

    def route(self, name: str) -> Route:
        said = self.credential
        return Route(
            name=name,
            host=self.host,
            port=self.port or PORTS[self.scheme],
            scheme=self.scheme,
            paths=self.paths,
            methods=self.methods,
            credential=Credential(said.secret, said.header, said.form, said.user or "") if said else None,
            meter=self.meter or "",
            rate=self.rate or 0,
            ca=self.ca or "",
        )


def routes(settings: Mapping[str, RouteSetting]) -> tuple[Route, ...]:
    """All of them, in the order they are written: of two that take a request, the first carries it."""
    return tuple(each.route(name) for name, each in settings.items())


def contradiction(allow: Sequence[str], written: Sequence[Route]) -> str:
    """Why routes cannot hold together, or beside the hosts that are allowed without one; empty where they can."""
    pairs = [(one, other) for one in written for other in written if one is not other and _meet(one, other)]
    for one, other in pairs:
        if one.opened and other.opened and one.ca != other.ca:
            return f"'{one.name}' and '{other.name}' lead to one host and trust different authorities"
        if one.meter and not other.meter:
            return f"'{other.name}' would reach the host that '{one.name}' meters, past its meter"
    for route in written:
        beside = next((entry for entry in allow if route.meter and _allows(entry, route)), None)
        if beside is not None:
            return f"'{route.name}' meters a host that 'network.allow: [{beside}]' would reach past the meter"
    return ""


def _meet(one: Route, other: Route) -> bool:
    there = one.port == other.port and one.scheme == other.scheme
    return there and (covers(one.host, other.host) or covers(other.host, one.host))


def _allows(entry: str, route: Route) -> bool:
    """Whether an entry of a list of hosts (``name``, ``name:port``, ``*.name``) reaches where the route leads."""
    host, _, port = (entry.lower(), "", "") if entry.count(":") > 1 else entry.lower().partition(":")
    return str(route.port) == (port or "443") and (covers(host, route.host) or covers(route.host, host))

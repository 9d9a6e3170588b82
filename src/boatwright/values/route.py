"""A route: one place that bottles may be let out to, and on which terms. The operator writes it; others name it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Form(StrEnum):
    """How a secret is written into its header."""

    BEARER = "bearer"
    BASIC = "basic"
    PLAIN = "plain"


class Scheme(StrEnum):
    HTTPS = "https"
    HTTP = "http"


PORTS = {Scheme.HTTPS: 443, Scheme.HTTP: 80}


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret by its reference, and the header that carries it. ``user`` is for Basic, ``around`` says
    where the secret's source is.
    """

    secret: str
    header: str = "authorization"
    form: Form = Form.BEARER
    user: str = ""
    around: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """``host`` is a name, an address, or ``*.name`` (any name below it). Empty ``paths`` and ``methods`` are any.

    ``paths`` begin with a slash: a prefix of whole segments, or a glob (``*`` in a segment, ``**`` over them).
    ``meter`` is the protocol its calls are metered as. ``rate`` is requests a minute, 0 without end. ``ca`` is a file
    of authorities for a private host.
    """

    name: str
    host: str
    port: int = 443
    scheme: Scheme = Scheme.HTTPS
    paths: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    credential: Credential | None = None
    meter: str = ""
    rate: int = 0
    ca: str = ""

    @property
    def opened(self) -> bool:
        """Whether its TLS has to end at the wire: for all but a bare way to a host."""
        terms = (self.paths, self.methods, self.credential, self.meter, self.rate, self.ca)
        return self.scheme is Scheme.HTTPS and any(terms)

    @property
    def place(self) -> str:
        """Host and port, as a wire's list of hosts writes them."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == PORTS[Scheme.HTTPS] else f"{name}:{self.port}"

    @property
    def held_as(self) -> str:
        """The name its key is handed over under."""
        return f"route:{self.name}"


def covers(wide: str, narrow: str) -> bool:
    """Whether every host that ``narrow`` may mean is one that ``wide`` means. A name is not below itself."""
    if wide.startswith("*."):
        return narrow.removeprefix("*").endswith(wide[1:]) and ":" not in narrow
    return wide == narrow


def from_row(row: Mapping[str, Any]) -> Route:
    """A route from what ``dataclasses.asdict`` made of it, perhaps by way of JSON."""
    told = dict(row)
    credential = told.pop("credential", None)
    return Route(
        **{
            **told,
            "scheme": Scheme(told.get("scheme", Scheme.HTTPS)),
            "paths": tuple(told.get("paths", ())),
            "methods": tuple(told.get("methods", ())),
            "credential": _credential(credential) if credential else None,
        }
    )


def _credential(row: Mapping[str, Any]) -> Credential:
    around = tuple((name, value) for name, value in row.get("around", ()))
    return Credential(**{**row, "form": Form(row["form"]), "around": around})

"""What this host's package clients said of their registries, and the routes that follow from their logins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from boatwright.config.secrets import Secret
from boatwright.egress.spec import OWN
from boatwright.rules import destinations
from boatwright.values.route import Credential, Form, Route


@dataclass(frozen=True, slots=True)
class Login:
    """What is added for one registry: ``place`` (name or name:port), below ``path`` ("/" for all of it)."""

    place: str
    path: str
    form: Form
    secret: Secret
    user: str = ""


@dataclass(frozen=True)
class Registries:
    """``hosts`` for a wire (name or name:port), ``client_environment`` for a bottle, ``file_sources`` to
    bind.

    ``logins`` stay on this side of the wire. ``scopes`` are npm's registries for scopes, by key. ``notes`` say, for
    people, what could not be asked.
    """

    hosts: tuple[str, ...] = ()
    configured_hosts: tuple[str, ...] = ()
    client_environment: Mapping[str, str] = field(default_factory=dict)
    file_sources: tuple[Path, ...] = ()
    logins: tuple[Login, ...] = ()
    notes: tuple[str, ...] = ()
    authorities: tuple[Path, ...] = ()
    """Files of authorities that clients of this host are told to trust beside, or in place of, the system's."""
    scopes: Mapping[str, str] = field(default_factory=dict)

    def routes(self, ca: str = "") -> tuple[Route, ...]:
        """A way to each registry this host has a login for: the wire adds it, no bottle sees it.

        ``ca`` is a file of authorities for all of them; empty: the system's. The longest path comes first, as npm
        looks for its login; what of such a host is below none of the paths is read without.
        """
        nearest = sorted(self.logins, key=lambda login: (login.place, -len(login.path)))
        whole = {login.place for login in nearest if login.path == "/"}
        bare = dict.fromkeys(login.place for login in nearest if login.place not in whole)
        return (*(_route(login, ca) for login in nearest), *(_way(f"{OWN}{each}", each, ca) for each in bare))

    def password(self, reference: str) -> Secret | None:
        """The secret behind a reference of :meth:`routes`; None for any other reference."""
        return next((login.secret for login in self.logins if _name(login) == reference), None)


def _name(login: Login) -> str:
    return f"{OWN}{login.place}{login.path.rstrip('/')}"


def _route(login: Login, ca: str) -> Route:
    credential = Credential(_name(login), form=login.form, user=login.user)
    paths = () if login.path == "/" else (login.path,)
    return replace(_way(_name(login), login.place, ca), paths=paths, credential=credential)


def _way(name: str, place: str, ca: str) -> Route:
    host, port = destinations.split(place)
    return Route(name, host, port, methods=("GET",), ca=ca)

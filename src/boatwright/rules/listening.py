"""Where doors may listen."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from boatwright import errors
from boatwright.values.register import ApiToken

_PLACE = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")
_LAST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Place:
    """A host (a name or an address) and a port; 0 is any that is free."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Place:
        """``HOST:PORT``, an address of IPv6 in brackets. ``errors.BadInput``."""
        found = _PLACE.fullmatch(text)
        if found is None or int(found["port"]) > _LAST_PORT:
            raise errors.BadInput(
                f"{text[:80]!r} is no place to listen: HOST:PORT is expected",
                subject=text[:80],
                next_moves=("--public 127.0.0.1:8643", "--public [::]:8643"),
            )
        return cls(found["six"] or found["host"], int(found["port"]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def loopback(host: str) -> bool:
    """Whether nobody but this machine reaches a listener on ``host``. A name other than localhost may mean anything."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def may_listen(host: str, known: Iterable[ApiToken]) -> bool:
    """The private doors leave loopback only where somebody holds a token: else nobody could be told from anybody."""
    return loopback(host) or any(each.revoked is None for each in known)

"""Where a tunnel may lead: the wire's policy and host list decide about names, a second look about
addresses.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

TLS_PORT = 443

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)\Z")
_LONGEST_NAME = 253


class Network(StrEnum):
    DENY_ALL = "deny_all"
    REGISTRY_ONLY = "registry_only"
    ALLOW_LIST = "allow_list"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a destination is allowed, why (one sentence), and what is allowed instead."""

    allowed: bool
    reason: str
    instead: tuple[str, ...] = ()


@lru_cache(maxsize=4_096)
def canonical(host: str) -> str | None:
    """The host as it is compared: lower case, without a final dot; None when it is no host name or
    address.
    """
    name = host.lower().removesuffix(".")
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    if address(name) is not None:
        return name
    if not name or len(name) > _LONGEST_NAME or not all(_LABEL.match(part) for part in name.split(".")):
        return None
    if name.rsplit(".", 1)[-1].isdigit() or name.rsplit(".", 1)[-1].startswith("0x"):
        return None  # an address in a spelling that only some resolvers read as one
    return name


def address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def allowed(network: str, entries: Sequence[str], host: str, port: int) -> Decision:
    """Whether ``host:port`` may be reached under ``network`` with the host list ``entries``.

    An entry is ``name`` (port 443), ``name:port`` or ``*.name`` (any name below it). An address is matched
    only by an entry that spells that address.
    """
    if network == Network.DENY_ALL:
        return Decision(False, "this wire leads to no host: its network policy is deny_all")
    name = canonical(host)
    if name is None:
        return Decision(False, "this is not a host name", tuple(entries))
    if any(_matches(entry, name, port) for entry in entries):
        return Decision(True, f"listed under {network}")
    return Decision(False, f"{name}:{port} is not on this wire's list ({network})", tuple(entries))


def named(entries: Sequence[str], host: str, port: int) -> bool:
    """Whether one of ``entries`` names this destination."""
    name = canonical(host)
    return name is not None and any(_matches(entry, name, port) for entry in entries)


def direct(entries: Sequence[str], host: str) -> bool:
    """Whether ``host`` is reached without the company's proxy: loopback, or ``name`` or ``*.name`` of ``entries``,
    whatever the port.
    """
    name = canonical(host)
    if name is None:
        return False
    if name == "localhost" or ((found := address(name)) is not None and found.is_loopback):
        return True
    return any(
        name.endswith(entry[1:].lower()) if entry.startswith("*.") else canonical(entry) == name
        for entry in entries
    )


def is_local(host: str) -> bool:
    """Whether the name itself says that it is not the public internet: an address that is not, or localhost."""
    name = canonical(host) or ""
    if address(name) is not None:
        return not public(name)
    return name == "localhost" or name.endswith(".localhost")


def _matches(entry: str, name: str, port: int) -> bool:
    pattern, entry_port = split(entry)
    if entry_port != port:
        return False
    if pattern.startswith("*."):
        return name.endswith(pattern[1:]) and address(name) is None
    return canonical(pattern) == name


def split(entry: str) -> tuple[str, int]:
    """``name``, ``name:port``, ``[v6]``, ``[v6]:port`` as (name, port); port 443 when none is given, 0
    when unreadable.
    """
    if entry.startswith("["):
        inside, _, rest = entry[1:].partition("]")
        return inside.lower(), _port(rest[1:]) if rest.startswith(":") else TLS_PORT
    if entry.count(":") == 1:
        name, _, port = entry.partition(":")
        return name.lower(), _port(port)
    return entry.lower(), TLS_PORT


def _port(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and int(text) < 1 << 16 else 0


def public(text: str) -> bool:
    """Whether an address belongs to the public internet; private, loopback, link-local, mapped and
    reserved do not.
    """
    found = address(text.partition("%")[0])
    if found is None:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is not None:
            return public(str(inner))
        if found in _NAT64:
            return public(str(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)))
    return found.is_global and not found.is_multicast and not found.is_reserved


_NAT64 = ipaddress.ip_network("64:ff9b::/96")

"""What becomes of a request on a wire: led through unread, opened and judged, or refused; decided before any name is
resolved.

A host that one of the wire's routes opens is never tunnelled, whatever else allows it: its rules, its key and its
meter would be left aside. The first route, in the order of ``settings.yml``, that takes method and path carries it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from boatwright.rules import destinations
from boatwright.values.route import Route, Scheme, covers

LONGEST_TARGET = 16 * 1024
_CONTROL = re.compile(rb"[\x00-\x1f\x7f\\]")


class Lane(StrEnum):
    TUNNEL = "tunnel"
    INTERCEPT = "intercept"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Decision:
    """The lane, why (one sentence), the routes that may carry it (the first does), and what is allowed instead."""

    lane: Lane
    reason: str
    routes: tuple[Route, ...] = ()
    instead: tuple[str, ...] = ()


def connect(
    network: str, hosts: Sequence[str], routes: Sequence[Route], host: str, port: int, scheme: str = "https"
) -> Decision:
    """Where a way to ``host:port`` leads, when nothing else is known of what will be asked there."""
    there = tuple(route for route in routes if route.scheme == scheme and leads(route, host, port))
    if scheme == Scheme.HTTP:
        if there:
            return Decision(Lane.INTERCEPT, f"the route {there[0].name}", there)
        what = "this wire forwards no plain http: it takes model calls by path, and CONNECT to hosts"
        return Decision(Lane.DENIED, what, instead=allowed(hosts, routes, network))
    if any(route.opened for route in there):
        return Decision(Lane.INTERCEPT, f"the route {there[0].name}", there)
    if there:
        return Decision(Lane.TUNNEL, f"the route {there[0].name}", there)
    found = destinations.allowed(network, hosts, host, port)
    if found.allowed:
        return Decision(Lane.TUNNEL, found.reason)
    reason = found.reason
    if routes and network == destinations.Network.DENY_ALL and destinations.canonical(host):
        reason = f"{destinations.canonical(host)}:{port} is on none of this wire's routes"
    return Decision(Lane.DENIED, reason, instead=allowed(hosts, routes, network))


def request(routes: Sequence[Route], method: str, target: str) -> Decision:
    """Which of the routes to one host carries a request. ``target`` is a path, perhaps with a query."""
    path = target.partition("?")[0]
    odd = _odd(target, path)
    if odd:
        return Decision(Lane.DENIED, odd, instead=tuple(map(words, routes)))
    here = [route for route in routes if _takes_path(route.paths, path)]
    found = tuple(route for route in here if _takes_method(route.methods, method))
    if found:
        return Decision(Lane.INTERCEPT, f"the route {found[0].name}", found)
    why = f"no route takes {method[:20]} there" if here else "no route takes this path"
    return Decision(Lane.DENIED, why, instead=tuple(map(words, routes)))


def leads(route: Route, host: str, port: int) -> bool:
    """Whether the route's host and port are these."""
    return destinations.named((f"{_bracketed(route.host)}:{route.port}",), host, port)


def private(routes: Sequence[Route], host: str, port: int) -> bool:
    """Whether the host may have a private address: an operator's route spells it out. ``*.name`` does not."""
    return any(leads(route, host, port) and not route.host.startswith("*.") for route in routes)


def allowed(hosts: Sequence[str], routes: Sequence[Route], network: str = "") -> tuple[str, ...]:
    """What a wire lets through besides model calls, for people."""
    listed = () if network == destinations.Network.DENY_ALL else hosts
    return (*(f"CONNECT {host}" for host in listed), *(words(route) for route in routes))


def words(route: Route) -> str:
    """One route as people read it: never the secret, not even where it is."""
    methods = "/".join(route.methods) or "any method"
    paths = ", ".join(route.paths) or "/**"
    terms = [f"with a credential in {route.credential.header}"] if route.credential else []
    terms += [f"metered as {route.meter}"] if route.meter else []
    terms += [f"{route.rate} a minute"] if route.rate else []
    more = f" ({', '.join(terms)})" if terms else ""
    return f"{methods} {route.scheme}://{_bracketed(route.host)}:{route.port} {paths}{more}"


def never(routes: Sequence[Route]) -> tuple[str, ...]:
    """A sentence for each route that can never carry a request, because one before it takes everything of it."""
    return tuple(
        f"the route '{route.name}' can never be used: '{before.name}' stands before it and takes all of it"
        for at, route in enumerate(routes)
        if (before := next((one for one in routes[:at] if _covers(one, route)), None)) is not None
    )


# --- inside ---


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _odd(target: str, path: str) -> str:
    """What is wrong with a path that two servers could read differently; empty when nothing is."""
    if len(target) > LONGEST_TARGET:
        return "the path is too long"
    if not path.startswith("/") or "#" in target or "\\" in path:
        return "this is not a path from the root"
    plain = unquote_to_bytes(path)
    if _CONTROL.search(plain):
        return "the path holds what no path holds"
    parts = plain.split(b"/")
    if any(part.partition(b";")[0] in {b".", b".."} for part in parts):
        return "the path has . or .. in it, which servers read differently"
    return ""


def _takes_path(patterns: tuple[str, ...], path: str) -> bool:
    """Both as it was sent and as a server may decode it: an encoded slash must not lead anywhere else."""
    if not patterns:
        return True
    plain = unquote_to_bytes(path).decode("utf-8", "replace")
    return any(_matches(pattern, path) and _matches(pattern, plain) for pattern in patterns)


def _matches(pattern: str, path: str) -> bool:
    if "*" in pattern:
        return _glob(pattern).fullmatch(path) is not None
    return path == pattern or path.startswith(pattern if pattern.endswith("/") else f"{pattern}/")


@lru_cache(maxsize=1_024)
def _glob(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*)", pattern)
    return re.compile("".join({"**": ".*", "*": "[^/]*"}.get(part, re.escape(part)) for part in parts), re.S)


def _takes_method(methods: tuple[str, ...], method: str) -> bool:
    """GET lets HEAD through, which is the same without its answer."""
    return not methods or method in methods or (method == "HEAD" and "GET" in methods)


def _covers(one: Route, other: Route) -> bool:
    """Whether everything ``other`` takes is taken by ``one`` already."""
    if one.scheme != other.scheme or one.port != other.port or not covers(one.host, other.host):
        return False
    if one.meter not in {"", other.meter}:
        return False
    methods = not one.methods or (bool(other.methods) and set(other.methods) <= set(one.methods))
    paths = not one.paths or (
        bool(other.paths) and all(_path_covered(one.paths, each) for each in other.paths)
    )
    return methods and paths


def _path_covered(patterns: tuple[str, ...], path: str) -> bool:
    return path in patterns or ("*" not in path and any("*" not in p and _matches(p, path) for p in patterns))

"""The intercept lane: where a route has terms, TLS ends here, and each request is judged, completed and carried.

The name a client asks for inside TLS, the host of its CONNECT and the Host of every request must be one. Redirects are
the client's to follow, and are judged like everything else it asks for. Nothing is shared between two bottles, not
even a connection to the same host.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from boatwright.egress import gateway, http1, tunnel
from boatwright.egress import inbound as inbound_module
from boatwright.egress.answer import Refused
from boatwright.egress.authority import Authority
from boatwright.egress.detour import Via
from boatwright.egress.exchange import Exchange, Ours
from boatwright.egress.gateway import Gateway
from boatwright.egress.inbound import Inbound
from boatwright.egress.listener import Wire
from boatwright.egress.ordinary import Request
from boatwright.egress.spec import Upstream, WireSpec
from boatwright.egress.tunnel import WrongName
from boatwright.egress.upstream import Cut, Link, NoAnswer, Origin, Pool, Unreachable
from boatwright.rules import destinations
from boatwright.rules import routes as routing
from boatwright.rules.routes import Lane
from boatwright.values.clock import Clock
from boatwright.values.route import Credential, Route, Scheme

HANDSHAKE_SECONDS = 15.0
_SAFE = frozenset({"GET", "HEAD"})
"""Asked again on a fresh connection when a kept one went away without an answer."""


class House(tunnel.House, Protocol):
    """What the lane needs of the proxy."""

    clock: Clock
    pool: Pool

    @property
    def authority(self) -> Authority: ...

    async def key(self, wire: WireSpec, upstream: Upstream) -> str | None: ...


@dataclass(slots=True)
class Way:
    """What one connection of a client was opened for, and the connection that leads there."""

    host: str
    port: int
    scheme: Scheme
    via: Via | None
    addresses: tuple[str, ...]
    link: Link | None = field(default=None)
    authority: str = field(init=False)
    place: str = field(init=False)
    _ours: Ours | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        name = f"[{self.host}]" if ":" in self.host else self.host
        self.place = f"{name}:{self.port}"
        self.authority = Origin(self.host, self.port, tls=self.scheme is Scheme.HTTPS).authority

    def ours(self, credential: Credential | None, key: str | None) -> Ours | None:
        """What goes beside a request; made once while it stays the same."""
        if credential is None or not key:
            return None
        if self._ours is None or (self._ours.credential, self._ours.key) != (credential, key):
            self._ours = Ours.of(credential, key)
        return self._ours

    def close(self) -> None:
        if self.link is not None:
            self.link.close()
            self.link = None


class Intercept:
    """The lane, for one proxy."""

    def __init__(self, house: House, calls: Gateway) -> None:
        self._house = house
        self._calls = calls

    @contextlib.asynccontextmanager
    async def opened(
        self, wire: WireSpec, host: str, port: int, client: Inbound
    ) -> AsyncIterator[tuple[Way, Inbound]]:
        """End the TLS of a CONNECT that was allowed; what is said inside, and the way it leads."""
        client.hold()
        try:
            via, addresses = await tunnel.led(self._house, wire, host, port)
            context = self._house.authority.context(host)
        except BaseException:
            client.go_on()
            raise
        try:
            inner = await client.secure(context, HANDSHAKE_SECONDS)
        except (ssl.SSLError, ValueError) as error:
            raise WrongName(f"its TLS asks for another name than {host}, or is none") from error
        way = Way(host, port, Scheme.HTTPS, via, addresses)
        try:
            yield way, inner
        finally:
            way.close()
            inner.close()

    async def plain(self, wire: Wire, request: Request, client: Inbound) -> None:
        """A request in absolute form, for a route that says ``scheme: http``; ``Refused`` where there is none."""
        host, port, target = _absolute(request)
        decision = self._judged(wire.spec, host, port, Scheme.HTTP)
        via, addresses = await tunnel.led(self._house, wire.spec, host, port)
        way = Way(host, port, Scheme.HTTP, via, addresses)
        try:
            await self._serve(way, wire, decision, request, target, client)
        finally:
            way.close()

    async def serve(self, way: Way, wire: Wire, request: Request, client: Inbound) -> None:
        """One request inside TLS. It is held against the routes as they are now, not as they were at the CONNECT."""
        target = request.target.decode("ascii")
        if request.method == b"CONNECT" or not target.startswith("/"):
            raise Refused("invalid", "a request inside TLS names a path, and nothing else")
        decision = self._judged(wire.spec, way.host, way.port, Scheme.HTTPS)
        await self._serve(way, wire, decision, request, target, client)

    # --- judging -----------------------------------------------------------------------------------------

    def _judged(self, wire: WireSpec, host: str, port: int, scheme: Scheme) -> tuple[Route, ...]:
        decision = routing.connect(wire.network, wire.hosts, wire.routes, host, port, scheme)
        if decision.lane is Lane.DENIED:
            calls = gateway.allowed(wire) if scheme is Scheme.HTTP else ()
            target = f"{scheme}://{host}:{port}"
            raise Refused("denied", decision.reason, allowed=(*calls, *decision.instead), target=target)
        if decision.lane is Lane.TUNNEL:
            raise Refused("misdirected", f"{host}:{port} is no longer opened on this wire: connect again")
        return decision.routes

    async def _serve(
        self,
        way: Way,
        wire: Wire,
        routes: tuple[Route, ...],
        request: Request,
        target: str,
        client: Inbound,
    ) -> None:
        _same_host(request, way)
        method = request.method.decode("ascii")
        found = routing.request(routes, method, target)
        if found.lane is Lane.DENIED:
            asked = f"{method[:20]} {way.place}{target.partition('?')[0]}"[:200]
            raise Refused("denied", f"{way.place}: {found.reason}", allowed=found.instead, target=asked)
        route = found.routes[0]
        self._hurry(wire, route)
        if route.meter:
            await self._metered(way, wire.spec, found.routes, request, client)
        else:
            await self._carry(way, wire.spec, route, request, target, client)

    def _hurry(self, wire: Wire, route: Route) -> None:
        wait = wire.wait(route, self._house.clock.monotonic())
        if wait:
            raise Refused(
                "rate",
                f"the route {route.name} takes {route.rate} requests a minute; the next in {wait} s",
                target=f"{route.name}: rate",
                retry_after=wait,
            )

    # --- carrying ----------------------------------------------------------------------------------------

    async def _metered(
        self, way: Way, wire: WireSpec, routes: tuple[Route, ...], request: Request, client: Inbound
    ) -> None:
        """A model call: bounded, reserved, read and settled exactly as on the gateway."""
        ways = {route.meter: _upstream(way, route) for route in reversed(routes) if route.meter}
        asked = replace(wire, upstreams=tuple(ways.values()), provider="", models=(), fallback=())
        await self._calls.serve(asked, request, client)
        self._house.note("intercepted", wire=wire.id, execution=wire.execution, route=routes[0].name)

    async def _carry(
        self, way: Way, wire: WireSpec, route: Route, request: Request, target: str, client: Inbound
    ) -> None:
        key = await self._house.key(wire, _upstream(way, route)) if route.credential else None
        one = Exchange(client, request, route, way.ours(route.credential, key))
        try:
            head = http1.request(request.method.decode("ascii"), target, one.headers(way.authority))
        except ValueError as error:
            raise Refused("invalid", "a header of this request cannot be passed on") from error
        try:
            await self._exchange(way, one, head, route)
        finally:
            self._house.note(
                "intercepted", wire=wire.id, execution=wire.execution, route=route.name, host=way.host,
                port=way.port, status=one.status, sent=one.sent, received=one.received,
            )  # fmt: skip

    async def _exchange(self, way: Way, one: Exchange, head: bytes, route: Route) -> None:
        """Send it over the kept connection, or a fresh one, and relay the answer."""
        for fresh in (False, True):
            link = await self._link(way, route, fresh=fresh)
            again = link.reused and one.method in _SAFE and not one.has_body
            try:
                await one.run(link, head)
            except NoAnswer as error:
                way.close()
                if again and not one.client.answering:
                    continue
                raise Refused("upstream", f"{way.place} closed the connection without an answer") from error
            except Cut as error:
                way.close()
                if one.client.answering:
                    raise inbound_module.Gone from error
                raise Refused("upstream", f"{way.place} broke off its answer, or was silent") from error
            except BaseException:
                way.close()
                raise
            if not (one.whole and link.again()):
                way.close()
            return

    async def _link(self, way: Way, route: Route, *, fresh: bool) -> Link:
        where = Origin(
            way.host,
            way.port,
            tls=way.scheme is Scheme.HTTPS,
            ca=route.ca,
            addresses=way.addresses,
            via=way.via,
        )
        if way.link is not None and (fresh or way.link.stale or way.link.origin != where):
            way.close()
        if way.link is None:
            try:
                way.link = await self._house.pool.take(where, fresh=True)
            except Unreachable as error:
                raise Refused("upstream", f"{way.place} cannot be reached: {error}") from error
        return way.link


def _upstream(way: Way, route: Route) -> Upstream:
    return Upstream(
        protocol=route.meter,
        base_url=f"{way.scheme}://{way.authority}",
        secret=route.credential.secret if route.credential else None,
        held_as=route.held_as,
        around=route.credential.around if route.credential else (),
        ca=route.ca,
        addresses=way.addresses,
    )


def _same_host(request: Request, way: Way) -> None:
    """``Refused`` (421) unless the Host header is the host this connection was opened for."""
    said = inbound_module.header(request, b"host").decode("latin-1").lower()
    if said not in {way.authority, way.place}:
        raise Refused(
            "misdirected",
            f"this connection was opened for {way.authority}, and its request is for another host",
            target=f"host {said[:100]} at {way.place}",
        )


def _absolute(request: Request) -> tuple[str, int, str]:
    """Host, port and path of a request to a proxy; a target that is not plain http is refused."""
    target = request.target.decode("latin-1")
    scheme, _, rest = target.partition("://")
    place, slash, path = rest.partition("/")
    if scheme.lower() != "http" or not place or set(place) & set("@?#\\"):
        raise Refused(
            "denied", "this wire takes model calls by path, and CONNECT to hosts", target=target[:200]
        )
    name, port = destinations.split(place)
    host = destinations.canonical(name)
    if host is None or (port == 0):
        raise Refused("invalid", "the address of this request names no host")
    return host, port if _has_port(place) else 80, f"{slash or '/'}{path}"


def _has_port(place: str) -> bool:
    return place.rpartition("]")[2].count(":") == 1

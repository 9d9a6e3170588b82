"""The workers' side of the wire: start the proxy, open and close wires, hand over keys, read budgets.

Nothing here outlives a worker, and no worker ends the proxy at its exit.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from boatwright import errors
from boatwright.config import release
from boatwright.config.paths import StateDir
from boatwright.egress import control, keys, registries, trust, wires
from boatwright.egress.budget import Budgets
from boatwright.egress.cuts import Cuts
from boatwright.egress.detour import DETOUR
from boatwright.egress.known_registries import Registries
from boatwright.egress.spec import OWN, Detour, Upstream, WireSpec, to_json
from boatwright.egress.survey import Survey
from boatwright.egress.upstream import open_unix
from boatwright.egress.wires import Denial, Wires
from boatwright.rules import routes as routing
from boatwright.rules.destinations import Network
from boatwright.values.clock import Clock, SystemClock
from boatwright.values.route import Route

__all__ = ["Change", "Denial", "Upstream", "WireClient", "WireSpec"]

START_SECONDS = 30.0
POLL_SECONDS = 0.02
ORDER_SECONDS = 120.0

_PASSED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "PYTHONPATH")
_PASSED_PREFIXES = ("BOATWRIGHT_", "PG")
"""What the proxy's process inherits: where things are; never a provider's key."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a reload did to one wire: how many of its routes are other than before, and the names of those gone."""

    wire: str
    execution: str
    changed: int
    gone: tuple[str, ...]


class _Away(Exception):
    """No proxy listens."""


class WireClient:
    """One worker's way to the proxy of a state directory. Safe to share by the tasks of an event loop."""

    def __init__(
        self,
        state: StateDir,
        *,
        environment: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        grace: float | None = None,
        detour: Detour | None = None,
    ) -> None:
        self._state = state
        self._detour = detour
        self._environment = dict(os.environ if environment is None else environment)
        self._release = release.current(self._environment)
        self._clock = clock or SystemClock()
        self._grace = grace
        self._budgets: Budgets | None = None
        self._registries: Registries | None = None
        self._opening = threading.Lock()
        self._asking = threading.Lock()
        self._started: list[subprocess.Popen[bytes]] = []

    # --- the process -------------------------------------------------------------------------------------

    async def ensure(self) -> None:
        """Have a proxy listen: start it if absent, replace an older release's.

        ``errors.MissingPart`` with the last words of the log when it does not come up.
        """
        until = self._clock.monotonic() + START_SECONDS
        while True:
            try:
                async with self._connected() as proxy:
                    if not self._replaces(proxy.greeting):
                        return
                    await proxy.order({"do": "drain"})
            except _Away:
                self._start_once()
            if self._clock.monotonic() > until:
                raise self._not_started()
            await asyncio.sleep(POLL_SECONDS)

    def _replaces(self, greeting: control.Answer) -> bool:
        """Whether the proxy that greets is of an older release. A newer one serves us too, or says it cannot.

        Releases are ordered, so that workers of two of them do not replace each other's proxy in turn.
        """
        theirs = str(greeting.get("boatwright", ""))
        if _rank(self._release) > _rank(theirs):
            return True
        if greeting.get("protocol") != control.PROTOCOL_VERSION:
            raise errors.Conflict(
                f"a proxy of the newer release {theirs} holds this state directory and does not speak to {self._release}",
                subject=str(self._state.root),
                next_moves=("upgrade this worker",),
            )
        return False

    def _start_once(self) -> None:
        """Start a proxy unless one of ours is still starting. Of several only one gets the lock; the
        others leave.
        """
        self._started = [process for process in self._started if process.poll() is None]
        if self._started:
            return
        self._state.create()
        arguments = [sys.executable, "-P", "-m", "boatwright.egress", "--state", str(self._state.root)]
        if self._grace is not None:
            arguments += ["--grace", str(self._grace)]
        with (self._state.logs / "proxy.err").open("ab") as words:
            self._started.append(
                subprocess.Popen(
                    arguments,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=words,
                    env=_inherited(self._environment, self._state),
                    cwd=self._state.root,
                    start_new_session=True,
                )
            )

    def _not_started(self) -> errors.MissingPart:
        path = self._state.logs / "proxy.err"
        said = ""
        with contextlib.suppress(OSError):
            lines = path.read_text("utf-8", "replace").strip().splitlines()
            said = f": {lines[-1][:300]}" if lines else ""
        return errors.MissingPart(
            f"the proxy did not start within {START_SECONDS:.0f} s{said}",
            subject=str(path),
            next_moves=(f"read {path}",),
        )

    # --- wires -------------------------------------------------------------------------------------------

    async def open(self, spec: WireSpec, *, again: bool = False) -> Path:
        """Open a wire, or say anew what it is; returns the directory that holds its socket.

        One that was cut stays so: only a raise, or going on, lifts a cut. ``again``: by who opened it before, so that
        routes and keys stay as a reload has made them meanwhile.

        Keys that only this client can resolve, such as ``env:``, are handed over; ``errors.Parked`` (code
        ``credential``) names the one that cannot be had. ``registry_only`` adds this host's registries.
        """
        if spec.network == Network.REGISTRY_ONLY:
            spec = await asyncio.to_thread(self._with_registries, spec)
        spec = self._located(spec)
        handed = await asyncio.to_thread(self._keys, spec)
        await self._order({"do": "open", "spec": to_json(spec), "keys": handed, "again": again})
        return wires.directory(self._state, spec.id)

    async def close(self, wire: str) -> None:
        """Close a wire: calls under way are cut and charged, its socket is gone. Again does nothing."""
        try:
            async with self._connected() as proxy:
                await proxy.order({"do": "close", "id": wire})
        except _Away:
            rows = await asyncio.to_thread(self._rows)
            await asyncio.to_thread(rows.forget, wire)

    async def close_of(self, execution: str) -> None:
        """Close every wire of an account, by its rows: those that a proxy to come would listen on again, too."""
        for spec in await asyncio.to_thread(self.opened):
            if spec.execution == execution:
                await self.close(spec.id)

    async def cut(self, wire: str) -> None:
        """Cut a wire: calls under way end and are charged; no wire of its account carries a call until that is lifted."""
        await self._order({"do": "cut", "id": wire})

    async def reload(self, routes: Sequence[Route]) -> list[Change]:
        """Tell every open wire what the operator's routes are now; streams under way go on. What changed, by wire.

        A route that is gone is denied from the next request on. Keys of ``env:`` are handed over where this
        client's environment has them; where it has not, the wire keeps the one it holds.
        """
        handed: dict[str, str] = {}
        for route in routes:
            if route.credential is not None:
                with contextlib.suppress(errors.Parked):
                    key = await asyncio.to_thread(self._routed, route.credential.secret)
                    handed |= {route.held_as: key} if key else {}
        rows = [asdict(self._found(route)) for route in routes]
        try:
            async with self._connected() as proxy:
                answer = await proxy.order({"do": "reload", "routes": rows, "keys": handed})
        except _Away:
            return []
        return [Change(**{**each, "gone": tuple(each["gone"])}) for each in answer["wires"]]

    async def status(self) -> dict[str, Any]:
        """The proxy as it is: pid, release, wires, connections; ``running`` False when there is none."""
        try:
            async with self._connected() as proxy:
                return {"running": True, **await proxy.order({"do": "status"})}
        except _Away:
            return {"running": False, "wires": []}

    def opened(self) -> Sequence[WireSpec]:
        """Every open wire, as its row says it. Asks no proxy: the rows outlive one that was killed."""
        return self._rows().all()

    def survey(self) -> Survey:
        """Many payers at a glance, for those who look again and again."""
        return Survey(self.budgets().database, wires.place(self._state))

    async def denials(self, wire: str) -> list[Denial]:
        """What a wire refused, counted by target."""
        rows = await asyncio.to_thread(self._rows)
        return await asyncio.to_thread(rows.denials, wire)

    async def last_status(self, spec: WireSpec) -> int:
        """What a provider answered to the call of this wire that ended last; 0: nothing."""
        return await asyncio.to_thread(self.budgets().last_status, spec.execution, spec.id)

    async def denials_of(self, execution: str) -> list[Denial]:
        """What all wires of an execution refused, counted by target; closed ones included."""
        rows = await asyncio.to_thread(self._rows)
        return await asyncio.to_thread(rows.denials_of, execution)

    async def prune_denials(self, before: datetime) -> int:
        """Forget what closed wires refused before ``before``; returns how many rows that were."""
        rows = await asyncio.to_thread(self._rows)
        return await asyncio.to_thread(rows.prune_denials, before)

    def budgets(self) -> Budgets:
        """Accounts and usage rows: for reading, and for setting caps."""
        with self._opening:
            if self._budgets is None:
                self._state.create()
                self._budgets = Budgets.open(self._state.budgets_url)
            return self._budgets

    def cuts(self) -> Cuts:
        """Which accounts are cut: to cut one, to see what is to be done about it, to lift it."""
        return Cuts(self.budgets().database)

    def registries(self) -> Registries:
        """This host's package registries, asked once. Blocks for a few seconds the first time."""
        with self._asking:
            if self._registries is None:
                self._registries = registries.discover(self._environment)
            return self._registries

    # --- inside ------------------------------------------------------------------------------------------

    def _rows(self) -> Wires:
        return Wires(self.budgets().database, wires.place(self._state))

    def _keys(self, spec: WireSpec) -> dict[str, str]:
        """Resolve every key once here, so that a missing one parks before a token is spent."""
        wanted = {one.protocol: one.secret for one in spec.upstreams}
        found = {name: keys.handed(secret, self._environment) for name, secret in wanted.items() if secret}
        if spec.detour is not None and spec.detour.secret:
            found[DETOUR] = keys.handed(spec.detour.secret, self._environment, blanks=True)
        found |= {
            one.held_as: self._routed(one.credential.secret)
            for one in spec.routes
            if one.credential is not None
        }
        return {name: key for name, key in found.items() if key is not None}

    def _located(self, spec: WireSpec) -> WireSpec:
        """The spec with what lets the proxy find this host's secrets, and the way out of its network."""
        upstreams = tuple(
            replace(one, around=keys.around(one.secret, self._environment)) for one in spec.upstreams
        )
        way = spec.detour or self._detour
        if way is not None:
            way = replace(way, around=keys.around(way.secret, self._environment))
        routes = tuple(self._found(one) for one in spec.routes)
        return replace(spec, upstreams=upstreams, routes=routes, detour=way)

    def _routed(self, reference: str) -> str | None:
        """The key of a route where the proxy cannot have it by itself; this host's own registries are known here."""
        if not reference.startswith(OWN):
            return keys.handed(reference, self._environment)
        password = self.registries().password(reference)
        return password.reveal() if password else None

    def _found(self, route: Route) -> Route:
        """A route with what lets the proxy find its secret."""
        said = route.credential
        if said is None or said.secret.startswith(OWN):
            return route
        return replace(route, credential=replace(said, around=keys.around(said.secret, self._environment)))

    def _with_registries(self, spec: WireSpec) -> WireSpec:
        found = self.registries()
        ca = trust.of_hosts(self._state, found.authorities) if found.logins else ""
        return replace(
            spec,
            hosts=tuple(dict.fromkeys((*spec.hosts, *found.hosts))),
            private_hosts=tuple(dict.fromkeys((*spec.private_hosts, *found.configured_hosts))),
            routes=(*spec.routes, *(one for one in found.routes(ca) if not _routed(spec, one))),
        )

    async def _order(self, request: control.Request) -> control.Answer:
        """Give one order; a proxy that left between two orders is started again."""
        until = self._clock.monotonic() + START_SECONDS
        while True:
            await self.ensure()
            try:
                async with self._connected() as proxy:
                    return await proxy.order(request)
            except _Away:
                if self._clock.monotonic() > until:
                    raise self._not_started() from None

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[_Connection]:
        try:
            reader, writer = await open_unix(self._state.run / control.SOCKET)
        except OSError as error:
            raise _Away from error
        try:
            connection = _Connection(reader, writer)
            connection.greeting = await connection.hear()
            yield connection
        finally:
            writer.close()


class _Connection:
    """One conversation with the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.greeting: control.Answer = {}

    async def order(self, request: control.Request) -> control.Answer:
        """Give an order and hear what became of it; an error of the proxy's is raised as ours."""
        try:
            self._writer.write(json.dumps(request).encode() + b"\n")
            await self._writer.drain()
        except OSError as error:
            raise _Away from error
        answer = await self.hear()
        if "error" in answer:
            raise control.revive(answer["error"])
        return dict(answer["ok"])

    async def hear(self) -> control.Answer:
        try:
            async with asyncio.timeout(ORDER_SECONDS):
                line = await self._reader.readline()
        except (OSError, TimeoutError, ValueError) as error:
            raise _Away from error
        if not line:
            raise _Away
        return dict(json.loads(line))


def _routed(spec: WireSpec, route: Route) -> bool:
    """Whether a route of the operator's leads there already: it holds."""
    return any(routing.leads(one, route.host, route.port) for one in spec.routes)


def _rank(name: str) -> tuple[list[int], str]:
    return [int(number) for number in re.findall(r"\d+", name)], name


def _inherited(environment: Mapping[str, str], state: StateDir) -> dict[str, str]:
    passed = {
        name: value
        for name, value in environment.items()
        if name in _PASSED or name.startswith(_PASSED_PREFIXES)
    }
    return {**passed, "BOATWRIGHT_STATE": str(state.root)}

"""The proxy: the process that holds every wire of one state directory, reserves, settles, and adds the keys.

It comes back from rows after a kill: the same sockets listen again, what its calls held is charged, keys
are asked for anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import stat
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

from boatwright import crash, errors
from boatwright.config.paths import StateDir
from boatwright.config.secrets import Secret
from boatwright.egress import control, gateway, sockets, tunnel, wires
from boatwright.egress import spec as spec_module
from boatwright.egress.answer import Refused
from boatwright.egress.authority import Authority
from boatwright.egress.booking import Result, Settle
from boatwright.egress.budget import Budgets
from boatwright.egress.cuts import Cut, Cuts
from boatwright.egress.detour import DETOUR, Via, via
from boatwright.egress.journal import Journal
from boatwright.egress.keys import Keys
from boatwright.egress.lanes import Lanes
from boatwright.egress.listener import Wire
from boatwright.egress.log import Log
from boatwright.egress.spec import Upstream, WireSpec, renewed
from boatwright.egress.tapes import Tapes
from boatwright.egress.upstream import Pool
from boatwright.egress.wires import Wires
from boatwright.rules import destinations
from boatwright.rules.cutting import Order
from boatwright.rules.cutting import sentence as cut_sentence
from boatwright.values.clock import Clock, Ids
from boatwright.values.cutting import Cause, CutPolicy
from boatwright.values.route import from_row

DRAIN_SECONDS = 60.0
SWEEP_SECONDS = 5.0
REBOOK_SECONDS = 1.0

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class Proxy:
    """Make it inside a running event loop, then :meth:`run` it until it is told to stop or has nothing to
    do.
    """

    def __init__(
        self,
        state: StateDir,
        budgets: Budgets,
        *,
        clock: Clock,
        ids: Ids,
        release: str,
        grace: float,
        resolve: Resolve = tunnel.resolve,
    ) -> None:
        self._state = state
        self._budgets = budgets
        self.clock = clock
        self.ids = ids
        self._release = release
        self._grace = grace
        self.resolve = resolve
        self.place = wires.place(state)
        self.owner = f"{self.place}/{ids.token()}"
        self._rows = Wires(budgets.database, self.place)
        self._cuts = Cuts(budgets.database)
        self.journal = Journal(budgets)
        self.pool = Pool()
        self.keys = Keys(clock)
        self._log = Log(state.logs / "proxy.log", clock)
        self.tapes = Tapes(state.tapes, clock, self.note)
        self._wires: dict[str, Wire] = {}
        self._orders = asyncio.Lock()
        self._bookings: set[asyncio.Future[Result]] = set()
        self._frozen: set[tuple[str, str]] = set()
        self._lanes = Lanes(self)
        self._control: asyncio.Server | None = None
        self._stop = asyncio.Event()
        self._last_order = clock.monotonic()
        self._lock = sockets.Lock(state.run / "proxy.lock", f"{os.getpid()} {release}\n")
        self._alive = sockets.Lock(self._alive_file(self.owner), f"{os.getpid()}\n")

    # --- life --------------------------------------------------------------------------------------------

    async def run(self) -> bool:
        """Serve until stopped or idle. False when another proxy already holds this state directory."""
        if not self._lock.take():
            await self.journal.close()
            return False
        self._alive.take()
        try:
            await self._start()
            await self._until_idle()
        finally:
            await self._finish()
        return True

    def stop(self) -> None:
        """Drain and end: no new call, those under way get their time."""
        self._stop.set()

    async def _start(self) -> None:
        await asyncio.to_thread(self._charge_the_dead)
        self._frozen = set(await asyncio.to_thread(self._budgets.frozen))
        for spec in await asyncio.to_thread(self._rows.all):
            await self._listen(await self._wire(spec))
        listener = sockets.listen(self._state.run, control.SOCKET, mode=0o600)
        self._control = await asyncio.start_unix_server(self._worker, sock=listener, limit=control.LONGEST)
        self.note("started", release=self._release, wires=len(self._wires), pid=os.getpid())

    async def _until_idle(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(SWEEP_SECONDS, self._grace)):
                    await self._stop.wait()
            self.keys.sweep()
            if self._idle() or not (self._state.run / control.SOCKET).exists():
                self.note("idle")  # or the state directory is gone, and with it everything there is to do
                return
            try:
                await asyncio.to_thread(self._charge_the_dead)
            except errors.StoreUnavailable as error:
                self.note("store", sentence=str(error))

    def _idle(self) -> bool:
        quiet = self.clock.monotonic() - self._last_order >= self._grace
        return quiet and not self._wires and not self._bookings

    async def _finish(self) -> None:
        self._deafen()
        busy = [task for wire in self._wires.values() for task in wire.connections]
        if busy:
            await asyncio.wait(busy, timeout=DRAIN_SECONDS)
        for wire in self._wires.values():
            await wire.cut()
        self.tapes.leave()
        await self.journal.close()
        self.pool.close()
        self._alive.free(remove=not self._bookings)
        self.note("stopped")

    def _deafen(self) -> None:
        """Give the sockets and the lock away: the next proxy may start while our last calls run out."""
        if self._control is not None:
            self._control.close()
            self._control = None
        for wire in self._wires.values():
            wire.deafen()
        self._lock.free()

    def _charge_the_dead(self) -> None:
        """Charge what proxies of this state directory left that are no more."""
        for owner in self._budgets.owners():
            if owner == self.owner or not owner.startswith(f"{self.place}/"):
                continue
            alive = sockets.Lock(self._alive_file(owner))
            if alive.take():
                charged = self._budgets.charge_open(owner)
                alive.free(remove=True)
                self.note("charged", owner=owner, reservations=charged)

    def _alive_file(self, owner: str) -> Path:
        return self._state.run / f"proxy-{owner.rpartition('/')[2]}.alive"

    # --- orders of workers -------------------------------------------------------------------------------

    async def _worker(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeting = {"boatwright": self._release, "protocol": control.PROTOCOL_VERSION, "pid": os.getpid()}
        await control.serve(reader, writer, greeting=greeting, handle=self._order)

    async def _order(self, request: control.Request) -> control.Answer:
        orders = {
            "open": self._open, "close": self._close, "cut": self._cut, "status": self._status,
            "reload": self._reload,
        }  # fmt: skip
        self._last_order = self.clock.monotonic()
        if request["do"] == "drain":
            self.note("drained")
            self._deafen()
            self.stop()
            return {}
        async with self._orders:
            return await orders[request["do"]](request)

    async def _open(self, request: control.Request) -> control.Answer:
        spec, keys = spec_module.from_json(request["spec"]), dict(request.get("keys", {}))
        wire = self._wires.get(spec.id)
        if wire is not None and request.get("again"):
            # What a reload made of it meanwhile is newer than what its worker knows.
            spec = replace(spec, routes=wire.spec.routes)
            keys = {name: key for name, key in keys.items() if name not in wire.keys}
        gateway.check(spec, self.clock.now())
        await asyncio.to_thread(self._rows.save, spec, self.clock.now())
        if wire is None:
            wire = await self._wire(spec)
            await self._listen(wire)
        await self.still_cut(wire)
        wire.hand_over(spec, keys)
        routes = " ".join(route.name for route in spec.routes)
        self.note("opened", wire=spec.id, execution=spec.execution, network=spec.network, routes=routes)
        return {}

    async def _reload(self, request: control.Request) -> control.Answer:
        """The operator's routes as they are now: each wire keeps those it has, as they are written today."""
        now = {route.name: route for route in map(from_row, request["routes"])}
        keys = dict(request.get("keys", {}))
        told = []
        for wire in self._wires.values():
            before = wire.spec
            after = replace(before, routes=renewed(before.routes, now))
            await asyncio.to_thread(self._rows.save, after, self.clock.now())
            names = {route.held_as for route in after.routes}
            wire.reload(after, {name: key for name, key in keys.items() if name in names})
            gone = [
                route.name for route in before.routes if route not in after.routes and route.name not in now
            ]
            changed = sum(route not in before.routes for route in after.routes)
            told.append({"wire": after.id, "execution": after.execution, "changed": changed, "gone": gone})
            self.note("reloaded", wire=after.id, changed=changed, gone=len(gone))
        return {"wires": told}

    async def _close(self, request: control.Request) -> control.Answer:
        name = str(request["id"])
        wire = self._wires.pop(name, None)
        if wire is not None:
            wire.deafen()
            sockets.remove(wires.directory(self._state, name), wires.SOCKET)
            await wire.cut()
            await self._booked()
            self.tapes.close(name)
        await asyncio.to_thread(self._rows.forget, name)
        self.note("closed", wire=name)
        return {}

    async def _cut(self, request: control.Request) -> control.Answer:
        wire = self._wires.get(str(request["id"]))
        if wire is not None:
            spec = wire.spec
            order = Order(CutPolicy.CUTOFF, Cause.COMMAND, cut_sentence(spec.execution))
            wire.cut_by = await self._cut_account(spec, order)
            await wire.cut()
            await self._booked()
        return {}

    async def _status(self, _: control.Request) -> control.Answer:
        return {
            "pid": os.getpid(),
            "release": self._release,
            "owner": self.owner,
            "bookings": len(self._bookings),
            "wires": [
                {
                    "id": wire.spec.id,
                    "execution": wire.spec.execution,
                    "bottle": wire.spec.bottle,
                    "purpose": wire.spec.purpose,
                    "network": wire.spec.network,
                    "routes": [route.name for route in wire.spec.routes],
                    "connections": len(wire.connections),
                    "cut": wire.is_cut,
                    "keys": sorted(wire.keys),
                }
                for wire in self._wires.values()
            ],
        }

    async def _listen(self, wire: Wire) -> None:
        directory = wires.directory(self._state, wire.spec.id)
        _make_private(directory)
        # Whoever may enter the directory may use the socket; the directory belongs to one bottle.
        await wire.listen(sockets.listen(directory, wires.SOCKET, mode=0o666), self._lanes.serve)
        self._wires[wire.spec.id] = wire

    # --- what the lanes need -----------------------------------------------------------------------------

    @functools.cached_property
    def authority(self) -> Authority:
        return Authority.open(self._state, self.clock)

    def note(self, what: str, **fields: str | int | float | None) -> None:
        self._log.line(what, **fields)

    def keep(self, booking: asyncio.Future[Result]) -> None:
        self._bookings.add(booking)
        booking.add_done_callback(self._kept)

    def _kept(self, booking: asyncio.Future[Result]) -> None:
        self._bookings.discard(booking)
        if not booking.cancelled() and (error := booking.exception()) is not None:
            self.note("store", sentence=str(error))

    def rebook(self, request: Settle) -> None:
        """The database could not take a settlement: it stays held, and is tried again until it can."""

        def again() -> None:
            with contextlib.suppress(
                errors.StoreUnavailable
            ):  # going down: the next proxy charges it in full
                booking = self.journal.submit(request)
                self.keep(booking)
                booking.add_done_callback(
                    lambda done: self.rebook(request) if not done.cancelled() and done.exception() else None
                )

        asyncio.get_running_loop().call_later(REBOOK_SECONDS, again)

    async def _booked(self) -> None:
        if self._bookings:
            await asyncio.wait(set(self._bookings))

    async def key(self, wire: WireSpec, upstream: Upstream) -> str | None:
        if upstream.secret is None:
            return None
        return await self.keys.get(
            upstream.secret, upstream.around, self._handed(wire, upstream.held_as or upstream.protocol)
        )

    async def detour(self, wire: WireSpec, host: str) -> Via | None:
        plan = wire.detour
        if plan is None or destinations.direct(plan.direct, host):
            return None
        if plan.secret is None:
            return via(plan, None)
        return via(
            plan, await self.keys.get(plan.secret, plan.around, self._handed(wire, DETOUR), blanks=True)
        )

    def _handed(self, wire: WireSpec, name: str) -> Secret | None:
        held = self._wires.get(wire.id)
        return held.keys.get(name) if held else None

    async def _wire(self, spec: WireSpec) -> Wire:
        """A wire as it comes to life: cut, where its account is."""
        wire = Wire(spec)
        wire.cut_by = await asyncio.to_thread(self._cuts.of, spec.execution)
        return wire

    async def exhausted(self, wire: Wire, sentence: str) -> None:
        """Calls under way run out: they are paid for. No other is carried, on no wire of the account."""
        spec = wire.spec
        order = Order(CutPolicy(spec.shutdown), Cause.EXHAUSTED, sentence)
        cut = await self._cut_account(spec, order)
        crash.point("cut.written")
        for each in self._wires.values():
            if each.spec.execution == spec.execution:
                each.cut_by = cut

    async def _cut_account(self, spec: WireSpec, order: Order) -> Cut:
        now = self.clock.now()
        cut = await asyncio.to_thread(self._cuts.write, spec.execution, order, at=now, wire=spec.id)
        self.note("cut", wire=spec.id, execution=spec.execution, policy=cut.policy, cause=cut.cause)
        return cut

    async def still_cut(self, wire: Wire) -> Cut | None:
        wire.cut_by = await asyncio.to_thread(self._cuts.of, wire.spec.execution)
        return wire.cut_by

    async def check_frozen(self, provider: str, model: str) -> None:
        if (provider, model) not in self._frozen:
            return
        self._frozen = set(await asyncio.to_thread(self._budgets.frozen))
        if (provider, model) in self._frozen:
            raise Refused(
                "frozen",
                f"{provider} billed more for {model} than its own limits allow: a person has to look first",
                target=model,
            )

    def freeze(self, provider: str, model: str) -> None:
        self._frozen.add((provider, model))
        self.note("frozen", provider=provider, model=model)


def _make_private(directory: Path) -> None:
    """The wire's own directory; an existing one keeps its owner, who may be a bottle's uid."""
    directory.parent.mkdir(mode=0o711, exist_ok=True)
    directory.parent.chmod(0o711)
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        if not stat.S_ISDIR(directory.lstat().st_mode):
            raise errors.Refused(f"{directory} is in the way: it should be a directory") from None

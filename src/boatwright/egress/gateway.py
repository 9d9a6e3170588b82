"""The gateway lane: a model call is bounded, reserved, sent with the key, relayed, read and settled.

What an outcome costs: the provider's own figures where it gave them completely; nothing where it answered
an error before generating (4xx, or 5xx with an error body in JSON) or was never reached; the whole
reservation otherwise.

A wire may name models that stand in for the first: when one is limited (429), unwell (5xx) or away, and the
client has not heard a byte, the next is asked, under a reservation of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from boatwright import errors
from boatwright.egress import call as call_module
from boatwright.egress import http1, meter, prices
from boatwright.egress import inbound as inbound_module
from boatwright.egress.answer import Refused
from boatwright.egress.booking import Reserve
from boatwright.egress.call import Call
from boatwright.egress.counting import Counting
from boatwright.egress.hold import Hold, Office
from boatwright.egress.inbound import Inbound
from boatwright.egress.keys import Keys
from boatwright.egress.meter import protocol as protocol_module
from boatwright.egress.meter.protocol import Ask
from boatwright.egress.meter.protocol import Protocol as Metered
from boatwright.egress.ordinary import Request
from boatwright.egress.relay import Answer, Relay
from boatwright.egress.spec import LOGINS, Upstream, WireSpec
from boatwright.egress.tapes import Tapes
from boatwright.egress.upstream import (
    Cut,
    Link,
    NoAnswer,
    NotSent,
    Origin,
    Pool,
    Unreachable,
    Ways,
    origin,
    reached,
)
from boatwright.rules.bound import Refusal as Unbounded
from boatwright.rules.pricing import Price
from boatwright.values.clock import Ids


class House(Office, Ways, Protocol):
    """What the lane needs of the proxy."""

    ids: Ids
    pool: Pool
    owner: str

    keys: Keys
    tapes: Tapes

    async def key(self, wire: WireSpec, upstream: Upstream) -> str | None:
        """The key to add; None when the upstream wants none; ``Refused`` while it is not here."""
        ...

    async def check_frozen(self, provider: str, model: str) -> None:
        """``Refused`` when the model's provider billed above its own bound before."""
        ...

    def freeze(self, provider: str, model: str) -> None: ...

    def note(self, what: str, **fields: str | int | float | None) -> None: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asked for, as it came: from it a call is made for each model that is tried."""

    wire: WireSpec
    request: Request
    upstream: Upstream
    query: str
    raw: bytes


def allowed(wire: WireSpec) -> tuple[str, ...]:
    """What this wire's gateway takes, for people."""
    return tuple(f"POST {metered.path}" for one in wire.upstreams for metered in meter.of_side(one.protocol))


class Gateway:
    """The lane, for one proxy."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._counting = Counting(house)

    async def serve(self, wire: WireSpec, request: Request, client: Inbound) -> None:
        """Answer one request in origin form; ``Refused`` says why not."""
        path, _, query = request.target.decode("ascii").partition("?")
        counted = meter.count_by_path(path)
        if counted is not None and request.method == b"POST" and wire.upstream(counted[0]) is not None:
            await self._counting.serve(wire, request, client, counted[1], counted[0])
            return
        metered = meter.by_path(path)
        upstream = wire.upstream(metered.side) if metered else None
        query = meter.without_key(query)
        if metered is None or upstream is None or query not in metered.queries:
            raise Refused("unknown", "this wire has no such path", allowed=allowed(wire), target=path)
        if request.method != b"POST":
            raise Refused("method", f"{path} takes POST", allowed=allowed(wire))
        raw = inbound_module.decode(await client.body(), inbound_module.header(request, b"content-encoding"))
        asked = Asked(wire, request, upstream, query, raw)
        call = self._judge(asked, metered)
        if wire.models and call.bound.model not in wire.models:
            raise Refused(
                "model",
                f"the model {call.bound.model} is not allowed on this wire",
                allowed=wire.models,
                target=call.bound.model,
            )
        await self._carry(asked, call, client)

    # --- before the budget -------------------------------------------------------------------------------

    def _judge(self, asked: Asked, metered: Metered, model: str = "") -> Call:
        """The call, judged by every rule but the budget's; asked of ``model`` where that is not the client's."""
        wire = asked.wire
        try:
            body = protocol_module.parse(asked.raw)
            if model:
                metered, body = call_module.renamed(metered, body, model)
            asked_usage = bool(protocol_module.mapping(body.get("stream_options")).get("include_usage"))
            ask = Ask(wire.pricing(metered.side), wire.allow_fields, login=asked.upstream.login)
            bound = metered.bound(body, ask)
            counted = ask.sent or protocol_module.encode(body)
        except Unbounded as refusal:
            raise Refused(refusal.code, str(refusal), next_moves=refusal.next_moves) from refusal
        return Call(
            protocol=metered,
            body=body,
            raw=counted,
            bound=bound,
            upstream=asked.upstream,
            target=metered.path + (f"?{asked.query}" if asked.query else ""),
            passed=call_module.passed(asked.request, metered),
            price=self._price(wire, asked.upstream, metered.side, bound.model),
            asked_usage=asked_usage,
        )

    def _price(self, wire: WireSpec, upstream: Upstream, side: str, model: str) -> Price | None:
        if upstream.login:
            return None  # a subscription is not billed by the token
        return prices.find(wire.pricing(side), model, self._house.clock.now(), wire.prices)

    # --- the call ----------------------------------------------------------------------------------------

    async def _carry(self, asked: Asked, call: Call, client: Inbound) -> None:
        """Ask the model, then each that stands in for it, until one answers or none is left.

        Each attempt is a reservation of its own: one that does not fit the budget ends it with that refusal.
        """
        metered = call.protocol
        rest = list(asked.wire.stand_ins(call.bound.model))
        while (why := await self._attempt(asked.wire, call, client, spare=bool(rest))) is not None:
            model, call = call.bound.model, self._judge(asked, metered, rest.pop(0))
            wire = asked.wire
            self._house.note(
                "fallback", wire=wire.id, execution=wire.execution, model=model, to=call.bound.model, why=why
            )
            if client.gone:
                raise inbound_module.Gone

    async def _attempt(self, wire: WireSpec, call: Call, client: Inbound, *, spare: bool) -> str | None:
        """One reservation and what became of it; with a model to spare, why this one could not answer.

        The client has heard nothing then. Once a byte of an answer went to it, nothing is tried again.
        """
        await self._house.check_frozen(wire.pricing(call.protocol.side), call.bound.model)
        key = await self._house.key(wire, call.upstream)
        where = await reached(self._house, wire, call.upstream)
        started = self._house.clock.monotonic()
        async with Hold(self._house, self._reserve(wire, call)) as hold:
            tape = self._house.tapes.begin(wire, call.target, call.raw, key)
            try:
                link = await self._link(wire, where, call, key, hold)
                away = spare and await _turned_away(link)
            except Refused as refused:
                if spare and refused.code == "upstream":
                    return str(refused)
                raise
            relay = Relay(link, client, call.protocol, call.asked_usage, mute=away, tape=tape, key=key)
            answer = await relay.run(hold, call.outcome)
            if tape is not None:
                tape.end(whole=answer.whole)
            self._after(link, answer)
            if hold.above:
                self._house.freeze(wire.pricing(call.protocol.side), call.bound.model)
        self._note(wire, call, hold, answer, self._house.clock.monotonic() - started)
        if answer.status in {401, 403}:
            self._house.keys.forget(call.upstream.secret)
        if answer.client_gone:
            raise inbound_module.Gone
        return f"status {answer.status}" if away else None

    def _reserve(self, wire: WireSpec, call: Call) -> Reserve:
        return Reserve(
            id=self._house.ids.event_id(),
            payer=wire.payer,
            need=call.need,
            at=self._house.clock.now(),
            owner=self._house.owner,
            wire=wire.id,
            purpose=wire.purpose,
            provider=wire.pricing(call.protocol.side),
            model=call.bound.model,
            prices=prices.as_json(call.price),
            price_table=call.price_table,
        )

    async def _link(self, wire: WireSpec, where: Origin, call: Call, key: str | None, hold: Hold) -> Link:
        """What answers the call: its provider, or the tape the wire is bound to."""
        if not call.upstream.tape:
            return await self._send(where, call, key, hold)
        hold.sent = True
        return await self._house.tapes.answer(wire, call.upstream.tape, call.target, call.raw)

    async def _send(self, where: Origin, call: Call, key: str | None, hold: Hold) -> Link:
        """Send the call and wait for the head of an answer.

        A kept connection that went away before the whole call had left is replaced, once. After that the provider
        may have done the work: the call is charged, and its client decides whether to ask again.
        """
        raw = call.limited(hold.answer_tokens)
        try:
            request = http1.post(where.target(call.target), call.headers(where, key, len(raw)), raw)
        except ValueError as error:
            raise Refused("credential", "the key of this wire holds what cannot stand in a header") from error
        for fresh in (False, True):
            try:
                link = await self._house.pool.take(where, fresh=fresh)
            except Unreachable as error:
                hold.sent = False  # what was sent before was not the whole call
                raise Refused("upstream", f"the model provider cannot be reached: {error}") from error
            hold.sent = True
            try:
                await link.send(request)
                await link.peek()
            except NoAnswer as error:
                link.close()
                if link.reused and isinstance(error, NotSent):
                    continue
                raise Refused(
                    "upstream", "the model provider closed the connection without an answer"
                ) from error
            except Cut as error:
                link.close()
                raise Refused("upstream", "the model provider did not answer in time") from error
            except BaseException:
                link.close()
                raise
            return link
        raise Refused("upstream", "the model provider closes every connection without an answer")

    def _after(self, link: Link, answer: Answer) -> None:
        if answer.whole:
            self._house.pool.give_back(link)
        else:
            link.close()

    def _note(self, wire: WireSpec, call: Call, hold: Hold, answer: Answer, seconds: float) -> None:
        self._house.note(
            "called",
            wire=wire.id,
            execution=wire.execution,
            purpose=wire.purpose,
            model=call.bound.model,
            status=answer.status,
            source=answer.source,
            asked=call.bound.most,
            granted=hold.answer_tokens,
            seconds=round(seconds, 3),
            bytes=answer.bytes,
            client_gone=int(answer.client_gone),
        )


async def _turned_away(link: Link) -> bool:
    """Whether the provider is limited (429) or unwell (5xx, 529 among them): another model may do better."""
    try:
        status = (await link.head()).status
    except Cut as error:
        link.close()
        raise Refused("upstream", "the model provider broke off its answer") from error
    except BaseException:
        link.close()
        raise
    return status == 429 or status >= 500


def check(spec: WireSpec, at: datetime) -> None:
    """Refuse, before it is opened, a wire that could never carry a call."""
    for one in spec.upstreams:
        if one.protocol not in meter.SIDES:
            known = ", ".join(sorted(meter.SIDES))
            raise errors.BadInput(
                f"the wire does not speak {one.protocol!r}; it speaks {known}", subject=one.protocol
            )
        if one.login and LOGINS.get(one.login) != one.protocol:
            raise errors.BadInput(
                f"the wire knows no {one.login!r} login for {one.protocol}", subject=one.login
            )
        origin(one)
    own: Mapping[str, Mapping[str, str]] = spec.prices
    for model in own:
        prices.find(spec.provider, model, at, own)

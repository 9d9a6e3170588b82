"""The gateway lane: a model call is bounded, reserved, sent with the key, relayed, read and settled.

What an outcome costs: the provider's own figures where it gave them completely; nothing where it answered
an error before generating (4xx, or 5xx with an error body in JSON) or was never reached; the whole
reservation otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import h11

from boatwright import errors
from boatwright.egress import http1, meter, prices
from boatwright.egress import inbound as inbound_module
from boatwright.egress.answer import Refused
from boatwright.egress.booking import Outcome, Reserve
from boatwright.egress.hold import Hold, Office
from boatwright.egress.inbound import Inbound
from boatwright.egress.meter import protocol as protocol_module
from boatwright.egress.meter.protocol import Ask, Body, Reading
from boatwright.egress.meter.protocol import Protocol as Metered
from boatwright.egress.relay import Answer, Relay
from boatwright.egress.spec import Upstream, WireSpec
from boatwright.egress.upstream import Cut, Link, NoAnswer, NotSent, Origin, Pool, Unreachable, origin
from boatwright.rules import pricing
from boatwright.rules.bound import Bound
from boatwright.rules.bound import Refusal as Unbounded
from boatwright.rules.budget import Need
from boatwright.rules.pricing import Price
from boatwright.values.clock import Ids
from boatwright.values.usage import Usage


class House(Office, Protocol):
    """What the lane needs of the proxy."""

    ids: Ids
    pool: Pool
    owner: str

    def key(self, wire: WireSpec, upstream: Upstream) -> str | None:
        """The key to add; None when the upstream wants none; ``Refused`` while it is not here."""
        ...

    async def check_frozen(self, provider: str, model: str) -> None:
        """``Refused`` when the model's provider billed above its own bound before."""
        ...

    def freeze(self, provider: str, model: str) -> None: ...

    def note(self, what: str, **fields: str | int | float | None) -> None: ...


@dataclass(frozen=True, slots=True)
class Call:
    """A request that passed every rule but the budget's."""

    protocol: Metered
    body: Body
    raw: bytes
    """The body as its bytes were counted."""
    bound: Bound
    upstream: Upstream
    target: str
    passed: tuple[tuple[str, str], ...]
    price: Price | None
    asked_usage: bool


def allowed(wire: WireSpec) -> tuple[str, ...]:
    """What this wire's gateway takes, for people."""
    return tuple(f"POST {metered.path}" for one in wire.upstreams for metered in meter.of_side(one.protocol))


class Gateway:
    """The lane, for one proxy."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def serve(self, wire: WireSpec, request: h11.Request, client: Inbound) -> None:
        """Answer one request in origin form; ``Refused`` says why not."""
        path, _, query = request.target.decode("ascii").partition("?")
        counted = meter.count_by_path(path)
        if counted is not None and request.method == b"POST" and wire.upstream(counted[0]) is not None:
            await self._count(counted[1], request, client)
            return
        metered = meter.by_path(path)
        upstream = wire.upstream(metered.side) if metered else None
        query = meter.without_key(query)
        if metered is None or upstream is None or query not in metered.queries:
            raise Refused("unknown", "this wire has no such path", allowed=allowed(wire), target=path)
        if request.method != b"POST":
            raise Refused("method", f"{path} takes POST", allowed=allowed(wire))
        raw = inbound_module.decode(await client.body(), inbound_module.header(request, b"content-encoding"))
        call = self._judge(wire, metered, upstream, raw=raw, request=request, query=query)
        await self._house.check_frozen(wire.pricing(metered.side), call.bound.model)
        await self._carry(wire, call, client)

    # --- before the budget -------------------------------------------------------------------------------

    def _judge(
        self,
        wire: WireSpec,
        metered: Metered,
        upstream: Upstream,
        *,
        raw: bytes,
        request: h11.Request,
        query: str,
    ) -> Call:
        try:
            body = protocol_module.parse(raw)
            asked_usage = bool(protocol_module.mapping(body.get("stream_options")).get("include_usage"))
            ask = Ask(wire.pricing(metered.side), wire.allow_fields)
            bound = metered.bound(body, ask)
            counted = ask.sent or protocol_module.encode(body)
        except Unbounded as refusal:
            raise Refused(refusal.code, str(refusal), next_moves=refusal.next_moves) from refusal
        if wire.models and bound.model not in wire.models:
            raise Refused(
                "model",
                f"the model {bound.model} is not allowed on this wire",
                allowed=wire.models,
                target=bound.model,
            )
        return Call(
            protocol=metered,
            body=body,
            raw=counted,
            bound=bound,
            upstream=upstream,
            target=metered.path + (f"?{query}" if query else ""),
            passed=_passed(request, metered),
            price=prices.find(wire.pricing(metered.side), bound.model, self._house.clock.now(), wire.prices),
            asked_usage=asked_usage,
        )

    async def _count(self, field: str, request: h11.Request, client: Inbound) -> None:
        """An estimate of our own, three bytes a token: never sent, never billed; it decides nothing here."""
        raw = inbound_module.decode(await client.body(), inbound_module.header(request, b"content-encoding"))
        body = json.dumps({field: -(-len(raw) // 3)}).encode()
        headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
        await client.send(
            h11.Response(status_code=200, headers=headers), h11.Data(data=body), h11.EndOfMessage()
        )

    # --- the call ----------------------------------------------------------------------------------------

    async def _carry(self, wire: WireSpec, call: Call, client: Inbound) -> None:
        key = self._house.key(wire, call.upstream)
        where = origin(call.upstream)
        started = self._house.clock.monotonic()
        async with Hold(self._house, self._reserve(wire, call)) as hold:
            link = await self._send(where, call, key, hold)
            answer = await Relay(link, client, call.protocol, call.asked_usage).run(hold, self._outcome(call))
            self._after(link, answer)
            if hold.above:
                self._house.freeze(wire.pricing(call.protocol.side), call.bound.model)
        self._note(wire, call, hold, answer, self._house.clock.monotonic() - started)
        if answer.client_gone:
            raise inbound_module.Gone

    def _reserve(self, wire: WireSpec, call: Call) -> Reserve:
        return Reserve(
            id=self._house.ids.event_id(),
            payer=wire.payer,
            need=_need(call.bound, call.price),
            at=self._house.clock.now(),
            owner=self._house.owner,
            wire=wire.id,
            purpose=wire.purpose,
            provider=wire.pricing(call.protocol.side),
            model=call.bound.model,
            prices=prices.as_json(call.price),
            price_table=call.price.table if call.price else "",
        )

    async def _send(self, where: Origin, call: Call, key: str | None, hold: Hold) -> Link:
        """Send the call and wait for the head of an answer.

        A kept connection that went away before the whole call had left is replaced, once. After that the provider
        may have done the work: the call is charged, and its client decides whether to ask again.
        """
        raw = call.raw
        if hold.answer_tokens != call.bound.most:
            call.protocol.limit(call.body, hold.answer_tokens)
            raw = protocol_module.encode(call.body)
        try:
            request = http1.post(where.target(call.target), _headers(where, call, key, len(raw)), raw)
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

    def _outcome(self, call: Call) -> Any:
        """How an answer's status and reading become an outcome."""

        def outcome(status: int, reading: Reading | None, refused: bool) -> Outcome:
            if reading is not None:
                return Outcome(
                    "provider", status, reading.usage, _usd(call, reading), reading.cache_write_long
                )
            if refused:
                return Outcome("provider", status, Usage())
            return Outcome("estimate", status)

        return outcome

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
            model=call.bound.model,
            status=answer.status,
            source=answer.source,
            asked=call.bound.most,
            granted=hold.answer_tokens,
            seconds=round(seconds, 3),
            bytes=answer.bytes,
            client_gone=int(answer.client_gone),
        )


def _usd(call: Call, reading: Reading) -> int:
    if call.price is None:
        return 0  # only token budgets let an unpriced model through
    return pricing.cost(call.price, reading.usage, cache_write_long=reading.cache_write_long)


def _need(bound: Bound, price: Price | None) -> Need:
    sent = answer = None
    if price is not None:
        per_sent, answer = pricing.dearest(price, bound.sent_tokens, bound.writes)
        sent = per_sent * bound.sent_tokens
    return Need(bound.sent_tokens, bound.most, bound.least, bound.answers, sent, answer)


def _passed(request: h11.Request, metered: Metered) -> tuple[tuple[str, str], ...]:
    """The client's headers that go on; everything else, its keys and cookies first of all, stays here."""
    names = metered.passed_headers | {"user-agent", "accept"}
    return tuple(
        (name.decode(), value.decode("latin-1")) for name, value in request.headers if name.decode() in names
    )


def _headers(where: Origin, call: Call, key: str | None, length: int) -> list[tuple[str, str]]:
    headers = [
        ("host", where.authority),
        *call.passed,
        ("content-type", "application/json"),
        ("content-length", str(length)),
        ("accept-encoding", "identity"),
    ]
    if key is not None:
        headers.append((call.protocol.key_header, call.protocol.key_prefix + key))
    return headers


def check(spec: WireSpec, at: datetime) -> None:
    """Refuse, before it is opened, a wire that could never carry a call."""
    for one in spec.upstreams:
        if one.protocol not in meter.SIDES:
            known = ", ".join(sorted(meter.SIDES))
            raise errors.BadInput(
                f"the wire does not speak {one.protocol!r}; it speaks {known}", subject=one.protocol
            )
        origin(one)
    own: Mapping[str, Mapping[str, str]] = spec.prices
    for model in own:
        prices.find(spec.provider, model, at, own)

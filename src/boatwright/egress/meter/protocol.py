"""What a metered protocol has to tell the gateway, and what a reading of an answer is."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from typing import Protocol as Interface

from boatwright.rules.bound import MOST_DEPTH, Bound, Refusal
from boatwright.values.usage import Usage

Body = dict[str, Any]


@dataclass(slots=True)
class Ask:
    """What the wire lets through beyond the route's list, and whose rules apply."""

    provider: str
    allow_fields: Collection[str] = ()
    sent: bytes = b""
    """``bound`` may leave here the body whose bytes it counted, so that it is not encoded again to be sent."""
    login: str = ""
    """The subscription that pays, if one does: its backend may have rules of its own."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the provider said an answer took; ``cache_write_long`` of the cache writes have the longer
    life.
    """

    usage: Usage
    cache_write_long: int = 0


class StreamMeter(Interface):
    """Reads a stream of server-sent events. Each field is set, or the larger kept; never added."""

    def event(self, data: bytes) -> bool:
        """Take in one event's data; False when the client did not ask for this event and must not see it."""
        ...

    @property
    def complete(self) -> bool:
        """Whether the stream has reached its own end; what follows carries no usage."""
        ...

    def reading(self) -> Reading | None:
        """What the call took; None when the provider has not said it completely."""
        ...


@dataclass(frozen=True, slots=True)
class Protocol:
    """One protocol of the gateway.

    ``bound`` checks a request and fills in what it leaves open (it changes the body); ``limit`` writes the
    answer limit granted into the body; ``read`` takes a whole answer; ``stream`` makes a meter for a
    streamed one, given the client's own body.
    """

    name: str
    path: str
    key_header: str
    key_prefix: str
    passed_headers: frozenset[str]
    bound: Callable[[Body, Ask], Bound]
    limit: Callable[[Body, int], None]
    read: Callable[[Any], Reading | None]
    stream: Callable[[bool], StreamMeter]
    usage_marks: tuple[bytes, ...]
    """Bytes at least one of which stands in every event that :class:`StreamMeter` must see."""
    shares: str = ""
    """The protocol whose upstream, key and prices it uses; empty for its own."""
    queries: frozenset[str] = frozenset({"", "beta=true"})
    """What may stand after the path."""

    @property
    def side(self) -> str:
        """The upstream it uses, as a wire names it."""
        return self.shares or self.name


def parse(raw: bytes) -> Body:
    """The request as one JSON object. What a lenient parser would let pass, and read differently, is
    refused.
    """
    try:
        body = _decoder.decode(raw.decode(json.detect_encoding(raw), "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise Refusal("the request body is not JSON", code="invalid") from error
    if not isinstance(body, dict):
        raise Refusal("the request body is not a JSON object", code="invalid")
    return body


def encode(body: Body) -> bytes:
    """The body as it is sent, and as its bytes are counted: what was judged is what the provider reads."""
    try:
        return _encoder.encode(body).encode()
    except (ValueError, RecursionError) as error:
        raise Refusal("the request body holds text that is not Unicode", code="invalid") from error


def _no_twins(pairs: list[tuple[str, Any]]) -> Body:
    body = dict(pairs)
    if len(body) != len(pairs):
        raise Refusal("the request body names a field twice", code="invalid")
    return body


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


_decoder = json.JSONDecoder(object_pairs_hook=_no_twins, parse_constant=_no_constant)
_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def count(value: Any) -> int:
    """A token count from a provider; anything but a whole number that is not negative counts as absent."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def items(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise Refusal(f"{what} must be a list", code="invalid")
    return value


def member(value: Any, what: str) -> Body:
    if not isinstance(value, dict):
        raise Refusal(f"{what} must be an object", code="invalid")
    return value


def model_name(body: Body) -> str:
    name = body.get("model")
    if not isinstance(name, str) or not 0 < len(name) <= 4_096 or not name.isprintable():
        raise Refusal("the request names no model", code="invalid")
    return name


def truth(body: Body, name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise Refusal(f"{name} must be true or false", code="invalid")
    return bool(value)


def only(body: Body, name: str, values: Collection[Any], allowed: Collection[str]) -> None:
    """Refuse ``name`` unless it is absent, one of ``values``, or allowed by a setting."""
    if body.get(name) is None or name in allowed:
        return
    if not isinstance(body[name], str | bool) or body[name] not in values:
        shown = ", ".join(sorted(str(value).lower() for value in values))
        raise Refusal(
            f"{name} may only be {shown}: anything else costs what the request does not bound",
            allow=f"wire.allow_fields: [{name}]",
        )


@dataclass(slots=True)
class Inline:
    """Inline data that is not tokenised: how many images, how many bytes of the body they are."""

    images: int = 0
    bytes: int = 0

    def image(self, data: Any, what: str) -> None:
        if not isinstance(data, str):
            raise Refusal(f"{what} must be inline base64", code="invalid")
        self.images += 1
        self.bytes += len(
            data
        )  # base64 is ASCII; anything wider is more bytes than characters, so never under-counted


def deeper(depth: int) -> int:
    if depth >= MOST_DEPTH:
        raise Refusal("the request body is nested too deeply", code="invalid")
    return depth + 1

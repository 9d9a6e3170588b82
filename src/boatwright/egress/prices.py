"""The price table: ``genai-prices`` (its data ships in the package, no network), settings, and the
scripted model.

A model nobody has priced has no price: under a dollar budget its calls are refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from importlib import metadata
from typing import Any

from boatwright import errors
from boatwright.rules.pricing import Price, Rates

SCRIPTED = Price(
    Rates(Decimal(3), Decimal(15), Decimal("0.30"), Decimal("3.75"), Decimal(6)),
    table="boatwright scripted 1",
)
"""What the scripted model costs, in dollars per million tokens: nobody pays it, every sum is exercised by
it.
"""


def find(provider: str, model: str, at: datetime, own: Mapping[str, Mapping[str, str]]) -> Price | None:
    """The price of ``model`` at ``at``; ``own`` are the operator's prices and come first. None: nobody
    knows.
    """
    if model in own:
        return _own(model, own[model])
    if provider == "scripted":
        return SCRIPTED
    return _listed(provider, model, at.replace(minute=0, second=0, microsecond=0))


@lru_cache(maxsize=1_024)
def as_json(price: Price | None) -> str:
    """The unit prices as a usage row keeps them, so that history does not drift when tables change."""
    if price is None:
        return ""
    rows = {kind: str(getattr(price.rates, kind)) for kind in _KINDS}
    for start, rates in price.tiers:
        rows |= {f"{kind}>{start}": str(getattr(rates, kind)) for kind in _KINDS}
    return json.dumps(rows, separators=(",", ":"))


@lru_cache(maxsize=1_024)
def _listed(provider: str, model: str, hour: datetime) -> Price | None:
    from genai_prices import data_snapshot  # noqa: PLC0415 - a quarter of a second, paid by the proxy alone

    try:
        _, found = data_snapshot.get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return None
    prices = found.get_prices(hour)
    base = _rates(prices, None)
    if base is None:
        return None
    tiers = tuple((start, rates) for start in _starts(prices) if (rates := _rates(prices, start)) is not None)
    return Price(base, f"genai-prices {metadata.version('genai-prices')}", tiers)


_KINDS = ("input", "output", "cache_read", "cache_write", "cache_write_long")
_KEYS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_long": "cache_write_1h_mtok",
}


def _starts(prices: Any) -> list[int]:
    """Where a dearer tier begins for any kind of token."""
    tiered = [getattr(prices, key) for key in _KEYS.values()]
    return sorted({tier.start for price in tiered for tier in getattr(price, "tiers", ())})


def _rates(prices: Any, start: int | None) -> Rates | None:
    """The rates of one tier. A kind without a price of its own costs as much as input; audio and images
    are not priced.
    """
    found = {kind: _at(getattr(prices, key), start) for kind, key in _KEYS.items()}
    if found["input"] is None or found["output"] is None:
        return None
    write = found["cache_write"] if found["cache_write"] is not None else found["input"]
    return Rates(
        input=found["input"],
        output=found["output"],
        cache_read=found["cache_read"] if found["cache_read"] is not None else found["input"],
        cache_write=write,
        cache_write_long=found["cache_write_long"] if found["cache_write_long"] is not None else write,
    )


def _at(price: Any, start: int | None) -> Decimal | None:
    if price is None or isinstance(price, Decimal):
        return price
    value: Decimal = price.base
    for tier in price.tiers:
        if start is not None and start >= tier.start:
            value = tier.price
    return value


def _own(model: str, row: Mapping[str, str]) -> Price:
    try:
        base, output = Decimal(row["input"]), Decimal(row["output"])
        kinds = {kind: Decimal(row.get(kind, base)) for kind in _KINDS[2:]}
    except (KeyError, InvalidOperation) as error:
        raise errors.BadInput(
            f"the price of {model} needs input and output, in dollars per million tokens",
            next_moves=(f"prices: {{{model}: {{input: 3, output: 15}}}}",),
        ) from error
    return Price(Rates(base, output, **kinds), table="settings")

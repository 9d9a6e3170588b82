"""What tokens cost: the price a hold assumes (the dearest that can apply) and the price a settled call
pays.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum

from boatwright.values.usage import Usage

_MICRO = 1_000_000  # dollars per million tokens, as pico-dollars per token


class CacheWrites(StrEnum):
    """What a request may write to the provider's prompt cache; a longer life costs more."""

    NONE = "none"
    SHORT = "short"
    LONG = "long"


@dataclass(frozen=True, slots=True)
class Rates:
    """Dollars per million tokens. ``cache_write_long`` is for entries that live longer than the default."""

    input: Decimal
    output: Decimal
    cache_read: Decimal
    cache_write: Decimal
    cache_write_long: Decimal


@dataclass(frozen=True, slots=True)
class Price:
    """One model's rates. ``tiers`` are (input tokens, rates): past that many the whole call costs those
    rates.
    """

    rates: Rates
    table: str
    """Which price table said so, with its version."""
    tiers: tuple[tuple[int, Rates], ...] = ()


def at_size(price: Price, input_tokens: int) -> Rates:
    """The rates of a call whose input, cache included, has ``input_tokens``."""
    rates = price.rates
    for start, tier in price.tiers:
        if input_tokens > start:
            rates = tier
    return rates


def dearest(price: Price, input_bound: int, writes: CacheWrites) -> tuple[int, int]:
    """The highest price per token, sent and answered, that a call of at most ``input_bound`` can pay.

    In pico-dollars. A call may turn out smaller than its bound, so every tier up to the bound counts.
    """
    candidates = [price.rates, *(tier for start, tier in price.tiers if input_bound > start)]
    sent = max(_dearest_sent(rates, writes) for rates in candidates)
    return _pico(sent), _pico(max(rates.output for rates in candidates))


def _dearest_sent(rates: Rates, writes: CacheWrites) -> Decimal:
    sent = max(rates.input, rates.cache_read)
    if writes is not CacheWrites.NONE:
        sent = max(sent, rates.cache_write)
    if writes is CacheWrites.LONG:
        sent = max(sent, rates.cache_write_long)
    return sent


def cost(price: Price, usage: Usage, *, cache_write_long: int = 0) -> int:
    """Nano-dollars for ``usage``, rounded up; ``cache_write_long`` of its cache writes were for the long
    life.
    """
    rates = at_size(price, usage.input + usage.cache_read + usage.cache_write + usage.tool_input)
    long = min(cache_write_long, usage.cache_write)
    micro_dollars = (
        (usage.input + usage.tool_input) * rates.input
        + usage.cache_read * rates.cache_read
        + (usage.cache_write - long) * rates.cache_write
        + long * rates.cache_write_long
        + usage.output * rates.output
    )
    return int((micro_dollars * 1_000).to_integral_value(rounding=ROUND_CEILING))


def _pico(per_million: Decimal) -> int:
    return int((per_million * _MICRO).to_integral_value(rounding=ROUND_CEILING))

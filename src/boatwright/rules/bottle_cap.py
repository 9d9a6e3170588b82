"""The cap of one bottle by what its manifests say: never wider than what a person allowed the whole run."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from boatwright.values.usage import Cap


def of_manifests(named: Sequence[Cap], account: Cap | None) -> Cap | None:
    """Each unit from the nearest manifest that names it; None where none is left.

    A unit of which the run's own cap allows more is left out: a person asked for that, by flag or by a raise.
    """
    usd = _narrower([each.usd for each in named], account.usd if account else None)
    tokens = _narrower([each.tokens for each in named], account.tokens if account else None)
    return (
        None
        if usd is None and tokens is None
        else Cap(usd=usd, tokens=None if tokens is None else int(tokens))
    )


def lifted(bottle: Cap | None, raised: Cap) -> Cap | None:
    """The bottle's cap after its run's was raised: as wide, where it was narrower; None where nothing changes."""
    if bottle is None:
        return None
    usd = _wider(bottle.usd, raised.usd)
    tokens = _wider(bottle.tokens, raised.tokens)
    wide = Cap(usd=usd, tokens=None if tokens is None else int(tokens))
    return None if wide == bottle else wide


def _narrower(named: Sequence[Decimal | int | None], run: Decimal | int | None) -> Decimal | int | None:
    nearest = next((each for each in named if each is not None), None)
    return None if nearest is None or (run is not None and run > nearest) else nearest


def _wider(bottle: Decimal | int | None, raised: Decimal | int | None) -> Decimal | int | None:
    return raised if bottle is not None and raised is not None and raised > bottle else bottle

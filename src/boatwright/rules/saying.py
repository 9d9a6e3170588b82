"""Numbers, sums and strangers' words as they stand in a line of ours."""

from __future__ import annotations

from decimal import Decimal

from boatwright.rules import gitlab_numbers, plain

_SAID = 240


def dollars(usd: Decimal) -> str:
    """At least cents, at most hundredths of them: ``0.42 USD``, ``0.0125 USD``."""
    whole, _, part = f"{usd:.4f}".partition(".")
    return f"{whole}.{part.rstrip('0').ljust(2, '0')} USD"


def pull(number: int) -> str:
    """A pull request as people call it; GitLab's have an exclamation mark there, too."""
    return f"pull request {gitlab_numbers.shown(number) if gitlab_numbers.is_pull(number) else number}"


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def one_line(text: str, longest: int = _SAID) -> str:
    return plain.short(" ".join(plain.printable(text).split()), longest)

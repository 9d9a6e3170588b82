"""Tokens and money, counted the way the wire bills them."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from boatwright import errors


class Usage(BaseModel):
    """Token counts of one call in normal form (``input`` excludes whatever was read from or written to cache).

    ``reasoning`` is part of ``output``; ``requests`` counts provider-side tool requests, priced one by one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    tool_input: int = 0
    requests: int = 0

    @property
    def tokens(self) -> int:
        """What a token budget pays for: all of them; cache reads count."""
        return self.input + self.cache_read + self.cache_write + self.tool_input + self.output


_CAP = re.compile(r"^\s*([0-9]+(?:\.[0-9]+)?)\s*(usd|\$|tok|ktok|mtok)\s*$", re.IGNORECASE)
_TOKENS = {"tok": 1, "ktok": 1_000, "mtok": 1_000_000}


def _dollar_sign_last(part: str) -> str:
    return part[1:] + "usd" if part.startswith("$") else part


class Cap(BaseModel):
    """A limit: dollars, tokens, or both. At least one is set; zero is a cap nothing fits under."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    usd: Decimal | None = None
    tokens: int | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.usd is None and self.tokens is None:
            raise ValueError("a budget needs dollars or tokens")
        if (self.usd is not None and self.usd < 0) or (self.tokens is not None and self.tokens < 0):
            raise ValueError("a budget cannot be negative")
        return self

    @classmethod
    def parse(cls, text: str) -> Self:
        """``5usd``, ``0.50usd``, ``$5``, ``2Mtok``, ``300ktok``, or two joined by a comma: ``5usd,2Mtok``."""
        usd: Decimal | None = None
        tokens: int | None = None
        for part in text.split(","):
            match = _CAP.match(_dollar_sign_last(part.strip()))
            if match is None:
                raise errors.BadInput(
                    f"'{text}' is not a budget: write dollars as 5usd or tokens as 2Mtok",
                    subject=text,
                    next_moves=("--budget 5usd", "--budget 2Mtok"),
                )
            try:
                number = Decimal(match[1])
            except InvalidOperation as error:  # pragma: no cover - the pattern admits only decimals
                raise errors.BadInput(f"'{text}' is not a number") from error
            unit = match[2].lower()
            if unit in _TOKENS:
                tokens = int(number * _TOKENS[unit])
            else:
                usd = number
        return cls(usd=usd, tokens=tokens)

    def __str__(self) -> str:
        parts = []
        if self.usd is not None:
            parts.append(f"{self.usd.normalize():f} USD")
        if self.tokens is not None:
            parts.append(f"{self.tokens:,} tokens")
        return " and ".join(parts)


class ModelRef(BaseModel):
    """``anthropic:NAME``, ``openai:NAME``, ``gemini:NAME`` or ``scripted:FILE``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        provider, colon, name = text.partition(":")
        if not colon or not name or provider not in {"anthropic", "openai", "gemini", "scripted"}:
            raise errors.BadInput(
                f"'{text}' is not a model: write anthropic:NAME, openai:NAME, gemini:NAME or scripted:FILE",
                subject=text,
                next_moves=("--model anthropic:NAME", "--model scripted:FILE"),
            )
        return cls(provider=provider, name=name)

    @property
    def asked(self) -> str:
        """The name a provider is asked for. Of a script it says nothing: a path of the host stays on the host."""
        return "scripted" if self.provider == "scripted" else self.name

    def __str__(self) -> str:
        return f"{self.provider}:{self.name}"

"""One model call that passed every rule but the budget's: what it needs, what is sent for it, what it cost."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

from boatwright.egress import meter
from boatwright.egress.answer import Refused
from boatwright.egress.booking import Outcome
from boatwright.egress.meter import protocol as protocol_module
from boatwright.egress.meter.protocol import Body, Reading
from boatwright.egress.meter.protocol import Protocol as Metered
from boatwright.egress.ordinary import Request
from boatwright.egress.spec import Upstream
from boatwright.egress.upstream import Origin
from boatwright.rules import pricing
from boatwright.rules.bound import Bound
from boatwright.rules.budget import Need
from boatwright.rules.pricing import Price
from boatwright.values.usage import Usage

SUBSCRIPTION = "subscription"
"""What a usage row has in place of a price table: nobody is billed by the token."""

OAUTH_BETA = "oauth-2025-04-20"
"""What Anthropic wants to see named in ``anthropic-beta`` beside a subscription's token."""


@dataclass(frozen=True, slots=True)
class Call:
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

    @property
    def need(self) -> Need:
        """The most it can cost; of a subscription only tokens count."""
        bound = self.bound
        sent = answer = None
        if self.price is not None:
            per_sent, answer = pricing.dearest(self.price, bound.sent_tokens, bound.writes)
            sent = per_sent * bound.sent_tokens
        counted = bool(self.upstream.login)
        return Need(bound.sent_tokens, bound.most, bound.least, bound.answers, sent, answer, counted)

    @property
    def price_table(self) -> str:
        return SUBSCRIPTION if self.upstream.login else self.price.table if self.price else ""

    def limited(self, answer_tokens: int) -> bytes:
        """Its bytes when each answer may take ``answer_tokens``."""
        if answer_tokens == self.bound.most:
            return self.raw
        self.protocol.limit(self.body, answer_tokens)
        return protocol_module.encode(self.body)

    def headers(self, where: Origin, key: str | None, length: int) -> list[tuple[str, str]]:
        return headers(self.protocol, self.upstream, self.passed, where, key, length)

    def outcome(self, status: int, reading: Reading | None, refused: bool) -> Outcome:
        """What its end is booked as, told from the answer's status and reading."""
        if reading is not None:
            return Outcome("provider", status, reading.usage, self._usd(reading), reading.cache_write_long)
        if refused:
            return Outcome("provider", status, Usage())
        return Outcome("estimate", status)

    def _usd(self, reading: Reading) -> int:
        if self.price is None:
            return 0  # only token budgets let an unpriced model through
        return pricing.cost(self.price, reading.usage, cache_write_long=reading.cache_write_long)


def headers(
    metered: Metered,
    upstream: Upstream,
    passed: tuple[tuple[str, str], ...],
    where: Origin,
    key: str | None,
    length: int,
) -> list[tuple[str, str]]:
    """The headers of one request to a provider: what of the client's goes on, and the key as the provider wants it."""
    made = [
        ("host", where.authority),
        *(_with_beta(passed) if upstream.login == "claude" else passed),
        ("content-type", "application/json"),
        ("content-length", str(length)),
        ("accept-encoding", "identity"),
    ]
    if key is not None and upstream.login:
        made.append(("authorization", f"Bearer {key}"))
        made += _account(key) if upstream.login == "chatgpt" else ()
    elif key is not None:
        made.append((metered.key_header, metered.key_prefix + key))
    return made


def _account(token: str) -> tuple[tuple[str, str], ...]:
    """The account a ChatGPT token is for, which its backend wants named beside it; the token itself says which.

    A token that is no JWT, or names none, goes alone: the backend decides.
    """
    try:
        part = token.split(".")[1]
        told = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        account = told["https://api.openai.com/auth"]["chatgpt_account_id"]
    except (ValueError, LookupError, TypeError):
        return ()
    return (("chatgpt-account-id", account),) if isinstance(account, str) else ()


def passed(request: Request, metered: Metered) -> tuple[tuple[str, str], ...]:
    """The client's headers that go on; everything else, its keys and cookies first of all, stays here."""
    names = metered.passed_headers | {"user-agent", "accept"}
    return tuple(
        (name.decode(), value.decode("latin-1")) for name, value in request.headers if name.decode() in names
    )


def _with_beta(passed: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """The client's own betas, and the one a subscription's token needs; each once."""
    asked = [part.strip() for name, value in passed if name == "anthropic-beta" for part in value.split(",")]
    betas = ",".join(dict.fromkeys([*(beta for beta in asked if beta), OAUTH_BETA]))
    return (*((name, value) for name, value in passed if name != "anthropic-beta"), ("anthropic-beta", betas))


def renamed(metered: Metered, body: Body, model: str) -> tuple[Metered, Body]:
    """The same question, asked of another model. Gemini names it in the path, the others in the body."""
    if metered.name != "gemini":
        return metered, {**body, "model": model}
    above, _, last = metered.path.rpartition("/")
    found = meter.by_path(f"{above}/{model}:{last.rpartition(':')[2]}")
    if found is None:
        raise Refused("invalid", f"{model} is not the name of a Gemini model", target=model)
    return found, body

"""Which budgets bind a call, and how large an answer still fits under them.

The nearest scope that has a cap governs; every cap marked hard binds too, and the execution's always does.
A call holds the most it can cost before it is sent. Because nothing is held past a cap and no settlement
is above its hold, what is used never passes a cap, whatever the number of callers (``used + held <=
limit`` is the invariant).

Money is in pico-dollars per token and nano-dollars per amount: whole numbers, so that sums are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum

NANO = 1_000_000_000
PICO_PER_NANO = 1_000


class Scope(StrEnum):
    """Nearest first: the order in which a governing cap is looked for."""

    AGENT = "agent"
    BOTTLE = "bottle"
    PARENT = "parent"
    EXECUTION = "execution"
    REPOSITORY = "repository"
    HOST = "host"


_ORDER = {scope: place for place, scope in enumerate(Scope)}


@dataclass(frozen=True, slots=True)
class Amount:
    """Nano-dollars and tokens."""

    usd: int = 0
    tokens: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.usd + other.usd, self.tokens + other.tokens)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.usd - other.usd, self.tokens - other.tokens)


@dataclass(frozen=True, slots=True)
class Account:
    """What one scope has used and holds, and its cap (None: no limit of that kind)."""

    scope: Scope
    key: str
    period: str = ""
    """Empty for all time, else a UTC day such as ``2026-11-21``."""
    limit_usd: int | None = None
    limit_tokens: int | None = None
    hard: bool = False
    used: Amount = Amount()
    held: Amount = Amount()

    @property
    def capped(self) -> bool:
        return self.limit_usd is not None or self.limit_tokens is not None

    @property
    def taken(self) -> Amount:
        return self.used + self.held


@dataclass(frozen=True, slots=True)
class Need:
    """The most a call can cost: a fixed part for what is sent, and a part per token it may answer.

    ``answers`` is n, the number of answers asked for at once; each may take ``most`` tokens and is never
    given fewer than ``least``. Prices are None for a model nobody has priced, and where ``counted`` says that a
    subscription pays: then only tokens count, and some binding cap must be in tokens.
    """

    sent_tokens: int
    most: int
    least: int
    answers: int = 1
    sent_pico: int | None = None
    answer_pico: int | None = None
    counted: bool = False

    @property
    def priced(self) -> bool:
        return self.sent_pico is not None and self.answer_pico is not None

    def amount(self, answer_tokens: int) -> Amount:
        """What is held when each answer may take ``answer_tokens``; rounded up to a nano-dollar."""
        usd = 0
        if self.sent_pico is not None and self.answer_pico is not None:
            pico = self.sent_pico + self.answers * answer_tokens * self.answer_pico
            usd = -(-pico // PICO_PER_NANO)
        return Amount(usd, self.sent_tokens + self.answers * answer_tokens)


@dataclass(frozen=True, slots=True)
class Granted:
    """The call may be sent with at most ``answer_tokens`` per answer; ``held`` is its reservation."""

    answer_tokens: int
    held: Amount


@dataclass(frozen=True, slots=True)
class Short:
    """The call does not fit. ``kind`` is ``usd``, ``tokens``, ``price`` (no price under a dollar cap),
    ``login`` (a subscription's call, and no cap in tokens) or ``none``.
    """

    kind: str
    account: Account | None
    needed: Amount = Amount()


def binding(chain: Sequence[Account]) -> tuple[Account, ...]:
    """The accounts that bind a call: those of the nearest capped scope, and every hard one."""
    capped = sorted((account for account in chain if account.capped), key=lambda one: _ORDER[one.scope])
    if not capped:
        return ()
    nearest = capped[0].scope
    return tuple(
        account
        for account in capped
        if account.scope is nearest or account.hard or account.scope is Scope.EXECUTION
    )


def grant(chain: Sequence[Account], need: Need) -> Granted | Short:
    """The largest answer that fits under every binding account, or which one is short.

    Without any cap in the chain nothing is granted: a metered call is never free of a budget.
    """
    accounts = binding(chain)
    if not accounts:
        return Short("none", None)
    if need.counted and all(account.limit_tokens is None for account in accounts):
        return Short("login", accounts[0], need.amount(need.least))
    answer_tokens = need.most
    for account in accounts:
        if account.limit_usd is not None and not need.priced and not need.counted:
            return Short("price", account)
        fits = _fits(account, need)
        if fits < need.least:
            return Short(_kind(account, need), account, need.amount(need.least))
        answer_tokens = min(answer_tokens, fits)
    return Granted(answer_tokens, need.amount(answer_tokens))


def _fits(account: Account, need: Need) -> int:
    """Tokens per answer that still fit under ``account``; -1 when not even what is sent does."""
    fits = need.most
    if account.limit_tokens is not None:
        room = account.limit_tokens - account.taken.tokens - need.sent_tokens
        fits = min(fits, room // need.answers if room >= 0 else -1)
    if account.limit_usd is not None and need.sent_pico is not None and need.answer_pico is not None:
        room = (account.limit_usd - account.taken.usd) * PICO_PER_NANO - need.sent_pico
        per_token = need.answers * need.answer_pico
        if room < 0:
            fits = -1
        elif per_token:
            fits = min(fits, room // per_token)
    return fits


def _kind(account: Account, need: Need) -> str:
    least = need.amount(need.least)
    if account.limit_tokens is not None and account.taken.tokens + least.tokens > account.limit_tokens:
        return "tokens"
    return "usd"


def exhausted(short: Short) -> bool:
    """Whether a call that does not fit would not fit either once the calls under way are settled for nothing.

    Else it only came too early: what others hold may come back, and nothing is exhausted yet.
    """
    account = short.account
    if account is None or short.kind not in {"usd", "tokens"}:
        return False
    wanted = account.used + short.needed
    return any(
        limit is not None and amount > limit
        for amount, limit in ((wanted.usd, account.limit_usd), (wanted.tokens, account.limit_tokens))
    )


def sentence(short: Short) -> str:
    """Why a call does not fit, for people: ``used X, needed Y, cap Z``."""
    account = short.account
    if account is None:
        return "no budget covers this call, and a metered call needs one"
    who = _who(account)
    if _cut(account):
        return f"the {who} has been cut: it may spend nothing more"
    if short.kind == "price":
        return f"the {who} budget is in dollars and nobody has priced this model"
    if short.kind == "login":
        return f"a subscription's calls are counted in tokens, and the {who} budget is in dollars alone"
    if short.kind == "tokens":
        return (
            f"the {who} budget is too small for this call: used {account.used.tokens:,} tokens"
            f"{_held(account.held.tokens, f'{account.held.tokens:,} tokens')}, "
            f"needed {short.needed.tokens:,}, cap {account.limit_tokens or 0:,}"
        )
    return (
        f"the {who} budget is too small for this call: used {dollars(account.used.usd)} USD"
        f"{_held(account.held.usd, f'{dollars(account.held.usd)} USD')}, "
        f"needed {dollars(short.needed.usd)}, cap {dollars(account.limit_usd or 0)}"
    )


def remedies(short: Short) -> tuple[str, ...]:
    """What a person can do about it, ready to copy but for ``EXECUTION``, the id of the call's execution."""
    account = short.account
    if account is None or account.scope is Scope.EXECUTION or short.kind == "login":
        return (f"boatwright budget raise EXECUTION {enough(short)}",)
    if account.scope is Scope.HOST:
        return ("wait for the next day (UTC)", "or raise budget.host_per_day in settings.yml")
    if account.scope is Scope.AGENT and account.period:
        return ("wait for the next day (UTC)", f"or raise budget.{account.key} in settings.yml")
    per = " --per day" if account.period else ""
    return (f"boatwright budget set {account.scope} {account.key} {enough(short)}{per}",)


def enough(short: Short) -> str:
    """A cap under which the refused call fits, as people write it; at least twice the old one."""
    account = short.account
    if account is None or _cut(account):
        return "5usd"
    if short.kind == "login":
        return "2Mtok"
    if short.kind == "tokens":
        tokens = max(2 * (account.limit_tokens or 0), account.taken.tokens + short.needed.tokens)
        return f"{-(-tokens // 1_000)}ktok"
    usd = max(2 * (account.limit_usd or 0), account.taken.usd + short.needed.usd)
    return f"{Decimal(-(-usd * 100 // NANO)) / 100}usd"


def _cut(account: Account) -> bool:
    """A cap of nothing, in both units, is what ``boatwright cut`` sets; nobody can ask for it."""
    return account.limit_usd == 0 and account.limit_tokens == 0


def _who(account: Account) -> str:
    whose = account.scope.value if account.scope is Scope.HOST else f"{account.scope.value} {account.key}"
    return f"{whose} (day {account.period} UTC)" if account.period else whose


def _held(amount: int, words: str) -> str:
    return f" and {words} held by calls under way" if amount else ""


def dollars(nano: int) -> str:
    """Nano-dollars as people write dollars: at least two places, no trailing zeros beyond."""
    text = f"{Decimal(nano) / NANO:.9f}".rstrip("0")
    whole, _, places = text.partition(".")
    return f"{whole}.{places.ljust(2, '0')}"


def nano(usd: Decimal) -> int:
    """Dollars as nano-dollars, rounded up."""
    return int((usd * NANO).to_integral_value(rounding=ROUND_CEILING))

"""Tables and properties for the pure rules of the wire: budgets, prices, bounds, destinations."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatwright.rules import bound, budget, destinations, pricing
from boatwright.rules.budget import Account, Amount, Granted, Need, Scope, Short
from boatwright.rules.pricing import CacheWrites, Price, Rates
from boatwright.values.usage import Usage

USD = budget.NANO


def account(scope: Scope, usd: int | None = None, tokens: int | None = None, **rest: object) -> Account:
    return Account(scope, "k", limit_usd=usd, limit_tokens=tokens, **rest)  # type: ignore[arg-type]


AGENT = account(Scope.AGENT, 1)
EXECUTION = account(Scope.EXECUTION, 2)
REPOSITORY = account(Scope.REPOSITORY, 3)
HARD_REPOSITORY = account(Scope.REPOSITORY, 3, hard=True)
HOST = account(Scope.HOST, 4)
HARD_HOST = account(Scope.HOST, 4, hard=True)


@pytest.mark.parametrize(
    ("chain", "binds"),
    [
        ([], ()),
        ([account(Scope.AGENT)], ()),
        ([HOST], (HOST,)),
        ([HOST, REPOSITORY], (REPOSITORY,)),
        ([REPOSITORY, EXECUTION, AGENT, HOST], (AGENT, EXECUTION)),
        ([EXECUTION, HARD_HOST], (EXECUTION, HARD_HOST)),
        ([AGENT, HARD_REPOSITORY, HARD_HOST], (AGENT, HARD_REPOSITORY, HARD_HOST)),
        ([account(Scope.AGENT), HOST], (HOST,)),
    ],
)
def test_nearest_governs_hard_ones_always_bind_and_so_does_the_execution(
    chain: list[Account], binds: tuple[Account, ...]
) -> None:
    assert budget.binding(chain) == binds


NEED = Need(sent_tokens=1_000, most=4_000, least=1_024, sent_pico=1_000 * 3_000_000, answer_pico=15_000_000)


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        ([], "none"),
        ([account(Scope.EXECUTION, usd=USD)], 4_000),
        ([account(Scope.EXECUTION, tokens=5_000)], 4_000),
        ([account(Scope.EXECUTION, tokens=4_000)], 3_000),
        ([account(Scope.EXECUTION, tokens=2_024)], 1_024),
        ([account(Scope.EXECUTION, tokens=2_023)], "tokens"),
        ([account(Scope.EXECUTION, tokens=999)], "tokens"),
        ([account(Scope.EXECUTION, tokens=9_000, used=Amount(0, 3_000), held=Amount(0, 3_000))], 2_000),
        ([account(Scope.EXECUTION, usd=33_000_000)], 2_000),
        ([account(Scope.EXECUTION, usd=18_359_999)], "usd"),
        ([account(Scope.EXECUTION, usd=0)], "usd"),
        ([account(Scope.EXECUTION, usd=USD), account(Scope.HOST, tokens=4_000, hard=True)], 3_000),
        ([account(Scope.EXECUTION, usd=USD), account(Scope.HOST, tokens=10)], 4_000),
    ],
)
def test_grants(chain: list[Account], expected: int | str) -> None:
    decision = budget.grant(chain, NEED)
    if isinstance(expected, int):
        assert isinstance(decision, Granted) and decision.answer_tokens == expected
    else:
        assert isinstance(decision, Short) and decision.kind == expected


def test_a_model_without_a_price_passes_under_tokens_alone() -> None:
    need = Need(sent_tokens=10, most=5_000, least=1_024)
    assert isinstance(budget.grant([account(Scope.EXECUTION, tokens=10_000)], need), Granted)
    short = budget.grant(
        [account(Scope.EXECUTION, tokens=10_000), account(Scope.HOST, usd=USD, hard=True)], need
    )
    assert isinstance(short, Short) and short.kind == "price"


amounts = st.integers(0, 10**7)


@given(
    limit=st.integers(0, 10**8),
    tokens=st.integers(0, 10**6),
    used=amounts,
    need=st.builds(
        Need,
        sent_tokens=st.integers(1, 10**5),
        most=st.integers(1_024, 10**5),
        least=st.just(1_024),
        answers=st.integers(1, 16),
        sent_pico=st.integers(0, 10**11),
        answer_pico=st.integers(0, 10**8),
    ),
)
def test_a_grant_never_passes_a_limit_and_is_the_largest_that_fits(
    limit: int, tokens: int, used: int, need: Need
) -> None:
    one = account(Scope.EXECUTION, usd=limit, tokens=tokens, used=Amount(used, used % 1_000))
    decision = budget.grant([one], need)

    def fits(answer: int) -> bool:
        total = one.taken + need.amount(answer)
        return total.usd <= limit and total.tokens <= tokens

    if isinstance(decision, Granted):
        assert fits(decision.answer_tokens) and need.least <= decision.answer_tokens <= need.most
        # One nano-dollar of rounding may leave room for a token that is not given.
        assert decision.answer_tokens == need.most or not fits(decision.answer_tokens + 2)
    else:
        assert not fits(need.least + 1)


def test_the_sentence_has_the_figures() -> None:
    one = account(Scope.EXECUTION, usd=10_000_000, used=Amount(4_000_000, 0), held=Amount(1_000_000, 0))
    short = budget.grant([one], NEED)
    assert isinstance(short, Short)
    assert budget.sentence(short) == (
        "the execution k budget is too small for this call: used 0.004 USD and 0.001 USD held by calls under "
        "way, needed 0.01836, cap 0.01"
    )


@pytest.mark.parametrize(
    ("nano", "text"), [(0, "0.00"), (1, "0.000000001"), (1_500_000_000, "1.50"), (50 * USD, "50.00")]
)
def test_dollars(nano: int, text: str) -> None:
    assert budget.dollars(nano) == text
    assert budget.nano(Decimal(text)) == nano


# --- prices ---

D = Decimal
RATES = Rates(D(3), D(15), D("0.3"), D("3.75"), D(6))
DEAR = Rates(D(6), D("22.5"), D("0.6"), D("7.5"), D(12))
PRICE = Price(RATES, "t", tiers=((200_000, DEAR),))


@pytest.mark.parametrize(
    ("tokens", "writes", "sent", "answer"),
    [
        (100, CacheWrites.NONE, 3_000_000, 15_000_000),
        (100, CacheWrites.SHORT, 3_750_000, 15_000_000),
        (100, CacheWrites.LONG, 6_000_000, 15_000_000),
        (200_000, CacheWrites.NONE, 3_000_000, 15_000_000),
        (200_001, CacheWrites.NONE, 6_000_000, 22_500_000),
        (200_001, CacheWrites.LONG, 12_000_000, 22_500_000),
    ],
)
def test_the_dearest_price_that_can_apply(tokens: int, writes: CacheWrites, sent: int, answer: int) -> None:
    assert pricing.dearest(PRICE, tokens, writes) == (sent, answer)


@pytest.mark.parametrize(
    ("usage", "long", "micro_usd"),
    [
        (Usage(input=1_000, output=100), 0, 4_500),
        (Usage(cache_read=1_000), 0, 300),
        (Usage(cache_write=1_000), 0, 3_750),
        (Usage(cache_write=1_000), 400, 4_650),
        (Usage(input=150_000, cache_read=60_000, output=1_000), 0, 958_500),
        (Usage(), 0, 0),
    ],
)
def test_costs(usage: Usage, long: int, micro_usd: int) -> None:
    assert pricing.cost(PRICE, usage, cache_write_long=long) == micro_usd * 1_000


counts = st.integers(0, 300_000)


@given(st.builds(Usage, input=counts, cache_read=counts, cache_write=counts, output=counts), counts)
def test_no_usage_within_the_bound_costs_more_than_was_held(usage: Usage, long: int) -> None:
    sent = usage.tokens - usage.output
    per_sent, per_answer = pricing.dearest(PRICE, sent, CacheWrites.LONG)
    need = Need(sent, usage.output, 0, sent_pico=per_sent * sent, answer_pico=per_answer)
    assert pricing.cost(PRICE, usage, cache_write_long=long) <= need.amount(usage.output).usd


# --- bounds ---


@pytest.mark.parametrize(
    ("most", "thinking", "least"),
    [(8_192, 0, 1_024), (500, 0, 500), (8_192, 4_000, 4_001), (8_192, 10, 1_024)],
)
def test_the_least_answer(most: int, thinking: int, least: int) -> None:
    assert bound.least_answer(most, thinking) == least


@given(st.text(max_size=200))
def test_a_text_never_has_more_tokens_than_the_bound(text: str) -> None:
    # A byte-level tokenizer makes at most one token of each byte.
    assert len(text.encode("utf-8", "surrogatepass")) <= bound.sent_tokens(
        len(text.encode("utf-8", "surrogatepass")), 0, 0, 0
    )


# --- destinations ---

LIST = ("files.example", "*.mirror.example", "odd.example:8443", "10.1.2.3")


@pytest.mark.parametrize(
    ("network", "host", "port", "yes"),
    [
        ("deny_all", "files.example", 443, False),
        ("allow_list", "files.example", 443, True),
        ("registry_only", "FILES.example.", 443, True),
        ("allow_list", "files.example", 80, False),
        ("allow_list", "a.mirror.example", 443, True),
        ("allow_list", "mirror.example", 443, False),
        ("allow_list", "evilmirror.example", 443, False),
        ("allow_list", "odd.example", 8443, True),
        ("allow_list", "odd.example", 443, False),
        ("allow_list", "10.1.2.3", 443, True),
        ("allow_list", "10.1.2.4", 443, False),
        ("allow_list", "files.example\x00.evil", 443, False),
        ("allow_list", "", 443, False),
    ],
)
def test_destinations(network: str, host: str, port: int, yes: bool) -> None:
    decision = destinations.allowed(network, LIST, host, port)
    assert decision.allowed is yes and decision.reason


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("93.184.216.34", True), ("2606:2800:220:1::1", True), ("127.0.0.1", False), ("10.0.0.1", False),
        ("169.254.169.254", False), ("100.64.0.1", False), ("0.0.0.0", False), ("255.255.255.255", False),
        ("::1", False), ("::", False), ("fe80::1%eth0", False), ("fc00::1", False), ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.216.34", True), ("64:ff9b::7f00:1", False), ("2002:7f00:1::", False), ("nonsense", False),
        ("224.0.0.1", False), ("ff02::1", False), ("192.0.2.1", False), ("198.18.0.1", False),
    ],
)  # fmt: skip
def test_public_addresses(text: str, public: bool) -> None:
    assert destinations.public(text) is public

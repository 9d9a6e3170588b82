"""Subscriptions behind the wire: a token is added there and nowhere else, and tokens are what is counted."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from boatwright.egress.call import OAUTH_BETA
from boatwright.egress.spec import Upstream, to_json
from boatwright.egress.upstream import origin
from boatwright.rules import budget as rule
from boatwright.rules.budget import Account, Granted, Need, Scope, Short
from boatwright.values.usage import Cap, Usage

MESSAGES = "/v1/messages"
CANARY = "sk-ant-oat01-canary-5f3f2c"


def ask(**changes: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 2_000, "messages": [{"role": "user", "content": "hi"}], **changes}


async def by_login(bench: Any, token: str = CANARY, **changes: Any) -> None:
    socket = str(bench.provider.path)
    upstream = Upstream("anthropic", socket=socket, secret="env:CLAUDE_CODE_OAUTH_TOKEN", login="claude")
    spec = bench.spec(upstreams=(upstream,), provider="anthropic", agent="claude", **changes)
    answer = await bench.order({"do": "open", "spec": to_json(spec), "keys": {"anthropic": token}})
    assert "ok" in answer, answer


async def test_the_token_is_added_as_its_provider_wants_it(bench: Any) -> None:
    bench.budgets.set_cap("execution", "ex-1", Cap(usd=Decimal(5), tokens=1_000_000))
    await by_login(bench)
    client = await bench.client()
    headers = [
        ("authorization", "Bearer the-wire-adds-it"),
        ("x-api-key", "dummy"),
        ("anthropic-beta", "one, two"),
    ]
    heard = await client.call(MESSAGES, ask(), headers=headers)
    assert heard.status == 200
    (asked,) = bench.provider.asked
    assert asked.headers["authorization"] == f"Bearer {CANARY}"
    assert asked.headers["anthropic-beta"] == f"one,two,{OAUTH_BETA}"
    assert "x-api-key" not in asked.headers


@pytest.mark.parametrize("beta", [None, OAUTH_BETA, f"a,{OAUTH_BETA},b"])
async def test_the_beta_is_named_once(bench: Any, beta: str | None) -> None:
    bench.budgets.set_cap("execution", "ex-1", Cap(tokens=1_000_000))
    await by_login(bench)
    client = await bench.client()
    await client.call(MESSAGES, ask(), headers=[("anthropic-beta", beta)] if beta else [])
    said = bench.provider.asked[0].headers["anthropic-beta"].split(",")
    assert said.count(OAUTH_BETA) == 1 and len(said) == len((beta or OAUTH_BETA).split(","))


async def test_tokens_are_counted_and_no_dollars(bench: Any) -> None:
    bench.budgets.set_cap("execution", "ex-1", Cap(usd=Decimal(5), tokens=1_000_000))
    await by_login(bench)
    assert (await bench.call(MESSAGES, ask())).status == 200
    (row,) = await bench.settled()
    assert (row.usage, row.usd, row.reserved_usd) == (Usage(input=11, output=7), Decimal(0), Decimal(0))
    assert row.reserved_tokens > 2_000 and row.price_table == "subscription" and row.prices == ""
    used, held = bench.budgets.used("execution", "ex-1")
    assert (used.usd, used.tokens, held.tokens) == (0, 18, 0)


async def test_dollars_alone_do_not_admit_a_call(bench: Any) -> None:
    """The defaults: 5 USD for the execution, 50 for the host's day, no cap in tokens anywhere."""
    await by_login(bench)
    heard = await bench.call(MESSAGES, ask())
    assert (heard.status, heard.code) == (402, "budget") and not bench.provider.asked
    error = heard.json["error"]
    assert "counted in tokens" in error["message"]
    assert error["next_moves"] == ["boatwright budget raise EXECUTION 2Mtok"]


async def test_the_agent_s_day_is_a_cap_in_tokens_too(bench: Any) -> None:
    bench.budgets.set_cap("agent", "claude", Cap(tokens=100_000), hard=True, daily=True)
    await by_login(bench)
    assert (await bench.call(MESSAGES, ask())).status == 200


async def test_a_cap_in_tokens_holds(bench: Any) -> None:
    bench.budgets.set_cap("execution", "ex-1", Cap(tokens=4_300))
    await by_login(bench)
    heard = await bench.call(MESSAGES, ask())
    assert heard.code == "budget" and "cap 4,300" in heard.json["error"]["message"]


async def test_stand_ins_are_asked_by_the_same_login(bench: Any) -> None:
    well = bench.provider.on_call

    async def on_call(asked: Any, say: Any) -> None:
        if asked.body["model"] == "m":
            await say.whole({"error": {"message": "limited"}}, 429)
        else:
            await well(asked, say)

    bench.provider.on_call = on_call
    bench.budgets.set_cap("execution", "ex-1", Cap(tokens=1_000_000))
    await by_login(bench, fallback=("m", "n"))
    assert (await bench.call(MESSAGES, ask())).status == 200
    assert {asked.headers["authorization"] for asked in bench.provider.asked} == {f"Bearer {CANARY}"}


@pytest.mark.parametrize(
    ("login", "protocol"), [("chatgpt", "anthropic"), ("claude", "openai"), ("other", "openai")]
)
async def test_a_login_the_wire_does_not_know_is_refused(bench: Any, login: str, protocol: str) -> None:
    spec = bench.spec(upstreams=(Upstream(protocol, socket="/x", secret="env:T", login=login),))
    answer = await bench.order({"do": "open", "spec": to_json(spec), "keys": {}})
    assert "knows no" in str(answer["error"])


# --- ChatGPT ---

RESPONSES = "/v1/responses"


def jwt(claims: dict[str, Any]) -> str:
    """A token as a login has it; nobody here checks its signature."""
    middle = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{middle}.canary"


def answered(used: dict[str, int]) -> Any:
    async def on_call(_: Any, say: Any) -> None:
        await say.whole({"id": "r", "object": "response", "status": "completed", "output": [], "usage": used})

    return on_call


async def by_chatgpt(bench: Any, token: str) -> None:
    bench.provider.on_call = answered({"input_tokens": 11, "output_tokens": 7, "total_tokens": 18})
    socket = str(bench.provider.path)
    upstream = Upstream("openai", socket=socket, secret="env:T", login="chatgpt")
    spec = bench.spec(upstreams=(upstream,), provider="openai", agent="codex")
    answer = await bench.order({"do": "open", "spec": to_json(spec), "keys": {"openai": token}})
    assert "ok" in answer, answer


def question(**changes: Any) -> dict[str, Any]:
    return {"model": "m", "instructions": "be brief", "input": [{"role": "user", "content": "hi"}], **changes}


async def test_a_chatgpt_call_has_its_account_and_no_limit_and_holds_the_longest_answer(bench: Any) -> None:
    bench.budgets.set_cap("execution", "ex-1", Cap(tokens=1_000_000))
    token = jwt({"https://api.openai.com/auth": {"chatgpt_account_id": "acc-1"}})
    await by_chatgpt(bench, token)
    client = await bench.client()
    headers = [
        ("authorization", "Bearer none"),
        ("chatgpt-account-id", "acc-evil"),
        ("originator", "codex_exec"),
    ]
    heard = await client.call(RESPONSES, question(max_output_tokens=50), headers=headers)
    assert heard.status == 200
    (asked,) = bench.provider.asked
    assert asked.headers["authorization"] == f"Bearer {token}"
    assert (asked.headers["chatgpt-account-id"], asked.headers["originator"]) == ("acc-1", "codex_exec")
    assert "max_output_tokens" not in asked.body and "service_tier" not in asked.body
    assert asked.body["store"] is False
    (row,) = await bench.settled()
    assert row.reserved_tokens > 128_000 and row.usage.tokens == 18 and row.price_table == "subscription"


@pytest.mark.parametrize(
    "token", ["opaque", "a.b.c", "a.!!.c", jwt({}), jwt({"https://api.openai.com/auth": []})]
)
async def test_a_token_that_names_no_account_goes_alone(bench: Any, token: str) -> None:
    bench.budgets.set_cap("execution", "ex-1", Cap(tokens=1_000_000))
    await by_chatgpt(bench, token)
    assert (await bench.call(RESPONSES, question())).status == 200
    assert "chatgpt-account-id" not in bench.provider.asked[0].headers


async def test_a_chatgpt_call_without_room_for_the_longest_answer_is_refused_not_cut_short(
    bench: Any,
) -> None:
    bench.budgets.set_cap("execution", "ex-1", Cap(tokens=100_000))
    await by_chatgpt(bench, "opaque")
    heard = await bench.call(RESPONSES, question())
    assert heard.code == "budget" and "cap 100,000" in heard.json["error"]["message"]
    assert bench.provider.asked == []


async def test_its_path_is_the_backends_own() -> None:
    upstream = Upstream("openai", secret="file:/x#tokens.access_token", login="chatgpt")
    where = origin(upstream)
    assert (where.host, where.target(RESPONSES)) == ("chatgpt.com", "/backend-api/codex/responses")


# --- the canary ---


def _files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


async def test_the_token_is_nowhere_but_at_the_provider(bench: Any) -> None:
    """Answers, refusals, errors of the provider, a broken answer: none of them, no log, row or file has the token."""
    answers = iter([200, 401, 500, 0])

    async def on_call(_: Any, say: Any) -> None:
        match status := next(answers):
            case 0:
                say.hang_up()
            case 200:
                await say.whole({"usage": {"input_tokens": 11, "output_tokens": 7}})
            case _:
                await say.whole(
                    {"type": "error", "error": {"type": "authentication_error", "message": "no"}}, status
                )

    bench.provider.on_call = on_call
    bench.budgets.set_cap("execution", "ex-1", Cap(tokens=1_000_000))
    await by_login(bench)
    heard = [await bench.call(MESSAGES, ask()) for _ in range(4)]
    heard.append(await bench.call(MESSAGES, ask(mcp_servers=[])))
    await by_login(bench, token=f"{CANARY}\r\nx-evil: 1")  # what may not stand in a header
    heard.append(await bench.call(MESSAGES, ask()))
    assert [one.status for one in heard] == [200, 401, 500, 502, 400, 503]
    assert all(asked.headers["authorization"].endswith(CANARY) for asked in bench.provider.asked)
    status = await bench.order({"do": "status"})
    rows = await bench.settled(count=4)
    told = [str(status), str(rows), *(str(row.event()) for row in rows)]
    told += [f"{one.headers} {one.body!r}" for one in heard]
    assert not [text for text in told if CANARY in text]
    assert not [path for path in _files(bench.state.root) if CANARY.encode() in path.read_bytes()]


# --- the rule ---

NEED = Need(sent_tokens=1_000, most=2_000, least=1_024, counted=True)
CASES = [
    ("dollars alone", (Account(Scope.EXECUTION, "e", limit_usd=10**12, hard=True),), "login"),
    ("tokens", (Account(Scope.EXECUTION, "e", limit_tokens=3_000, hard=True),), 2_000),
    ("tokens that clamp", (Account(Scope.EXECUTION, "e", limit_tokens=2_500, hard=True),), 1_500),
    ("too few tokens", (Account(Scope.EXECUTION, "e", limit_tokens=2_000, hard=True),), "tokens"),
    (
        "dollars spent to the last do not bind it",
        (
            Account(Scope.EXECUTION, "e", limit_usd=0, limit_tokens=9_000, hard=True),
            Account(Scope.HOST, "*", "d", limit_usd=0, hard=True),
        ),
        2_000,
    ),
    (
        "a cap in tokens that does not bind is none",
        (
            Account(Scope.EXECUTION, "e", limit_usd=10**12, hard=True),
            Account(Scope.REPOSITORY, "r", limit_tokens=9_000, hard=False),
        ),
        "login",
    ),
    ("no cap at all", (Account(Scope.HOST, "*"),), "none"),
]


@pytest.mark.parametrize(("chain", "expected"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_what_binds_a_subscription_s_call(chain: tuple[Account, ...], expected: str | int) -> None:
    decided = rule.grant(chain, NEED)
    if isinstance(decided, Granted):
        assert decided.answer_tokens == expected and decided.held.usd == 0
    else:
        assert isinstance(decided, Short) and decided.kind == expected

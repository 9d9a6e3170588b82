"""Whose login an agent's calls go by; stand-ins and a cut, seen from our own calls over a real proxy."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from boatwright import errors
from boatwright.agents import endings, planner
from boatwright.agents.planner import PlannerAnswer
from boatwright.agents.protocol import ModelWire, Stop
from boatwright.config import settings as settings_module
from boatwright.config.paths import StateDir
from boatwright.egress.spec import Upstream, WireSpec
from boatwright.egress.wires import Denial
from boatwright.intake import cuts
from boatwright.intake import logins as intake_logins
from boatwright.stages import logins, wiring
from boatwright.stages.house import House
from boatwright.testing.clock import FakeClock
from boatwright.testing.scripted_process import ScriptedModel, serving
from boatwright.values.cutting import CutPolicy
from boatwright.values.process import ExecResult
from boatwright.values.usage import Cap, ModelRef
from boatwright.workflows.assembly import engine_for

SONNET = ModelRef(provider="anthropic", name="claude-sonnet-4-5")
TOKEN, KEY = {"CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-canary"}, {"ANTHROPIC_API_KEY": "sk-ant-api03-canary"}
NAMED = "logins: {claude: 'file:/run/token'}"
BOTH = Cap(usd=Decimal(5), tokens=2_000_000)


def house_with(tmp_path: Path, environment: dict[str, str], settings: str = "") -> House:
    state = StateDir(tmp_path / "state").create()
    state.settings.write_text(settings)
    return House.open(state=state, environment={"PATH": os.defpath, **environment})


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Any]:
    opened: list[House] = []

    def make(environment: dict[str, str], settings: str = "") -> House:
        opened.append(house_with(tmp_path, environment, settings))
        return opened[-1]

    yield make
    for house in opened:
        house.close()


# --- whose login ---

CHOICES = [
    ("the token alone", TOKEN, "", "claude", SONNET, "env:CLAUDE_CODE_OAUTH_TOKEN"),
    ("a key beside it comes first", TOKEN | KEY, "", "claude", SONNET, None),
    ("a key alone", KEY, "", "claude", SONNET, None),
    ("settings say so, whatever is set", TOKEN | KEY, NAMED, "claude", SONNET, "file:/run/token"),
    ("it is for Claude Code alone", TOKEN, NAMED, "pi", SONNET, None),
    ("and not for our own agent", TOKEN, NAMED, "builtin", SONNET, None),
    ("nor for a script", TOKEN, NAMED, "claude", ModelRef(provider="scripted", name="x"), None),
]


GPT = ModelRef(provider="openai", name="gpt-5.2-codex")
CHATGPT = [
    ("logged in, no key", {}, "", "codex", GPT, True),
    ("a key comes first", {"OPENAI_API_KEY": "sk"}, "", "codex", GPT, False),
    ("it is for Codex alone", {}, "", "pi", GPT, False),
    ("and for models of openai", {}, "", "codex", SONNET, False),
]


@pytest.mark.parametrize(
    ("environment", "settings", "agent", "model", "used"),
    [row[1:] for row in CHATGPT],
    ids=[r[0] for r in CHATGPT],
)
def test_when_codex_goes_by_a_chatgpt_login(
    made: Any,
    tmp_path: Path,
    environment: dict[str, str],
    settings: str,
    agent: str,
    model: ModelRef,
    used: bool,
) -> None:
    (tmp_path / ".codex").mkdir()
    kept = tmp_path / ".codex" / "auth.json"
    kept.write_text('{"tokens": {"access_token": "canary"}}')
    login = logins.of_program(made({"HOME": str(tmp_path), **environment}, settings), agent, model)
    assert (login.secret if login else None) == (f"file:{kept}#tokens.access_token" if used else None)


def test_settings_name_a_chatgpt_login_beside_a_key(made: Any) -> None:
    house = made({"OPENAI_API_KEY": "sk"}, "logins: {chatgpt: 'file:/run/auth.json#tokens.access_token'}")
    (said,) = intake_logins.check(house, "codex", GPT, BOTH)
    assert said.startswith("codex uses the ChatGPT login of file:/run/auth.json#tokens.access_token")


def test_a_chatgpt_login_plans_nothing(made: Any, tmp_path: Path) -> None:
    (tmp_path / "auth.json").write_text("{}")
    with pytest.raises(errors.BadInput, match="a ChatGPT login serves Codex alone"):
        intake_logins.check(made({"CODEX_HOME": str(tmp_path)}), "codex", GPT, BOTH)


@pytest.mark.parametrize(
    ("environment", "settings", "agent", "model", "secret"),
    [row[1:] for row in CHOICES],
    ids=[r[0] for r in CHOICES],
)
async def test_which_login_a_program_s_calls_go_by(
    made: Any, environment: dict[str, str], settings: str, agent: str, model: ModelRef, secret: str | None
) -> None:
    house = made(environment, settings)
    login = logins.of_program(house, agent, model)
    assert (login.secret if login else None) == secret
    if model.provider == "anthropic":
        upstream = await wiring.upstream(house, model, "anthropic", login)
        assert (upstream.secret, upstream.login) == (
            secret or "env:ANTHROPIC_API_KEY",
            "claude" if secret else "",
        )


def test_it_is_said_before_work_begins(made: Any) -> None:
    house = made(TOKEN | KEY, "logins: {claude: 'env:CLAUDE_CODE_OAUTH_TOKEN'}")
    (said,) = intake_logins.check(house, "claude", SONNET, BOTH)
    assert said == (
        "claude uses the Claude subscription of env:CLAUDE_CODE_OAUTH_TOKEN: "
        "its calls are counted in tokens, not dollars"
    )
    assert intake_logins.check(house, "pi", SONNET, BOTH) == ()


def test_planning_and_review_need_a_key_of_their_own(made: Any) -> None:
    with pytest.raises(errors.BadInput, match="a Claude subscription serves Claude Code alone") as told:
        intake_logins.check(made(TOKEN), "claude", SONNET, BOTH)
    assert "ANTHROPIC_API_KEY" in " ".join(told.value.next_moves) and "canary" not in str(told.value)


def test_a_budget_in_dollars_alone_is_refused(made: Any) -> None:
    house = made(KEY, NAMED)
    with pytest.raises(errors.BadInput, match="counted in tokens, and a budget of 5 USD has none") as told:
        intake_logins.check(house, "claude", SONNET, Cap(usd=Decimal(5)))
    assert told.value.next_moves == ("--budget 2Mtok",)


def test_an_agent_s_day_in_settings_is_a_cap_in_tokens(made: Any) -> None:
    house = made(KEY, f"{NAMED}\nbudget: {{claude: 5000000}}")
    assert intake_logins.check(house, "claude", SONNET, Cap(usd=Decimal(5)))


@pytest.mark.parametrize("text", ["sk-ant-oat01-canary", "env:", "env:a b", "vault:x", "file:"])
def test_a_secret_itself_is_no_setting(text: str) -> None:
    with pytest.raises(errors.BadPolicy, match=r"logins\.claude"):
        settings_module.parse(f"logins: {{claude: '{text}'}}")


# --- our own calls ---

SCRIPT = """\
plan: {goal: mend, steps: [{id: P1, action: edit, path: a.py, acceptance: ok}]}
replies:
  - say: "Done."
"""


class Reach:
    """A wire of an execution to a scripted model, opened anew by ``revive``."""

    def __init__(self, house: House, model: ScriptedModel, **more: Any) -> None:
        upstream = Upstream(protocol="anthropic", socket=str(model.socket))
        given = {
            "id": "ex-1-plan-1",
            "execution": "ex-1",
            "repository": "r",
            "provider": "scripted",
            "bottle": "slug",
        }
        self.house, self.spec = house, WireSpec(**{**given, "upstreams": (upstream,), **more})

    async def open(self) -> None:
        await self.house.wire.open(self.spec)

    async def wire(self) -> ModelWire:
        directory = await self.house.wire.open(self.spec)
        ref = ModelRef(provider="scripted", name="s.yml")
        return ModelWire(directory / "wire.sock", "anthropic", ref, revive=self.open)


@pytest.fixture
async def reach(made: Any, tmp_path: Path) -> AsyncIterator[Reach]:
    house = made({"PATH": os.environ["PATH"]})
    async with serving(SCRIPT, tmp_path) as model:
        it = Reach(house, model)
        yield it
        await house.wire.close(it.spec.id)


async def test_our_own_call_is_answered_by_a_stand_in(bench: Any, made: Any, tmp_path: Path) -> None:
    """The agent names one model; the wire asks the next when that one is overloaded, and books who answered."""
    house = made({"PATH": os.environ["PATH"]})
    house.wire.budgets().set_cap("execution", "ex-1", Cap(usd=Decimal(5)))
    async with serving(SCRIPT + "faults:\n  - {reply: 1, kind: http_529}\n", tmp_path) as model:
        it = Reach(house, model, fallback=("scripted", "other"))
        result = await bench.run(await it.wire())
        await house.wire.close(it.spec.id)
    assert (result.stop, result.summary) == (Stop.FINISHED, "Done.")
    rows = house.wire.budgets().usage("ex-1")
    assert [(row.model, row.status) for row in rows] == [("scripted", 529), ("other", 200)]
    assert [row.event().model for row in rows] == ["scripted", "other"]
    assert rows[0].usd == 0 and rows[1].usd > 0


async def _plan(wire: ModelWire) -> PlannerAnswer:
    return await planner.ask_plan(wire, system="s", prompt="p")


async def test_what_is_cut_is_not_opened_again_by_asking(reach: Reach) -> None:
    """A wire that broke is opened anew by its worker; the cut outlives that, on every wire, until a raise."""
    budgets = reach.house.wire.budgets()
    budgets.set_cap("execution", "ex-1", Cap(usd=Decimal(5)))
    wire = await reach.wire()
    engine = engine_for(reach.house)
    done = await cuts.cut(reach.house, engine, "slug", CutPolicy.CUTOFF, by="ann")
    assert (done.named.account, done.wires, done.named.view, done.named.solo) == ("ex-1", 1, None, None)
    with pytest.raises(errors.BudgetExhausted, match="ex-1 has been cut"):
        await _plan(wire)
    await reach.open()
    with pytest.raises(errors.BudgetExhausted, match="ex-1 has been cut"):
        await _plan(wire)
    reach.house.wire.cuts().lift("ex-1")
    with pytest.raises(
        errors.BudgetExhausted, match="the execution ex-1 has been cut: it may spend nothing more"
    ):
        await _plan(wire)
    budgets.set_cap("execution", "ex-1", Cap(usd=Decimal(5)))
    reach.house.wire.cuts().lift("ex-1")
    assert (await _plan(wire)).plan.goal == "mend"


def test_a_program_on_a_cut_wire_parks_like_one_without_budget() -> None:
    ended = ExecResult(exit_code=1, output=b"", seconds=1.0)
    denied = Denial("cut", "wire", "this wire has been cut", 1, FakeClock().now())
    assert endings.read("claude", ended, endings.Told(), [denied]).stop is Stop.BUDGET

"""``top --once``, its words and its JSON; and where there is no terminal."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from boatwright.cli import app
from boatwright.cli.top import text
from boatwright.config.paths import StateDir
from boatwright.rules.board import Place
from boatwright.rules.budget import Account, Scope
from boatwright.stages.house import House
from boatwright.testing import samples
from boatwright.testing.board import DAY, account, board, row

CHAIN = [
    account(Scope.AGENT, "claude", None, 5_000_000, period=DAY, used=(0, 1_250_000), hard=True),
    account(Scope.EXECUTION, "ex-1", 5, 400_000, used=(1.25, 84_210), held=(0.5, 20_000), hard=True),
    account(Scope.HOST, "*", 50, period=DAY, used=(6.4213, 0), hard=True),
]
CUT = [account(Scope.EXECUTION, "e", 0, 0, hard=True)]


def test_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    one = row("ex-1-agent", CHAIN, state="EXECUTING", stage="build", refused=3, words="bash: make test")
    two = row(
        "manual",
        CUT,
        state="stopped",
        place=Place.STOPPED,
        wire="cut",
        connections=0,
        calls=100,
        words="it was cut",
    )
    told = list(text.page(board(one, two, resting=4, beyond=1, notices=("one cannot be read",))))
    assert told == [
        "2 bottles, 1 working; 1 more not shown; 4 at rest; the proxy runs; 15:04:05 UTC",
        "host, 2026-01-02: [#=......] used 6.4213, held 0.4110, left 43.1677 of 50.0000 USD",
        "note: one cannot be read",
        "",
        "BOTTLE                 STATE        STAGE        AGENT           AGE  CALLS/MIN      TOKENS       USD  "
        "TAKEN            WIRE      REFUSED",
        "ex-1-agent             executing    build        claude        7 min          4      84,210    0.3124  "
        "[##=.....] 35 %  open 1          3",
        "    agent claude (governs, hard, 2026-01-02 UTC)",
        "      [#######.......................]  25 %  used 1,250,000, held 0, left 3,750,000 of 5,000,000 tokens",
        "    execution ex-1 (hard)",
        "      [#######===....................]  35 %  used 1.2500, held 0.5000, left 3.2500 of 5.0000 USD",
        "      [######=.......................]  26 %  used 84,210, held 20,000, left 295,790 of 400,000 tokens",
        "    host (hard, 2026-01-02 UTC)",
        "      [###...........................]  12 %  used 6.4213, held 0.0000, left 43.5787 of 50.0000 USD",
        "    says: bash: make test",
        "manual                 stopped                   claude        7 min       100+      84,210    0.3124  "
        "cut              cut             0",
        "    execution e (governs, hard, cut: raise it to go on)",
        "      [##############################] 100 %  used 0.0000, held 0.0000, left 0.0000 of 0.0000 USD",
        "      [##############################] 100 %  used 0, held 0, left 0 of 0 tokens",
        "    stopped: it was cut",
    ]


def test_words_of_strangers_are_shown_and_not_obeyed() -> None:
    evil = row("ex-1-agent", CHAIN, words="\x1b[2J[red]boo\u202e\nnext", agent="a\x1bb", stage="s\x07")
    told = "\n".join([*text.page(board(evil)), *text.about(evil)])
    assert "\x1b" not in told and "\u202e" not in told and "\x07" not in told
    assert "\\x1b[2J[red]boo\\u202e next" in told


@pytest.mark.parametrize(
    ("words", "there"),
    [
        ("", True),
        ("claude", True),
        ("CLAUDE exec", True),
        ("codex", False),
        ("ex-1 open", True),
        ("build zebra", False),
    ],
)
def test_the_filter(words: str, there: bool) -> None:
    assert text.fits(row("ex-1-agent", CHAIN, state="EXECUTING", stage="build"), words) is there


@pytest.mark.parametrize(
    ("chain", "said"),
    [([], "no budget"), (CUT, "cut"), (CHAIN, "[##=.....] 35 %")],
)
def test_what_is_taken(chain: list[Account], said: str) -> None:
    assert text.taken(row("x", chain).tightest) == said


@pytest.mark.parametrize(
    ("width", "names"),
    [
        (20, ["bottle", "state", "usd", "taken", "wire"]),
        (80, ["bottle", "state", "usd", "taken", "wire"]),
        (100, ["bottle", "state", "stage", "calls/min", "usd", "taken", "wire"]),
        (142, [each.name for each in text.COLUMNS]),
    ],
)
def test_the_columns_that_fit(width: int, names: list[str]) -> None:
    found = text.columns(width)
    assert [each.name for each in found] == names
    assert width < 80 or sum(each.width + 2 for each in found) + 2 <= width


def test_lines_of_the_proxy_s_log() -> None:
    lines = [
        {"at": "2026-01-02T03:04:05.678+00:00", "what": "called", "wire": "ex-1-build-9", "purpose": "build",
         "model": "m", "status": 200, "bytes": 5, "seconds": 0.1},
        {"at": "2026-01-02T03:04:06.678+00:00", "what": "refused", "wire": "ex-2-b", "code": "denied",
         "reason": "not {allowed}\x1b", "target": "evil.example:443"},
        {"at": "2026-01-02T03:04:07.678+00:00", "what": "started", "pid": 7},
        {"at": "2026-01-02T03:04:08.678+00:00", "what": "called"},
    ]  # fmt: skip
    told = text.proxy_lines([*map(json.dumps, lines), "[1]", "7", '{"what": "cut sho', ""])
    assert [each.text for each in told] == [
        "03:04:05 called m for build: 200, 5 bytes, 0.1 s (ex-1-build-9)",
        "03:04:06 refused evil.example:443: not {allowed}\\x1b (denied) (ex-2-b)",
        "03:04:07 started pid=7",
        "03:04:08 called ? for ?: ?, ? bytes, ? s (?)",
    ]
    assert [text.of_account(each, "ex-1") for each in told] == [True, False, False, False]


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setenv("BOATWRIGHT_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("BOATWRIGHT_DATABASE_URL", raising=False)
    made = House.open(state=StateDir(tmp_path / "state"), producer="test")
    made.ledger.events.append("ex-1", samples.requested(agent="claude", provider="claude"), key="request")
    return made


def test_once_as_text_and_as_json(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["top", "--once"]) == 0
    out = capsys.readouterr().out
    assert (
        "1 bottles, 1 working; the proxy is not running" in out and "ex-1-agent" in out and "pending" in out
    )
    assert app.run(["top", "--once", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (one,) = told["rows"]
    assert (one["slug"], one["state"], one["wire"]) == ("ex-1-agent", "PENDING", "closed")
    assert one["tightest"]["scope"] == "execution"
    assert Decimal(one["bindings"][0]["meters"][0]["cap"]) == 5


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["top"], "top draws on a terminal, and there is none here"),
        (["top", "--json"], "--json needs --once"),
    ],
)
def test_without_a_terminal_one_sentence(
    house: House, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert app.run(arguments) == 2
    said = capsys.readouterr()
    assert sentence in said.err and "boatwright top --once" in said.err and said.out == ""

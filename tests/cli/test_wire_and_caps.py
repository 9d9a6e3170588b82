"""``wire show``, ``budget set``, ``budget show`` and ``cut``, from argument list to exit code."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from boatwright.cli import app
from boatwright.egress.booking import Denied, Outcome, Payer, Reserve
from boatwright.egress.wires import place
from boatwright.rules.budget import Need
from boatwright.stages.house import House
from boatwright.stages.solo_records import Records
from boatwright.values.cutting import Cause, CutPolicy
from boatwright.values.events import BottleDestroyed, BottleFrozen, FeatureCancelled, FeatureRequested
from boatwright.values.solo import Solo, SoloState
from boatwright.values.state import State
from boatwright.values.usage import Cap, Usage

EXECUTION = "ex-0001"
MINE = "mine.00000000"
"""The account of the bottle ``mine``."""


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A state directory with one execution that has called two models, one of them by subscription."""
    monkeypatch.setenv("BOATWRIGHT_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("BOATWRIGHT_DATABASE_URL", raising=False)
    (tmp_path / "state").mkdir()
    house = House.open(
        producer="test", environment={"PATH": os.defpath, "BOATWRIGHT_STATE": str(tmp_path / "state")}
    )
    request = FeatureRequested(
        repository="r-00000000", source="/nowhere", title="t", body="b", text_digest="d", base_ref="main",
        base_commit="a" * 40, model="scripted:x", agent="builtin", budget=Cap(usd=Decimal(5)), requested_by="ann",
    )  # fmt: skip
    house.ledger.events.append(EXECUTION, request, key="request")
    house.wire.budgets().set_cap("host", "*", Cap(usd=Decimal(50)), hard=True)
    house.wire.budgets().set_cap("execution", EXECUTION, Cap(usd=Decimal(5)), hard=True)
    records = Records(house.state, house.clock)
    draft = Solo(
        slug="", account=MINE, agent="claude", provider="claude", bottles=None, model="scripted:x",
        budget=Cap(usd=Decimal(5)), created=house.clock.now(), state=SoloState.STOPPED,
    )  # fmt: skip
    with records.claim("mine", lambda slug: draft.model_copy(update={"slug": slug}))[1]:
        pass
    yield house
    house.close()


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = app.run(arguments)
    said = capsys.readouterr()
    return code, said.out, said.err


def called(house: House, reservation: str, model: str, outcome: Outcome | None, **more: Any) -> None:
    priced = {} if more.get("price_table") else {"sent_pico": 1_000, "answer_pico": 1_000_000}
    request = Reserve(
        id=reservation, payer=Payer(EXECUTION, "r-00000000", "claude", f"{EXECUTION}-agent"),
        need=Need(1_000, 2_000, 1_024, **priced), at=datetime.now(UTC), wire=f"{EXECUTION}-build-1",
        provider="anthropic", model=model, **{"purpose": "build", **more},
    )  # fmt: skip
    budgets = house.wire.budgets()
    if more.get("price_table"):
        budgets.set_cap("execution", EXECUTION, Cap(tokens=100_000))
        budgets.set_cap("host", "*", Cap(tokens=100_000))
    budgets.reserve(request)
    if outcome is not None:
        budgets.settle(reservation, outcome)


def logged(house: House, *lines: dict[str, object]) -> None:
    house.state.logs.mkdir(exist_ok=True)
    with (house.state.logs / "proxy.log").open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
        file.write('{"what": "called", "cut sho')


ANSWERED = Outcome("provider", 200, Usage(input=900, output=100), usd=1_500_000)


# --- wire show ---


def test_who_was_called_and_what_was_refused(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    called(house, "r1", "a", Outcome("provider", 529, Usage()))
    called(house, "r2", "b", ANSWERED)
    called(house, "r3", "b", Outcome("estimate"))
    denied = Denied(
        place(house.state),
        f"{EXECUTION}-build-1",
        EXECUTION,
        "denied",
        "evil.example:443",
        "no",
        datetime.now(UTC),
    )
    house.wire.budgets().apply([denied, denied])
    mine = {"execution": EXECUTION, "wire": f"{EXECUTION}-build-1"}
    logged(
        house,
        {"what": "called", "purpose": "build", "model": "a", "bytes": 20, **mine},
        {"what": "called", "purpose": "build", "model": "b", "bytes": 300, **mine},
        {
            "what": "called",
            "purpose": "build",
            "model": "b",
            "bytes": 9,
            "execution": "ex-other",
            "wire": "w",
        },
        {"what": "fallback", "model": "a", "to": "b", **mine},
        {
            "what": "tunnelled",
            "wire": mine["wire"],
            "host": "index.example",
            "port": 443,
            "sent": 5,
            "received": 70,
        },
        {
            "what": "tunnelled",
            "wire": "ex-0002-x",
            "host": "other.example",
            "port": 443,
            "sent": 5,
            "received": 7,
        },
    )
    code, out, _ = call(capsys, "wire", "show", "ex-00")
    assert code == 0
    assert "anthropic:a" in out and "1 calls" in out and "1 without an answer" in out
    assert "anthropic:b" in out and "2 calls" in out and "300 bytes" in out and "1 charged in full" in out
    assert "passed over 1 times" in out
    assert "index.example:443  1 connections, 5 bytes sent, 70 received" in out and "other.example" not in out
    assert "refused  evil.example:443 (denied), 2 times: no" in out
    code, out, _ = call(capsys, "wire", "show", EXECUTION, "--json")
    told = json.loads(out)
    assert code == 0 and told["fallbacks"] == 1 and told["denied"][0]["count"] == 2
    assert [(each["model"], each["calls"], each["failed"]) for each in told["called"]] == [
        ("a", 1, 1),
        ("b", 2, 1),
    ]
    assert told["tokens"] == 1_000 + 3_000 and Decimal(told["usd"]) == Decimal("0.0015") + Decimal(
        "0.002000001"
    )


def test_a_subscription_s_calls_have_no_dollars(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    called(house, "r1", "m", Outcome("provider", 200, Usage(input=9, output=1)), price_table="subscription")
    code, out, _ = call(capsys, "wire", "show", EXECUTION)
    assert code == 0 and "10 tokens  subscription" in out


def test_bytes_are_left_out_where_the_log_does_not_tell_all(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    called(house, "r1", "b", ANSWERED)
    code, out, _ = call(capsys, "wire", "show", EXECUTION)
    assert code == 0 and "bytes" not in out and "0 wires open" in out


def test_nothing_yet_and_nobody(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "wire", "show", EXECUTION)
    assert code == 0 and "nothing was called" in out
    code, _, err = call(capsys, "wire", "show", "ex-9")
    assert code == 2 and "there is no execution ex-9" in err
    for typed in (
        ("budget", "raise", "nosuch", "5usd"),
        ("budget", "show", "nosuch"),
        ("wire", "show", "nosuch"),
    ):
        code, _, err = call(capsys, *typed)
        assert code == 2 and "there is no execution and no bottle 'nosuch'" in err and "→ boatwright" in err


# --- budget show, set ---


def test_every_cap_with_what_is_left_of_it(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    called(house, "r1", "b", ANSWERED)
    called(house, "r2", "b", None)
    code, out, _ = call(capsys, "budget", "show")
    assert code == 0
    host, of_host, execution, of_execution = out.splitlines()
    assert host.startswith("host (cap 50 USD, 2") and execution == f"execution {EXECUTION} (cap 5 USD)"
    assert of_host == "  used 0.0015 USD, held 0.0020 USD, left 49.9965 USD"
    assert of_execution == "  used 0.0015 USD, held 0.0020 USD, left 4.9965 USD"
    code, out, _ = call(capsys, "budget", "show", "--json")
    rows = json.loads(out)
    assert [row["scope"] for row in rows] == ["host", "execution"]
    assert Decimal(rows[1]["left"]["usd"]) == Decimal("4.996499999")


SETS = [
    (("execution", "ex-00", "4usd"), "execution", EXECUTION, False, Cap(usd=Decimal(4))),
    (("agent", "claude", "9Mtok"), "agent", "claude", False, Cap(tokens=9_000_000)),
    (
        ("repository", "r-00000000", "20usd", "--per", "day"),
        "repository",
        "r-00000000",
        True,
        Cap(usd=Decimal(20)),
    ),
    (("bottle", f"{EXECUTION}-agent", "1usd"), "bottle", f"{EXECUTION}-agent", False, Cap(usd=Decimal(1))),
    (("bottle", "mine", "1usd,2Mtok"), "bottle", MINE, False, Cap(usd=Decimal(1), tokens=2_000_000)),
    (("bottle", "mine", "1usd", "--per", "day"), "bottle", MINE, True, Cap(usd=Decimal(1))),
    (("parent", "base", "9usd", "--per", "day"), "parent", "base", True, Cap(usd=Decimal(9))),
    (("parent", "r-00000000/base", "9usd"), "parent", "r-00000000/base", False, Cap(usd=Decimal(9))),
]


@pytest.mark.parametrize(
    ("typed", "scope", "key", "daily", "cap"), SETS, ids=[" ".join(row[0]) for row in SETS]
)
def test_a_cap_is_set_and_the_ceiling_named(
    house: House,
    capsys: pytest.CaptureFixture[str],
    typed: tuple[str, ...],
    scope: str,
    key: str,
    daily: bool,
    cap: Cap,
) -> None:
    code, out, err = call(capsys, "budget", "set", *typed)
    assert code == 0, err
    assert (
        f"{scope} {typed[1] if key == MINE else key} may spend {cap}" in out
        and "50 USD for this host's day" in out
    )
    assert house.wire.budgets().cap(scope, key, daily=daily) == cap


def test_a_cap_is_taken_away(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    call(capsys, "budget", "set", "agent", "claude", "9Mtok")
    code, out, _ = call(capsys, "budget", "set", "agent", "claude", "none")
    assert code == 0 and "no cap of its own" in out
    assert house.wire.budgets().cap("agent", "claude") is None


def test_a_soft_cap_is_told_from_a_hard_one(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    call(capsys, "budget", "set", "repository", "r-00000000", "20usd", "--soft")
    assert "(cap 20 USD, soft)" in call(capsys, "budget", "show")[1]


NOT_SET = [
    (("host", "*", "90usd"), 5, "is the ceiling and stands in settings.yml alone"),
    (("agent", "claude", "9Mtok", "--per", "day"), 5, "is the ceiling and stands in settings.yml alone"),
    (("agent", "nobody", "9Mtok"), 2, "'nobody' is not a provider"),
    (("execution", EXECUTION, "51usd"), 2, "this host allows 50 USD"),
    (("execution", EXECUTION, "none"), 2, "is never without"),
    (("execution", EXECUTION, "1usd", "--per", "day"), 2, "for all its time"),
    (("execution", "ex-9", "1usd"), 2, "there is no execution ex-9"),
    (("bottle", "ex-9-agent", "1usd"), 2, "there is no execution ex-9"),
    (("bottle", "A b", "1usd"), 2, "cannot name a bottle"),
    (("bottle", "absent", "1usd"), 2, "there is no bottle 'absent'"),
    (("repository", "r-typo", "1usd"), 2, "no execution was ever of a repository 'r-typo'"),
    (("agent", "claude", "much"), 2, "'much' is not a budget"),
    (("parent", "../x y", "1usd"), 2, "is not a name of a bottle"),
    (("planet", "x", "1usd"), 2, "'planet' is not one of"),
]


@pytest.mark.parametrize(
    ("typed", "exit_code", "sentence"), NOT_SET, ids=[" ".join(row[0]) for row in NOT_SET]
)
def test_what_cannot_be_set_is_said_in_one_sentence(
    house: House, capsys: pytest.CaptureFixture[str], typed: tuple[str, ...], exit_code: int, sentence: str
) -> None:
    before = house.wire.budgets().standings()
    code, _, err = call(capsys, "budget", "set", *typed)
    assert (code, sentence in err) == (exit_code, True), err
    assert "Traceback" not in err and house.wire.budgets().standings() == before


# --- cut ---


def test_a_cut_holds_until_the_budget_is_raised(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "cut", "ex-00")
    assert code == 0 and f"{EXECUTION} is cut" in out and f"boatwright budget raise {EXECUTION} 5usd" in out
    assert house.wire.budgets().cap("execution", EXECUTION) == Cap(usd=Decimal(0), tokens=0)
    assert call(capsys, "budget", "raise", EXECUTION, "3usd")[0] == 0
    assert house.wire.budgets().cap("execution", EXECUTION) == Cap(usd=Decimal(3))


NOT_CUT = [
    (("cut", "nobody"), 2, "there is no execution and no bottle 'nobody'"),
    (("cut", EXECUTION, "--policy", "burn"), 2, "'burn' is not one of"),
]


@pytest.mark.parametrize(
    ("typed", "exit_code", "sentence"), NOT_CUT, ids=[" ".join(row[0]) for row in NOT_CUT]
)
def test_what_is_not_cut(
    house: House, capsys: pytest.CaptureFixture[str], typed: tuple[str, ...], exit_code: int, sentence: str
) -> None:
    code, _, err = call(capsys, *typed)
    assert (code, sentence in err) == (exit_code, True), err
    assert house.wire.budgets().cap("execution", EXECUTION) == Cap(usd=Decimal(5))


def test_killing_lets_the_archive_go_and_keeps_the_execution(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    slug = f"{EXECUTION}-agent"
    house.ledger.events.append(EXECUTION, BottleFrozen(slug=slug, archive="sha256:0", size=1), key="frozen")
    code, out, err = call(capsys, "cut", EXECUTION, "--policy", "kill")
    assert code == 0 and "its bottle is gone" in out, err
    assert house.ledger.executions.find(EXECUTION).state is State.PENDING
    newest = house.ledger.events.stream(EXECUTION)[-1].payload
    assert isinstance(newest, BottleDestroyed) and newest.reason == "cut"
    cut = house.wire.cuts().of(EXECUTION)
    assert cut is not None and (cut.policy, cut.cause, cut.done) == (CutPolicy.KILL, Cause.COMMAND, True)
    assert "cut (kill, command)" in call(capsys, "budget", "show", EXECUTION)[1]
    assert call(capsys, "cut", EXECUTION)[0] == 0
    assert house.wire.cuts().all() == [cut] or house.wire.cuts().all()[0].policy is CutPolicy.KILL
    call(capsys, "budget", "raise", EXECUTION, "3usd")
    assert house.wire.cuts().all() == []


def test_what_is_over_is_not_cut(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    cancelled = FeatureCancelled(reason="enough", by="ann")
    house.ledger.events.append(EXECUTION, cancelled, key="cancelled")
    code, _, err = call(capsys, "cut", EXECUTION)
    assert code == 6 and "it calls nobody any more" in err
    assert EXECUTION not in call(capsys, "budget", "show")[1]


def test_a_bottle_by_itself_is_cut_shown_and_raised_by_its_name(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    budgets = house.wire.budgets()
    budgets.set_cap("bottle", MINE, Cap(usd=Decimal(1)), hard=False)
    code, out, err = call(capsys, "cut", "mine", "--policy", "freeze")
    assert code == 0 and "mine is cut: 0 open wires" in out, err
    assert "boatwright budget raise mine 5usd" in out
    cut = house.wire.cuts().of(MINE)
    assert cut is not None and (cut.policy, cut.done) == (CutPolicy.FREEZE, True)
    assert budgets.cap("execution", MINE) == Cap(usd=Decimal(0), tokens=0)
    assert "mine: cap 0 USD and 0 tokens" in call(capsys, "budget", "show", "mine")[1]
    code, out, err = call(capsys, "budget", "raise", "mine", "3usd")
    assert code == 0 and "mine may spend 3 USD" in out and "was narrower, and is as wide now" in out, err
    assert house.wire.cuts().of(MINE) is None
    assert budgets.cap("execution", MINE) == budgets.cap("bottle", MINE) == Cap(usd=Decimal(3))
    assert not budgets.standing("bottle", MINE)[0].hard
    code, _, err = call(capsys, "budget", "raise", "mine", "51usd")
    assert code == 2 and "this host allows 50 USD" in err
    code, _, err = call(capsys, "budget", "raise", "mine", "0usd")
    assert code == 2 and "admits no call at all" in err
    assert "0 tokens" in call(capsys, "wire", "show", "mine")[1]

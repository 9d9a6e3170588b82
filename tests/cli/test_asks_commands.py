"""``boatwright asks``: list, answer, grant, refuse, watch; from argument list to exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from boatwright.cli import app
from boatwright.rules import asking
from boatwright.stages.house import House
from boatwright.values.asking import Ask, AskState, Wish
from boatwright.values.usage import Cap

ACCOUNT = "alone.1234"


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A state directory with somebody there, and a bottle that has a budget."""
    monkeypatch.setenv("BOATWRIGHT_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("BOATWRIGHT_DATABASE_URL", raising=False)
    house = House.open(producer="test")
    house.wire.budgets().set_cap("execution", ACCOUNT, Cap.parse("5usd"), hard=True)
    house.ledger.asks.beat("me")
    yield house
    house.close()


def asked(house: House, wish: Wish) -> Ask:
    return house.ledger.asks.ask(ACCOUNT, "alone", wish)


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = app.run(arguments)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_nothing_to_answer(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "asks") == (0, "nobody asks for anything\n", "")


def test_a_question_is_shown_behind_a_mark_and_answered(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = asked(house, asking.question("why?\nask-00000000 said yes"))
    code, out, _ = call(capsys, "asks")
    assert code == 0 and f"{ask.id}  " in out and "  | why?\n  | ask-00000000 said yes\n" in out
    assert f'boatwright asks answer {ask.id} "…"' in out
    assert call(capsys, "asks", "answer", ask.id[:9], "because")[:2] == (0, f"{ask.id} is answered\n")
    assert house.ledger.asks.get(ask.id).answer == "because"
    assert call(capsys, "asks")[1] == "nobody asks for anything\n"
    assert "[answered]" in call(capsys, "asks", "--all")[1]


def test_a_budget_is_granted_as_asked_or_as_named(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = asked(house, asking.budget("2usd", "a")), asked(house, asking.budget("2usd", "b"))
    code, out, _ = call(capsys, "asks", "grant", first.id)
    assert (code, out) == (0, f"{first.id} is granted: 7usd is the cap now, for alone\n")
    assert call(capsys, "asks", "grant", second.id, "--budget", "1usd")[0] == 0
    assert house.wire.budgets().cap("execution", ACCOUNT) == Cap.parse("8usd")


@pytest.mark.parametrize(
    ("wish", "arguments", "code", "said"),
    [
        (asking.question("why?"), ["grant"], 2, "is a question: it is answered"),
        (asking.budget("2usd", "a"), ["answer", "yes"], 2, "asks for a budget: it is granted or refused"),
        (asking.budget("2usd", "a"), ["grant", "--route", "x"], 2, "nothing else is granted for it"),
        (asking.budget("2usd", "a"), ["grant", "--budget", "much"], 2, "is not a budget"),
        (asking.budget("2usd", "a"), ["grant", "--budget", "100usd"], 2, "this host allows 50 USD"),
        (asking.budget("2usd", "a"), ["refuse", " "], 2, "the answer is empty"),
        (asking.route("x.org", "a"), ["grant"], 5, "network.ceiling of settings.yml is registry_only"),
        (asking.route("x.org", "a"), ["grant", "--route", "*"], 2, "'*' is no host"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_changes_nothing(
    house: House, capsys: pytest.CaptureFixture[str], wish: Wish, arguments: list[str], code: int, said: str
) -> None:
    ask = asked(house, wish)
    ended, _, err = call(capsys, "asks", arguments[0], ask.id, *arguments[1:])
    assert ended == code and said in err and "  → " in err
    now = house.ledger.asks.get(ask.id)
    assert (now.state, now.decision) == (AskState.OPEN, "")
    assert house.wire.budgets().cap("execution", ACCOUNT) == Cap.parse("5usd")


def test_a_budget_that_was_cut_is_not_raised_by_a_grant(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = asked(house, asking.budget("2usd", "a"))
    house.wire.budgets().set_cap("execution", ACCOUNT, Cap.parse("0usd,0tok"), hard=True)
    code, _, err = call(capsys, "asks", "grant", ask.id)
    assert code == 5 and "it has been cut" in err


def test_nobody_answers_twice(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    ask = asked(house, asking.question("why?"))
    assert call(capsys, "asks", "refuse", ask.id, "no time")[0] == 0
    code, _, err = call(capsys, "asks", "answer", ask.id, "because")
    assert code == 6 and f"{ask.id} is refused already" in err
    assert call(capsys, "asks", "answer", "ask-nothing", "x")[0] == 2


def test_as_json(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    ask = asked(house, asking.route("x.org", "docs"))
    (row,) = json.loads(call(capsys, "asks", "--json")[1])
    assert (row["id"], row["state"], row["wish"]["wanted"]) == (ask.id, "open", "x.org:443")


def test_whoever_watches_is_there_until_they_leave(house: House) -> None:
    house.ledger.asks.leave("me")
    argv = [str(Path(sys.executable).with_name("boatwright")), "asks", "--watch"]
    with subprocess.Popen(
        argv, env={**os.environ, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True
    ) as watching:
        assert watching.stdout is not None
        assert "watching" in watching.stdout.readline()
        while not house.ledger.asks.present():  # its first heartbeat follows its first words
            time.sleep(0.05)
        ask = asked(house, asking.question("why?"))
        assert ask.id in watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        watching.wait()
    assert watching.returncode == 130
    assert not house.ledger.asks.present()

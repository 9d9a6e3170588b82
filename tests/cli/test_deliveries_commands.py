"""``boatwright deliveries``: what is listed, shown, and tried again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from boatwright.cli import app
from boatwright.config.paths import StateDir
from boatwright.ledger import Ledger
from boatwright.rules import redelivery
from boatwright.testing.clock import FakeClock
from boatwright.values.clock import SystemIds
from boatwright.values.delivery import STREAM, Arrival
from boatwright.values.events import DeliverySkipped
from boatwright.values.skipping import SkipReason

from .conftest import Room

BODY = b'{"action": "labeled", "evil": "\\u001b[31m"}'


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime.now(UTC) - timedelta(days=2))


@pytest.fixture
def ledger(room: Room, clock: FakeClock) -> Iterator[Ledger]:
    opened = Ledger.open(StateDir(room.root / "s").create(), clock=clock, ids=SystemIds(), producer="test")
    yield opened
    opened.close()


def arrive(ledger: Ledger, name: str, body: bytes = BODY) -> int:
    ledger.deliveries.store([Arrival("github", "9", name, "issues", "", "application/json", body)])
    return ledger.deliveries.list()[0].id


def die(ledger: Ledger, clock: FakeClock, number: int) -> None:
    for _ in range(redelivery.MOST_ATTEMPTS):
        assert ledger.deliveries.begin(number)
        ledger.deliveries.fail(number, "the forge is away")
        clock.advance(3_600)
    clock.advance(3 * 24 * 3_600)  # past what the commands themselves will write


def do(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = app.run(["deliveries", *arguments])
    said = capfd.readouterr()
    return code, said.out + said.err


def test_they_are_listed_newest_first_with_what_became_of_them(
    ledger: Ledger, clock: FakeClock, capfd: pytest.CaptureFixture[str]
) -> None:
    assert do(capfd, "list") == (0, "nothing was delivered\n")
    first, second = arrive(ledger, "a"), arrive(ledger, "b")
    ledger.deliveries.finish(first, "skipped", reason="not_allowed", about="eve has read")
    die(ledger, clock, second)
    code, said = do(capfd, "list")
    lines = said.splitlines()
    assert code == 0 and "dead" in lines[0] and "the forge is away" in lines[0] and "not_allowed" in lines[1]
    assert lines[2] == "1 failed too often and wait for a person"
    assert [row["id"] for row in json.loads(do(capfd, "list", "--json")[1])] == [second, first]
    assert len(json.loads(do(capfd, "list", "--json", "--state", "dead")[1])) == 1


def test_each_says_where_it_is_from(ledger: Ledger, capfd: pytest.CaptureFixture[str]) -> None:
    issue = arrive(ledger, "a", b'{"repository": {"full_name": "acme/pages"}, "issue": {"number": 7}}')
    arrive(ledger, "b", b'{"repository": {"full_name": "a\\nb"}}')
    arrive(ledger, "c", b"\xff")
    _, said = do(capfd, "list")
    bare, odd, first = said.splitlines()
    assert " acme/pages#7 " in first and " a b " in odd and " received" in bare
    (row,) = [row for row in json.loads(do(capfd, "list", "--json")[1]) if row["id"] == issue]
    assert (row["repository"], row["number"]) == ("acme/pages", 7)
    assert "from         acme/pages#7" in do(capfd, "show", str(issue))[1]
    shown = json.loads(do(capfd, "show", str(issue), "--json")[1])["delivery"]
    assert (shown["repository"], shown["number"]) == ("acme/pages", 7)


def test_one_whose_bytes_are_gone_is_from_whoever_signed_it(
    ledger: Ledger, clock: FakeClock, capfd: pytest.CaptureFixture[str]
) -> None:
    body = b'{"repository": {"full_name": "acme/pages"}, "issue": {"number": 7}}'
    arrival = Arrival("github", "9", "a", "issues", "acme/pages", "application/json", body)
    ledger.deliveries.store([arrival])
    number = ledger.deliveries.list()[0].id
    ledger.deliveries.finish(number, "noted")
    assert ledger.deliveries.drop_body(number, clock.now() + timedelta(days=1))
    assert " acme/pages " in do(capfd, "list")[1]


def test_one_is_shown_with_its_bytes_and_nothing_in_them_is_obeyed(
    ledger: Ledger, capfd: pytest.CaptureFixture[str]
) -> None:
    number = arrive(ledger, "a")
    code, said = do(capfd, "show", str(number))
    assert code == 0 and '"action": "labeled"' in said and "\x1b" not in said
    assert json.loads(do(capfd, "show", str(number), "--json")[1])["body"] == BODY.decode()


@pytest.mark.parametrize("body", [b"", b"\xff\x00", b"[" * 100_000])
def test_any_bytes_can_be_shown(ledger: Ledger, capfd: pytest.CaptureFixture[str], body: bytes) -> None:
    code, said = do(capfd, "show", str(arrive(ledger, "a", body)))
    assert code == 0 and len(said) < 20_000


def test_a_dead_one_is_tried_again_and_a_processed_one_never(
    ledger: Ledger, clock: FakeClock, capfd: pytest.CaptureFixture[str]
) -> None:
    number = arrive(ledger, "a")
    die(ledger, clock, number)
    assert "boatwright deliveries retry" in do(capfd, "show", str(number))[1]
    code, said = do(capfd, "retry", str(number))
    assert (code, ledger.deliveries.due()) == (0, [number]) and "boatwright serve" in said
    ledger.deliveries.finish(number, "noted")
    code, said = do(capfd, "retry", str(number))
    assert code == 6 and "is processed" in said


@pytest.mark.parametrize(
    "arguments", [("show", "99"), ("retry", "99"), ("show", "x"), ("show", "-1"), ("list", "--state", "lost")]
)
def test_bad_input_is_one_sentence(
    room: Room, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    code, said = do(capfd, *arguments)
    assert code == 2 and "Traceback" not in said


def test_what_was_ignored_is_a_stream_of_its_own(ledger: Ledger, capfd: pytest.CaptureFixture[str]) -> None:
    skipped = DeliverySkipped(
        delivery=1, forge="github", event="star", path="", reason=SkipReason.UNKNOWN_EVENT
    )
    ledger.events.append(STREAM, skipped, key="skipped:1")
    assert app.run(["events", "deliveries"]) == 0
    assert "delivery.skipped" in capfd.readouterr().out
    assert app.run(["events", "verify"]) == 0
    assert "1 events in 1 streams" in capfd.readouterr().out
    assert app.run(["status", "--json"]) == 0 and json.loads(capfd.readouterr().out) == []

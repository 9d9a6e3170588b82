"""What happened while nobody looked: times people write, where each execution belongs, and the text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from boatwright import errors
from boatwright.rules import summary
from boatwright.rules.fold import fold
from boatwright.rules.summary import Bill, Denied, Look, Summary
from boatwright.testing import samples
from boatwright.values.event import Event
from boatwright.values.execution import ExecutionView
from boatwright.values.state import State

NOW = datetime(2026, 5, 6, 12, 0, tzinfo=UTC)
SINCE = NOW - timedelta(hours=12)
INSIDE, BEFORE = NOW - timedelta(hours=1), SINCE - timedelta(seconds=1)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("12h", SINCE),
        (" 90M ", NOW - timedelta(minutes=90)),
        ("2 d", NOW - timedelta(days=2)),
        ("1w", NOW - timedelta(weeks=1)),
        ("0m", NOW),
        ("2026-05-06", datetime(2026, 5, 6, tzinfo=UTC)),
        ("2026-05-06T10:30", datetime(2026, 5, 6, 10, 30, tzinfo=UTC)),
        ("2026-05-06T10:30+02:00", datetime(2026, 5, 6, 8, 30, tzinfo=UTC)),
    ],
)
def test_times(text: str, moment: datetime) -> None:
    assert summary.since(text, NOW) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "h",
        "12",
        "-1h",
        "1y",
        "12h 5m",
        "soon",
        "999999w",
        "2026-05-06T12:01",
        "1999-01-01",
        "12h\0",
        "\u0661\u0662h",
    ],
)
def test_what_is_no_time_is_refused_with_one_that_is(text: str) -> None:
    with pytest.raises(errors.BadInput, match="no time in the past") as caught:
        summary.since(text, NOW)
    assert caught.value.next_moves[0] == "--since 12h"


def look(state: State, ended: datetime | None = INSIDE, name: str = "ex-1", **changes: Any) -> Look:
    first = Event(
        event_id="e", stream=name, sequence=1, position=1, key="k", time=BEFORE, payload=samples.requested(issue=7),
        causation_id=None, correlation_id="e", producer="test", tenant="local", repository="r", tags=(), hash="",
    )  # fmt: skip
    view = fold(None, first)
    assert isinstance(view, ExecutionView)
    usual: dict[str, Any] = {"state": state, "usd": Decimal("0.42"), "tokens": 1_000}
    return Look(
        view.model_copy(update=usual | changes),
        ended,
        "https://h/pull/12" if changes.get("pull_request") else "",
    )


def summed(*looks: Look, **more: Any) -> Summary:
    usual: dict[str, Any] = {"spent": Bill(), "denied": (), "untold": 0}
    return summary.summary(looks, since=SINCE, until=NOW, **usual | more)


PLACES = ("delivered", "completed", "parked", "failed", "cancelled", "running")


@pytest.mark.parametrize(
    ("state", "ended", "place", "before"),
    [
        (State.DELIVERED, INSIDE, "delivered", 0),
        (State.DELIVERED, SINCE, "delivered", 0),
        (State.DELIVERED, BEFORE, None, 1),
        (State.PARKED, INSIDE, "parked", 0),
        (State.PARKED, BEFORE, None, 1),
        (State.COMPLETED, INSIDE, "completed", 0),
        (State.COMPLETED, BEFORE, None, 0),
        (State.FAILED, INSIDE, "failed", 0),
        (State.FAILED, BEFORE, None, 0),
        (State.CANCELLED, INSIDE, "cancelled", 0),
        (State.CANCELLED, None, None, 0),
        *((state, BEFORE, "running", 0) for state in (
            State.PENDING, State.ANALYZING, State.PLANNING, State.EXECUTING, State.VERIFYING
        )),
    ],
)  # fmt: skip
def test_where_each_belongs(state: State, ended: datetime | None, place: str | None, before: int) -> None:
    said = summed(look(state, ended))
    assert {name: len(getattr(said, name)) for name in PLACES} == {
        name: int(name == place) for name in PLACES
    }
    assert said.waiting_before == before


def test_every_state_has_a_place() -> None:
    said = summed(*(look(state, name=f"ex-{state}") for state in State))
    assert sum(len(getattr(said, name)) for name in PLACES) == len(State)


def test_the_text_word_for_word() -> None:
    said = summed(
        look(State.DELIVERED, name="ex-a", pull_request=12, ready=True, word="proven"),
        look(
            State.PARKED, name="ex-b", parked_code="budget", reason="used it up", stage="build",
            next_moves=("boatwright budget raise ex-b 10usd", "boatwright resume ex-b"),
        ),
        look(State.FAILED, name="ex-c", reason="no proof", stage="verify", next_moves=("boatwright retry ex-c",)),
        look(State.COMPLETED, name="ex-d", pull_request=13, word="proven"),
        look(State.CANCELLED, name="ex-e", reason="not wanted"),
        look(State.EXECUTING, name="ex-f", stage="build"),
        look(State.PARKED, BEFORE, name="ex-g"),
        spent=Bill(calls=45, tokens=456_789, usd=Decimal("1.23")),
        denied=[Denied("ex-a", "example.com:443", "not on the list", 3)],
        untold=1,
    )  # fmt: skip
    assert list(summary.lines(said)) == [
        "since 2026-05-06 00:00 UTC",
        "delivered: 1",
        "  ex-a  pull request 12, ready (proven)  0.42 USD  Pagination drops the last page",
        "      https://h/pull/12",
        "merged: 1",
        "  ex-d  pull request 13 (proven)  0.42 USD  Pagination drops the last page",
        "      https://h/pull/12",
        "parked: 1",
        "  ex-b  budget in build  0.42 USD  Pagination drops the last page",
        "      why: used it up",
        "      → boatwright budget raise ex-b 10usd",
        "      → boatwright resume ex-b",
        "failed: 1",
        "  ex-c  verify  0.42 USD  Pagination drops the last page",
        "      why: no proof",
        "      → boatwright retry ex-c",
        "cancelled: 1",
        "  ex-e  cancelled  0.42 USD  Pagination drops the last page",
        "      why: not wanted",
        "running: 1",
        "  ex-f  build  0.42 USD  Pagination drops the last page",
        "waiting for people since before that: 1 (boatwright status)",
        "spent: 1.23 USD, 456,789 tokens in 45 calls",
        "refused by the wire: 1 target",
        "  ex-a  example.com:443, 3 times: not on the list",
        "not told: 1 notice did not arrive (see notify in settings.yml)",
    ]


def test_a_quiet_night() -> None:
    assert list(summary.lines(summed())) == [
        "since 2026-05-06 00:00 UTC",
        "nothing ended, and nothing is running",
        "spent: 0.00 USD, 0 tokens in 0 calls",
        "refused by the wire: nothing",
    ]


def test_words_of_strangers_stay_on_their_line_and_lists_are_cut() -> None:
    nasty = "a\nb\x1b[2J" + "x" * 5_000
    denied = [Denied("ex-1", f"{n}{nasty}", nasty, 1) for n in range(30)]
    said = summed(look(State.PARKED, title=nasty, reason=nasty, next_moves=(nasty,)), denied=denied)
    told = list(summary.lines(said))
    assert all(each.isprintable() and len(each) < 500 for each in told)
    assert told[-1] == "  and 10 more"

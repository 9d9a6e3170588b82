"""What happened while nobody looked: executions sorted by what became of them, and what it cost; as values and as text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from boatwright import errors
from boatwright.rules.saying import count, dollars, one_line, pull
from boatwright.values.execution import ExecutionView
from boatwright.values.state import State

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN = re.compile(r"([0-9]{1,6})\s*([mhdw])")
LONGEST = timedelta(days=3_650)
TITLE, REASON, LISTED = 60, 400, 20


@dataclass(frozen=True, slots=True)
class Look:
    """One execution. ``ended``: when it was last delivered, parked, failed, cancelled or completed; None: it never was."""

    view: ExecutionView
    ended: datetime | None
    pull_request_url: str = ""
    issue_url: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One execution in a summary."""

    execution: str
    state: State
    title: str
    usd: Decimal
    tokens: int
    stage: str
    issue: int | None
    issue_url: str
    pull_request: int | None
    pull_request_url: str
    ready: bool
    word: str
    code: str
    reason: str
    next_moves: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Denied:
    """What was refused to one account, and how often."""

    account: str
    target: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Bill:
    """What was spent in the time asked of, by everybody."""

    calls: int = 0
    tokens: int = 0
    usd: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Summary:
    since: datetime
    until: datetime
    delivered: tuple[Row, ...]
    completed: tuple[Row, ...]
    parked: tuple[Row, ...]
    failed: tuple[Row, ...]
    cancelled: tuple[Row, ...]
    running: tuple[Row, ...]
    waiting_before: int
    """Parked or delivered before that time, and still so."""
    spent: Bill
    denied: tuple[Denied, ...]
    untold: int
    """Notices that have not arrived."""


def since(text: str, now: datetime) -> datetime:
    """The moment a span (``90m``, ``12h``, ``2d``, ``1w``) before ``now``, or that of an ISO time (UTC without a zone).

    ``errors.BadInput`` for anything else, and for what is in the future or more than ten years ago.
    """
    found = _SPAN.fullmatch(text.strip().lower())
    moment = now - timedelta(**{_UNITS[found[2]]: int(found[1])}) if found and _fits(found) else _time(text)
    if moment is None or not now - LONGEST <= moment <= now:
        raise errors.BadInput(
            f"'{text[:40]}' is no time in the past: write a span or a time",
            subject=text[:40],
            next_moves=("--since 12h", f"--since {now - timedelta(days=1):%Y-%m-%dT%H:%M}"),
        )
    return moment


def _fits(found: re.Match[str]) -> bool:
    return timedelta(**{_UNITS[found[2]]: 1}) * int(found[1]) <= LONGEST


def _time(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def summary(
    looks: Sequence[Look],
    *,
    since: datetime,
    until: datetime,
    spent: Bill,
    denied: Sequence[Denied],
    untold: int,
) -> Summary:
    """Sort them by what became of them in that time. What was over or waited before it is left out, but counted."""
    by: dict[State, list[Row]] = {state: [] for state in State}
    running: list[Row] = []
    before = 0
    for look in looks:
        state = look.view.state
        if state not in _ENDS:
            running.append(_row(look))
        elif look.ended is not None and look.ended >= since:
            by[state].append(_row(look))
        elif state in {State.PARKED, State.DELIVERED}:
            before += 1
    return Summary(
        since=since,
        until=until,
        delivered=tuple(by[State.DELIVERED]),
        completed=tuple(by[State.COMPLETED]),
        parked=tuple(by[State.PARKED]),
        failed=tuple(by[State.FAILED]),
        cancelled=tuple(by[State.CANCELLED]),
        running=tuple(running),
        waiting_before=before,
        spent=spent,
        denied=tuple(denied),
        untold=untold,
    )


_ENDS = frozenset({State.DELIVERED, State.COMPLETED, State.PARKED, State.FAILED, State.CANCELLED})


def _row(look: Look) -> Row:
    view = look.view
    return Row(
        execution=view.id,
        state=view.state,
        title=view.title,
        usd=view.usd,
        tokens=view.tokens,
        stage=view.stage,
        issue=view.issue,
        issue_url=look.issue_url,
        pull_request=view.pull_request,
        pull_request_url=look.pull_request_url,
        ready=view.ready,
        word=view.word or "",
        code=view.parked_code or "",
        reason=view.reason or "",
        next_moves=view.next_moves,
    )


# --- as text -----------------------------------------------------------------------------------------------


def lines(said: Summary) -> Iterator[str]:
    """The summary as people read it, a line each; strangers' words on one line and cut short."""
    yield f"since {said.since:%Y-%m-%d %H:%M} UTC"
    for name, rows in (
        ("delivered", said.delivered),
        ("merged", said.completed),
        ("parked", said.parked),
        ("failed", said.failed),
        ("cancelled", said.cancelled),
        ("running", said.running),
    ):
        if rows:
            yield f"{name}: {len(rows)}"
            for row in rows:
                yield from _told(row)
    if not (said.delivered or said.completed or said.parked or said.failed or said.cancelled or said.running):
        yield "nothing ended, and nothing is running"
    if said.waiting_before:
        yield f"waiting for people since before that: {said.waiting_before} (boatwright status)"
    yield f"spent: {dollars(said.spent.usd)}, {said.spent.tokens:,} tokens in {count(said.spent.calls, 'call')}"
    yield from _denied(said.denied)
    if said.untold:
        yield f"not told: {count(said.untold, 'notice')} did not arrive (see notify in settings.yml)"


def _told(row: Row) -> Iterator[str]:
    yield f"  {row.execution}  {_what(row)}  {dollars(row.usd)}  {one_line(row.title, TITLE)}"
    if row.pull_request_url:
        yield f"      {row.pull_request_url}"
    if row.reason:
        yield f"      why: {one_line(row.reason, REASON)}"
    if row.state in {State.PARKED, State.FAILED}:
        yield from (f"      → {one_line(move, 200)}" for move in row.next_moves)


def _what(row: Row) -> str:
    proof = f" ({one_line(row.word, 40)})" if row.word else ""
    if row.state is State.DELIVERED and row.pull_request is not None:
        return f"{pull(row.pull_request)}, {'ready' if row.ready else 'draft'}{proof}"
    if row.state is State.COMPLETED and row.pull_request is not None:
        return f"{pull(row.pull_request)}{proof}"
    if row.state is State.PARKED:
        return f"{one_line(row.code, 40)} in {row.stage or 'the beginning'}"
    return row.stage or row.state.value.lower()


def _denied(denied: Sequence[Denied]) -> Iterator[str]:
    if not denied:
        yield "refused by the wire: nothing"
        return
    yield f"refused by the wire: {count(len(denied), 'target')}"
    for each in denied[:LISTED]:
        why = one_line(each.reason, 120)
        yield f"  {each.account}  {one_line(each.target, 80)}, {count(each.count, 'time')}: {why}"
    if len(denied) > LISTED:
        yield f"  and {len(denied) - LISTED} more"

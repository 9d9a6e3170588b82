"""The board as text: the same words and units in the table, on the page and in ``--once``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from boatwright.cli.safe import one_line, printable
from boatwright.egress.budget import UsageRow
from boatwright.egress.client import Denial
from boatwright.egress.survey import MOST_CALLS
from boatwright.rules import board as rule
from boatwright.rules.board import Binding, Meter, Place
from boatwright.stages.board import Board, Details, Row
from boatwright.values.asking import Ask

BAR = 10
WIDE_BAR, NARROW_BAR = 32, 14
WIDE = 110
"""Columns of a terminal from which on every column of the table fits."""


class Column(NamedTuple):
    """A column of the table. ``rank``: which is left out first where the terminal is narrow; 1 never is."""

    name: str
    width: int
    rank: int
    right: bool = False


COLUMNS = (
    Column("bottle", 21, 1),
    Column("state", 11, 1),
    Column("stage", 11, 2),
    Column("agent", 11, 3),
    Column("age", 6, 5, right=True),
    Column("calls/min", 9, 3, right=True),
    Column("tokens", 10, 3, right=True),
    Column("usd", 8, 1, right=True),
    Column("taken", 15, 1),
    Column("wire", 8, 1),
    Column("refused", 7, 4, right=True),
)
_AROUND = 2
"""Columns of the terminal around each cell, and for the scroll bar."""


def columns(width: int) -> tuple[Column, ...]:
    """Those that fit, the ones of rank 1 in any case."""
    left = width - _AROUND
    chosen = set()
    for each in sorted(COLUMNS, key=lambda one: one.rank):
        if each.rank == 1 or each.width + _AROUND <= left:
            chosen.add(each)
            left -= each.width + _AROUND
    return tuple(each for each in COLUMNS if each in chosen)


def cells(row: Row) -> dict[str, str]:
    """One bottle in the words of :data:`COLUMNS`."""
    return {
        "bottle": one_line(row.slug),
        "state": row.state.lower(),
        "stage": one_line(row.stage),
        "agent": one_line(row.agent),
        "age": rule.age(row.age),
        "calls/min": calls(row),
        "tokens": f"{row.tokens:,}",
        "usd": f"{row.usd:.4f}",
        "taken": taken(row.tightest),
        "wire": f"{row.wire} {row.connections}" if row.connections else row.wire,
        "refused": str(row.refused),
    }


def calls(row: Row) -> str:
    return f"{row.calls}+" if row.calls >= MOST_CALLS else str(row.calls)


def taken(tightest: Binding | None) -> str:
    """How much of the cap that stops it first is used or held."""
    if tightest is None:
        return "no budget"
    if tightest.cut:
        return "cut"
    meter = max(tightest.meters, key=lambda one: one.taken)
    return f"{rule.bar(meter, BAR)} {rule.percent(meter.taken)}"


def fits(row: Row, words: str) -> bool:
    """Whether the filter ``words`` are all in what the row is called, does and is."""
    text = " ".join((row.slug, row.agent, row.provider, row.model, row.state, row.stage, row.wire)).lower()
    return all(word in text for word in words.lower().split())


# --- the head ---


def headline(board: Board) -> str:
    """How many bottles, and the proxy."""
    working = sum(row.place is Place.WORKING for row in board.rows)
    parts = [f"{len(board.rows)} bottles, {working} working"]
    if board.beyond:
        parts.append(f"{board.beyond} more not shown")
    if board.resting:
        parts.append(f"{board.resting} at rest")
    return f"{'; '.join(parts)}; the proxy {_proxy(board.proxy)}; {board.at:%H:%M:%S} UTC"


def _proxy(word: str) -> str:
    return {"not running": "is not running"}.get(word, word)


def host_lines(board: Board) -> Iterator[str]:
    for bound in board.host:
        for meter in bound.meters:
            yield f"host, {bound.period or 'in all'}: {rule.bar(meter, BAR)} {money(meter)}"


# --- one bottle ---


def about(row: Row) -> Iterator[str]:
    """Who it is, and its last words."""
    kind = "by itself" if row.alone else f"of execution {row.account}"
    worked = "" if row.agent == row.provider else f", worked by {one_line(row.provider)}"
    yield f"{one_line(row.slug)} {kind}: agent {one_line(row.agent)}{worked}, model {one_line(row.model)}"
    held = f", {row.held_usd:.4f} USD held" if row.held_usd else ""
    yield f"{row.tokens:,} tokens, {row.usd:.4f} USD{held}; wire {row.wire}, {row.connections} connections"
    if row.words:
        yield f"{_said(row)}: {one_line(row.words)}"


def _said(row: Row) -> str:
    return "says" if row.place is Place.WORKING else row.state.lower()


def budget_lines(row: Row, *, width: int = WIDE_BAR) -> Iterator[str]:
    """Each cap that binds it, with a bar for each unit."""
    if not row.bindings:
        yield "no budget covers it: no metered call is carried"
    for bound in row.bindings:
        whose = bound.scope if bound.scope == "host" else f"{bound.scope} {one_line(bound.key)}"
        notes = ["governs"] if bound.governs else []
        notes += ["hard" if bound.hard else "soft"]
        notes += [f"{bound.period} UTC"] if bound.period else []
        notes += ["cut: raise it to go on"] if bound.cut else []
        yield f"{whose} ({', '.join(notes)})"
        for meter in bound.meters:
            yield f"  {rule.bar(meter, width)} {rule.percent(meter.taken):>5}  {money(meter)}"


def money(meter: Meter) -> str:
    """``used 0.0090, held 0.1550, left 4.8360 of 5.0000 USD``: short enough for a bar beside it on 80 columns."""
    used, held, left = (
        rule.amount(each, meter.unit).partition(" ")[0] for each in (meter.used, meter.held, meter.left)
    )
    return f"used {used}, held {held}, left {left} of {rule.amount(meter.cap, meter.unit)}"


def detail_lines(details: Details) -> Iterator[str]:
    """What its wires refused, then its newest calls."""
    yield f"refused: {len(details.denials) or 'nothing'}"
    yield from (denial_line(each) for each in details.denials)
    yield f"newest calls: {len(details.calls) or 'none'}"
    yield from (call_line(each) for each in details.calls)


def denial_line(denial: Denial) -> str:
    return (
        f"  {denial.at:%H:%M:%S}  {one_line(denial.target)} ({denial.kind}), {denial.count} times: "
        f"{one_line(denial.reason)}"
    )


def call_line(row: UsageRow) -> str:
    cost = "subscription" if row.price_table == "subscription" else f"{row.usd:.4f} USD"
    full = ", charged in full" if row.source == "estimate" else ""
    failed = "" if 200 <= row.status < 300 else f", {row.status or 'no answer'}"
    who = f"{row.provider}:{one_line(row.model)}"
    return f"  {row.at:%H:%M:%S}  {row.purpose:<8} {who}  {row.usage.tokens:,} tokens  {cost}{full}{failed}"


# --- the proxy log ---


class ProxyLine(NamedTuple):
    """A line of the proxy's log as people read it, and its wire; empty: of the proxy itself."""

    wire: str
    text: str


def proxy_lines(lines: Sequence[str]) -> list[ProxyLine]:
    """Lines of the log, what is none left out."""
    return [each for each in map(_proxy_line, lines) if each is not None]


def of_account(line: ProxyLine, account: str) -> bool:
    return line.wire.startswith(f"{account}-")


def _proxy_line(line: str) -> ProxyLine | None:
    try:
        row = dict(json.loads(line))
    except (ValueError, TypeError):
        return None
    wire = str(row.get("wire", ""))
    when = str(row.get("at", ""))[11:19]
    return ProxyLine(wire, one_line(f"{when}  {row.get('what', '?')!s:<10} {_told(row)}"))


def _told(row: Mapping[str, Any]) -> str:
    teller = _TELLERS.get(str(row.get("what")))
    if teller is not None:
        return teller.format_map(_Known(row))
    rest = (f"{key}={value}" for key, value in row.items() if key not in {"at", "what"})
    return ", ".join(rest)


class _Known(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"


_TELLERS = {
    "called": "{model} for {purpose}: {status}, {bytes} bytes, {seconds} s  ({wire})",
    "refused": "{target}: {reason} ({code})  ({wire})",
    "tunnelled": "{host}:{port}, {sent} bytes sent, {received} received  ({wire})",
    "fallback": "{model} could not answer ({why}); asked {to}  ({wire})",
    "opened": "{wire}, network {network}",
    "closed": "{wire}",
    "cut": "{wire}",
}


# --- asks ---


def ask_cells(ask: Ask) -> tuple[str, ...]:
    """One request: its id, who asks, for what, in which words."""
    wanted = f" {one_line(ask.wish.wanted)}" if ask.wish.wanted else ""
    return (
        ask.id,
        one_line(ask.bottle or ask.account),
        f"{ask.wish.kind.value}{wanted}",
        one_line(ask.wish.text),
    )


def ask_words(ask: Ask) -> str:
    """The same above an answer, its words whole, line by line behind a mark."""
    wanted = f" {one_line(ask.wish.wanted)}" if ask.wish.wanted else ""
    words = "\n".join(f"| {line}" for line in printable(ask.wish.text).split("\n"))
    return f"{one_line(ask.bottle or ask.account)} asks: {ask.wish.kind.value}{wanted}\n{words}"


# --- all of it, for a pipe ---


def page(board: Board) -> Iterator[str]:
    """The board as plain text: the head, then each bottle with its budgets and last words."""
    yield headline(board)
    yield from host_lines(board)
    yield from (f"note: {one_line(notice)}" for notice in board.notices)
    if not board.rows:
        yield "no bottle works or waits"
        return
    yield ""
    yield _line({column.name: column.name.upper() for column in COLUMNS})
    for row in board.rows:
        yield _line(cells(row))
        yield from (f"    {line}" for line in budget_lines(row))
        if row.words:
            yield f"    {_said(row)}: {one_line(row.words)[:160]}"


def _line(told: Mapping[str, str]) -> str:
    parts = (
        f"{told[column.name]:>{column.width}}" if column.right else f"{told[column.name]:<{column.width}}"
        for column in COLUMNS
    )
    return "  ".join(parts).rstrip()


def document(board: Board) -> dict[str, Any]:
    """The board as ``--json`` prints it."""
    rows = [{**_fields(row), "tightest": row.tightest} for row in board.rows]
    return {**_fields(board), "rows": rows}


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}

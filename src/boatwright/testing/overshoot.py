"""Random trials of the budgets: whatever callers, kills and clocks do, no cap is passed and nothing stays held.

``python -m boatwright.testing.overshoot --trials 10000`` (``make overshoot``) runs them on SQLite and on PostgreSQL and
prints a table. A trial is a few random caps on random scopes, and callers at once who reserve, settle, settle twice or
too late, vanish, are cancelled, or die by SIGKILL between reservation and settlement. Then the next owner charges what is
open, as a proxy that starts does. The witness is the database's own: a trigger writes down every state that an account
ever had, so that a cap that was passed for a moment is found, too. A trial is its seed and number: it can be run again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import bindparam, text

from boatwright.egress import booking
from boatwright.egress.booking import Settle
from boatwright.egress.budget import Budgets
from boatwright.rules.budget import Scope
from boatwright.testing import overshoot_callers as callers
from boatwright.testing.overshoot_plan import Kind, Plan, plan
from boatwright.testing.postgres import shared_server

_PART = 500
"""Trials between two words to whoever waits."""
_FORK = multiprocessing.get_context("forkserver")
_FORK.set_forkserver_preload(["boatwright.testing.overshoot_callers"])


@dataclass
class Figures:
    """What some trials came to. ``worst`` is the fullest a binding cap ever was, as a part of it; 1 is full."""

    database: str = ""
    trials: int = 0
    reserved: int = 0
    refused: int = 0
    charged: int = 0
    killed: int = 0
    worst: float = 0.0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)

    def add(self, other: Figures) -> None:
        for name in ("trials", "reserved", "refused", "charged", "killed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.database = self.database or other.database
        self.seconds += other.seconds
        self.worst = max(self.worst, other.worst)
        self.faults += other.faults


def run(url: str, *, seed: int, trials: int, first: int = 0) -> Figures:
    """Trials ``first`` … of ``seed`` on one budgets database. What was wrong is in ``faults``, by trial."""
    budgets = Budgets.open(url)
    began = time.monotonic()
    figures = Figures(budgets.database.dialect)
    try:
        _watch(budgets)
        for number in range(first, first + trials):
            figures.add(_trial(budgets, url, plan(seed, number)))
    finally:
        budgets.database.dispose()
    figures.seconds = time.monotonic() - began
    return figures


def _trial(budgets: Budgets, url: str, this: Plan) -> Figures:
    for cap in this.caps:
        budgets.set_cap(cap.scope, cap.key, cap.cap, hard=cap.hard, daily=cap.daily)
    if this.kind is Kind.KILLED:
        _killed(url, this)
        late: list[Settle] = []
    else:
        late = asyncio.run(callers.work(budgets, this))
    charged = budgets.charge_open(this.owner)  # what a proxy does that starts
    again = budgets.apply(late) if late else []
    found = _look(budgets, this)
    found.charged, found.killed = charged, int(this.kind is Kind.KILLED)
    if any(not isinstance(one, booking.Settled) or not one.again for one in again):
        found.faults.append(f"{this.name}: a settlement that came too late changed something")
    return found


def _killed(url: str, this: Plan) -> None:
    """The callers in a process of their own, which kills itself, or is killed, before it is done."""
    process = _FORK.Process(target=callers.alone, args=(url, this))
    process.start()
    process.join(this.patience)
    process.kill()
    process.join()
    process.close()


# --- the witness ---


def _watch(budgets: Budgets) -> None:
    statements = _POSTGRESQL if budgets.database.dialect == "postgresql" else _SQLITE
    with budgets.database.write() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def _look(budgets: Budgets, this: Plan) -> Figures:
    """Hold everything that must be true against what the database says, and forget this trial's marks."""
    found = Figures(trials=1)
    with budgets.database.write() as connection:
        marks = {row[0]: (row[1], row[2]) for row in connection.execute(text(_MARKS))}
        rows = connection.execute(text(_USED), {"execution": this.payer.execution}).all()
        held = connection.execute(text(_HELD), {"execution": this.payer.execution}).scalar_one()
        names = [f"{scope.value}|{key}|" for scope, key in this.payer.scopes() if scope is not Scope.HOST]
        accounts = [tuple(row) for row in connection.execute(_ACCOUNTS, {"names": names})]
        connection.execute(text("DELETE FROM trial_marks"))
    ids = {row[0] for row in rows}
    found.reserved, found.refused = len(ids), len(this.calls) - len(ids)
    found.faults += [f"{this.name}: {fault}" for fault in _wrong(this, rows, held, accounts)]
    for name, limits in this.binding():
        for mark, limit in zip(marks.get(name, (0, 0)), limits, strict=True):
            if limit is None:
                continue
            found.worst = max(found.worst, mark / limit if limit else float(mark > 0))
            if mark > limit:
                found.faults.append(f"{this.name}: {name} reached {mark} of {limit}")
    return found


def _wrong(
    this: Plan, rows: Sequence[Sequence[Any]], held: int, accounts: Sequence[Sequence[Any]]
) -> Iterator[str]:
    """Each reservation has one outcome, nothing is held, and every account is the sum of the rows."""
    if held:
        yield f"{held} reservations have no outcome"
    if len({row[0] for row in rows}) != len(rows):
        yield "a reservation has two outcomes"
    if {row[0] for row in rows} - {call.id for call in this.calls}:
        yield "an outcome belongs to no call"
    sums = (sum(row[1] for row in rows), sum(row[2] for row in rows), 0, 0)
    for *stands, name in accounts:
        if tuple(stands) != sums:
            yield f"{name} says {stands}, its rows say {sums}"


_MARKS = "SELECT name, max(usd), max(tokens) FROM trial_marks GROUP BY name"
_HELD = "SELECT count(*) FROM budget_held WHERE execution = :execution"
_USED = (
    "SELECT reservation, usd, input + cache_read + cache_write + tool_input + output FROM budget_usage"
    " WHERE execution = :execution"
)
_ACCOUNTS = text(
    "SELECT used_usd, used_tokens, held_usd, held_tokens, name FROM budget_accounts WHERE name IN :names"
).bindparams(bindparam("names", expanding=True))
_TABLE = (
    "CREATE TABLE IF NOT EXISTS trial_marks (name TEXT NOT NULL, usd BIGINT NOT NULL, tokens BIGINT NOT NULL)"
)
_MARK = "INSERT INTO trial_marks VALUES (NEW.name, NEW.used_usd + NEW.held_usd, NEW.used_tokens + NEW.held_tokens);"
_SQLITE = (
    _TABLE,
    f"CREATE TRIGGER IF NOT EXISTS trial_made AFTER INSERT ON budget_accounts BEGIN {_MARK} END",
    f"CREATE TRIGGER IF NOT EXISTS trial_changed AFTER UPDATE ON budget_accounts BEGIN {_MARK} END",
)
_POSTGRESQL = (
    _TABLE,
    f"CREATE OR REPLACE FUNCTION trial_mark() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {_MARK} RETURN NEW; END $$",
    "CREATE OR REPLACE TRIGGER trial_changed AFTER INSERT OR UPDATE ON budget_accounts"
    " FOR EACH ROW EXECUTE FUNCTION trial_mark()",
)


# --- the command ---


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m boatwright.testing.overshoot", description="No cap is passed."
    )
    parser.add_argument("--trials", type=int, default=10_000, help="on each database")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="to see the same trials again")
    given = parser.parse_args(arguments)
    sys.stdout.write(f"seed {given.seed}, {given.trials:,} trials on each database\n")
    sys.stdout.flush()
    with (
        tempfile.TemporaryDirectory(prefix="boatwright-overshoot-") as scratch,
        _urls(Path(scratch)) as urls,
        ProcessPoolExecutor(len(urls), mp_context=multiprocessing.get_context("spawn")) as pool,
    ):
        every = [Figures() for _ in urls]
        for first in range(0, given.trials, _PART):
            part = min(_PART, given.trials - first)
            told = [pool.submit(run, url, seed=given.seed, trials=part, first=first) for url in urls]
            for figures, each in zip(every, told, strict=True):
                figures.add(each.result())
            sys.stderr.write(f"{first + part:,} trials, {sum(len(each.faults) for each in every)} faults\n")
    sys.stdout.write(_HEADING + "".join(map(_line, every)))
    for fault in [fault for each in every for fault in each.faults][:20]:
        sys.stdout.write(f"  {fault}\n")
    return int(any(each.faults for each in every))


@contextlib.contextmanager
def _urls(scratch: Path) -> Iterator[list[str]]:
    with shared_server(scratch) as server:
        yield [f"sqlite:///{scratch / 'budgets.db'}", server.create()]


_HEADING = "database     trials  reserved   refused   charged  killed  fullest  faults  seconds\n"


def _line(each: Figures) -> str:
    return (
        f"{each.database:<11} {each.trials:>7,} {each.reserved:>9,} {each.refused:>9,} {each.charged:>9,} "
        f"{each.killed:>7,} {each.worst:>8.4f} {len(each.faults):>7,} {each.seconds:>8.1f}\n"
    )


if __name__ == "__main__":
    raise SystemExit(main())

"""Verify finds a changed, a missing and a reordered row and names it; a signed head finds a missing end."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from boatwright import errors
from boatwright.config.paths import StateDir
from boatwright.ledger import Ledger
from boatwright.ledger.database import Database
from boatwright.ledger.events import EventLog
from boatwright.ledger.executions import Executions
from boatwright.ledger.rows import link
from boatwright.ledger.signatures import HeadSigner
from boatwright.ledger.tables import events, ledger_head, ledger_signatures, stream_heads
from boatwright.testing import samples
from boatwright.testing.clock import ManualClock
from boatwright.values.clock import SystemIds


@pytest.fixture
def filled(log: EventLog) -> EventLog:
    """Two streams of six events, interleaved."""
    for name in ("ex-1", "ex-2"):
        log.append(name, samples.requested(), key="requested")
    for number in range(5):
        for name in ("ex-1", "ex-2"):
            log.append(name, samples.model_called(f"r-{number}"), key=f"call-{number}")
    return log


def row(database: Database, stream: str, sequence: int) -> dict[str, Any]:
    query = select(events).where(events.c.stream == stream, events.c.sequence == sequence)
    with database.read() as connection:
        return dict(connection.execute(query).mappings().one())


def overwrite(database: Database, stream: str, sequence: int, **values: Any) -> None:
    mine = (events.c.stream == stream) & (events.c.sequence == sequence)
    with database.write() as connection:
        connection.execute(update(events).where(mine).values(**values))


def remove(database: Database, stream: str, *sequences: int) -> None:
    with database.write() as connection:
        connection.execute(delete(events).where(events.c.stream == stream, events.c.sequence.in_(sequences)))


def test_an_untouched_ledger_verifies(filled: EventLog) -> None:
    report = filled.verify()
    assert (report.streams, report.events, report.problems) == (2, 12, ())
    assert report.ok
    one = filled.verify("ex-2")
    assert (one.streams, one.events, one.problems) == (1, 6, ())


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("payload", '{"released":[]}'),
        ("type", "turn.ended"),
        ("time", "2030-01-01T00:00:00.000000+00:00"),
        ("key", "other"),
        ("event_id", "other"),
        ("causation_id", "other"),
        ("correlation_id", "other"),
        ("schema_version", 2),
        ("producer", "other"),
        ("tenant", "other"),
        ("repository", "other"),
        ("tags", '["other"]'),
    ],
)
def test_a_changed_row_is_named(filled: EventLog, database: Database, column: str, value: object) -> None:
    overwrite(database, "ex-1", 3, **{column: value})
    (problem,) = filled.verify().problems
    assert problem.startswith("ex-1: event 3 (")
    assert problem.endswith("was changed")
    assert filled.verify("ex-2").ok


def test_a_changed_row_with_a_fitting_hash_breaks_the_next_link(filled: EventLog, database: Database) -> None:
    previous = row(database, "ex-1", 2)["hash"]
    forged = {**row(database, "ex-1", 3), "payload": "{}"}
    overwrite(database, "ex-1", 3, payload="{}", hash=link(previous, forged))
    assert filled.verify().problems == ("ex-1: event 4 (model.called) was changed",)


def test_a_missing_row_is_named(filled: EventLog, database: Database) -> None:
    position = row(database, "ex-1", 3)["position"]
    remove(database, "ex-1", 3)
    assert filled.verify().problems == (
        "ex-1: event 3 is missing",
        f"the ledger: position {position} is missing",
    )
    remove(database, "ex-1", 2, 4)
    assert "ex-1: events 2 to 4 are missing" in filled.verify().problems


def test_a_missing_end_is_named_by_the_head_row(filled: EventLog, database: Database) -> None:
    remove(database, "ex-2", 5, 6)
    assert "ex-2: events 5 to 6 are missing" in filled.verify().problems
    remove(database, "ex-2", 1, 2, 3, 4)
    assert "ex-2: events 1 to 6 are missing" in filled.verify().problems


@pytest.mark.parametrize("columns", ["sequence", "everything else"])
@pytest.mark.parametrize(("one", "other"), [(3, 4), (2, 5)])
def test_swapped_rows_are_named(
    filled: EventLog, database: Database, columns: str, one: int, other: int
) -> None:
    first, second = row(database, "ex-1", one), row(database, "ex-1", other)
    with database.write() as connection:
        connection.execute(
            delete(events).where(events.c.stream == "ex-1", events.c.sequence.in_([one, other]))
        )
        swapped = [{**first, "sequence": other}, {**second, "sequence": one}]
        if columns == "everything else":
            swapped[0]["position"], swapped[1]["position"] = second["position"], first["position"]
        connection.execute(insert(events), swapped)
    problems = filled.verify().problems
    assert f"ex-1: event {one} was reordered: what belongs there stands at {other}" in problems
    assert f"ex-1: event {other} was reordered: what belongs there stands at {one}" in problems
    assert len(problems) == 2


def test_a_row_moved_to_another_position_is_named(filled: EventLog, database: Database) -> None:
    overwrite(database, "ex-1", 6, position=99)
    problems = filled.verify().problems
    assert "ex-1: event 6 (model.called) was changed" in problems
    assert "the ledger: position 99 is outside 1 to 12" in problems


def test_lost_and_false_head_rows_are_named(filled: EventLog, database: Database) -> None:
    with database.write() as connection:
        connection.execute(delete(stream_heads).where(stream_heads.c.stream == "ex-1"))
        connection.execute(update(stream_heads).values(hash="0" * 64))
    assert filled.verify().problems == (
        "ex-1: the stream's head row is missing",
        "ex-2: the stream's head says event 6, its last event is another",
    )
    with database.write() as connection:
        connection.execute(delete(ledger_head))
    assert "the ledger's head row is missing" in filled.verify().problems


class Host:
    """A ledger with a signer, as ``Ledger`` binds them."""

    def __init__(self, log: EventLog, database: Database, directory: Path, clock: ManualClock) -> None:
        self.signer = HeadSigner(database, directory, clock)
        self.log = log

    def problems(self) -> tuple[str, ...]:
        signed, problems = self.signer.newest()
        return (*self.log.verify(signed=signed).problems, *problems)


@pytest.fixture
def host(filled: EventLog, database: Database, tmp_path: Path, clock: ManualClock) -> Host:
    return Host(filled, database, tmp_path, clock)


def cut(database: Database, stream: str, keep: int) -> None:
    """Cut a stream's end off the way a careful hand would: events, stream head and global head agree
    again.
    """
    with database.write() as connection:
        gone = (events.c.stream == stream) & (events.c.sequence > keep)
        connection.execute(delete(events).where(gone))
        last = connection.execute(
            select(events.c.position).order_by(events.c.position.desc()).limit(1)
        ).scalar_one()
        connection.execute(update(ledger_head).values(position=last))
        end = (
            select(events.c.hash)
            .where(events.c.stream == stream, events.c.sequence == keep)
            .scalar_subquery()
        )
        mine = stream_heads.c.stream == stream
        connection.execute(update(stream_heads).where(mine).values(sequence=keep, hash=end))


def test_a_truncated_tail_is_found_against_the_signed_head(host: Host, database: Database) -> None:
    assert host.problems() == ()
    head = host.signer.sign_head()
    assert head.position == 12
    assert host.problems() == ()
    cut(database, "ex-2", 5)
    assert host.log.verify().ok  # the chain alone cannot know
    problems = host.problems()
    assert all("position 12 was signed on 2026-01-02" in problem for problem in problems)
    assert len(problems) == 2  # the ledger's copy of the signed head says so, and the file's


def test_a_cut_and_grown_again_ledger_is_found(host: Host, database: Database) -> None:
    host.signer.sign_head()
    cut(database, "ex-2", 5)
    host.log.append("ex-2", samples.model_called("other"), key="call-4")
    assert host.log.verify().ok
    assert "is not what was signed" in host.problems()[0]


def test_the_file_beside_the_key_stands_in_for_a_lost_row(
    host: Host, database: Database, tmp_path: Path
) -> None:
    host.signer.sign_head()
    with database.write() as connection:
        connection.execute(delete(ledger_signatures))
    cut(database, "ex-2", 5)
    problems = host.problems()
    assert any("was signed on" in problem for problem in problems)
    (tmp_path / "ledger.head").unlink()
    assert host.problems() == ()  # nothing signed is left anywhere


def test_a_forged_signed_head_is_named(host: Host, tmp_path: Path) -> None:
    host.signer.sign_head()
    file = tmp_path / "ledger.head"
    file.write_text(json.dumps({**json.loads(file.read_text()), "position": 3}))
    assert any("does not carry this host's signature" in problem for problem in host.problems())


def test_signing_goes_on_as_the_ledger_grows(host: Host, database: Database, tmp_path: Path) -> None:
    host.signer.sign_head()
    host.log.append("ex-1", samples.model_called("r-9"), key="call-9")
    assert host.problems() == ()
    assert host.signer.sign_head().position == 13
    assert host.problems() == ()
    with database.read() as connection:
        assert len(connection.execute(select(ledger_signatures)).all()) == 1
    for name in ("ledger.key", "ledger.head"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_a_key_that_is_no_key_is_named(host: Host, tmp_path: Path) -> None:
    (tmp_path / "ledger.key").write_text("rubbish")
    with pytest.raises(errors.StoreUnavailable, match=r"ledger\.key does not hold"):
        host.signer.newest()


def test_the_ledger_binds_its_parts(
    database_url: str, tmp_path: Path, clock: ManualClock, ids: SystemIds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOATWRIGHT_DATABASE_URL", database_url)
    state = StateDir(tmp_path / "state").create()
    ledger = Ledger.open(state, clock=clock, ids=ids, producer="test")
    ledger.events.append("ex-1", samples.requested(), key="requested")
    ledger.signer.sign_head()
    report = ledger.verify()
    assert (report.streams, report.events, report.problems, report.signed_position) == (1, 1, (), 1)
    assert ledger.verify("ex-1").ok
    assert ledger.artifacts.get(ledger.artifacts.put("log", b"x")) == b"x"
    assert isinstance(ledger.executions, Executions)
    ledger.close()

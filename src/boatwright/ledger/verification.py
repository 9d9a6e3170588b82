"""Verify: recompute the hashes, count the numbers, compare with what was signed; name what does not agree."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from boatwright.ledger import rows
from boatwright.ledger.tables import canonical, events, ledger_head, stream_heads

_BATCH = 1_000
_SUSPECTS = 200  # rows tried when looking for where a moved one belongs


@dataclass(frozen=True, slots=True)
class SignedHead:
    """What every stream ended with when the ledger stood at ``position``, signed by this host's key."""

    position: int
    digest: str
    signed: str
    public_key: str
    signature: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """``problems`` is empty when every hash, number and signed head agrees; else one sentence each."""

    streams: int
    events: int
    problems: tuple[str, ...]
    signed_position: int | None = None
    """The newest signed position this was held against; None when nothing was signed."""

    @property
    def ok(self) -> bool:
        return not self.problems


Head = tuple[int, str]
"""The last sequence of a stream, and its hash."""


@dataclass(slots=True)
class _Count:
    streams: int = 0
    events: int = 0
    problems: list[str] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)


def verify(connection: Connection, stream: str | None, signed: Sequence[SignedHead]) -> VerifyReport:
    """Check one stream, or with ``stream`` None all of them, the global order and the signed heads."""
    count = _Count()
    heads = _heads(connection, stream)
    ends: dict[int, list[list[str | int]]] = {head.position: [] for head in signed}
    for name, found in _streams(connection, stream):
        count.streams += 1
        count.events += len(found)
        count.positions += [row["position"] for row in found]
        count.problems += check_stream(name, found, heads.pop(name, None))
        for position, into in ends.items():
            into.extend(_end(name, found, position))
    for name, head in heads.items():
        count.problems += check_stream(name, [], head)
    if stream is not None:
        return VerifyReport(count.streams, count.events, tuple(count.problems))
    last = connection.execute(select(ledger_head.c.position)).scalar_one_or_none()
    count.problems += check_positions(count.positions, last)
    for promised in signed:
        count.problems += _check_signed(promised, ends[promised.position], last or 0)
    newest = max((head.position for head in signed), default=None)
    return VerifyReport(count.streams, count.events, tuple(count.problems), newest)


def digest(ends: Sequence[Sequence[str | int]]) -> str:
    """The digest of ``[stream, sequence, hash]`` of every stream."""
    ordered = sorted(ends, key=lambda end: str(end[0]))
    return hashlib.sha256(canonical([list(end) for end in ordered]).encode("ascii")).hexdigest()


def check_stream(stream: str, found: Sequence[rows.Row], head: Head | None) -> list[str]:
    """The problems of one stream: rows in order of sequence, and the head row that names its end."""
    last = max(head[0] if head else 0, found[-1]["sequence"] if found else 0)
    present = {row["sequence"] for row in found}
    missing = [number for number in range(1, last + 1) if number not in present]
    problems = [f"{stream}: {_are(span, 'event')} missing" for span in _spans(missing)]
    problems += _walk(stream, found)
    end = (found[-1]["sequence"], found[-1]["hash"]) if found else (0, rows.GENESIS)
    if head is None:
        problems.append(f"{stream}: the stream's head row is missing")
    elif not missing and head != end:
        problems.append(f"{stream}: the stream's head says event {head[0]}, its last event is another")
    return problems


def check_positions(positions: Sequence[int], last: int | None) -> list[str]:
    """The problems of the global order: positions from 1 to the head's, each once."""
    if last is None:
        return ["the ledger's head row is missing"]
    seen = set(positions)
    missing = [number for number in range(1, last + 1) if number not in seen]
    problems = [f"the ledger: {_are(span, 'position')} missing" for span in _spans(missing)]
    beyond = [number for number in sorted(seen) if number > last or number < 1]
    problems += [f"the ledger: {_are(span, 'position')} outside 1 to {last}" for span in _spans(beyond)]
    return problems


def _walk(stream: str, found: Sequence[rows.Row]) -> list[str]:
    """Follow the chain; where it breaks, say whether the row was changed or another one belongs there."""
    problems: list[str] = []
    previous, expected, suspects = rows.GENESIS, 1, _suspects(found)
    for row in found:
        number = row["sequence"]
        if number != expected:
            previous = ""  # behind a gap the link cannot be recomputed
        expected = number + 1
        if not previous or rows.link(previous, row) == row["hash"]:
            previous = row["hash"]
            continue
        belongs = _belongs(previous, row, suspects)
        if belongs is None:
            problems.append(f"{stream}: event {number} ({row['type']}) was changed")
        else:
            problems.append(
                f"{stream}: event {number} was reordered: what belongs there stands at {belongs['sequence']}"
            )
        previous = (belongs or row)["hash"]
    return problems


def _suspects(found: Sequence[rows.Row]) -> list[rows.Row]:
    """Rows that do not follow the row before them."""
    hashes = [rows.GENESIS, *(row["hash"] for row in found)]
    broken = (
        row for previous, row in zip(hashes, found, strict=False) if rows.link(previous, row) != row["hash"]
    )
    return list(itertools.islice(broken, _SUSPECTS))


def _belongs(previous: str, slot: rows.Row, suspects: Sequence[rows.Row]) -> rows.Row | None:
    """The row whose hash fits the place of ``slot``, with that place's numbers."""
    for row in suspects:
        for position in {slot["position"], row["position"]}:
            placed = {**row, "sequence": slot["sequence"], "position": position}
            if row is not slot and rows.link(previous, placed) == row["hash"]:
                return row
    return None


def _check_signed(promised: SignedHead, ends: Sequence[Sequence[str | int]], last: int) -> list[str]:
    if last < promised.position:
        return [
            f"the ledger ends at position {last}, but position {promised.position} was signed on "
            f"{promised.signed}: its end was cut off, or an older copy was put in its place"
        ]
    if digest(ends) != promised.digest:
        return [f"the ledger up to position {promised.position} is not what was signed on {promised.signed}"]
    return []


def _heads(connection: Connection, stream: str | None) -> dict[str, Head]:
    query = select(stream_heads)
    if stream is not None:
        query = query.where(stream_heads.c.stream == stream)
    return {row.stream: (row.sequence, row.hash) for row in connection.execute(query)}


def _streams(connection: Connection, stream: str | None) -> Iterator[tuple[str, list[rows.Row]]]:
    query = select(events).order_by(events.c.stream, events.c.sequence)
    if stream is not None:
        query = query.where(events.c.stream == stream)
    with connection.execute(query, execution_options={"yield_per": _BATCH}) as result:
        for name, group in itertools.groupby(result.mappings(), key=lambda row: row["stream"]):
            yield name, [dict(row) for row in group]


def _end(stream: str, found: Sequence[rows.Row], position: int) -> list[list[str | int]]:
    """Where the stream ended when the ledger stood at ``position``; nothing when it had not begun."""
    before = [row for row in found if row["position"] <= position]
    return [[stream, before[-1]["sequence"], before[-1]["hash"]]] if before else []


def _spans(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Runs of neighbours, as first and last."""
    for _, group in itertools.groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        yield run[0], run[-1]


def _are(span: tuple[int, int], noun: str) -> str:
    first, last = span
    return f"{noun} {first} is" if first == last else f"{noun}s {first} to {last} are"

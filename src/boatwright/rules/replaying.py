"""When two model calls are the same call, and where the first difference is. Pure.

Two runs of one request differ in what nobody asked for: ids, the clock, names of temporary files. That is written in
one way before calls are compared (:data:`VOLATILE`), and fields that only name a session or a person are left out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

VOLATILE: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\bex-[0-9a-z]{12}\b"), "ex-<execution>"),
    (re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"), "<uuid>"),
    (
        re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"),
        "<time>",
    ),
    (re.compile(r"(?i)\b(date\W{1,4})\d{4}-\d\d-\d\d\b"), r"\1<date>"),
    (re.compile(r"\b\d+\.\d+ ?(?:s|ms|sec|seconds)\b"), "<duration>"),
    (re.compile(r"\b0x[0-9a-f]{6,16}\b"), "<address>"),
    (re.compile(r"/tmp/[A-Za-z0-9_.-]+"), "/tmp/<name>"),  # noqa: S108 - text that is compared, not a path
)
"""What is written in one way in every text of a call."""
LEFT_OUT = frozenset({"metadata", "user", "safety_identifier", "prompt_cache_key", "client_metadata"})
"""Fields of a request that say who asks, and nothing of what is asked."""
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Asked:
    """One call as it was made: for which purpose, on which path, with which body. ``whole``: its answer was
    heard to the end.
    """

    purpose: str
    target: str
    body: str
    whole: bool = True

    @property
    def key(self) -> str:
        return key(self.target, self.body)


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where two runs part: the ``number``-th call of ``purpose`` (from 1), the field in it, and
    what stands there in the tape and in this run.
    """

    purpose: str
    number: int
    field: str
    taped: str
    now: str

    def __str__(self) -> str:
        where = f"call {self.number} of {self.purpose}"
        if not self.field:
            return f"{where}: {self.now or self.taped}"
        return f"{where}, {self.field}: the tape has {self.taped}, this run asked {self.now}"


def normal(text: str) -> str:
    """The text with what is volatile written in one way."""
    for pattern, instead in VOLATILE:
        text = pattern.sub(instead, text)
    return text


def key(target: str, body: str) -> str:
    """The digest of a call, the same for the same question."""
    canonical = json.dumps(
        [target, _normal(_parsed(body))], sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def compare(taped: Sequence[Asked], now: Sequence[Asked]) -> Difference | None:
    """The first difference of two runs; None when the same calls were made. Calls of one purpose that ran beside
    each other may have changed places.
    """
    left: dict[str, list[tuple[int, Asked]]] = {}
    for one in taped:
        of_purpose = left.setdefault(one.purpose, [])
        of_purpose.append((len(of_purpose) + 1, one))
    counts: dict[str, int] = {}
    broken: set[str] = set()
    for one in now:
        counts[one.purpose] = counts.get(one.purpose, 0) + 1
        waiting = left.get(one.purpose, [])
        found = next((each for each in waiting if each[1].key == one.key), None)
        if found is None:
            return _difference(waiting, one, counts[one.purpose])
        waiting.remove(found)
        if not found[1].whole:
            broken.add(one.key)
    return _missing(left, broken)


def _difference(waiting: Sequence[tuple[int, Asked]], now: Asked, number: int) -> Difference:
    if not waiting:
        said = "the tape has no such call any more, this run made one"
        return Difference(now.purpose, number, "", "", said)
    nearest, taped = waiting[0]
    if taped.target != now.target:
        return Difference(now.purpose, nearest, "the path", taped.target, now.target)
    field, ours, theirs = _first(_normal(_parsed(taped.body)), _normal(_parsed(now.body)), "the body")
    return Difference(now.purpose, nearest, field, *_shown(ours, theirs))


def _missing(left: Mapping[str, Sequence[tuple[int, Asked]]], broken: Collection[str]) -> Difference | None:
    """What the tape has and this run did not ask. A call whose answer broke off (``broken``) was made again, or by
    nobody.
    """
    for purpose, waiting in left.items():
        for number, one in waiting:
            if one.whole and one.key not in broken:
                return Difference(purpose, number, "", "the tape has this call, this run did not make it", "")
    return None


def _parsed(body: str) -> Any:
    try:
        found = json.loads(body)
    except ValueError:
        return body
    if isinstance(found, dict):
        return {name: value for name, value in found.items() if name not in LEFT_OUT}
    return found


def _normal(value: Any) -> Any:
    if isinstance(value, str):
        return normal(value)
    if isinstance(value, list):
        return [_normal(each) for each in value]
    if isinstance(value, dict):
        return {name: _normal(each) for name, each in value.items()}
    return value


def _first(taped: Any, now: Any, path: str) -> tuple[str, Any, Any]:
    """The path of the first value in which the two differ, and both values."""
    if isinstance(taped, dict) and isinstance(now, dict):
        for name in (*taped, *(each for each in now if each not in taped)):
            if taped.get(name, _NOTHING) != now.get(name, _NOTHING):
                inner = name if path == "the body" else f"{path}.{name}"
                return _first(taped.get(name, _NOTHING), now.get(name, _NOTHING), inner)
    if isinstance(taped, list) and isinstance(now, list):
        for index, (one, other) in enumerate(zip(taped, now, strict=False)):
            if one != other:
                return _first(one, other, f"{path}[{index}]")
        longer = taped if len(taped) > len(now) else now
        at = min(len(taped), len(now))
        if at < len(longer):
            both = (longer[at], _NOTHING) if longer is taped else (_NOTHING, longer[at])
            return f"{path}[{at}]", *both
    return path, taped, now


_NOTHING = "nothing"


def _shown(taped: Any, now: Any) -> tuple[str, str]:
    """Both values around the first character in which they differ."""
    one, other = (
        each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in (taped, now)
    )
    at = next(
        (index for index, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]),
        min(len(one), len(other)),
    )
    return _around(one, at), _around(other, at)


def _around(text: str, at: int) -> str:
    start = max(0, at - _SHOWN // 3)
    piece = text[start : start + _SHOWN]
    return f"{'…' if start else ''}{piece!r}{'…' if start + _SHOWN < len(text) else ''}"

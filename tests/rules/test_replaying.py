"""When two model calls are the same, and where they part first."""

from __future__ import annotations

import json
from typing import Any

import pytest

from boatwright.rules import replaying
from boatwright.rules.replaying import Asked, compare, key, normal


def asked(purpose: str = "build", target: str = "/v1/messages", *, whole: bool = True, **body: Any) -> Asked:
    return Asked(purpose, target, json.dumps({"model": "m", **body}), whole=whole)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("ran ex-0123456789ab", "ran ex-zyxwvtsrqpnm"),
        ("id 0190a1b2-1111-7222-8333-444455556666.", "id 0190a1b2-1111-7222-8333-444455556667."),
        ("at 2026-11-26T08:00:01Z", "at 2027-01-01T23:59:59.123Z"),
        ("at 2026-11-26 08:00", "at 2027-01-01 09:30"),
        ("Today's date: 2026-11-26", "Today's date: 2027-01-01"),
        ("Ran 4 tests in 0.001s", "Ran 4 tests in 12.430s"),
        ("<object at 0x7f12ab34cd56>", "<object at 0x7fffffffffff>"),
        ("see /tmp/tmpab12cd/x", "see /tmp/tmp99_xyz/x"),
    ],
)
def test_what_is_volatile_is_the_same(text: str, other: str) -> None:
    assert text != other and normal(text) == normal(other)
    assert key("/p", json.dumps({"a": [{"t": text}]})) == key("/p", json.dumps({"a": [{"t": other}]}))


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("return 1", "return 2"),
        ("released 2026-11-26", "released 2026-11-27"),
        ("Ran 4 tests", "Ran 5 tests"),
        ("version 1.2", "version 1.3"),
        ("/tmp/a/one", "/tmp/a/two"),
    ],
)
def test_what_is_not_volatile_is_not(text: str, other: str) -> None:
    assert key("/p", json.dumps({"t": text})) != key("/p", json.dumps({"t": other}))


def test_order_of_fields_and_who_asks_do_not_count() -> None:
    one = json.dumps({"model": "m", "x": 1, "metadata": {"user_id": "a"}, "prompt_cache_key": "b"})
    assert key("/p", one) == key("/p", json.dumps({"x": 1, "model": "m"}))
    assert key("/p", one) != key("/q", one)


BASE = [asked("plan", n=1), asked(n=1), asked(n=2), asked("review", n=1)]

CASES: list[tuple[str, list[Asked], str]] = [
    ("the same", BASE, ""),
    ("two of one purpose changed places", [BASE[0], BASE[2], BASE[1], BASE[3]], ""),
    ("another value", [BASE[0], asked(n=1), asked(n=3), BASE[3]], "call 2 of build, n: the tape has '2', this run asked '3'"),
    ("another path", [asked("plan", "/v1/x", n=1)], "call 1 of plan, the path: the tape has /v1/messages, this run asked /v1/x"),
    ("one too few", BASE[:3], "call 1 of review: the tape has this call, this run did not make it"),
    ("one too many", [*BASE, asked("review", n=9)], "call 2 of review: the tape has no such call any more, this run made one"),
    ("another purpose", [asked("judge", n=1)], "call 1 of judge: the tape has no such call any more, this run made one"),
    ("nothing at all", [], "call 1 of plan: the tape has this call, this run did not make it"),
]  # fmt: skip


@pytest.mark.parametrize(("now", "said"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_the_first_difference(now: list[Asked], said: str) -> None:
    found = compare(BASE, now)
    assert ("" if found is None else str(found)) == said


def test_a_call_that_broke_off_and_was_made_again_is_no_difference() -> None:
    assert compare([asked(n=1, whole=False), asked(n=1)], [asked(n=1)]) is None


@pytest.mark.parametrize(
    ("taped", "now", "field", "ours", "theirs"),
    [
        ({"m": [{"c": "ab"}]}, {"m": [{"c": "ax"}]}, "m[0].c", "'ab'", "'ax'"),
        ({"m": [1]}, {"m": [1, 2]}, "m[1]", "'nothing'", "'2'"),
        ({"m": [1, 2]}, {"m": [1]}, "m[1]", "'2'", "'nothing'"),
        ({"a": 1, "b": 2}, {"b": 2}, "a", "'1'", "'nothing'"),
        ({"b": 2}, {"b": 2, "c": 3}, "c", "'nothing'", "'3'"),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, "a.b.c", "'1'", "'2'"),
    ],
)
def test_the_field_is_named_by_its_path(taped: Any, now: Any, field: str, ours: str, theirs: str) -> None:
    found = compare([asked(**taped)], [asked(**now)])
    assert found is not None and (found.field, found.taped, found.now) == (field, ours, theirs)


def test_a_long_text_is_shown_around_the_first_character_that_differs() -> None:
    found = compare(
        [asked(t="x" * 5_000 + "OLD" + "y" * 5_000)], [asked(t="x" * 5_000 + "NEW" + "y" * 5_000)]
    )
    assert found is not None and "OLD" in found.taped and "NEW" in found.now
    assert len(found.taped) < 80 and found.taped.startswith("…") and found.taped.endswith("…")


def test_a_body_that_is_no_json_is_compared_as_text() -> None:
    found = compare([Asked("p", "/", "one")], [Asked("p", "/", "two")])
    assert found is not None and found.field == "the body"
    assert replaying.key("/", "one") != replaying.key("/", "two")

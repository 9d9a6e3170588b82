"""Which refs a bottle may move, and how much it may bring."""

from __future__ import annotations

import pytest

from boatwright.rules import pushing
from boatwright.rules.pushing import NOTHING, Update

A, B = "a" * 40, "b" * 40
WORK = "refs/heads/agent/work"


@pytest.mark.parametrize(
    ("ref", "old", "new", "now", "said"),
    [
        (WORK, NOTHING, A, {}, ""),
        (WORK, A, B, {WORK: A}, ""),
        (WORK, A, NOTHING, {WORK: A}, ""),
        ("refs/heads/agent/a/b", NOTHING, A, {}, ""),
        (WORK, NOTHING, A, {WORK: A}, "moved"),
        (WORK, A, B, {}, "moved"),
        (WORK, A, NOTHING, {}, "moved"),
        (f"{WORK}/more", NOTHING, A, {WORK: A}, "agent/work is in its way"),
        ("refs/heads/agent/a", NOTHING, A, {"refs/heads/agent/a/b": A}, "agent/a/b is in its way"),
        ("refs/heads/agent/", NOTHING, A, {}, "only branches"),
        ("refs/heads/agent", NOTHING, A, {}, "only branches"),
        ("refs/heads/main", NOTHING, A, {}, "only branches"),
        ("refs/heads/agent/../main", NOTHING, A, {}, "only branches"),
        ("refs/heads/agent/x.lock", NOTHING, A, {}, "only branches"),
        ("refs/tags/agent/x", NOTHING, A, {}, "only branches"),
        ("HEAD", NOTHING, A, {}, "only branches"),
        ("refs/boatwright/work/ex-1", NOTHING, A, {}, "only branches"),
    ],
)
def test_a_ref(ref: str, old: str, new: str, now: dict[str, str], said: str) -> None:
    refused = pushing.refusals([Update(ref, old, new)], now)
    assert said in refused.get(ref, "") and bool(refused) is bool(said)


def test_a_push_has_few_refs_each_once() -> None:
    many = [Update(f"refs/heads/agent/{number}", NOTHING, A) for number in range(pushing.MOST_REFS + 1)]
    assert len(pushing.refusals(many, {})) == len(many) and not pushing.refusals(many[1:], {})
    assert pushing.refusals([many[0], many[0]], {})


@pytest.mark.parametrize(
    ("commits", "objects", "said"),
    [(1_000, 50_000, ""), (1_001, 2_000, "1,001 commits"), (1, 50_001, "50,001 objects")],
)
def test_a_push_brings_so_much(commits: int, objects: int, said: str) -> None:
    assert said in pushing.too_much(commits, objects) and bool(pushing.too_much(commits, objects)) is bool(
        said
    )

"""A head that somebody else made never stays ready, and is never merged as proven."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.rules.test_taking_in_rules import pushed, story

from boatwright import errors
from boatwright.forge.protocol import Check, Comment, PullRequest
from boatwright.intake import overtaken
from boatwright.rules import pull_text
from boatwright.testing import samples
from boatwright.values import events

OURS, THEIRS = samples.commit("ours"), samples.commit("theirs")
EX, PULL, ISSUE = "ex-1", 8, 7
DRAFT = (
    f"**Draft** at `{OURS[:12]}`\n\nIt becomes ready by itself when these required checks have passed on this commit:\n"
    "- `build`\n\nmore"
)
PROPOSED = "**Proposed** as a pull request, ready for review, from branch `agent/1`.\n\nmore"


class Scene:
    """A forge with a pull request and its issue, a ledger of one stream, an engine without a live turn."""

    def __init__(self, *, delivered: bool) -> None:
        self.forge = self.ledger = self.events = self.turns = self
        self.told: list[tuple[str, events.Payload]] = [("k-1", pushed(OURS))]
        self.view: Any = view_of(OURS if delivered else None)
        self.pull = PullRequest(
            samples.REPOSITORY, PULL, "t", "", "us", "open", False, "agent/1", "main", OURS, ISSUE, samples.MOMENT
        )  # fmt: skip
        self.said = {PULL: self._comment(PULL, DRAFT, f"living:{EX}")}
        self.said[ISSUE] = self._comment(ISSUE, PROPOSED, f"taken:{EX}")
        self.checks: list[Check] = []

    async def push(self, head: str, *, draft: bool) -> bool:
        """Somebody brings the branch there; the sweep looks."""
        self.pull = replace(self.pull, head=head, draft=draft)
        it: Any = self
        return await overtaken.notice(it, it, self.view, self.pull)

    def live(self, execution: str) -> bool:
        return False

    def stream(self, execution: str) -> list[Any]:
        told = story(*(payload for _, payload in self.told))
        return [replace(event, key=key) for event, (key, _) in zip(told, self.told, strict=True)]

    def append(self, execution: str, payload: events.Payload, *, key: str) -> None:
        self.told.append((key, payload))

    async def update_pull_request(self, repository: str, number: int, *, draft: bool) -> None:
        self.pull = replace(self.pull, draft=draft)

    async def set_check(self, check: Check) -> None:
        self.checks.append(check)

    async def comments(self, repository: str, number: int) -> list[Comment]:
        return [self.said[number]]

    async def edit_comment(self, repository: str, comment: int, *, body: str) -> None:
        self.said[comment] = replace(self.said[comment], body=body)

    @staticmethod
    def _comment(number: int, body: str, marker: str) -> Comment:
        return Comment(number, samples.REPOSITORY, number, "us", body, marker, samples.MOMENT)


def view_of(head: str | None) -> Any:
    return type("View", (), {"id": EX, "head": head, "pull_request": PULL, "issue": ISSUE})()


async def test_a_head_that_comes_back_does_not_stay_ready() -> None:
    scene = Scene(delivered=True)
    assert await scene.push(THEIRS, draft=True)
    assert not await scene.push(OURS, draft=True)
    body = pull_text.no_longer_waiting(scene.said[PULL].body)  # its checks have passed
    assert body.startswith(f"**Ready for review** at `{OURS[:12]}`\n\nThe required checks have passed.")
    scene.said[PULL] = replace(scene.said[PULL], body=body)
    assert not await scene.push(THEIRS, draft=False)
    assert scene.pull.draft
    assert scene.said[PULL].body.startswith(f"**Not proven** at `{THEIRS[:12]}`")
    assert len(scene.told) == 2
    checks = len(scene.checks)
    assert not await scene.push(THEIRS, draft=True) and len(scene.checks) == checks


async def test_the_issue_no_longer_calls_it_ready() -> None:
    scene = Scene(delivered=True)
    await scene.push(THEIRS, draft=False)
    body = scene.said[ISSUE].body
    assert body.startswith(f"**Not proven** at `{THEIRS[:12]}`") and body.endswith("more")
    assert "ready for review" not in body and "as a draft pull request, from branch `agent/1`" in body
    await scene.push(samples.commit("next"), draft=False)
    assert scene.said[ISSUE].body.count("Not proven") == 1
    scene.said[ISSUE] = replace(scene.said[ISSUE], marker="")  # somebody's own
    kept = scene.said[ISSUE].body
    await scene.push(samples.commit("last"), draft=False)
    assert scene.said[ISSUE].body == kept


@pytest.mark.parametrize(
    ("delivered", "head", "why"),
    [
        (True, OURS, None),
        (True, THEIRS, "is what was judged: somebody moved it"),
        (False, THEIRS, f"{OURS[:12]} is what was judged: somebody moved it"),
        (False, OURS, "its delivery did not come to an end"),
    ],
)
async def test_only_what_was_delivered_is_merged_as_proven(
    delivered: bool, head: str, why: str | None
) -> None:
    scene: Any = Scene(delivered=delivered)
    pull = replace(scene.pull, head=head)
    if why is None:
        await overtaken.refuse_unproven(scene, scene.view, pull)
        return
    with pytest.raises(errors.Refused, match=why) as refused:
        await overtaken.refuse_unproven(scene, scene.view, pull)
    assert any("--unproven" in move for move in refused.value.next_moves)

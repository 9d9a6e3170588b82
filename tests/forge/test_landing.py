"""Merging where drafts are titles: made ready first, a draft again when it is refused, asked again while it is not sure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from boatwright import errors
from boatwright.forge import landing
from boatwright.forge.landing import Attempt, Steps
from boatwright.forge.protocol import PullRequest

HEAD = "a" * 40
PULL = PullRequest(
    repository="sample", number=2, title="Fix it", body="", author="bot", state="open", draft=False, branch="work",
    base_ref="main", head=HEAD, issue=None, created=datetime(2026, 1, 1, tzinfo=UTC),
)  # fmt: skip


class Server:
    """One pull request, and what each attempt answers."""

    def __init__(self, pull: PullRequest, *answers: Attempt) -> None:
        self.pull, self.answers = pull, list(answers)
        self.did: list[str] = []

    async def read(self) -> PullRequest:
        return self.pull

    async def set_draft(self, draft: bool) -> PullRequest:
        self.did.append(f"draft {draft}")
        self.pull = replace(self.pull, draft=draft)
        return self.pull

    async def attempt(self) -> Attempt:
        self.did.append("attempt")
        answer = self.answers.pop(0)
        if answer is Attempt.DONE:
            self.pull = replace(self.pull, state="merged", merged_commit="b" * 40)
        return answer

    async def sleep(self, seconds: float) -> None:
        self.did.append(f"sleep {seconds}")

    @property
    def steps(self) -> Steps:
        return Steps(self.read, self.set_draft, self.attempt, self.sleep)


async def test_what_is_sure_is_merged_at_once() -> None:
    server = Server(PULL, Attempt.DONE)
    assert (await landing.land(server.steps, HEAD)).state == "merged"
    assert server.did == ["attempt"]


async def test_a_draft_is_made_ready_first() -> None:
    server = Server(replace(PULL, draft=True), Attempt.DONE)
    await landing.land(server.steps, HEAD)
    assert server.did == ["draft False", "attempt"]


async def test_what_is_not_sure_yet_is_asked_again() -> None:
    server = Server(PULL, Attempt.LATER, Attempt.LATER, Attempt.DONE)
    await landing.land(server.steps, HEAD)
    assert server.did == ["attempt", "sleep 0.5", "attempt", "sleep 1.0", "attempt"]


async def test_what_stays_unsure_does_not_merge_and_is_a_draft_again() -> None:
    server = Server(replace(PULL, draft=True), *[Attempt.LATER] * 5)
    with pytest.raises(errors.Conflict, match="does not merge"):
        await landing.land(server.steps, HEAD)
    assert server.did.count("attempt") == 5
    assert server.pull.draft


async def test_a_refusal_is_not_asked_again() -> None:
    server = Server(PULL, Attempt.REFUSED)
    with pytest.raises(errors.Conflict, match="does not merge"):
        await landing.land(server.steps, HEAD)
    assert server.did == ["attempt"]


async def test_merged_already_is_the_answer() -> None:
    merged = replace(PULL, state="merged", merged_commit="b" * 40)
    server = Server(merged)
    assert await landing.land(server.steps, HEAD) == merged
    assert server.did == []


@pytest.mark.parametrize(
    ("pull", "words"),
    [
        (replace(PULL, state="closed"), "is closed already"),
        (replace(PULL, state="merged", head="c" * 40), "is merged already"),
        (replace(PULL, head="c" * 40), "not at aaaaaaaaaaaa"),
    ],
)
async def test_another_commit_or_none_is_refused_before_anything_is_done(
    pull: PullRequest, words: str
) -> None:
    server = Server(pull)
    with pytest.raises(errors.Conflict, match=words):
        await landing.land(server.steps, HEAD)
    assert server.did == []


async def test_a_push_in_between_is_seen() -> None:
    server = Server(PULL, Attempt.REFUSED)

    async def pushed() -> Attempt:
        server.pull = replace(server.pull, head="c" * 40)
        return Attempt.REFUSED

    with pytest.raises(errors.Conflict, match="is at cccccccccccc"):
        await landing.land(replace(server.steps, attempt=pushed), HEAD)

"""What people do with an execution, told whole: each test is one story through the real house."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from boatwright import errors
from boatwright.bottle.snapshot import SaveFailed, StepSaver
from boatwright.intake import commands, request
from boatwright.values import events
from boatwright.values.proof import Word
from boatwright.values.state import State
from boatwright.values.usage import Cap

Yard = Any  # tests/stories/conftest.py


async def test_an_issue_becomes_a_proven_pull_request(yard: Yard) -> None:
    view = await yard.run(yard.good())
    assert (view.state, view.word, view.ready) == (State.DELIVERED, Word.PROVEN, True)
    pull = await yard.house.forge.pull_request(view.repository, view.pull_request)
    assert (pull.state, pull.draft, pull.head) == ("open", False, view.head)
    comments = await yard.house.forge.comments(view.repository, pull.number)
    assert [c.marker for c in comments] == [f"living:{view.id}"]
    checks = {c.name: c.conclusion for c in await yard.house.forge.checks(view.repository, view.head)}
    assert checks == dict.fromkeys(
        ("boatwright/verify", "boatwright/security", "boatwright/review"), "success"
    )
    assert yard.house.ledger.verify().problems == ()
    assert yard.git("status", "--porcelain") == "" and yard.git("branch") == "* main"


async def test_a_comment_starts_the_next_turn_in_the_thawed_bottle(yard: Yard) -> None:
    say_more = "printf '\\nA short guide.\\n' >> README.md"
    script = yard.script(
        replies=yard.replies(yard.test, yard.fix), later=[yard.replies(say_more, end="Documented.")]
    )
    first = await yard.run(script)
    second = await yard.comment(first, "Please mention it in the README.")
    types = yard.types(first.id)
    assert types.count("bottle.frozen") == 2 and types.count("bottle.thawed") == 1
    assert (second.state, second.turn, second.pull_request) == (State.DELIVERED, 2, first.pull_request)
    assert second.head != first.head
    comments = await yard.house.forge.comments(first.repository, first.pull_request)
    assert sum(1 for c in comments if c.marker) == 1
    diff = yard.house.mirror(second).diff_text(second.base_commit, second.head)
    assert "A short guide." in diff and "-(-len(items)" in diff


async def test_merging_completes_and_lets_everything_go(yard: Yard) -> None:
    view = await yard.run(yard.good())
    await commands.merge(
        yard.house,
        yard.engine,
        view.repository,
        view.pull_request,
        sha=view.head[:10],
        unproven=False,
        by="someone",
    )
    done = await yard.work(view.id)
    assert done.state is State.COMPLETED
    assert await yard.house.backend.list() == []
    assert yard.house.mirror(view).work(view.id) is None
    with pytest.raises(errors.Conflict):
        await commands.cancel(yard.house, yard.engine, view.id, reason="late", by="someone")


async def test_closing_destroys_the_bottle_and_nobody_asks_again(yard: Yard) -> None:
    view = await yard.run(yard.good())
    await commands.close(yard.house, yard.engine, view.repository, view.pull_request, by="someone")
    closed = await yard.work(view.id)
    assert closed.state is State.CANCELLED and "bottle.destroyed" in yard.types(view.id)
    await commands.comment(
        yard.house, yard.engine, view.repository, view.pull_request, text="and now?", by="someone"
    )
    assert (await yard.work(view.id)).turn == closed.turn


async def test_a_late_cancel_changes_nothing(yard: Yard) -> None:
    view = await yard.run(yard.good())
    yard.engine.note(view.id, "cancel", "cancel:late", "someone", {"reason": "late"})
    await commands.merge(
        yard.house, yard.engine, view.repository, view.pull_request, sha=None, unproven=False, by="someone"
    )
    assert (await yard.work(view.id)).state in {State.COMPLETED, State.CANCELLED}
    assert yard.house.ledger.verify().problems == ()


async def test_a_budget_too_small_parks_and_a_raise_goes_on(yard: Yard) -> None:
    view = await yard.run(yard.good(), budget="0.05usd")
    assert (view.state, view.parked_code) == (State.PARKED, "budget")
    assert view.usd <= Decimal("0.05") and any("budget raise" in move for move in view.next_moves)
    await commands.raise_budget(yard.house, yard.engine, view.id, budget=Cap.parse("5usd"), by="someone")
    await commands.resume(yard.house, yard.engine, view.id, by="someone", private=True)
    done = await yard.work(view.id)
    assert (done.state, done.word, done.budget) == (State.DELIVERED, Word.PROVEN, Cap.parse("5usd"))
    assert len(yard.payloads(view.id, events.PlanGenerated)) == 1  # the plan was not asked for again


async def test_a_base_that_moves_is_merged_in(yard: Yard) -> None:
    execution = await yard.ask(yard.good())
    moved = yard.commit("README.md", "# paginate\n\nMoved meanwhile.\n")
    view = await yard.work(execution)
    made = yard.payloads(execution, events.DeliverableCreated)[-1]
    assert made.base_commit == moved and view.ready
    assert "Moved meanwhile" not in yard.house.mirror(view).diff_text(moved, view.head)


async def test_a_base_that_conflicts_parks_with_the_path(yard: Yard) -> None:
    execution = await yard.ask(yard.good())
    text = (yard.repository / "paginate.py").read_text()
    yard.commit("paginate.py", text.replace("len(items) // size", "len(items) // size + 0"))
    view = await yard.work(execution)
    assert (view.state, view.parked_code) == (State.PARKED, "conflict") and "paginate.py" in view.reason


async def test_a_changed_test_waits_for_a_person_and_is_ready_once_approved(yard: Yard) -> None:
    rename = "sed -i 's/test_full_pages/test_whole_pages/' tests/test_paginate.py"
    view = await yard.run(yard.script(replies=yard.replies(yard.test, yard.fix, rename)))
    assert (view.state, view.ready, view.word) == (State.DELIVERED, False, Word.UNPROVEN)
    builds = len(yard.payloads(view.id, events.BuildStarted))
    await commands.approve(
        yard.house, yard.engine, view.repository, view.pull_request, sha=view.head, by="someone"
    )
    approved = await yard.work(view.id)
    assert (approved.ready, approved.head, approved.word) == (True, view.head, Word.PROVEN)
    assert len(yard.payloads(view.id, events.BuildStarted)) == builds


async def test_a_round_that_leaves_the_tree_alone_keeps_the_last_verdict(yard: Yard) -> None:
    view = await yard.run(yard.script(replies=yard.replies("touch left-here.txt")))
    assert (view.state, view.ready, view.word) == (State.DELIVERED, False, Word.UNPROVEN)
    assert len(yard.payloads(view.id, events.BuildCompleted)) == 2
    first, second = yard.payloads(view.id, events.VerificationFailed)
    assert second == first.model_copy(update={"round": 2})
    assert len(yard.payloads(view.id, events.DeliverableCreated)) == 1  # nothing was judged twice


@pytest.mark.parametrize("failures", [1, 2, 9])
async def test_a_step_that_cannot_be_saved_is_tried_again_and_the_third_time_parks(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    save, left = StepSaver.save, [failures]

    async def failing(saver: StepSaver, *arguments: Any, **more: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            raise SaveFailed("The step was not saved: no room.")
        return await save(saver, *arguments, **more)

    monkeypatch.setattr(StepSaver, "save", failing)
    script = yard.script(replies=yard.replies(f"{yard.test}\n{yard.fix}"))
    view = await yard.run(script)
    told = [e.reason for e in yard.payloads(view.id, events.StepFailed)]
    assert told == ["The step was not saved: no room."] * min(failures, 3)
    if failures < 3:
        assert (view.state, view.word) == (State.DELIVERED, Word.PROVEN)
        return
    assert (view.state, view.parked_code) == (State.PARKED, "save_failed")
    left[0] = 0
    await commands.resume(yard.house, yard.engine, view.id, by="someone", private=True)
    done = await yard.work(view.id)
    assert (done.state, done.word) == (State.DELIVERED, Word.PROVEN)


async def test_an_approval_belongs_to_one_commit(yard: Yard) -> None:
    view = await yard.run(yard.good())
    with pytest.raises(errors.Conflict, match="belongs to one commit"):
        await commands.approve(
            yard.house, yard.engine, view.repository, view.pull_request, sha="0" * 40, by="someone"
        )


async def test_only_a_plan_then_the_rest(yard: Yard) -> None:
    view = await yard.run(yard.good(), only_plan=True)
    assert (view.state, view.parked_code) == (State.PARKED, "planned") and "build.started" not in yard.types(
        view.id
    )
    await commands.resume(yard.house, yard.engine, view.id, by="someone", private=True)
    assert (await yard.work(view.id)).word == Word.PROVEN
    assert len(yard.payloads(view.id, events.PlanGenerated)) == 1


async def test_a_retry_from_the_plan_asks_again(yard: Yard) -> None:
    view = await yard.run(yard.good(), only_plan=True)
    await commands.retry(yard.house, yard.engine, view.id, stage="plan", by="someone", private=True)
    await yard.work(view.id)
    assert len(yard.payloads(view.id, events.PlanGenerated)) == 2


async def test_no_change_parks_and_nothing_is_pushed(yard: Yard) -> None:
    view = await yard.run(yard.script(replies=yard.replies("true")))
    assert (view.state, view.parked_code, view.pull_request) == (State.PARKED, "no_change", None)
    assert "branch.pushed" not in yard.types(view.id)


async def test_a_refused_change_is_not_pushed(yard: Yard) -> None:
    workflow = "mkdir -p .github/workflows && echo 'on: push' > .github/workflows/x.yml"
    view = await yard.run(yard.script(replies=yard.replies(yard.test, yard.fix, workflow)))
    assert (view.state, view.parked_code) == (
        State.PARKED,
        "refused",
    ) and ".github/workflows/x.yml" in view.reason
    assert await yard.house.forge.pull_requests(view.repository, state=None) == []


async def test_findings_of_the_first_round_reach_the_second(yard: Yard) -> None:
    script = yard.script(replies=yard.replies(yard.fix), later=[yard.replies(yard.test)])
    view = await yard.run(script)
    assert (view.word, view.ready) == (Word.PROVEN, True)
    prompts = [p.prompt for p in yard.payloads(view.id, events.BuildStarted)]
    assert len(prompts) == 2
    assert b"the proof says unproven" in yard.house.ledger.artifacts.get(prompts[1])


async def test_one_unfinished_execution_per_issue(yard: Yard) -> None:
    repository = await request.register(yard.house, str(yard.repository))
    issue = await yard.house.forge.create_issue(
        repository, title="Last page", body="It is dropped.", author="someone"
    )
    first = await yard.ask(yard.good(), text=None, issue=issue.number)
    with pytest.raises(errors.Conflict) as refused:
        await yard.ask(yard.good(), text=None, issue=issue.number)
    assert refused.value.subject == first
    one, other = await yard.ask(yard.good()), await yard.ask(yard.good())
    assert one != other  # a text never stands for another


RECORDED = [
    "settle", "analyze", "plan", "review_plan", "build-1", "verify-1", "secure-1", "review-1", "deliver", "conclude",
]  # fmt: skip
"""The engine's record of a delivered turn, as releases in the field hold it. Another order needs ``turn.patched``."""


async def test_the_record_of_a_delivered_turn_is_that_of_the_last_release(yard: Yard) -> None:
    view = await yard.run(yard.good())
    assert yard.engine.durable.step_names(f"{view.id}.{view.turn}") == RECORDED


async def test_a_command_the_policy_does_not_admit_is_answered_and_not_run(yard: Yard) -> None:
    yard.commit(
        ".boatwright.yml",
        "schema_version: 1\nallowed_commands: ['python3 -m unittest', 'ls']\nmax_retries: 1\n",
    )
    view = await yard.run(yard.script(replies=yard.replies("ls", "touch sneaked")))
    assert (view.state, view.parked_code) == (State.PARKED, "no_change"), view.reason
    built = yard.payloads(view.id, events.BuildCompleted)[-1]
    told = yard.house.ledger.artifacts.get(built.transcript)
    assert b"allowed_commands" in told and b"README.md" in told


async def test_a_comment_that_met_an_empty_purse_is_heard_later(yard: Yard) -> None:
    script = yard.script(
        replies=yard.replies(yard.test, yard.fix),
        later=[yard.replies("printf '\\nA short guide.\\n' >> README.md", end="Documented.")],
    )
    first = await yard.run(script)
    await commands.raise_budget(yard.house, yard.engine, first.id, budget=Cap(usd=first.usd), by="someone")
    parked = await yard.comment(first, "Please mention it in the README.")
    assert (parked.state, parked.parked_code) == (State.PARKED, "budget")
    await commands.raise_budget(yard.house, yard.engine, first.id, budget=Cap.parse("5usd"), by="someone")
    await commands.resume(yard.house, yard.engine, first.id, by="someone", private=True)
    done = await yard.work(first.id)
    assert done.state is State.DELIVERED
    assert "A short guide." in yard.house.mirror(done).diff_text(done.base_commit, done.head)


async def test_a_raise_alone_wakes_nobody(yard: Yard) -> None:
    view = await yard.run(yard.good())
    await commands.raise_budget(yard.house, yard.engine, view.id, budget=Cap.parse("6usd"), by="someone")
    assert (await yard.work(view.id)).turn == view.turn


async def test_a_second_run_on_an_issue_whose_pull_request_was_closed_gets_a_branch_of_its_own(
    yard: Yard,
) -> None:
    repository = await request.register(yard.house, str(yard.repository))
    issue = await yard.house.forge.create_issue(
        repository, title="Last page", body="It is dropped.", author="someone"
    )
    first = await yard.run(yard.good(), text=None, issue=issue.number)
    await commands.close(yard.house, yard.engine, first.repository, first.pull_request, by="someone")
    assert (await yard.work(first.id)).state is State.CANCELLED
    second = await yard.run(yard.good(), text=None, issue=issue.number)
    assert (second.state, second.ready) == (State.DELIVERED, True)
    assert second.branch != first.branch and second.pull_request != first.pull_request


async def test_a_cancel_can_be_said_twice(yard: Yard) -> None:
    view = await yard.run(yard.good(), only_plan=True)
    await commands.cancel(yard.house, yard.engine, view.id, reason="no", by="someone")
    assert (await yard.work(view.id)).state is State.CANCELLED
    await commands.retry(yard.house, yard.engine, view.id, stage="build", by="someone", private=True)
    assert await commands.cancel(yard.house, yard.engine, view.id, reason="no", by="someone")
    assert (await yard.work(view.id)).state is State.CANCELLED


async def test_a_branch_that_moves_makes_its_pull_request_a_draft_again(yard: Yard) -> None:
    view = await yard.run(yard.good())
    bare = yard.house.forge.push_url(view.repository)
    yard.git("push", "--quiet", bare, f"+main:refs/heads/{view.branch}")
    moved = await yard.house.forge.pull_request(view.repository, view.pull_request)
    assert moved.draft and moved.head != view.head
    with pytest.raises(errors.Refused):
        await commands.merge(
            yard.house,
            yard.engine,
            view.repository,
            view.pull_request,
            sha=None,
            unproven=False,
            by="someone",
        )


async def test_a_base_named_by_commit_does_not_move(yard: Yard) -> None:
    start = yard.git("rev-parse", "HEAD")
    execution = await yard.ask(yard.good(), base=start)
    yard.commit("README.md", "# paginate\n\nMoved meanwhile.\n")
    view = await yard.work(execution)
    assert yard.payloads(execution, events.DeliverableCreated)[-1].base_commit == start and view.ready

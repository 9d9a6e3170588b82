"""The words for every type of event; what is added up; and that no type is without words or a reason."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from boatwright.rules import gitlab_numbers, saying, semantic_log
from boatwright.rules.semantic_log import ADDED_UP, NOT_SHOWN, lines, words
from boatwright.testing import samples
from boatwright.values import events
from boatwright.values.event import Event
from boatwright.values.finding import Finding, Outcome
from boatwright.values.proof import HowRead
from boatwright.values.skipping import SkipReason
from boatwright.values.usage import Cap, Usage

HEAD = samples.commit("head")
AT = HEAD[:12]
FINDING = Finding(rule="r", observed="o")


def called(call: str, **changes: Any) -> events.ForgeCalled:
    return events.ForgeCalled(**{"round": 1, "call": call, "number": 7, "outcome": "done"} | changes)


def ran(**changes: Any) -> events.TestsRan:
    usual: dict[str, Any] = {
        "round": 1, "run": "H/H", "commit": HEAD, "report": "r", "passed": 23, "failed": 0,
        "how_read": HowRead.JUNIT, "seconds": 1.0,
    }  # fmt: skip
    return events.TestsRan(**usual | changes)


def base(**changes: Any) -> events.BaseProven:
    usual: dict[str, Any] = {
        "commit": HEAD, "report": "r", "passed": 1_204, "failed": 2, "skipped": 0, "failing_before": (),
        "how_read": HowRead.JUNIT, "seconds": 1.0,
    }  # fmt: skip
    return events.BaseProven(**usual | changes)


def prepared(**changes: Any) -> events.EnvironmentPrepared:
    usual: dict[str, Any] = {
        "key": "k",
        "commit": HEAD,
        "seconds": 3.21,
        "cached": False,
        "network": "deny_all",
    }
    return events.EnvironmentPrepared(**usual | changes)


def analysed(**changes: Any) -> events.AnalysisCompleted:
    usual: dict[str, Any] = {
        "language": "python", "files": 120, "setup_command": None, "test_command": "pytest -q",
        "command_source": "detected", "estimated_proof_seconds": 4.0,
    }  # fmt: skip
    return events.AnalysisCompleted(**usual | changes)


def heard(kind: str, **changes: Any) -> events.CommandReceived:
    return events.CommandReceived(kind=kind, sender_key="k", author="ann", **changes)


def built(**changes: Any) -> events.BuildCompleted:
    usual: dict[str, Any] = {
        "round": 1, "stop_reason": "done", "summary": "Mended it.", "steps": 3, "commit": HEAD, "transcript": "t",
    }  # fmt: skip
    return events.BuildCompleted(**usual | changes)


def opened(**changes: Any) -> events.PullRequestOpened:
    usual: dict[str, Any] = {
        "number": 12, "branch": "b", "base_ref": "main", "head": HEAD, "draft": False, "title": "Pages",
    }  # fmt: skip
    return events.PullRequestOpened(**usual | changes)


SKIPPED = events.DeliverySkipped(
    delivery=9, forge="github", event="issues", path="a/b", reason=SkipReason.NOT_ALLOWED
)

TABLE: list[tuple[events.Payload, str]] = [
    (called("read_issue"), "read issue 7"),
    (called("read_comments"), "read the comments on 7"),
    (called("post_comment", outcome="refused", reason="not_yours"), "commented on 7: refused, not_yours"),
    (called("signal_done", reason="blocked"), "ended its round: blocked"),
    (called("sing"), "asked its forge about 7"),
    (samples.requested(issue=7), f'read issue 7: "Pagination drops the last page", for sailor, at main ({samples.commit("base")[:12]})'),
    (samples.requested(title="x\x1b[2J\ny"), f'read what was asked: "x[2J y", for sailor, at main ({samples.commit("base")[:12]})'),
    (heard("comment", text="Please."), 'read a comment of ann: "Please."'),
    (heard("approve"), "heard that ann approves the head"),
    (heard("approved"), "heard that ann approves the head, too"),
    (heard("close"), "heard that ann closed the pull request"),
    (heard("merge"), "heard that ann merged the pull request"),
    (heard("cancel"), "was told by ann to stop"),
    (heard("resume"), "was told by ann to go on"),
    (heard("retry"), "was told by ann to do a part afresh"),
    (heard("raise"), "was told by ann of another budget"),
    (heard("sing"), 'heard "sing" of ann'),
    (events.TurnStarted(turn=2, cause="comment", release="1", from_stage="analyze"), "began turn 2 (comment)"),
    (events.TurnEnded(turn=2, outcome="delivered"), "ended turn 2: delivered"),
    (prepared(), "prepared the environment in 3.2 s"),
    (prepared(cached=True, packages=("a=1",)), "took the environment that was there in 3.2 s, with 1 system package"),
    (base(), "ran the tests of the base: 1,204 passed, 2 failed"),
    (base(failed=0, cached=True), "knew the tests of the base: 1,204 passed"),
    (analysed(), 'looked through 120 files (python); the tests are run by "pytest -q" (detected)'),
    (analysed(language="", files=1), 'looked through 1 file (no language found); the tests are run by "pytest -q" (detected)'),
    (samples.plan_generated(), 'made a plan (1 step): "Keep the last page", risk LOW'),
    (samples.plan_generated(cached=True), 'took the plan that was there (1 step): "Keep the last page", risk LOW'),
    (events.PlanReviewed(outcome=Outcome.PASS, summary=""), "reviewed the plan: pass"),
    (events.PlanReviewed(outcome=Outcome.COULD_NOT_CHECK, summary="No."), "reviewed the plan: could not check, No."),
    (events.BuildStarted(round=2, base_commit=HEAD, prompt="p"), f"began gate round 2: the agent works on {AT}"),
    (events.BottleCreated(slug="s", backend="bubblewrap", purpose="build", limits={}), "made a bottle for build (bubblewrap)"),
    (events.StepFailed(round=1, step=3, reason="no space"), "could not save step 3: no space"),
    (built(), 'the agent ended after 3 steps (done): "Mended it."'),
    (built(summary=" ", steps=1), "the agent ended after 1 step (done)"),
    (events.BottleFrozen(slug="s", archive="a", size=3 << 20), "froze the bottle (3.0 MiB)"),
    (events.BottleThawed(slug="s", archive="a"), "thawed the bottle"),
    (events.BottleDestroyed(slug="s", reason="merged"), "destroyed the bottle: merged"),
    (events.DeliverableCreated(round=1, commit=HEAD, tree="t", base_commit="b", files=2, added=9, deleted=1), f"made the commit {AT}: 2 files, +9 -1"),
    (ran(), "ran the tests (new code, new tests): 23 passed"),
    (ran(run="B/H", again=True, failed=4, limit="wall"), "ran the tests (old code, new tests, again): 23 passed, 4 failed; ended by the limit on wall"),
    (ran(run="?"), "ran the tests (?): 23 passed"),
    (events.VerificationPassed(round=1, proof=samples.verdict()), f"verified {AT}: proven"),
    (events.VerificationFailed(round=1, proof=None, findings=(FINDING,)), "did not verify it: no proof was run, 1 finding"),
    (events.VerificationFailed(round=1, proof=samples.verdict(), findings=()), "did not verify it: proven"),
    (events.GateAnswered(round=1, gate="secure", outcome=Outcome.FAIL, summary="A secret."), "asked the gate secure: fail, A secret."),
    (
        events.ChecksFailed(commit=HEAD, names=("build", "lint"), conclusions=("failure", "error"), excerpt="x"),
        f'heard that checks of the repository failed on {AT}: "build, lint"',
    ),
    (events.BranchPushed(branch="b/7", commit=HEAD, old=None), f"pushed {AT} to b/7"),
    (samples.push_merged_in(head=HEAD), f"took in 2 commits of others at {AT}"),
    (samples.push_merged_in(head=HEAD, commits=1, conflicts=("a",)), f"took in 1 commit of others at {AT}, 1 file in conflict"),
    (events.BranchMoved(number=12, branch="b/7", head=HEAD, ours="o"), f"saw that others moved b/7 to {AT}: not proven"),
    (heard("pushed"), "began again: others pushed to the branch meanwhile"),
    (opened(), 'opened pull request 12: "Pages"'),
    (opened(draft=True, number=gitlab_numbers.pull_number(5)), 'opened pull request !5 as a draft: "Pages"'),
    (events.PullRequestUpdated(number=12, head=HEAD, draft=True, title=""), f"brought pull request 12 to {AT} as a draft"),
    (events.PullRequestUpdated(number=12, head=HEAD, draft=False, title=""), f"brought pull request 12 to {AT}, ready"),
    (events.CommentPosted(number=12, comment=3, marker="m"), "wrote a comment on 12"),
    (events.CommentPosted(number=gitlab_numbers.pull_number(5), comment=3, marker="m"), "wrote a comment on !5"),
    (samples.delivered(), "delivered pull request 8, ready: proven, 0.0125 USD in all"),
    (samples.delivered(ready=False, word="unproven"), "delivered pull request 8, a draft: unproven, 0.0125 USD in all"),
    (events.HeadApproved(number=8, commit=HEAD, by="ann"), f"took the approval of ann for {AT}"),
    (events.PullRequestClosed(number=8, merged=True, commit=HEAD, by="ann"), f"saw pull request 8 merged as {AT} by ann"),
    (events.PullRequestClosed(number=8, merged=False, commit=HEAD, by=""), "saw pull request 8 closed without a merge by somebody"),
    (samples.parked(), "parked (budget): used 4.90 USD, needed 0.20 USD, cap 5 USD"),
    (events.FeatureResumed(cause="retry", by="ann"), "went on (retry), by ann"),
    (events.BudgetRaised(budget=Cap(usd=Decimal(10)), by="ann"), "got a budget of 10 USD from ann"),
    (events.FeatureCompleted(pull_request=8, commit=HEAD), "completed: pull request 8 is merged"),
    (events.FeatureFailed(code="rounds", reason="no proof", stage="verify"), "failed (rounds): no proof"),
    (events.FeatureCancelled(reason="not wanted", by="ann"), "was cancelled by ann: not wanted"),
    (events.ResourcesReleased(released=("bottle b-1", "wire w")), "let go of bottle b-1, wire w"),
    (events.ResourcesReleased(released=()), "let go of nothing"),
    (SKIPPED, "ignored delivery 9 (issues of a/b): not allowed"),
]  # fmt: skip


@pytest.mark.parametrize(("payload", "said"), TABLE, ids=[f"{i}-{p.type}" for i, (p, _) in enumerate(TABLE)])
def test_words(payload: events.Payload, said: str) -> None:
    assert words(payload) == said


def test_every_type_of_event_has_words_here_or_a_reason() -> None:
    shown = {type(payload) for payload, _ in TABLE}
    apart = [shown, set(NOT_SHOWN), set(ADDED_UP)]
    assert set().union(*apart) == set(events.REGISTRY.values())
    assert sum(map(len, apart)) == len(events.REGISTRY)
    assert all(NOT_SHOWN.values())


@pytest.mark.parametrize("kind", [*NOT_SHOWN, *ADDED_UP])
def test_what_is_not_shown_has_no_words(kind: type[events.Payload]) -> None:
    assert kind not in semantic_log._WORDS


def history(*payloads: events.Payload) -> list[Event]:
    return [
        Event(
            event_id=f"e-{number}", stream="ex-1", sequence=number, position=number, key=f"k-{number}",
            time=samples.MOMENT + timedelta(seconds=number), payload=payload, causation_id=None,
            correlation_id="e-1", producer="test", tenant="local", repository=samples.REPOSITORY, tags=(), hash="",
        )
        for number, payload in enumerate(payloads, 1)
    ]  # fmt: skip


def test_a_commit_that_others_made_is_never_called_ours() -> None:
    made = {"round": 2, "tree": "t", "base_commit": "b", "files": 2, "added": 9, "deleted": 1}
    theirs, ours = samples.commit("theirs"), samples.commit("ours")
    said = lines(
        history(
            samples.push_merged_in(head=theirs),
            events.DeliverableCreated(commit=theirs, **made),
            events.BranchPushed(branch="b/7", commit=theirs, old=theirs),
            events.DeliverableCreated(commit=ours, **made),
            events.BranchPushed(branch="b/7", commit=ours, old=theirs),
        )
    )
    assert [line.text for line in said] == [
        f"took in 2 commits of others at {theirs[:12]}",
        f"added nothing to {theirs[:12]}, which others pushed",
        f"left b/7 at {theirs[:12]}, as others pushed it",
        f"made the commit {ours[:12]}: 2 files, +9 -1",
        f"pushed {ours[:12]} to b/7",
    ]


def test_steps_and_calls_between_two_lines_are_added_up() -> None:
    calls = [samples.model_called(f"r-{n}", usd=Decimal("0.03")) for n in range(14)]
    steps = [samples.step_completed(n, tools=("bash", "edit") if n else ("bash",)) for n in range(3)]
    started = events.VerificationStarted(round=1)  # not shown: it does not part them
    said = lines(history(calls[0], steps[0], *calls[1:7], steps[1], started, *calls[7:], steps[2], ran()))
    assert [line.text for line in said] == [
        "saved 3 steps of work (bash 3, edit 2)",
        "called the model 14 times, 0.42 USD, 15,400 tokens",
        "ran the tests (new code, new tests): 23 passed",
    ]
    assert said[0].time == said[1].time == samples.MOMENT + timedelta(seconds=18)  # when the last of them was


def test_each_part_has_a_sum_of_its_own() -> None:
    first, second = (
        samples.model_called("a"),
        samples.model_called("b", status=429, usd=Decimal(0), usage=Usage()),
    )
    said = [line.text for line in lines(history(first, ran(), second, samples.model_called("c")))]
    assert said[0] == "called the model 1 time, 0.0125 USD, 1,100 tokens"
    assert said[2] == "called the model 2 times, 1 of them refused, 0.0125 USD, 1,100 tokens"


def test_what_was_never_sent_is_no_call() -> None:
    assert lines(history(samples.model_called(source="released"))) == ()


def test_a_line_is_one_line_whatever_strangers_write() -> None:
    nasty = 'a\n"quoted"\u202e\x1b]0;t\x07 ' + "x" * 10_000
    for payload in (
        samples.requested(title=nasty),
        samples.parked(reason=nasty),
        heard("comment", text=nasty),
    ):
        (line,) = lines(history(payload))
        assert len(line.text) <= 1_000 and line.text.isprintable(), line


@pytest.mark.parametrize(
    ("usd", "said"),
    [
        ("0", "0.00 USD"),
        ("0.42", "0.42 USD"),
        ("0.0125", "0.0125 USD"),
        ("0.5", "0.50 USD"),
        ("12.00004", "12.00 USD"),
    ],
)
def test_dollars(usd: str, said: str) -> None:
    assert saying.dollars(Decimal(usd)) == said

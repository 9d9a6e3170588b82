"""What an execution did, in words: one line for what each event means to a person; calls and steps are added up.

Every type of event has its words here or stands in :data:`NOT_SHOWN` with the reason why it has none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar, cast

from boatwright.rules import gitlab_numbers, taking_in
from boatwright.rules.saying import count, dollars, one_line, pull
from boatwright.values import events
from boatwright.values.event import Event
from boatwright.values.events import Payload
from boatwright.values.proof import Run

_P = TypeVar("_P", bound=Payload)
_QUOTED = 80

NOT_SHOWN: dict[type[Payload], str] = {
    events.AnalysisStarted: "what was found says more: analysis.completed",
    events.PlanningStarted: "the plan follows",
    events.VerificationStarted: "the runs and their verdict follow",
    events.EffectIntended: "its outcome follows, or the execution parks and says so",
}
"""Types without words, and why."""

ADDED_UP: tuple[type[Payload], ...] = (events.ModelCalled, events.StepCompleted)
"""Types that come in numbers: a line for all of them between two others."""


@dataclass(frozen=True, slots=True)
class Line:
    """``text`` is one line without control characters; strangers' words in it are in quotation marks."""

    time: datetime
    text: str


def lines(history: Sequence[Event]) -> tuple[Line, ...]:
    """The log of events in their order."""
    return tuple(_lines(history))


def words(payload: Payload, theirs: Collection[str] = ()) -> str | None:
    """The words for one event; None for what is not shown or is added up. ``theirs``: heads that others made, and that
    were taken in as they are.
    """
    said = _WORDS.get(type(payload))
    return taking_in.not_ours(payload, theirs) or said(payload) if said is not None else None


# --- adding up ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Sum:
    """Steps and calls since the last line."""

    time: datetime | None = None
    steps: int = 0
    tools: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    failed: int = 0
    tokens: int = 0
    usd: Decimal = Decimal(0)

    def add(self, event: Event) -> None:
        payload = event.payload
        self.time = event.time
        if isinstance(payload, events.StepCompleted):
            self.steps += 1
            self.tools.update(payload.tools)
        elif isinstance(payload, events.ModelCalled) and payload.source != "released":
            self.calls += 1
            self.failed += payload.status >= 400
            self.tokens += payload.usage.tokens
            self.usd += payload.usd

    def lines(self) -> Iterator[Line]:
        if self.time is None:
            return
        if self.steps:
            used = ", ".join(f"{one_line(tool, 40)} {times}" for tool, times in self.tools.most_common(8))
            tools = f" ({used})" if used else ""
            yield Line(self.time, f"saved {count(self.steps, 'step')} of work{tools}")
        if self.calls:
            refused = f", {self.failed} of them refused" if self.failed else ""
            paid = f"{dollars(self.usd)}, {count(self.tokens, 'token')}"
            yield Line(self.time, f"called the model {count(self.calls, 'time')}{refused}, {paid}")


def _lines(history: Sequence[Event]) -> Iterator[Line]:
    so_far = _Sum()
    theirs = taking_in.taken_heads(history)
    for event in history:
        if isinstance(event.payload, ADDED_UP):
            so_far.add(event)
            continue
        if (said := words(event.payload, theirs)) is None:
            continue
        yield from so_far.lines()
        so_far = _Sum()
        yield Line(event.time, one_line(said, 1_000))
    yield from so_far.lines()


# --- words -------------------------------------------------------------------------------------------------

_WORDS: dict[type[Payload], Callable[[Any], str]] = {}


def _on(kind: type[_P]) -> Callable[[Callable[[_P], str]], Callable[[_P], str]]:
    def register(said: Callable[[_P], str]) -> Callable[[_P], str]:
        _WORDS[kind] = cast("Callable[[Any], str]", said)
        return said

    return register


def _quoted(text: str) -> str:
    return f'"{one_line(text, _QUOTED)}"'


def _who(name: str) -> str:
    return one_line(name, 60) or "somebody"


def _at(commit: str) -> str:
    return one_line(commit, 12) if len(commit) <= 12 else commit[:12]


def _reason(code: str, reason: str) -> str:
    return f"({one_line(code, 40)}): {one_line(reason)}"


_HEARD = {
    "comment": "read a comment of {who}: {text}",
    "approve": "heard that {who} approves the head",
    "approved": "heard that {who} approves the head, too",
    "close": "heard that {who} closed the pull request",
    "merge": "heard that {who} merged the pull request",
    "cancel": "was told by {who} to stop",
    "resume": "was told by {who} to go on",
    "retry": "was told by {who} to do a part afresh",
    "raise": "was told by {who} of another budget",
    "pushed": "began again: others pushed to the branch meanwhile",
}


@_on(events.FeatureRequested)
def _(asked: events.FeatureRequested) -> str:
    what = f"read issue {asked.issue}" if asked.issue is not None else "read what was asked"
    where = f"at {one_line(asked.base_ref, 80)} ({_at(asked.base_commit)})"
    return f"{what}: {_quoted(asked.title)}, for {_who(asked.requested_by)}, {where}"


@_on(events.CommandReceived)
def _(heard: events.CommandReceived) -> str:
    form = _HEARD.get(heard.kind)
    if form is None:
        return f"heard {_quoted(heard.kind)} of {_who(heard.author)}"
    return form.format(who=_who(heard.author), text=_quoted(heard.text))


@_on(events.TurnStarted)
def _(turn: events.TurnStarted) -> str:
    return f"began turn {turn.turn} ({one_line(turn.cause, 60)})"


@_on(events.TurnEnded)
def _(turn: events.TurnEnded) -> str:
    return f"ended turn {turn.turn}: {one_line(turn.outcome, 60)}"


@_on(events.EnvironmentPrepared)
def _(made: events.EnvironmentPrepared) -> str:
    how = "took the environment that was there" if made.cached else "prepared the environment"
    laid = f", with {count(len(made.packages), 'system package')}" if made.packages else ""
    return f"{how} in {made.seconds:.1f} s{laid}"


def _ran(passed: int, failed: int) -> str:
    return f"{passed:,} passed" + (f", {failed:,} failed" if failed else "")


@_on(events.BaseProven)
def _(base: events.BaseProven) -> str:
    how = "knew the tests of the base" if base.cached else "ran the tests of the base"
    return f"{how}: {_ran(base.passed, base.failed)}"


@_on(events.AnalysisCompleted)
def _(found: events.AnalysisCompleted) -> str:
    return (
        f"looked through {count(found.files, 'file')} ({one_line(found.language, 40) or 'no language found'}); "
        f"the tests are run by {_quoted(found.test_command)} ({one_line(found.command_source, 40)})"
    )


@_on(events.PlanGenerated)
def _(made: events.PlanGenerated) -> str:
    how = "took the plan that was there" if made.cached else "made a plan"
    return f"{how} ({count(len(made.plan.steps), 'step')}): {_quoted(made.plan.goal)}, risk {made.risk}"


@_on(events.PlanReviewed)
def _(reviewed: events.PlanReviewed) -> str:
    return f"reviewed the plan: {_outcome(str(reviewed.outcome), reviewed.summary)}"


def _outcome(outcome: str, summary: str) -> str:
    said = one_line(summary)
    return outcome.replace("_", " ") + (f", {said}" if said else "")


@_on(events.BuildStarted)
def _(build: events.BuildStarted) -> str:
    return f"began gate round {build.round}: the agent works on {_at(build.base_commit)}"


@_on(events.BottleCreated)
def _(bottle: events.BottleCreated) -> str:
    return f"made a bottle for {one_line(bottle.purpose, 60)} ({one_line(bottle.backend, 40)})"


@_on(events.StepFailed)
def _(step: events.StepFailed) -> str:
    return f"could not save step {step.step}: {one_line(step.reason)}"


@_on(events.BuildCompleted)
def _(built: events.BuildCompleted) -> str:
    said = f": {_quoted(built.summary)}" if built.summary.strip() else ""
    return f"the agent ended after {count(built.steps, 'step')} ({one_line(built.stop_reason, 60)}){said}"


@_on(events.BottleFrozen)
def _(bottle: events.BottleFrozen) -> str:
    return f"froze the bottle ({bottle.size / (1 << 20):.1f} MiB)"


@_on(events.BottleThawed)
def _(bottle: events.BottleThawed) -> str:
    return "thawed the bottle"


@_on(events.BottleDestroyed)
def _(bottle: events.BottleDestroyed) -> str:
    return f"destroyed the bottle: {one_line(bottle.reason, 120)}"


@_on(events.DeliverableCreated)
def _(made: events.DeliverableCreated) -> str:
    size = f"{count(made.files, 'file')}, +{made.added} -{made.deleted}"
    return f"made the commit {_at(made.commit)}: {size}"


@_on(events.TestsRan)
def _(ran: events.TestsRan) -> str:
    sides = Run(ran.run).words if ran.run in {each.value for each in Run} else one_line(ran.run, 40)
    again = ", again" if ran.again else ""
    limit = f"; ended by the limit on {one_line(ran.limit, 40)}" if ran.limit else ""
    return f"ran the tests ({sides}{again}): {_ran(ran.passed, ran.failed)}{limit}"


@_on(events.VerificationPassed)
def _(passed: events.VerificationPassed) -> str:
    return f"verified {_at(passed.proof.commit)}: {passed.proof.word}"


@_on(events.VerificationFailed)
def _(failed: events.VerificationFailed) -> str:
    word = str(failed.proof.word) if failed.proof is not None else "no proof was run"
    found = f", {count(len(failed.findings), 'finding')}" if failed.findings else ""
    return f"did not verify it: {word}{found}"


@_on(events.ChecksFailed)
def _(failed: events.ChecksFailed) -> str:
    return f"heard that checks of the repository failed on {_at(failed.commit)}: {_quoted(', '.join(failed.names))}"


@_on(events.GateAnswered)
def _(gate: events.GateAnswered) -> str:
    return f"asked the gate {one_line(gate.gate, 40)}: {_outcome(str(gate.outcome), gate.summary)}"


@_on(events.BranchPushed)
def _(pushed: events.BranchPushed) -> str:
    return f"pushed {_at(pushed.commit)} to {one_line(pushed.branch, 120)}"


@_on(events.PushMergedIn)
def _(taken: events.PushMergedIn) -> str:
    left = f", {count(len(taken.conflicts), 'file')} in conflict" if taken.conflicts else ""
    return f"took in {count(taken.commits, 'commit')} of others at {_at(taken.head)}{left}"


@_on(events.BranchMoved)
def _(moved: events.BranchMoved) -> str:
    return f"saw that others moved {one_line(moved.branch, 120)} to {_at(moved.head)}: not proven"


@_on(events.PullRequestOpened)
def _(opened: events.PullRequestOpened) -> str:
    return f"opened {pull(opened.number)}{_draft(opened.draft)}: {_quoted(opened.title)}"


@_on(events.PullRequestUpdated)
def _(updated: events.PullRequestUpdated) -> str:
    return f"brought {pull(updated.number)} to {_at(updated.head)}{_draft(updated.draft) or ', ready'}"


def _draft(draft: bool) -> str:
    return " as a draft" if draft else ""


@_on(events.CommentPosted)
def _(posted: events.CommentPosted) -> str:
    number = posted.number
    return f"wrote a comment on {gitlab_numbers.shown(number) if gitlab_numbers.is_pull(number) else number}"


@_on(events.FeatureDelivered)
def _(done: events.FeatureDelivered) -> str:
    how = f"{'ready' if done.ready else 'a draft'}: {one_line(done.word, 60)}, {dollars(done.usd)} in all"
    return f"delivered {pull(done.pull_request)}, {how}"


@_on(events.HeadApproved)
def _(approved: events.HeadApproved) -> str:
    return f"took the approval of {_who(approved.by)} for {_at(approved.commit)}"


@_on(events.PullRequestClosed)
def _(closed: events.PullRequestClosed) -> str:
    how = f"merged as {_at(closed.commit)}" if closed.merged else "closed without a merge"
    return f"saw {pull(closed.number)} {how} by {_who(closed.by)}"


@_on(events.FeatureParked)
def _(parked: events.FeatureParked) -> str:
    return f"parked {_reason(parked.code, parked.reason)}"


@_on(events.FeatureResumed)
def _(resumed: events.FeatureResumed) -> str:
    return f"went on ({one_line(resumed.cause, 60)}), by {_who(resumed.by)}"


@_on(events.BudgetRaised)
def _(raised: events.BudgetRaised) -> str:
    return f"got a budget of {raised.budget} from {_who(raised.by)}"


@_on(events.FeatureCompleted)
def _(done: events.FeatureCompleted) -> str:
    return f"completed: {pull(done.pull_request)} is merged"


@_on(events.FeatureFailed)
def _(failed: events.FeatureFailed) -> str:
    return f"failed {_reason(failed.code, failed.reason)}"


@_on(events.FeatureCancelled)
def _(cancelled: events.FeatureCancelled) -> str:
    return f"was cancelled by {_who(cancelled.by)}: {one_line(cancelled.reason)}"


@_on(events.ResourcesReleased)
def _(released: events.ResourcesReleased) -> str:
    return f"let go of {one_line(', '.join(released.released)) or 'nothing'}"


@_on(events.DeliverySkipped)
def _(skipped: events.DeliverySkipped) -> str:
    what = f"{one_line(skipped.event, 60)} of {one_line(skipped.path, 80) or skipped.forge}"
    return f"ignored delivery {skipped.delivery} ({what}): {skipped.reason.value.replace('_', ' ')}"


_CALLED = {
    "read_issue": "read issue {}", "read_pr": "read pull request {}", "read_comments": "read the comments on {}",
    "post_comment": "commented on {}", "update_description": "described {} anew", "signal_done": "ended its round",
}  # fmt: skip


@_on(events.ForgeCalled)
def _(called: events.ForgeCalled) -> str:
    what = _CALLED.get(called.call, "asked its forge about {}").format(called.number)
    came = called.reason if called.outcome == "done" else f"{called.outcome}, {called.reason}"
    return f"{what}: {one_line(came, 60)}" if came else what

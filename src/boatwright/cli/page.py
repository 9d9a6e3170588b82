"""The page of one execution, rendered from its events and nothing else."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from functools import singledispatch

from boatwright.cli import common, log
from boatwright.git import remote
from boatwright.rules import saying, semantic_log, taking_in, their_checks
from boatwright.stages.house import House
from boatwright.values import events
from boatwright.values.event import Event
from boatwright.values.events import Payload
from boatwright.values.execution import ExecutionView
from boatwright.values.models import Models
from boatwright.values.proof import Run

LINES = 40
TRANSCRIPT_LINES = 12
DIFF_LINES = 200


class Page:
    """What a line of the page may look up: the execution, and the artifacts its events name."""

    def __init__(self, house: House, view: ExecutionView, history: Sequence[Event]) -> None:
        self.view = view
        self.theirs = taking_in.taken_heads(history)
        """Heads that others made."""
        self._house = house

    def artifact(self, digest: str) -> bytes:
        return self._house.ledger.artifacts.get(digest)

    def diff(self, base: str, head: str) -> str:
        return self._house.mirror(self.view).diff_text(base, head, 200_000)


def tell(house: House, view: ExecutionView) -> None:
    """Print the whole story of an execution."""
    common.say(f"{view.id}  {view.state}  {view.title}")
    common.say(f"  repository {remote.shown(view.source)} at {view.base_ref} ({view.base_commit[:12]})")
    common.say(
        f"  asked by {view.requested_by}, model {view.model}, agent {_agent(view)}, budget {view.budget}"
    )
    history = house.ledger.events.stream(view.id)
    page = Page(house, view, history)
    for event in history:
        _heading(event)
        _waiting_in_vain(event)
        line(event.payload, page)
    common.say("\nwhat was done:")
    for each in semantic_log.lines(history):
        common.say(f"  {log.shown(each)}")
    _who_answered(house, view)


def _who_answered(house: House, view: ExecutionView) -> None:
    """Of several models: how many calls each answered. Those of one model are all its own."""
    if not Models.parse(view.model).chain:
        return
    calls = [
        e.payload for e in house.ledger.events.stream(view.id) if isinstance(e.payload, events.ModelCalled)
    ]
    answered = Counter(call.model for call in calls if 200 <= call.status < 300)
    if answered:
        common.say(
            "\nanswered by " + ", ".join(f"{model} ({times} calls)" for model, times in answered.items())
        )


def _heading(event: Event) -> None:
    if isinstance(event.payload, events.TurnStarted):
        turn = event.payload
        when = f"{event.time:%Y-%m-%d %H:%M:%S} UTC"
        common.say(f"\n── turn {turn.turn} ({turn.cause}) {when}, release {turn.release}")


def _waiting_in_vain(event: Event) -> None:
    if event.key.startswith(their_checks.UNREPORTED):
        commit = event.key.removeprefix(their_checks.UNREPORTED)
        common.say(f"told the pull request why {commit[:12]} may never become ready by itself")


@singledispatch
def line(payload: Payload, page: Page) -> None:
    """Print what one event tells; most tell nothing here (``boatwright events`` has them all)."""


@line.register
def _(base: events.BaseProven, page: Page) -> None:
    cached = ", cached" if base.cached else ""
    common.say(
        f"base: {base.passed} pass, {base.failed} fail, {base.skipped} skipped "
        f"({base.how_read}, {base.seconds:.1f} s{cached})"
    )


@line.register
def _(generated: events.PlanGenerated, page: Page) -> None:
    common.say(f"plan: {generated.plan.goal} [risk {generated.risk}, proof {generated.plan.proof}]")
    for step in generated.plan.steps:
        common.say(f"  {step.id}: {step.action} {step.path or step.command or ''} — {step.acceptance}")


@line.register
def _(build: events.BuildStarted, page: Page) -> None:
    common.say(f"\ngate round {build.round}: prompt")
    _indent(page.artifact(build.prompt).decode("utf-8", "replace"))


@line.register
def _(step: events.StepCompleted, page: Page) -> None:
    common.say(f"  step {step.step}: {', '.join(step.tools) or 'no tool'} → {step.commit[:12]}")


@line.register
def _(built: events.BuildCompleted, page: Page) -> None:
    common.say(f"  stopped: {built.stop_reason}. {built.summary}")
    for message in json.loads(page.artifact(built.transcript) or b"[]"):
        for part in message.get("parts", ()):
            kind, content = part.get("part_kind"), part.get("content") or part.get("args")
            if kind in {"text", "tool-call", "tool-return"} and content:
                text = content if isinstance(content, str) else json.dumps(content)
                _indent(f"{kind}: {text}", lines=TRANSCRIPT_LINES)


@line.register
def _(taken: events.PushMergedIn, page: Page) -> None:
    who = f" ({saying.one_line(', '.join(taken.authors))})" if taken.authors else ""
    common.say(f"{taking_in.counted(taken)}{who}, at {taken.head[:12]}")
    for path in taken.conflicts:
        _indent(f"in conflict: {path}")


@line.register
def _(moved: events.BranchMoved, page: Page) -> None:
    common.say(f"others moved the branch to {moved.head[:12]}: not proven")


@line.register
def _(made: events.DeliverableCreated, page: Page) -> None:
    whose = ", as others pushed it" if made.commit in page.theirs else ""
    common.say(f"  deliverable {made.commit[:12]}{whose}: {made.files} files, +{made.added} -{made.deleted}")
    _indent(page.diff(made.base_commit, made.commit), lines=DIFF_LINES)


@line.register
def _(ran: events.TestsRan, page: Page) -> None:
    again = ", again" if ran.again else ""
    limit = f", ended by the limit on {ran.limit}" if ran.limit else ""
    said = f"{ran.passed} pass, {ran.failed} fail ({ran.how_read}, {ran.seconds:.1f} s){limit}"
    common.say(f"  {Run(ran.run).words}{again}: {said}")


@line.register
def _(passed: events.VerificationPassed, page: Page) -> None:
    common.say(f"  verify: {passed.proof.word}")


@line.register
def _(failed: events.VerificationFailed, page: Page) -> None:
    common.say(f"  verify: {failed.proof.word if failed.proof else 'not run'}")
    for finding in failed.findings:
        _indent(finding.block())


@line.register
def _(gate: events.GateAnswered, page: Page) -> None:
    common.say(f"  {gate.gate}: {gate.outcome}: {gate.summary}")


@line.register
def _(parked: events.FeatureParked, page: Page) -> None:
    common.say(f"parked in {parked.stage} ({parked.code}): {parked.reason}")


def _agent(view: ExecutionView) -> str:
    return view.agent if view.provider == view.agent else f"{view.agent} ({view.provider})"


def _indent(text: str, *, lines: int = LINES, say: Callable[[str], None] = common.say) -> None:
    """At most so many lines, indented; what is left out is counted."""
    split = text.splitlines()
    for each in split[:lines]:
        say(f"    {each}")
    if len(split) > lines:
        say(f"    … {len(split) - lines} more lines (boatwright show … --bundle FILE holds all)")

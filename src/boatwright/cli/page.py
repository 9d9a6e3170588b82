"""The page of one execution, rendered from its events and nothing else."""

from __future__ import annotations

import json

from boatwright.cli import common
from boatwright.stages.house import House
from boatwright.values.events import (
    BaseProven,
    BuildCompleted,
    BuildStarted,
    DeliverableCreated,
    FeatureParked,
    GateAnswered,
    PlanGenerated,
    StepCompleted,
    TestsRan,
    TurnStarted,
    VerificationFailed,
    VerificationPassed,
)
from boatwright.values.event import Event
from boatwright.values.execution import ExecutionView

LINES = 40


def tell(house: House, view: ExecutionView) -> None:
    """Print the whole story of an execution."""
    common.say(f"{view.id}  {view.state}  {view.title}")
    common.say(f"  repository {view.source} at {view.base_ref} ({view.base_commit[:12]})")
    common.say(
        f"  asked by {view.requested_by}, model {view.model}, agent {view.agent}, budget {view.budget}"
    )
    for event in house.ledger.events.stream(view.id):
        _tell_event(house, view, event)


def _tell_event(house: House, view: ExecutionView, event: Event) -> None:
    match event.payload:
        case TurnStarted() as turn:
            common.say(
                f"\n── turn {turn.turn} ({turn.cause}) {event.time:%Y-%m-%d %H:%M:%S} UTC, release {turn.release}"
            )
        case BaseProven() as base:
            common.say(
                f"base: {base.passed} pass, {base.failed} fail, {base.skipped} skipped "
                f"({base.how_read}, {base.seconds:.1f} s{', cached' if base.cached else ''})"
            )
        case PlanGenerated() as plan:
            common.say(f"plan: {plan.plan.goal} [risk {plan.risk}, proof {plan.plan.proof}]")
            for step in plan.plan.steps:
                common.say(
                    f"  {step.id}: {step.action} {step.path or step.command or ''} — {step.acceptance}"
                )
        case BuildStarted() as build:
            common.say(f"\ngate round {build.round}: prompt")
            _quote(house, build.prompt)
        case StepCompleted() as step:
            common.say(f"  step {step.step}: {', '.join(step.tools) or 'no tool'} → {step.commit[:12]}")
        case BuildCompleted() as built:
            common.say(f"  stopped: {built.stop_reason}. {built.summary}")
            _transcript(house, built.transcript)
        case DeliverableCreated() as made:
            common.say(f"  deliverable {made.commit[:12]}: {made.files} files, +{made.added} −{made.deleted}")
            _diff(house, view, made)
        case TestsRan() as ran:
            again = ", again" if ran.again else ""
            common.say(
                f"  tests {ran.run}{again}: {ran.passed} pass, {ran.failed} fail ({ran.how_read}, {ran.seconds:.1f} s)"
                + (f", ended by the limit on {ran.limit}" if ran.limit else "")
            )
        case VerificationPassed() as passed:
            common.say(f"  verify: {passed.proof.word}")
        case VerificationFailed() as failed:
            common.say(f"  verify: {failed.proof.word if failed.proof else 'not run'}")
            for finding in failed.findings:
                _indent(finding.block())
        case GateAnswered() as gate:
            common.say(f"  {gate.gate}: {gate.outcome}: {gate.summary}")
        case FeatureParked() as parked:
            common.say(f"parked in {parked.stage} ({parked.code}): {parked.reason}")


def _quote(house: House, digest: str) -> None:
    _indent(house.ledger.artifacts.get(digest).decode("utf-8", "replace"))


def _transcript(house: House, digest: str) -> None:
    for message in json.loads(house.ledger.artifacts.get(digest) or b"[]"):
        for part in message.get("parts", ()):
            kind, content = part.get("part_kind"), part.get("content") or part.get("args")
            if kind in {"text", "tool-call", "tool-return"} and content:
                text = content if isinstance(content, str) else json.dumps(content)
                _indent(f"{kind}: {text}", lines=12)


def _diff(house: House, view: ExecutionView, made: DeliverableCreated) -> None:
    _indent(house.mirror(view).diff_text(made.base_commit, made.commit, 200_000), lines=200)


def _indent(text: str, *, lines: int = LINES) -> None:
    """At most so many lines, indented; what is left out is counted."""
    split = text.splitlines()
    for line in split[:lines]:
        common.say(f"    {line}")
    if len(split) > lines:
        common.say(f"    … {len(split) - lines} more lines (boatwright show … --bundle FILE holds all)")

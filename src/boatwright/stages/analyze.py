"""What kind of repository is this, and does its base stand? Answered before any token is spent."""

from __future__ import annotations

import asyncio

from boatwright import crash, errors
from boatwright.agents import heavy
from boatwright.agents.protocol import native
from boatwright.git.mirror import Mirror
from boatwright.rules import proof as rules
from boatwright.rules import toolchain
from boatwright.stages import deliverable, environments, ground, keys, roots, running, taking_in
from boatwright.stages.ground import Ground
from boatwright.stages.house import House, last
from boatwright.values.chapters import Analysis, Work
from boatwright.values.context import Context
from boatwright.values.events import (
    AnalysisCompleted,
    AnalysisStarted,
    BaseProven,
    EnvironmentPrepared,
    StepCompleted,
)
from boatwright.values.execution import ExecutionView
from boatwright.values.models import Models
from boatwright.values.proof import CaseOutcome, RunReport


async def run(context: Context, house: House, asked: Work) -> Analysis:
    """Prepare the environment and prove the base; a missing toolchain or a base that does not stand parks here."""
    view = await house.view(context.execution)
    mirror = house.mirror(view)
    await taking_in.take_in(context, house, view, mirror)
    view = await house.view(context.execution)
    started = AnalysisStarted(base_commit=await _base(context, mirror, view, asked))
    await context.emit(started, key=f"t{context.turn}:analysis.started")
    view = await house.view(context.execution)
    here = await ground.of_commit(house, view, mirror, view.base_commit)
    house.require_bottle(here.effective.backend)
    await asyncio.to_thread(keys.signer, house)  # one that cannot sign is better known before it costs
    warming = asyncio.create_task(asyncio.to_thread(heavy.warm, native(Models.parse(view.model).main)))
    ground.refuse_sampled(house, here.effective)
    context.say(f"{here.language}, tests by `{here.test_line}` ({here.command_source})")
    await _prepare(context, house, mirror, here, afresh=asked.fresh_from == "analyze")
    report, digest, cached = await running.base_report(
        context, house, mirror, here, afresh=asked.fresh_from == "analyze"
    )
    crash.point("base.proven")
    await _record(context, here, report, digest, cached)
    _must_stand(report, here)
    await warming  # the model's client takes seconds to import: it was done while the base's tests ran
    return Analysis(
        base_commit=view.base_commit,
        language=here.language,
        test_line=here.test_line,
        setup_line=here.setup_line,
        command_source=here.command_source,
        rounds=here.effective.gate_rounds,
        base_report=digest,
        failing_before=failing(report),
    )


async def _base(context: Context, mirror: Mirror, view: ExecutionView, asked: Work) -> str:
    """Where the base is now, when a person mended it and asks for the analysis afresh; else what it was.

    Work that was saved on the old base stays on it: the deliverable merges the new one in.
    """
    if asked.fresh_from != "analyze" or last(await context.history(), StepCompleted) is not None:
        return view.base_commit
    return await asyncio.to_thread(deliverable.current_base, mirror, view)


def failing(report: RunReport) -> tuple[str, ...]:
    return tuple(
        sorted(case.id for case in report.cases if case.outcome in {CaseOutcome.FAILED, CaseOutcome.ERROR})
    )


async def _prepare(context: Context, house: House, mirror: Mirror, here: Ground, *, afresh: bool) -> None:
    prepared = await environments.prepare(
        context, house, mirror, here, here.commit, here.commit, afresh=afresh
    )
    await roots.require(house, here, toolchain.needed(here.test_line), prepared)
    crash.point("environment.prepared")
    event = EnvironmentPrepared(
        key=prepared.key,
        commit=here.commit,
        seconds=prepared.seconds,
        cached=prepared.cached,
        network=str(here.effective.network),
        log=await house.keep("log", prepared.log),
        packages=await asyncio.to_thread(roots.packages, house, prepared.root),
    )
    await context.emit(event, key=f"t{context.turn}:environment.prepared")


async def _record(context: Context, here: Ground, report: RunReport, digest: str, cached: bool) -> None:
    proven = BaseProven(
        commit=here.commit,
        report=digest,
        passed=report.count(CaseOutcome.PASSED),
        failed=report.count(CaseOutcome.FAILED) + report.count(CaseOutcome.ERROR),
        skipped=report.count(CaseOutcome.SKIPPED),
        failing_before=failing(report)[:200],
        how_read=report.how_read,
        seconds=report.seconds,
        cached=cached,
    )
    await context.emit(proven, key=f"t{context.turn}:base.proven")
    estimate = rules.estimated_seconds(report.seconds)
    context.say(
        f"base: {proven.passed} pass, {proven.failed} fail ({report.how_read}); "
        f"the proof will take about {estimate:.0f} s"
    )
    completed = AnalysisCompleted(
        language=here.language,
        files=len(here.paths),
        setup_command=here.setup_line,
        test_command=here.test_line,
        command_source=here.command_source,
        estimated_proof_seconds=estimate,
    )
    await context.emit(completed, key=f"t{context.turn}:analysis.completed")


def _must_stand(report: RunReport, here: Ground) -> None:
    """Park where the base gives nothing to compare with, or where the proof would take too long."""
    if report.limit is not None:
        raise errors.Parked(
            f"the base's own tests hit the {report.limit} limit after {report.seconds:.0f} s",
            code="base_tests",
            subject=here.test_line,
        )
    if report.exit_code in {126, 127}:
        raise errors.Parked(
            f"the test command `{here.test_line}` cannot be started in the bottle (exit {report.exit_code})",
            code="toolchain",
            subject=here.test_line,
        )
    if report.exit_code != 0 and not report.count(CaseOutcome.PASSED):
        raise errors.Parked(
            f"on the base no test passes with `{here.test_line}` (exit {report.exit_code}): nothing to hold the "
            "change against",
            code="base_tests",
            subject=here.test_line,
        )
    minutes = rules.estimated_seconds(report.seconds) / 60
    if minutes > here.policy.proof.max_minutes:
        raise errors.Parked(
            f"the proof would take about {minutes:.0f} minutes; the limit is {here.policy.proof.max_minutes}",
            code="proof_time",
            subject=here.test_line,
        )

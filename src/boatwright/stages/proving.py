"""The proof's runs: four trees, each tested in a fresh bottle, the deciding ones twice; the rules give the word."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from boatwright.git.mirror import Mirror
from boatwright.rules import proof as rules
from boatwright.rules import testfiles
from boatwright.rules.evidence import Evidence
from boatwright.rules.testfiles import TestPaths
from boatwright.stages import environments, ground, running
from boatwright.stages.deliverable import Deliverable
from boatwright.stages.ground import Ground
from boatwright.stages.house import House
from boatwright.values.context import Context
from boatwright.values.events import HeadApproved, TestsRan
from boatwright.values.finding import Finding
from boatwright.values.plan import Plan
from boatwright.values.proof import CaseOutcome, ProofVerdict, Run, RunReport

MOST_REPEATS = 4
SOURCE_CAP = 4 << 20
"""Bytes of a source whose imports are looked at."""


@dataclass(frozen=True, slots=True)
class Proving:
    """Everything the runs of one deliverable share."""

    context: Context
    house: House
    mirror: Mirror
    ground: Ground
    made: Deliverable
    change: rules.Change
    round: int


async def prove(proving: Proving, plan: Plan, findings: tuple[Finding, ...]) -> ProofVerdict:
    """Run what is needed, repeat what decides, and judge."""
    needed = rules.needed(proving.change)
    commits = await asyncio.to_thread(_trees, proving)
    first = {run: await _run(proving, run, commits[run], again=False) for run in needed.runs}
    evidence = Evidence(first, {}, needed.stands_for)
    for _ in range(MOST_REPEATS):
        deciding = rules.deciding(evidence, proving.change)
        if not deciding:
            break
        again = {run: await _run(proving, run, commits[run], again=True) for run in deciding}
        evidence = Evidence(first, {**evidence.again, **again}, needed.stands_for)
    return rules.judge(
        commit=proving.made.commit,
        plan_proof=plan.proof,
        change=proving.change,
        evidence=evidence,
        findings=findings,
        approved=await approved(proving.context, proving.made.commit),
        planned_changes=plan.changed_tests,
    )


async def approved(context: Context, commit: str) -> bool:
    """Whether a person accepted exactly this commit: its changed tests, and what others pushed to closed paths."""
    return any(
        isinstance(event.payload, HeadApproved) and event.payload.commit == commit
        for event in await context.history()
    )


def change_of(ground_: Ground, mirror: Mirror, made: Deliverable) -> tuple[rules.Change, TestPaths]:
    """The deliverable's paths, sorted into code and tests by the one rule; and that rule, as it holds here."""
    paths = tuple(sorted({p for change in made.changes for p in (change.path, change.renamed_from) if p}))
    named = testfiles.classify(
        paths,
        all_paths=mirror.paths(made.commit),
        read=ground.reader(mirror, made.commit, SOURCE_CAP),
        test_paths=ground_.policy.test_paths,
        support_paths=ground_.policy.support_paths,
    )
    return rules.Change(
        paths=paths, tests=named.change, none_paths=ground_.policy.proof.none_paths
    ), named.rule


def _trees(proving: Proving) -> Mapping[Run, str]:
    """B/B and H/H as they are; B/H and H/B composed in the mirror, as commits nobody will push."""
    made, mirror, tests = proving.made, proving.mirror, sorted(proving.change.tests.paths)
    with_head_tests = mirror.compose(made.base, dict.fromkeys(tests, made.commit))
    with_base_tests = mirror.compose(made.commit, dict.fromkeys(tests, made.base))
    return {
        Run.BB: made.base,
        Run.HH: made.commit,
        Run.BH: mirror.scratch_commit(with_head_tests, parent=made.base),
        Run.HB: mirror.scratch_commit(with_base_tests, parent=made.base),
    }


async def _run(proving: Proving, run: Run, commit: str, *, again: bool) -> RunReport:
    """One run, once: what this very commit said before (a redo, an approval) is not asked again."""
    key = f"r{proving.round}:tests:{proving.made.commit}:{run}:{'again' if again else 'first'}"
    for event in await proving.context.history():
        if event.key == key and isinstance(event.payload, TestsRan):
            return RunReport.model_validate_json(await proving.house.read(event.payload.report))
    await proving.context.fence()
    report, digest, cached = await _make(proving, run, commit, again=again)
    ran = TestsRan(
        round=proving.round,
        run=str(run),
        again=again,
        commit=commit,
        report=digest,
        passed=report.count(CaseOutcome.PASSED),
        failed=report.count(CaseOutcome.FAILED) + report.count(CaseOutcome.ERROR),
        how_read=report.how_read,
        seconds=report.seconds,
        limit=str(report.limit or ""),
        cached=cached,
    )
    await proving.context.emit(ran, key=key)
    proving.context.say(
        f"{run.words}{', again' if again else ''}: {ran.passed} pass, {ran.failed} fail"
        + (f", ended by the limit on {ran.limit}" if ran.limit else "")
    )
    return report


async def _make(proving: Proving, run: Run, commit: str, *, again: bool) -> tuple[RunReport, str, bool]:
    context, house, mirror, here = proving.context, proving.house, proving.mirror, proving.ground
    if run is Run.BB and not again:
        return await running.base_report(context, house, mirror, here)
    # Base code runs on the base's environment, head code on head's: one made from head never serves base.
    built_from = proving.made.base if run in {Run.BB, Run.BH} else proving.made.commit
    prepared = await environments.prepare(context, house, mirror, here, built_from, proving.made.base)
    slug = running.slug(house, context.execution)
    report = await running.run_tests(
        house, mirror, here, running.Run(slug, commit, proving.made.base, prepared)
    )
    return report, await house.keep("report", report.model_dump_json().encode()), False

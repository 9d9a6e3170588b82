"""Run a repository's tests on one commit, in a fresh bottle without a wire, and read what they said."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from boatwright import errors
from boatwright.bottle import checkout, shelf
from boatwright.bottle.environment import Prepared
from boatwright.bottle.protocol import HOME, Bottle, BottleSpec
from boatwright.git.mirror import Mirror
from boatwright.rules import reports, runners
from boatwright.rules.runners import Adapted
from boatwright.rules.testfiles import TestPaths
from boatwright.stages import environments
from boatwright.stages.ground import Ground
from boatwright.stages.house import House
from boatwright.values.context import Context
from boatwright.values.process import ExecResult
from boatwright.values.proof import CaseOutcome, RunReport

REPORTS = HOME / ".boatwright-report"
"""Where a runner leaves its report: in the bottle's own HOME, which lives no longer than the run."""
REPORT_CAP = 32 << 20


@dataclass(frozen=True, slots=True)
class Run:
    """One run to make: which commit, on which environment, in a bottle of which name."""

    slug: str
    commit: str
    base: str
    prepared: Prepared


def prefix(execution: str) -> str:
    """How the names of an execution's test bottles begin."""
    return f"{execution}-test-"


def slug(house: House, execution: str) -> str:
    """A name no other run has: a worker that was taken for dead cannot clear away the bottle of its successor."""
    return prefix(execution) + house.ids.token()[:12]


async def base_report(
    context: Context, house: House, mirror: Mirror, here: Ground, *, afresh: bool = False
) -> tuple[RunReport, str, bool]:
    """The base's own tests: report, its digest, and whether it was known. Cached per base, environment and command."""
    prepared = await environments.prepare(context, house, mirror, here, here.commit, here.commit)
    name = hashlib.sha256(f"{here.commit}\0{prepared.key}\0{here.test_line}".encode()).hexdigest()[:32]
    known = house.state.environments / f"base-{name}"
    digest = None if afresh else await asyncio.to_thread(_known, house, known)
    if digest is not None:
        return RunReport.model_validate_json(await house.read(digest)), digest, True
    run = Run(slug(house, context.execution), here.commit, here.commit, prepared)
    report = await run_tests(house, mirror, here, run)
    digest = await house.keep("report", report.model_dump_json().encode())
    if _stands(report):
        await asyncio.to_thread(_remember, known, digest)
    return report, digest, False


def _stands(report: RunReport) -> bool:
    """Whether a later run may build on it. What a limit ended or what could not start is asked for again."""
    return (
        report.limit is None and report.exit_code not in {126, 127} and bool(report.count(CaseOutcome.PASSED))
    )


def _known(house: House, file: Path) -> str | None:
    try:
        digest = file.read_text().strip()
    except FileNotFoundError:
        return None
    return digest if house.ledger.artifacts.exists(digest) else None


def _remember(file: Path, digest: str) -> None:
    fresh = file.with_suffix(".new")
    fresh.write_text(digest)
    fresh.replace(file)


async def run_tests(house: House, mirror: Mirror, here: Ground, run: Run) -> RunReport:
    """One run in a bottle of its own, destroyed afterwards. A limit that fires is named in the report."""
    scripts = await asyncio.to_thread(_package_scripts, mirror, run.commit)
    adapted = runners.adapt(here.test_line, str(REPORTS), scripts=scripts)
    spec = BottleSpec(
        slug=run.slug,
        purpose="tests",
        limits=here.effective.test_limits,
        backend=run.prepared.root.backend,
        image=run.prepared.root.image,
        packages=run.prepared.root.packages,
        binds=(*run.prepared.binds, await asyncio.to_thread(shelf.tools, house.state)),
        environment={**run.prepared.environment(house.backend.toolchain.path), **adapted.environment},
    )
    bottle = await house.backend.create(spec)
    try:
        await checkout.checkout(house.backend, bottle, mirror, commit=run.commit, base=run.base)
        result, raw = await _execute(bottle, run.prepared.root.shell, adapted)
    finally:
        await house.backend.destroy(run.slug)
    return await _report(house, here, run.commit, adapted, result, raw)


async def _execute(bottle: Bottle, shell: str, adapted: Adapted) -> tuple[ExecResult, bytes | None]:
    result = await bottle.exec([shell, "-c", f"mkdir -p {REPORTS}\n{adapted.command}"])
    if not adapted.reports:
        return result, None
    told = await bottle.exec(["cat", "--", *adapted.reports], separate_stdout=True)
    return result, told.stdout[:REPORT_CAP] if told.exit_code == 0 else None


def _package_scripts(mirror: Mirror, commit: str) -> dict[str, str]:
    """The scripts of package.json, so that ``npm test`` is known for what it runs."""
    try:
        found = json.loads(mirror.read(commit, "package.json") or b"{}").get("scripts", {})
        return {name: line for name, line in found.items() if isinstance(line, str)}
    except (ValueError, AttributeError, errors.BadInput):
        return {}


async def _report(
    house: House, here: Ground, commit: str, adapted: Adapted, result: ExecResult, raw: bytes | None
) -> RunReport:
    tests = TestPaths.of(here.policy.test_paths, here.policy.support_paths)
    cases, how_read = reports.parse(raw, adapted.kind, result.exit_code, result.text(), tests)
    return RunReport(
        commit=commit,
        cases=cases,
        exit_code=result.exit_code,
        how_read=how_read,
        seconds=result.seconds,
        limit=result.limit,
        output=await house.keep("output", result.output),
    )

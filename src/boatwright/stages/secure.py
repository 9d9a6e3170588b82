"""The security gate's place in the story. Today it answers one question: does the change widen permissions?

Secret scanning and dependency audit join here; until then the verdict says that they did not run, so that nobody reads
a green they did not give.
"""

from __future__ import annotations

import asyncio

from boatwright.rules import paths
from boatwright.stages.house import House
from boatwright.values.chapters import Gated, Verified
from boatwright.values.context import Context
from boatwright.values.events import GateAnswered
from boatwright.values.finding import Outcome, Verdict


async def run(context: Context, house: House, verified: Verified) -> Gated:
    if not verified.commit:
        return Gated(
            verdict=Verdict(gate="secure", outcome=Outcome.COULD_NOT_CHECK, summary="there is no change")
        )
    mirror = house.mirror(await house.view(context.execution))
    changed = await asyncio.to_thread(mirror.changed, verified.base_commit, verified.commit)
    drift = paths.permission_drift([p for c in changed for p in (c.path, c.renamed_from) if p])
    summary = (
        "permissions are untouched" if not drift else "the permission surface changed: look before merging"
    )
    verdict = Verdict(
        gate="secure",
        outcome=Outcome.PASS,
        findings=drift,
        summary=f"{summary}; secrets and dependencies are not scanned by this release",
    )
    answered = GateAnswered(
        round=verified.round,
        gate="secure",
        outcome=verdict.outcome,
        summary=verdict.summary,
        findings=verdict.findings,
    )
    await context.emit(answered, key=f"t{context.turn}:r{verified.round}:secure:{verified.commit[:12]}")
    return Gated(verdict=verdict)

"""Judge the work: first the deliverable commit is made, then everything is asked of exactly that commit.

Cheap before dear: the tree, the paths, the limits and the runner guard need no bottle, and a refusal there saves
the runs. The runs of the proof each have a fresh bottle without a wire.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from boatwright import errors
from boatwright.bottle import snapshot
from boatwright.git.mirror import Mirror
from boatwright.git.trees import Change
from boatwright.rules import limits, paths, runner_guard
from boatwright.rules import taking_in as rules
from boatwright.rules.taking_in import Form
from boatwright.rules.testfiles import TestPaths
from boatwright.stages import deliverable, proving, taking_in
from boatwright.stages.deliverable import Deliverable
from boatwright.stages.ground import Ground
from boatwright.stages.house import House
from boatwright.values.chapters import Built, Planned, Verified
from boatwright.values.context import Context
from boatwright.values.events import VerificationFailed, VerificationPassed, VerificationStarted
from boatwright.values.finding import Finding
from boatwright.values.plan import Plan
from boatwright.values.proof import ProofVerdict, Word


async def run(context: Context, house: House, planned: Planned, built: Built) -> Verified:
    """The verdict on this round's work: a commit, its proof and the findings for the next prompt."""
    started = VerificationStarted(round=built.round)
    await context.emit(started, key=f"t{context.turn}:r{built.round}:verification.started")
    view = await house.view(context.execution)
    mirror = house.mirror(view)
    made = await deliverable.make(context, house, view, mirror, planned, built)
    if not made.changes:
        return await _answer(context, built, made, None, (NOTHING,), refused=False)
    here = made.ground
    theirs = await taking_in.forms(context, mirror)
    approved = await proving.approved(context, made.commit)
    refusals, findings = await asyncio.to_thread(
        _read, here, mirror, made, planned.plan, theirs, approved=approved
    )
    refusals = [*await taking_in.unresolved(context, mirror, made.commit), *refusals]
    if refusals:
        return await _answer(context, built, made, None, (*refusals, *findings), refused=True)
    change, sides = await asyncio.to_thread(proving.change_of, here, mirror, made)
    touched = await asyncio.to_thread(_guard, mirror, made, sides, here.test_line)
    for finding in (*touched, *findings):
        context.say(f"finding: {finding.rule}: {finding.observed}")
    work = proving.Proving(context, house, mirror, here, made, change, built.round)
    proof = await proving.prove(work, planned.plan, touched)
    found = (*touched, *findings, *_of_proof(proof))
    return await _answer(context, built, made, proof, found, refused=proof.word is Word.REFUSED)


async def again(context: Context, before: Verified, built: Built) -> Verified:
    """The verdict ``before``, said of a later round that left the tree as it was."""
    started = VerificationStarted(round=built.round)
    await context.emit(started, key=f"t{context.turn}:r{built.round}:verification.started")
    context.say(f"the tree is as it was after round {before.round}: its verdict stands")
    return await _tell(context, before.model_copy(update={"round": built.round}))


NOTHING = Finding(
    rule="there is no change",
    observed="the work tree equals the base",
    fix="make the change the plan describes",
)


def _read(
    here: Ground,
    mirror: Mirror,
    made: Deliverable,
    plan: Plan,
    theirs: Mapping[str, Form],
    *,
    approved: bool,
) -> tuple[list[Finding], list[Finding]]:
    """Findings that forbid pushing this commit at all, and findings that keep it a draft.

    The tree is judged whole. What an agent may change, and how much, is asked of all but what stands exactly as
    somebody else pushed it: the forge let them write. A path no agent may change is a person's to approve there.
    """
    agents, others = rules.sorted_out(made.changes, theirs)
    changed = _paths(agents)
    refusals = [
        *snapshot.tree_findings(mirror, made.base, made.commit),
        *paths.forbidden(changed, here.policy),
    ]
    kept = [*limits.check(agents, here.policy), *paths.outside_plan(changed, plan)]
    denied = paths.forbidden(_paths(others), here.policy)
    return refusals, [*kept, *rules.of_others(denied, approved=approved)]


def _paths(changes: Sequence[Change]) -> list[str]:
    return sorted({p for c in changes for p in (c.path, c.renamed_from) if p})


def _guard(mirror: Mirror, made: Deliverable, sides: TestPaths, test_line: str) -> tuple[Finding, ...]:
    """What of the change touches the test runner, base and head texts side by side."""
    files = [_sides(mirror, made, change) for change in made.changes]
    gone = [runner_guard.Changed(c.renamed_from, b"", None) for c in made.changes if c.renamed_from]

    def read(path: str) -> str | None:
        try:
            data = mirror.read(made.base, path, GUARD_CAP)
        except errors.BadInput:
            return None
        return None if data is None else data.decode("utf-8", "replace")

    return runner_guard.findings([*files, *gone], sides, test_line, read)


GUARD_CAP = 4 << 20
"""Bytes of a source the guard reads. A larger one is judged by its name, and is over the limits anyway."""


def _sides(mirror: Mirror, made: Deliverable, change: Change) -> runner_guard.Changed:
    """A change's two texts; where they are not read, the name alone can say enough (a compiled module)."""
    try:
        if change.binary:
            raise errors.BadInput(f"{change.path} is not text")
        base = mirror.read(made.base, change.renamed_from or change.path, GUARD_CAP)
        head = mirror.read(made.commit, change.path, GUARD_CAP)
    except errors.BadInput:
        return runner_guard.Changed(change.path, None, None if change.status == "D" else b"", change.new_mode)
    return runner_guard.Changed(change.path, base, head, change.new_mode, change.renamed_from or "")


def _of_proof(proof: ProofVerdict) -> Sequence[Finding]:
    if proof.ready:
        return ()
    return (
        Finding(rule=f"the proof says {proof.word}", observed=proof.sentence, fix=FIXES.get(proof.word, "")),
    )


FIXES = {
    Word.UNPROVEN: "add or mend a test that fails on the old code and passes on the new",
    Word.REGRESSION: "keep what passed before passing",
    Word.REFUSED: "change the code, not the test or its runner",
}


async def _answer(
    context: Context,
    built: Built,
    made: Deliverable,
    proof: ProofVerdict | None,
    findings: Sequence[Finding],
    *,
    refused: bool,
) -> Verified:
    verified = Verified(
        round=built.round,
        base_commit=made.base,
        commit=made.commit if made.changes else "",
        proof=proof,
        findings=tuple(findings),
        refused=refused,
    )
    return await _tell(context, verified)


async def _tell(context: Context, verified: Verified) -> Verified:
    proof = verified.proof
    key = f"t{context.turn}:r{verified.round}:verification:{verified.commit[:12]}"
    if verified.ready and proof is not None:
        passed = VerificationPassed(round=verified.round, proof=proof, findings=verified.findings)
        await context.emit(passed, key=key)
        context.say(f"{proof.word}: {proof.sentence}")
    else:
        failed = VerificationFailed(round=verified.round, proof=proof, findings=verified.findings)
        await context.emit(failed, key=key)
        first = next((f for f in verified.findings if f.blocking), None)
        context.say(f"not green: {first.rule}: {first.observed}" if first else "not green")
    return verified

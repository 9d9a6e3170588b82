"""Read a plan by rules alone: structure, paths, risk, ambiguity, overreach. Approve it, mend it, or park with
findings.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from boatwright.config.policy import Policy
from boatwright.rules import globs, paths, risk
from boatwright.rules.testfiles import DEFAULT, TestPaths
from boatwright.values.finding import Finding, Outcome, Verdict
from boatwright.values.plan import WRITING, Action, Plan, PlanStep, Proof, Risk

GATE = "plan review"
SHORT = 15
VAGUE = (
    "fix",
    "improve",
    "as needed",
    "update",
    "refactor",
    "clean up",
    "make sure",
    "ensure",
    "works",
    "etc",
)
SPECULATIVE = (
    "refactor architecture",
    "improve structure",
    "technical debt",
    "rewrite everything",
    "whole codebase",
)
MAX_AREAS = 4
DONE = "done when the project's own tests pass"


class Opinion(StrEnum):
    APPROVE = "approve"
    REWRITE = "rewrite"
    PARK = "park"


@dataclass(frozen=True, slots=True)
class PlanReview:
    """``plan`` is the plan to follow: as it came, or mended. ``findings`` that block park it; the others are
    notes.
    """

    opinion: Opinion
    plan: Plan
    risk: Risk
    drivers: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        parked = [finding for finding in self.findings if finding.blocking]
        outcome = Outcome.FAIL if parked else Outcome.PASS
        return Verdict(gate=GATE, outcome=outcome, summary=self.summary, findings=self.findings)

    @property
    def summary(self) -> str:
        parked = [f"{finding.rule}: {finding.observed}" for finding in self.findings if finding.blocking]
        if parked:
            return "; ".join(parked[:3])
        words = "approved" if self.opinion is Opinion.APPROVE else "approved after mending"
        return f"{words}, risk {self.risk}"


def review(
    plan: Plan,
    *,
    policy: Policy,
    paths: Collection[str] = (),
    tests: TestPaths = DEFAULT,
) -> Verdict:
    """The verdict alone; ``examine`` has the mended plan too. ``paths``: the listing of the base."""
    return examine(plan, policy=policy, listing=paths, tests=tests).verdict


def examine(
    plan: Plan, *, policy: Policy, listing: Collection[str] = (), tests: TestPaths = DEFAULT
) -> PlanReview:
    mended = _mended(plan, policy)
    level, drivers = risk.of_paths(mended.touch_paths)
    findings = (
        *_structure(plan),
        *_where(mended, policy, listing),
        *_reach(mended, policy, tests),
        *_notes(plan, mended),
    )
    if any(finding.blocking for finding in findings):
        return PlanReview(Opinion.PARK, plan, level, drivers, findings)
    opinion = Opinion.APPROVE if mended == plan else Opinion.REWRITE
    return PlanReview(opinion, mended, level, drivers, findings)


def _mended(plan: Plan, policy: Policy) -> Plan:
    """Vague acceptance gets a measurable end; a plan without proof that touches code owes one after all."""
    steps = tuple(
        step.model_copy(update={"acceptance": f"{step.acceptance.rstrip('.')}; {DONE}"})
        if is_vague(step)
        else step
        for step in plan.steps
    )
    wants = Proof.BEHAVIOUR if _owes_proof(plan, policy) else plan.proof
    return plan.model_copy(update={"steps": steps, "proof": wants})


def is_vague(step: PlanStep) -> bool:
    """Short, or nothing but wishes; what names a number, a path, a quote or code is measurable."""
    words = step.acceptance.lower()
    if DONE in words or any(mark in words for mark in "`\"'0123456789=/()_"):
        return False
    return step.action in WRITING and (len(words) < SHORT or any(word in words for word in VAGUE))


def _owes_proof(plan: Plan, policy: Policy) -> bool:
    code = [path for path in plan.touch_paths if not globs.matches(policy.proof.none_paths, path)]
    return plan.proof is Proof.NONE and bool(code)


def _structure(plan: Plan) -> list[Finding]:
    findings = []
    expected = [f"P{number}" for number in range(1, len(plan.steps) + 1)]
    if [step.id for step in plan.steps] != expected:
        findings.append(
            _note("the steps are not numbered P1, P2 …", ", ".join(step.id for step in plan.steps))
        )
    for step in plan.steps:
        if step.action is Action.READ and not step.path:
            findings.append(_block("a step that reads names no path", step.id, "name the file"))
        if step.action is Action.RESEARCH and not step.path:
            findings.append(_block("a research step names no artifact", step.id, "name the file it leaves"))
    if not plan.touch_paths:
        findings.append(_note("the plan writes no file", plan.goal[:200]))
    return findings


def _where(plan: Plan, policy: Policy, listing: Collection[str]) -> list[Finding]:
    named = sorted({step.path for step in plan.steps if step.path})
    findings = [
        _block("a path leaves the repository", path, "name a path inside it")
        for path in named
        if paths.escapes(path)
    ]
    findings += paths.forbidden([path for path in plan.touch_paths if not paths.escapes(path)], policy)
    for step in plan.steps:
        missing = step.path and listing and step.action is Action.EDIT and not _exists(step.path, listing)
        if missing:
            findings.append(_note("a step edits a file that is not there", f"{step.id}: {step.path}"))
        if step.command and not paths.command_allowed(step.command, policy):
            findings.append(
                _block("a command is not allowed", f"{step.id}: {step.command}", "use an allowed command")
            )
    return findings


def _exists(path: str, listing: Collection[str]) -> bool:
    plain = path.removeprefix("./").strip("/")
    return (
        plain in listing or any(c in plain for c in "*?[") or any(p.startswith(f"{plain}/") for p in listing)
    )


def _reach(plan: Plan, policy: Policy, tests: TestPaths) -> list[Finding]:
    """Too many files, too many areas at once, or a wish instead of a task. Code with its tests and docs is
    one area.
    """
    findings = []
    count = len(plan.touch_paths)
    if count > policy.max_files_changed:
        limit = str(policy.max_files_changed)
        findings.append(
            _block("the plan touches more files than a change may", str(count), "split the task", limit)
        )
    areas = areas_of(plan.touch_paths, tests)
    if len(areas) > MAX_AREAS:
        what = ", ".join(areas)
        findings.append(
            _block("the plan reaches into too many areas", what, "split the task", str(MAX_AREAS))
        )
    text = " ".join([plan.goal, *(step.acceptance for step in plan.steps)]).lower()
    wish = next((phrase for phrase in SPECULATIVE if phrase in text), None)
    if wish:
        findings.append(_block("the plan is a wish, not a task", wish, "say what should behave differently"))
    return findings


def areas_of(touched: Collection[str], tests: TestPaths = DEFAULT) -> tuple[str, ...]:
    """The top directories of code a plan reaches into; tests, documentation and files at the root are no
    area.
    """
    code = [
        path
        for path in touched
        if not tests.is_test_side(path) and not globs.matches(("docs/**", "*.md"), path)
    ]
    return tuple(sorted({path.split("/")[0] for path in code if "/" in path}))


def _notes(plan: Plan, mended: Plan) -> list[Finding]:
    findings = [
        _note(
            "the acceptance of a step was vague and got a measurable end",
            f"{before.id}: {before.acceptance[:120]}",
        )
        for before, after in zip(plan.steps, mended.steps, strict=True)
        if before != after
    ]
    if plan.proof is not mended.proof:
        findings.append(
            _note("the plan touches code, so it owes a proof of behaviour", ", ".join(plan.touch_paths))
        )
    return findings


def _block(rule: str, observed: str, fix: str, limit: str = "") -> Finding:
    return Finding(rule=rule, observed=observed, fix=fix, limit=limit)


def _note(rule: str, observed: str) -> Finding:
    return Finding(rule=rule, observed=observed, blocking=False)

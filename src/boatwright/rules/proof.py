"""The proof: four runs, one word. DESIGN §10 is the source of every rule here; tests/rules/test_proof.py is
its table.

``needed`` says which runs are needed, ``deciding`` which of them need a second time, ``judge`` gives the
word. Nothing is ready while an id that passed in B/B does anything else with head code and no person approved
it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from boatwright.rules import globs, sorting
from boatwright.rules.evidence import COMMAND, Evidence, Reading
from boatwright.rules.sorting import Sorted, TestChange
from boatwright.values.finding import Finding
from boatwright.values.plan import Proof
from boatwright.values.proof import HowRead, ProofVerdict, Run, Word

EXIT_CODES: dict[Word, int] = {
    Word.PROVEN: 0,
    Word.NEW_BEHAVIOUR: 0,
    Word.NO_REGRESSION: 0,
    Word.UNPROVEN: 10,
    Word.REGRESSION: 11,
    Word.REFUSED: 12,
    Word.COULD_NOT_CHECK: 13,
}
"""What ``boatwright run`` exits with, per word."""

RUNS_ESTIMATED = 6
"""H/H, B/H, H/B, and a second time of B/B, B/H, H/H: what is still to come after the base is proven."""

NO_TESTS = TestChange()
_SHOWN = 5


def estimated_seconds(base_seconds: float) -> float:
    """How long the proof may take, from one run of the base. Past ``proof.max_minutes`` the run parks."""
    return base_seconds * RUNS_ESTIMATED


@dataclass(frozen=True, slots=True)
class Change:
    """What the deliverable changes, old names of renames included, and which of it is on the tests' side."""

    paths: tuple[str, ...]
    tests: TestChange = NO_TESTS
    none_paths: tuple[str, ...] = ()

    @property
    def code(self) -> tuple[str, ...]:
        return tuple(path for path in self.paths if path not in self.tests.paths)

    @property
    def not_none(self) -> tuple[str, ...]:
        """The paths that need a proof: those outside ``proof.none_paths``, and every test-side file."""
        return tuple(
            path
            for path in self.paths
            if path in self.tests.paths or not globs.matches(self.none_paths, path)
        )


@dataclass(frozen=True, slots=True)
class Needed:
    """The runs to make, and which other runs they stand for because the trees are the same."""

    runs: tuple[Run, ...]
    stands_for: Mapping[Run, Run]


def needed(change: Change) -> Needed:
    """No changed test file: B/H is B/B and H/B is H/H. No changed code: B/H is H/H and H/B is B/B."""
    if not change.tests.paths:
        return Needed((Run.BB, Run.HH), {Run.BH: Run.BB, Run.HB: Run.HH})
    if not change.code:
        return Needed((Run.BB, Run.HH), {Run.BH: Run.HH, Run.HB: Run.BB})
    return Needed((Run.BB, Run.HH, Run.BH, Run.HB), {})


def deciding(evidence: Evidence, change: Change) -> dict[Run, tuple[str, ...]]:
    """The ids that would decide the verdict and have run once only, by the run to repeat.

    Repeat those runs, add them to ``evidence.again``, ask again until nothing is left. At most four repeats.
    """
    if evidence.missing():
        return {}
    found = sorting.sort(evidence, change.tests)
    wanted: dict[Run, set[str]] = {}
    _want(wanted, found.regressions, Run.BB)
    if not wanted or evidence.repeated(Run.BB):
        if not found.regressions:
            _want(wanted, found.fixed + found.new, Run.BH, Run.HH)
        _want(wanted, found.changed, Run.BB, Run.HH, Run.HB)
    open_runs: dict[Run, set[str]] = {}
    for run, ids in wanted.items():
        if not evidence.repeated(run):
            open_runs.setdefault(evidence.really(run), set()).update(ids)
    return {run: tuple(sorted(ids)) for run, ids in sorted(open_runs.items())}


def _want(wanted: dict[Run, set[str]], ids: Sequence[str], *runs: Run) -> None:
    for run in runs if ids else ():
        wanted.setdefault(run, set()).update(ids)


def judge(
    *,
    commit: str,
    plan_proof: Proof,
    change: Change,
    evidence: Evidence,
    findings: Sequence[Finding] = (),
    approved: bool = False,
    planned_changes: Collection[str] = (),
) -> ProofVerdict:
    """The word for ``commit``.

    ``findings`` are those of ``runner_guard``: any blocking one refuses. ``approved``: a person accepted the
    changed tests of exactly this commit. ``planned_changes`` is the plan's list of them; it is shown, it does
    not approve (the plan is the model's word).
    """
    found = sorting.sort(evidence, change.tests)
    against = (
        _refused(findings) or _unchecked(evidence) or _against(evidence, found, approved, planned_changes)
    )
    word, sentence = against or _for(plan_proof, change, evidence, found)
    if word in {Word.PROVEN, Word.NEW_BEHAVIOUR}:
        again = deciding(evidence, change)
        if again:
            word = Word.COULD_NOT_CHECK
            sentence = f"The tests that decide have run once only: {', '.join(again)} must run a second time."
    return ProofVerdict(
        word=word,
        commit=commit,
        sentence=sentence,
        how_read=evidence.how_read,
        fixed=found.fixed,
        new=found.new,
        still_passing=len(found.still),
        regressions=found.regressions,
        changed_tests=found.changed,
        unstable=found.unstable,
        findings=tuple(findings),
    )


def _refused(findings: Sequence[Finding]) -> tuple[Word, str] | None:
    first = next((finding for finding in findings if finding.blocking), None)
    if first is None:
        return None
    where = f"{first.path}:{first.line}" if first.line else first.path
    return Word.REFUSED, f"Refused by rule: the change {first.rule} ({where}: {first.observed})."


def _unchecked(evidence: Evidence) -> tuple[Word, str] | None:
    missing = evidence.missing()
    if missing:
        return Word.COULD_NOT_CHECK, f"Could not check: the run {', '.join(missing)} was not made."
    base = evidence.report(Run.BB)
    if base is not None and base.limit is not None:
        return Word.COULD_NOT_CHECK, f"Could not check: the base's own tests hit the {base.limit} limit."
    return None


def _against(
    evidence: Evidence, found: Sorted, approved: bool, planned: Collection[str]
) -> tuple[Word, str] | None:
    """Whatever forbids a ready word, worst first."""
    if found.regressions:
        what = _what(found.regressions)
        return Word.REGRESSION, f"Passed before and not any more: {what}.{_limit(evidence)}"
    if found.edited and not approved:
        what = _what(found.edited)
        return Word.REFUSED, (
            f"Refused: {what} failed before and was edited instead of the code; in its original form it still "
            "fails. Where the test is wrong, a person corrects it on the base branch."
        )
    if found.changed and not approved:
        as_planned = " (as planned)" if set(found.changed) <= set(planned) else ""
        return Word.UNPROVEN, (
            f"{_what(found.changed)} was changed, renamed or removed{as_planned}: "
            "its old form does not pass with the new code. A person approves that for this commit."
        )
    if found.broken:
        return Word.UNPROVEN, f"New and not passing with the new code: {_what(found.broken)}."
    if not _something_ran(evidence):
        return Word.UNPROVEN, f"No test ran on the new code: zero tests prove nothing.{_limit(evidence)}"
    return None


def _something_ran(evidence: Evidence) -> bool:
    """Whether head ran a test at all. Where there is no report, a command that succeeds is one."""
    head = evidence.report(Run.HH)
    if set(evidence.ids(Run.HH, Reading.PASS, Reading.FAIL, Reading.UNSTABLE)) - {COMMAND}:
        return True
    passes = evidence.read(Run.HH, COMMAND) is Reading.PASS
    return passes and head is not None and head.how_read is not HowRead.JUNIT


def _for(plan_proof: Proof, change: Change, evidence: Evidence, found: Sorted) -> tuple[Word, str]:
    """Nothing speaks against it: what speaks for it?"""
    still = f"{len(found.still)} that passed before still pass"
    if found.fixed:
        return Word.PROVEN, (
            f"{_what(found.fixed)} fail{_s(found.fixed)} on the old code and pass{_es(found.fixed)} on the new; "
            f"{still}{_read(evidence)}."
        )
    if found.new and plan_proof is Proof.NEW:
        new = f"{_what(found.new)} could not run before and pass{_es(found.new)} now"
        return Word.NEW_BEHAVIOUR, f"{new}; {still}{_read(evidence)}."
    if plan_proof is Proof.NONE and change.paths and not change.not_none:
        return Word.NO_REGRESSION, f"Nothing to prove, as planned; {still}{_read(evidence)}."
    return Word.UNPROVEN, _why_unproven(plan_proof, change, evidence, found)


def _why_unproven(plan_proof: Proof, change: Change, evidence: Evidence, found: Sorted) -> str:
    if not change.paths:
        return "Nothing was changed."
    if found.new:
        return (
            f"{_what(found.new)} fails on the old code only because a name does not exist there yet; "
            f"that is new behaviour, and the plan promised {plan_proof}."
        )
    if plan_proof is Proof.NONE:
        return f"The plan says nothing needs a proof, but {_what(change.not_none)} does."
    before = evidence.report(Run.BH)
    if before is not None and before.limit is not None:
        return f"The new tests hit the {before.limit} limit on the old code, so nothing tells old from new."
    if found.unstable:
        return f"{_what(found.unstable)} is unstable, and no other test tells the old code from the new."
    return "No test fails on the old code and passes on the new: the tests do not show the change."


def _what(ids: Sequence[str]) -> str:
    shown = ", ".join(ids[:_SHOWN])
    return shown if len(ids) <= _SHOWN else f"{shown} and {len(ids) - _SHOWN} more"


def _s(ids: Sequence[str]) -> str:
    return "s" if len(ids) == 1 else ""


def _es(ids: Sequence[str]) -> str:
    return "es" if len(ids) == 1 else ""


def _limit(evidence: Evidence) -> str:
    for run in (Run.HH, Run.HB):
        report = evidence.report(run)
        if report is not None and report.limit is not None:
            return f" The run {run} hit the {report.limit} limit."
    return ""


def _read(evidence: Evidence) -> str:
    if evidence.how_read is HowRead.JUNIT:
        return ""
    return f" (read from the {'output' if evidence.how_read is HowRead.TEXT else 'exit code'} only)"

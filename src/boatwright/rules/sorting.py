"""Each test id into the group it speaks for: fixed, new, still, regression, changed, edited, broken,
unstable.
"""

from __future__ import annotations

from dataclasses import dataclass

from boatwright.rules.evidence import COMMAND, Evidence, Reading
from boatwright.values.proof import CaseOutcome, Cause, HowRead, Run

PASS, FAIL, ABSENT, UNSTABLE = Reading.PASS, Reading.FAIL, Reading.ABSENT, Reading.UNSTABLE


@dataclass(frozen=True, slots=True)
class TestChange:
    """The test-side files a change touches; ``support`` are those that hold no tests (fixtures, helpers)."""

    __test__ = False

    paths: frozenset[str] = frozenset()
    support: frozenset[str] = frozenset()

    def touches(self, file: str) -> bool:
        """Whether the test in ``file`` may have another form at head: an unknown file may; a helper serves
        any.
        """
        return bool(self.paths) and (not file or file in self.paths or bool(self.support))


@dataclass(frozen=True, slots=True)
class Sorted:
    """Sorted ids by what they mean for the verdict."""

    still: tuple[str, ...]
    """Pass in B/B, H/H and H/B."""
    regressions: tuple[str, ...]
    """Pass in B/B and are unstable, missing or failing with head code."""
    changed: tuple[str, ...]
    """Old tests that vanished, or whose old form fails with head code: a person approves them."""
    edited: tuple[str, ...]
    """Of those: failed before, still fail in their old form, and pass (or vanished) by the edit of the test
    alone.
    """
    fixed: tuple[str, ...]
    """Fail in B/H by assertion or an error in existing code, pass in H/H."""
    new: tuple[str, ...]
    """Could not run in B/H because a name does not exist yet, pass in H/H."""
    broken: tuple[str, ...]
    """Head's own: not there before, failing or unstable in H/H."""
    unstable: tuple[str, ...]
    """Dropped out: unstable in B/B, or in B/H where they would have shown something."""


def sort(evidence: Evidence, tests: TestChange) -> Sorted:
    """Every id of every run, in its groups. Pure in the readings; a second time counts where it was made."""
    regressions, changed, edited = _old_ids(evidence, tests)
    passing = evidence.ids(Run.HH, PASS)
    fixed = tuple(test for test in passing if _is_fixed(evidence, test))
    new = tuple(test for test in passing if test not in fixed and _is_new(evidence, test))
    still = tuple(
        test
        for test in evidence.ids(Run.BB, PASS)
        if evidence.read(Run.HH, test) is PASS and evidence.read(Run.HB, test) is PASS
    )
    broken = tuple(
        test for test in evidence.ids(Run.HH, FAIL, UNSTABLE) if evidence.read(Run.BB, test) is ABSENT
    )
    unstable = {*evidence.ids(Run.BB, UNSTABLE), *(set(evidence.ids(Run.BH, UNSTABLE)) & set(passing))}
    return Sorted(
        still=still,
        regressions=regressions,
        changed=changed,
        edited=edited,
        fixed=fixed,
        new=new,
        broken=broken,
        unstable=tuple(sorted(unstable)),
    )


def _old_ids(
    evidence: Evidence, tests: TestChange
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    regressions, changed, edited = [], [], []
    for test in evidence.ids(Run.BB, PASS):
        if _is_regression(evidence, tests, test):
            regressions.append(test)
        elif evidence.read(Run.HH, test) is not PASS or evidence.read(Run.HB, test) is not PASS:
            changed.append(test)
    for test in evidence.ids(Run.BB, FAIL):
        if _was_edited_away(evidence, tests, test):
            changed.append(test)
            if _by_the_edit_alone(evidence, test):
                edited.append(test)
    return tuple(regressions), tuple(sorted(changed)), tuple(edited)


def _is_regression(evidence: Evidence, tests: TestChange, test: str) -> bool:
    """Of an id that passes in B/B. Where head changed the test, it may be a change for a person instead."""
    head, old_form = evidence.read(Run.HH, test), evidence.read(Run.HB, test)
    if head in {FAIL, UNSTABLE} or old_form is UNSTABLE:
        return True
    if head is PASS and old_form is PASS:
        return False
    if not tests.touches(_file(evidence, test)):
        return True
    return head is ABSENT and _file_breaks(evidence, test)


def _file_breaks(evidence: Evidence, test: str) -> bool:
    """The id is missing in H/H because its file could not be loaded there, not because it was taken out."""
    file = _file(evidence, test)
    for other in evidence.ids(Run.HH, FAIL, UNSTABLE):
        case = evidence.case(Run.HH, other)
        is_load_error = case is not None and case.outcome is CaseOutcome.ERROR
        was_there = evidence.read(Run.BB, other) is FAIL
        if is_load_error and not was_there and _same_file(file, _file_in(evidence, Run.HH, other)):
            return True
    return False


def _was_edited_away(evidence: Evidence, tests: TestChange, test: str) -> bool:
    """Of an id that fails in B/B: with head it passes or vanished, and its old form does not explain why."""
    head, old_form = evidence.read(Run.HH, test), evidence.read(Run.HB, test)
    if not tests.touches(_file(evidence, test)):
        return False
    if test == COMMAND and evidence.how_read is not HowRead.EXIT_CODE:
        return False  # the sum of the others, which speak for themselves
    if head is PASS:
        return old_form is not PASS
    return head is ABSENT and old_form is not ABSENT


def _by_the_edit_alone(evidence: Evidence, test: str) -> bool:
    if evidence.read(Run.HB, test) is PASS:
        return False
    return evidence.read(Run.HH, test) is ABSENT or evidence.read(Run.BH, test) is PASS


def _is_fixed(evidence: Evidence, test: str) -> bool:
    """Fails on base code for a reason that shows behaviour. A run that a limit cut short shows none by
    silence.
    """
    if evidence.read(Run.BH, test) is not FAIL or evidence.read(Run.BB, test) is UNSTABLE:
        return False
    cause = _cause(evidence, test)
    report = evidence.report(Run.BH)
    if report is not None and report.limit is not None:
        return cause in {Cause.ASSERTION, Cause.RAISED}
    return cause is not Cause.MISSING_NAME


def _is_new(evidence: Evidence, test: str) -> bool:
    """Not passing in B/B, and in B/H stopped by a missing name: its own, or that of the file it is in."""
    if evidence.read(Run.BB, test) in {PASS, UNSTABLE}:
        return False
    before = evidence.read(Run.BH, test)
    if before is FAIL:
        return _cause(evidence, test) is Cause.MISSING_NAME
    if before is not ABSENT:
        return False
    file = _file_in(evidence, Run.HH, test)
    return any(
        _cause(evidence, other) is Cause.MISSING_NAME and _same_file(file, _file_in(evidence, Run.BH, other))
        for other in evidence.ids(Run.BH, FAIL)
    )


def _cause(evidence: Evidence, test: str) -> Cause:
    case = evidence.case(Run.BH, test)
    return (case.cause if case else None) or Cause.UNKNOWN


def _file(evidence: Evidence, test: str) -> str:
    return _file_in(evidence, Run.BB, test)


def _file_in(evidence: Evidence, run: Run, test: str) -> str:
    case = evidence.case(run, test)
    return case.file if case else ""


def _same_file(one: str, other: str) -> bool:
    return not one or not other or one == other

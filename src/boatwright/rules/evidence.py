"""What up to eight test runs say about each id: a reading per run, the second time taken into account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from boatwright.values.proof import Case, CaseOutcome, HowRead, Run, RunReport

COMMAND = "the test command"
"""The id of the whole command: the only one where nothing but an exit code is known, and the one that carries
a
contradiction between exit code and report."""


class Reading(StrEnum):
    """What a run says of one id. Skipped counts as absent: it says nothing."""

    PASS = "pass"  # noqa: S105 - a reading, not a password
    FAIL = "fail"
    ABSENT = "absent"
    UNSTABLE = "unstable"


_OUTCOMES = {
    CaseOutcome.PASSED: Reading.PASS,
    CaseOutcome.FAILED: Reading.FAIL,
    CaseOutcome.ERROR: Reading.FAIL,
    CaseOutcome.SKIPPED: Reading.ABSENT,
}
_WORSE = {Reading.PASS: 1, Reading.ABSENT: 0, Reading.FAIL: 2}


def _readings(report: RunReport) -> dict[str, Reading]:
    """By id; where an id came twice in one run the worse word counts."""
    found: dict[str, Reading] = {}
    for case in report.cases:
        reading = _OUTCOMES[case.outcome]
        if case.id not in found or _WORSE[reading] > _WORSE[found[case.id]]:
            found[case.id] = reading
    return found


@dataclass(frozen=True)
class Evidence:
    """The runs of one proof.

    ``first`` and ``again`` hold the first and second time of each run. ``stands_for`` names a run whose tree
    is the same as another's (no test file changed: B/H is B/B), so that nothing runs twice for nothing.
    """

    first: Mapping[Run, RunReport]
    again: Mapping[Run, RunReport] = field(default_factory=dict)
    stands_for: Mapping[Run, Run] = field(default_factory=dict)

    def really(self, run: Run) -> Run:
        return self.stands_for.get(run, run)

    def report(self, run: Run) -> RunReport | None:
        return self.first.get(self.really(run))

    def missing(self) -> tuple[Run, ...]:
        return tuple(run for run in Run if self.report(run) is None)

    def repeated(self, run: Run) -> bool:
        return self.really(run) in self.again

    @cached_property
    def _tables(self) -> dict[Run, dict[str, Reading]]:
        return {run: self._table(run) for run in Run}

    def _table(self, run: Run) -> dict[str, Reading]:
        report = self.report(run)
        if report is None:
            return {}
        once = _readings(report)
        second = self.again.get(self.really(run))
        if second is None:
            return once
        twice = _readings(second)
        absent = Reading.ABSENT
        return {
            test: once.get(test, absent)
            if once.get(test, absent) is twice.get(test, absent)
            else Reading.UNSTABLE
            for test in once.keys() | twice.keys()
        }

    def read(self, run: Run, test: str) -> Reading:
        return self._tables[run].get(test, Reading.ABSENT)

    def ids(self, run: Run, *readings: Reading) -> tuple[str, ...]:
        """Sorted ids of ``run`` with one of ``readings``; all of them when none is named."""
        return tuple(
            sorted(test for test, was in self._tables[run].items() if not readings or was in readings)
        )

    def case(self, run: Run, test: str) -> Case | None:
        """The worst case of that id in the first time of the run, or in the second."""
        return self._cases[run].get(test)

    @cached_property
    def _cases(self) -> dict[Run, dict[str, Case]]:
        return {run: self._worst_cases(run) for run in Run}

    def _worst_cases(self, run: Run) -> dict[str, Case]:
        found: dict[str, Case] = {}
        for report in (self.report(run), self.again.get(self.really(run))):
            for case in report.cases if report else ():
                known = found.get(case.id)
                if known is None or _WORSE[_OUTCOMES[case.outcome]] > _WORSE[_OUTCOMES[known.outcome]]:
                    found[case.id] = case
        return found

    @property
    def how_read(self) -> HowRead:
        """The weakest way any of the runs was read."""
        used = {report.how_read for report in (*self.first.values(), *self.again.values())}
        for weakest in (HowRead.EXIT_CODE, HowRead.TEXT):
            if weakest in used:
                return weakest
        return HowRead.JUNIT if used else HowRead.EXIT_CODE

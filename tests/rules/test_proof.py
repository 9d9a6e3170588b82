"""The table of DESIGN §10: every sentence of the proof has at least one row.

A run is written as words ``id`` + sign: ``+`` passes, ``-`` fails by assertion, ``!`` raised in existing
code, ``?`` stopped by a missing name, ``.`` skipped, ``~`` fails for a reason the runner does not tell.
``a:t1-`` puts id ``t1`` into file ``a``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boatwright.rules import proof
from boatwright.rules.evidence import COMMAND, Evidence
from boatwright.rules.proof import Change
from boatwright.rules.sorting import TestChange
from boatwright.values.finding import Finding
from boatwright.values.plan import Proof
from boatwright.values.process import Limit
from boatwright.values.proof import Case, CaseOutcome, Cause, HowRead, Run, RunReport, Word

SIGNS = {
    "+": (CaseOutcome.PASSED, None),
    "-": (CaseOutcome.FAILED, Cause.ASSERTION),
    "!": (CaseOutcome.ERROR, Cause.RAISED),
    "?": (CaseOutcome.ERROR, Cause.MISSING_NAME),
    "~": (CaseOutcome.FAILED, Cause.UNKNOWN),
    ".": (CaseOutcome.SKIPPED, None),
}
TESTS = TestChange(frozenset({"a"}))
BOTH = Change(paths=("src.py", "a"), tests=TESTS)
CODE = Change(paths=("src.py",))
DOCS = Change(paths=("README.md",), none_paths=("*.md",))


def report(text: str, how: HowRead = HowRead.JUNIT, limit: Limit | None = None) -> RunReport:
    cases = []
    for word in text.split():
        file, _, rest = word.rpartition(":")
        outcome, cause = SIGNS[rest[-1]]
        cases.append(
            Case(
                id=COMMAND if rest[:-1] == "CMD" else rest[:-1],
                outcome=outcome,
                cause=cause,
                file=file or "a",
            )
        )
    failed = any(case.outcome in {CaseOutcome.FAILED, CaseOutcome.ERROR} for case in cases)
    return RunReport(
        commit="c", cases=tuple(cases), exit_code=int(failed), how_read=how, seconds=1, limit=limit
    )


@dataclass(frozen=True)
class Row:
    says: str
    bb: str
    hh: str
    bh: str | None
    hb: str | None
    word: Word
    again: dict[str, str] = field(default_factory=dict)
    change: Change = BOTH
    plan: Proof = Proof.BEHAVIOUR
    how: HowRead = HowRead.JUNIT
    limits: dict[str, Limit] = field(default_factory=dict)
    approved: bool = False
    planned: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    sentence: str = ""


RUNNER = Finding(rule="touches the test runner", observed="sys.modules is written", path="src.py", line=3)
# fmt: off
ROWS = [
    # proven
    Row("a new test fails before by assertion, passes after", "o+", "o+ n+", "o+ n-", "o+", Word.PROVEN),
    Row("an error raised in existing code is proof too", "o+", "o+ n+", "o+ n!", "o+", Word.PROVEN),
    Row("where the runner cannot tell why, the verdict says how it was read", "CMD+", "CMD+", "CMD~",
        "CMD+", Word.PROVEN, how=HowRead.EXIT_CODE, sentence="exit code"),
    Row("a test that failed in the base and passes now", "t- o+", "t+ o+", None, None, Word.PROVEN,
        change=CODE),
    Row("an old test made stricter", "t+", "t+", "t-", "t+", Word.PROVEN),
    Row("what failed before and still fails stands in nobody's way", "o- t+", "o- t+ n+", "o- t+ n-",
        "o- t+", Word.PROVEN),
    Row("proven wins over planned new", "o+", "o+ n+", "o+ n-", "o+", Word.PROVEN, plan=Proof.NEW),
    # every id passing in B/B passes in H/H and H/B
    Row("an old test fails with head", "o+", "o- n+", "o+ n-", "o-", Word.REGRESSION),
    Row("an old test fails with head, no test file changed", "o+ t-", "o- t+", None, None, Word.REGRESSION,
        change=CODE),
    Row("an old test vanishes though its file did not change", "b:o+ t-", "t+", "b:o+ t-", "t+",
        Word.REGRESSION),
    Row("an old test vanishes because its file no longer loads", "o+", "load?", "o+", "o+", Word.REGRESSION),
    Row("an old test of an untouched file fails in H/B", "b:o+", "b:o+ n+", "b:o+ n-", "b:o-",
        Word.REGRESSION),
    Row("the edited test itself fails", "o+", "o-", "o-", "o+", Word.REGRESSION),
    Row("code makes an untouched test skip", "b:o+ t-", "b:o. t+", "b:o+ t-", "b:o. t+", Word.REGRESSION),
    # second runs
    Row("unstable in B/B drops out", "f+ o+", "f- o+ n+", "f+ o+ n-", "f+ o+", Word.PROVEN,
        again={"B/B": "f- o+"}),
    Row("stable in B/B and unstable with head is a regression", "f+", "f+ n+", "f+ n-", "f+",
        Word.REGRESSION, again={"H/H": "f- n+"}),
    Row("a broken test made flaky is a regression", "o+", "o+", "o+", "o-", Word.REGRESSION,
        again={"H/H": "o-"}),
    Row("unstable with head and base's form of the test", "o+", "o+ n+", "o+ n-", "o-", Word.REGRESSION,
        again={"H/B": "o+"}),
    Row("what fails only once on base code proves nothing", "o+", "o+ n+", "o+ n-", "o+", Word.UNPROVEN,
        again={"B/H": "o+ n+"}),
    Row("a new test that is unstable with head", "o+", "o+ n+", "o+ n-", "o+", Word.UNPROVEN,
        again={"H/H": "o+ n-"}),
    # new behaviour
    Row("a new function with its test", "o+", "o+ n+", "o+ n?", "o+", Word.NEW_BEHAVIOUR, plan=Proof.NEW),
    Row("the whole new test file does not load on base code", "o+", "o+ n+", "o+ load?", "o+",
        Word.NEW_BEHAVIOUR, plan=Proof.NEW),
    Row("a missing name proves nothing for a plan of behaviour", "o+", "o+ n+", "o+ n?", "o+",
        Word.UNPROVEN, sentence="name does not exist"),
    Row("new behaviour needs a clean H/B", "o+", "o+ n+", "o+ n?", "o-", Word.UNPROVEN, plan=Proof.NEW),
    Row("tests for a name that was missing in the base already", "o+ t?", "o+ t+", None, None,
        Word.NEW_BEHAVIOUR, plan=Proof.NEW, change=CODE),
    # no regression, as planned
    Row("documentation only", "o+", "o+", None, None, Word.NO_REGRESSION, plan=Proof.NONE, change=DOCS),
    Row("proof none, but code changed", "o+", "o+", None, None, Word.UNPROVEN, plan=Proof.NONE, change=CODE,
        sentence="src.py"),
    Row("documentation planned as behaviour", "o+", "o+", None, None, Word.UNPROVEN, change=DOCS),
    Row("documentation that breaks a test", "o+", "o-", None, None, Word.REGRESSION, plan=Proof.NONE,
        change=DOCS),
    # unproven
    Row("no patch", "t- o+", "t- o+", None, None, Word.UNPROVEN, change=Change(paths=()), sentence="Nothing"),
    Row("a vacuous new test passes on base code too", "o+", "o+ n+", "o+ n+", "o+", Word.UNPROVEN),
    Row("no test at all was added", "o+", "o+", None, None, Word.UNPROVEN, change=CODE),
    Row("tests only: the same tree twice proves nothing", "o+", "o+ n+", None, None, Word.UNPROVEN,
        change=Change(paths=("a",), tests=TESTS)),
    Row("head's own new test fails", "o+", "o+ n+ m-", "o+ n- m-", "o+", Word.UNPROVEN),
    # changed tests
    Row("an old test's expectation changed", "o+", "o+", "o-", "o-", Word.UNPROVEN, sentence="approves"),
    Row("an old test removed", "o+ p+", "p+ n+", "p+ n-", "o+ p+", Word.UNPROVEN, sentence="approves"),
    Row("an old test renamed", "o+", "o2+", "o2-", "o+", Word.UNPROVEN, sentence="o was changed"),
    Row("an old test skipped by an edit", "o+", "o. n+", "o. n-", "o+", Word.UNPROVEN, sentence="approves"),
    Row("the plan's list is shown but does not approve", "o+", "o+", "o-", "o-", Word.UNPROVEN,
        planned=("o",), sentence="as planned"),
    Row("approved for this commit", "o+", "o+", "o-", "o-", Word.PROVEN, approved=True),
    Row("approval does not cover a regression", "o+ p+", "o- p+", "o- p+", "o- p+", Word.REGRESSION,
        approved=True),
    # a failing test edited instead of the code
    Row("failing test edited instead", "t- o+", "t+ o+", "t+ o+", "t- o+", Word.REFUSED,
        sentence="edited instead"),
    Row("failing test deleted instead", "t- o+", "o+", "o+", "t- o+", Word.REFUSED),
    Row("failing test skipped instead", "t- o+", "t. o+", "t. o+", "t- o+", Word.REFUSED),
    Row("failing test edited, and only tests changed", "t- o+", "t+ o+", None, None, Word.REFUSED,
        change=Change(paths=("a",), tests=TESTS)),
    Row("failing test and code both changed", "t- o+", "t+ o+", "t- o+", "t- o+", Word.UNPROVEN,
        sentence="approves"),
    Row("failing test removed though the code mends it", "t- o+", "o+ n+", "o+ n-", "t+ o+", Word.UNPROVEN),
    # the runner
    Row("source that patches the runner", "o+", "o+ n+", "o+ n-", "o+", Word.REFUSED, findings=(RUNNER,)),
    Row("refused wins over everything", "o+", "o-", None, None, Word.REFUSED, change=CODE,
        findings=(RUNNER,)),
    # reports are evidence
    Row("zero tests with head", "", "", None, None, Word.UNPROVEN, change=CODE, sentence="zero tests"),
    Row("zero tests is no reason even for documentation", "", "", None, None, Word.UNPROVEN,
        plan=Proof.NONE, change=DOCS),
    Row("head reports nothing though base did", "o+", "", "o+", "o+", Word.UNPROVEN),
    Row("head reports nothing and no test file changed", "o+", "", None, None, Word.REGRESSION, change=CODE),
    Row("exit code and report contradict each other", "o+", "o+ n+ CMD!", "o+ n-", "o+", Word.UNPROVEN),
    Row("the base contradicted itself already", "o+ CMD!", "o+ n+", "o+ n- CMD!", "o+ CMD!", Word.PROVEN),
    # limits
    Row("the base hits a limit", "o+", "o+ n+", "o+ n-", "o+", Word.COULD_NOT_CHECK,
        limits={"B/B": Limit.WALL}),
    Row("head hits a limit", "o+", "", None, None, Word.REGRESSION, change=CODE,
        limits={"H/H": Limit.MEMORY}, sentence="memory"),
    Row("a hang on base code by itself proves nothing", "CMD+", "CMD+", "CMD~", "CMD+", Word.UNPROVEN,
        how=HowRead.EXIT_CODE, limits={"B/H": Limit.WALL}, sentence="wall clock"),
    # text listings without the passing ids
    Row("failing ids only, one test mended", "t- CMD~", "CMD+", None, None, Word.PROVEN, how=HowRead.TEXT,
        change=CODE, sentence="output"),
    Row("failing ids only, the failing test edited", "t- CMD~", "CMD+", "CMD+", "t- CMD~", Word.REFUSED,
        how=HowRead.TEXT),
    # missing runs
    Row("a needed run was not made", "o+", "o+ n+", None, "o+", Word.COULD_NOT_CHECK, sentence="B/H"),
]
# fmt: on


def evidence_of(row: Row) -> Evidence:
    written = {Run.BB: row.bb, Run.HH: row.hh, Run.BH: row.bh, Run.HB: row.hb}
    first = {
        run: report(text, row.how, row.limits.get(run.value))
        for run, text in written.items()
        if text is not None
    }
    return Evidence(first, {}, proof.needed(row.change).stands_for)


def settle(row: Row) -> Evidence:
    """Repeat what decides until nothing is left; a second time says the same unless told otherwise."""
    evidence = evidence_of(row)
    for _ in range(5):
        wanted = proof.deciding(evidence, row.change)
        if not wanted:
            return evidence
        assert not set(wanted) & set(evidence.again)
        second = {
            run: report(row.again[run.value], row.how) if run.value in row.again else evidence.first[run]
            for run in wanted
        }
        evidence = replace(evidence, again={**evidence.again, **second})
    raise AssertionError("more than four repeats")


@pytest.mark.parametrize("row", ROWS, ids=[row.says for row in ROWS])
def test_the_table(row: Row) -> None:
    verdict = proof.judge(
        commit="c",
        plan_proof=row.plan,
        change=row.change,
        evidence=settle(row),
        findings=row.findings,
        approved=row.approved,
        planned_changes=row.planned,
    )
    assert verdict.word is row.word, verdict.sentence
    assert row.sentence in verdict.sentence
    assert verdict.commit == "c"


def test_only_deciding_ids_run_a_second_time() -> None:
    row = Row("", "o+ p+ q-", "o+ p+ q- n+", "o+ p+ q- n-", "o+ p+ q-", Word.PROVEN)
    assert proof.deciding(evidence_of(row), BOTH) == {Run.BH: ("n",), Run.HH: ("n",)}


def test_a_regression_asks_the_base_first_and_nothing_else() -> None:
    row = Row("", "o+", "o- n+", "o+ n-", "o-", Word.REGRESSION)
    evidence = evidence_of(row)
    assert proof.deciding(evidence, BOTH) == {Run.BB: ("o",)}
    assert proof.deciding(replace(evidence, again={Run.BB: report("o+")}), BOTH) == {}


def test_one_run_is_never_enough_for_a_ready_word() -> None:
    row = Row("", "o+", "o+ n+", "o+ n-", "o+", Word.PROVEN)
    verdict = proof.judge(commit="c", plan_proof=Proof.BEHAVIOUR, change=BOTH, evidence=evidence_of(row))
    assert verdict.word is Word.COULD_NOT_CHECK


def test_needed_runs() -> None:
    assert proof.needed(BOTH).runs == (Run.BB, Run.HH, Run.BH, Run.HB)
    assert proof.needed(CODE).stands_for == {Run.BH: Run.BB, Run.HB: Run.HH}
    assert proof.needed(Change(paths=("a",), tests=TESTS)).stands_for == {Run.BH: Run.HH, Run.HB: Run.BB}


def test_every_word_has_an_exit_code() -> None:
    assert set(proof.EXIT_CODES) == set(Word)


def test_a_test_file_is_never_a_none_path() -> None:
    change = Change(
        paths=("tests/data.md",), tests=TestChange(frozenset({"tests/data.md"})), none_paths=("*.md",)
    )
    assert change.not_none == ("tests/data.md",)


# --- properties --------------------------------------------------------------------------------------------

WORDS = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from("opqn"), st.sampled_from("".join(SIGNS))), max_size=6
).map(lambda words: " ".join(f"{file}:{name}{sign}" for file, name, sign in words))
CHANGES = st.sampled_from(
    [
        BOTH,
        CODE,
        DOCS,
        Change(paths=("a",), tests=TESTS),
        Change(paths=("src.py", "a", "h"), tests=TestChange(frozenset({"a", "h"}), frozenset({"h"}))),
    ]
)


@st.composite
def evidences(draw: st.DrawFn) -> tuple[Change, Evidence]:
    change = draw(CHANGES)
    needed = proof.needed(change)
    first = {run: report(draw(WORDS)) for run in needed.runs}
    again = {run: report(draw(WORDS)) for run in draw(st.sets(st.sampled_from(needed.runs)))}
    return change, Evidence(first, again, needed.stands_for)


def fails(reported: RunReport, name: str) -> bool:
    return any(c.id == name and c.outcome in {CaseOutcome.FAILED, CaseOutcome.ERROR} for c in reported.cases)


def passes(reported: RunReport, name: str) -> bool:
    return not fails(reported, name) and any(
        c.id == name and c.outcome is CaseOutcome.PASSED for c in reported.cases
    )


@settings(max_examples=200, deadline=None)
@given(evidences(), st.sampled_from(Proof), st.booleans())
def test_never_ready_while_something_that_passed_fails(
    drawn: tuple[Change, Evidence], plan: Proof, approved: bool
) -> None:
    change, evidence = drawn
    verdict = proof.judge(commit="c", plan_proof=plan, change=change, evidence=evidence, approved=approved)
    if not verdict.ready:
        return
    bases = [evidence.first[Run.BB], *([evidence.again[Run.BB]] if Run.BB in evidence.again else [])]
    heads = [evidence.first[Run.HH], *([evidence.again[Run.HH]] if Run.HH in evidence.again else [])]
    for name in {case.id for base in bases for case in base.cases}:
        if all(passes(base, name) for base in bases):
            assert not any(fails(head, name) for head in heads), verdict.sentence
            assert approved or all(passes(head, name) for head in heads), verdict.sentence


@settings(max_examples=120, deadline=None)
@given(evidences(), st.sampled_from(Proof))
def test_a_runner_finding_is_never_ready(drawn: tuple[Change, Evidence], plan: Proof) -> None:
    change, evidence = drawn
    verdict = proof.judge(
        commit="c", plan_proof=plan, change=change, evidence=evidence, findings=(RUNNER,), approved=True
    )
    assert verdict.word is Word.REFUSED


@settings(max_examples=120, deadline=None)
@given(evidences())
def test_repeats_come_to_an_end(drawn: tuple[Change, Evidence]) -> None:
    change, evidence = drawn
    for _ in range(5):
        wanted = proof.deciding(evidence, change)
        if not wanted:
            return
        assert all(run in evidence.first and run not in evidence.again for run in wanted)
        evidence = replace(evidence, again={**evidence.again, **{run: evidence.first[run] for run in wanted}})
    raise AssertionError("repeats do not end")

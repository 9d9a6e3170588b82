"""Reports of the real runners, read; and what a report may not do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from boatwright.bottle import inside
from boatwright.rules import report_text, reports, runners
from boatwright.rules.evidence import COMMAND
from boatwright.rules.runners import Kind
from boatwright.values.proof import CaseOutcome, Cause, HowRead

SCRIPTS = Path(inside.__file__).parent
PASSED, FAILED, ERROR, SKIPPED = CaseOutcome

CODE = """
def f(x): return x.y
def g():
    import nothing_here
"""
PYTEST = """
import pytest, unittest, m
from unittest import mock
def test_ok(): pass
def test_assert(): assert m is None
def test_deep(): m.f(1)
def test_deep_import(): m.g()
def test_name(): m.h()
def test_keyword(): m.f(z=1)
def test_key(): {}['a']
def test_none(): None.foo
def test_raises():
    with pytest.raises(ValueError): pass
def test_import():
    from m import zz
def test_mock():
    with mock.patch('m.new'): pass
@pytest.mark.skip
def test_skip(): pass
@pytest.mark.parametrize('a', [1, 'x/y::z'])
def test_p(a): assert a == 1
class TestC:
    def test_c(self): raise AssertionError('x')
class TestU(unittest.TestCase):
    def test_u(self): self.assertEqual(1, 2)
@pytest.fixture
def down():
    yield
    raise RuntimeError('down')
def test_down(down): assert 0
def test_fixture(no_such): pass
@pytest.mark.xfail
def test_xfail(): assert 0
"""
UNITTEST = """
import json, unittest, m
class U(unittest.TestCase):
    def test_ok(self): pass
    def test_assert(self): self.assertEqual(1, 2)
    def test_deep(self): m.f(1)
    def test_name(self): m.h()
    def test_json(self): json.loads('{')
    def test_sub(self):
        for i in range(3):
            with self.subTest(i=i): self.assertEqual(i, 0)
    @unittest.skip('x')
    def test_skip(self): pass
    @unittest.expectedFailure
    def test_expected(self): self.fail()
    @unittest.expectedFailure
    def test_unexpected(self): pass
"""
NODE = """
import test, { describe, it } from 'node:test';
import assert from 'node:assert';
import { half } from '../lib.mjs';
test('ok', () => {});
test('assert', () => assert.strictEqual(1, 2));
test('deep', () => half({}));
test('name', () => missing());
describe('group', () => { it('inner', () => { throw new RangeError('r'); }); it.skip('skipped', () => {}); });
test('parent', async (t) => { await t.test('kid', () => {}); });
"""


def run(command: str, folder: Path, **more: str) -> tuple[runners.Adapted, bytes | None, int, str]:
    report = folder.parent / "report"
    report.mkdir()
    adapted = runners.adapt(command, str(report))
    line = adapted.command.replace(runners.INSIDE, str(SCRIPTS))
    settings = {
        key: value.replace(runners.INSIDE, str(SCRIPTS)) for key, value in adapted.environment.items()
    }
    done = subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(folder.parent),
            **settings,
            **more,
        },
    )
    file = Path(adapted.reports[0]) if adapted.reports else None
    raw = file.read_bytes() if file and file.exists() else None
    return adapted, raw, done.returncode, done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "tests").mkdir(parents=True)
    (folder / "m.py").write_text(CODE)
    return folder


def test_pytest(project: Path) -> None:
    (project / "tests/test_a.py").write_text(PYTEST)
    (project / "tests/test_b.py").write_text("from m import nope\ndef test_b(): pass\n")
    adapted, raw, code, output = run("python -m pytest -q -x -p no:asyncio", project, PYTHONPATH=".")
    read = reports.read(adapted, raw, exit_code=code, output=output)
    assert read.how_read is HowRead.JUNIT
    got = {case.id.removeprefix("tests/test_a.py::"): (case.outcome, case.cause) for case in read.cases}
    assert got == {
        "test_ok": (PASSED, None),
        "test_assert": (FAILED, Cause.ASSERTION),
        "test_deep": (FAILED, Cause.RAISED),
        "test_deep_import": (FAILED, Cause.RAISED),
        "test_name": (FAILED, Cause.MISSING_NAME),
        "test_keyword": (FAILED, Cause.MISSING_NAME),
        "test_key": (FAILED, Cause.UNKNOWN),
        "test_none": (FAILED, Cause.UNKNOWN),
        "test_raises": (FAILED, Cause.ASSERTION),
        "test_import": (FAILED, Cause.MISSING_NAME),
        "test_mock": (FAILED, Cause.MISSING_NAME),
        "test_skip": (SKIPPED, None),
        "test_p[1]": (PASSED, None),
        "test_p[x/y::z]": (FAILED, Cause.ASSERTION),
        "TestC::test_c": (FAILED, Cause.ASSERTION),
        "TestU::test_u": (FAILED, Cause.ASSERTION),
        "test_down": (ERROR, Cause.UNKNOWN),
        "test_fixture": (ERROR, Cause.MISSING_NAME),
        "test_xfail": (SKIPPED, None),
        "tests/test_b.py": (ERROR, Cause.MISSING_NAME),
    }
    assert {case.file for case in read.cases} == {"tests/test_a.py", "tests/test_b.py"}


def test_unittest(project: Path) -> None:
    (project / "tests/test_u.py").write_text(UNITTEST)
    (project / "tests/test_v.py").write_text("from m import nope\n")
    adapted, raw, code, output = run("python -m unittest discover -f -s tests", project, PYTHONPATH=".")
    assert code == 1
    read = reports.read(adapted, raw, exit_code=code, output=output)
    got = {case.id.removeprefix("test_u.U."): (case.outcome, case.cause) for case in read.cases}
    assert got == {
        "test_ok": (PASSED, None),
        "test_assert": (FAILED, Cause.ASSERTION),
        "test_deep": (ERROR, Cause.RAISED),
        "test_name": (ERROR, Cause.MISSING_NAME),
        "test_json": (ERROR, Cause.RAISED),
        "test_sub": (FAILED, Cause.ASSERTION),
        "test_skip": (SKIPPED, None),
        "test_expected": (SKIPPED, None),
        "test_unexpected": (FAILED, Cause.ASSERTION),
        "test_v": (ERROR, Cause.MISSING_NAME),
    }
    assert {case.file for case in read.cases} == {"tests/test_u.py", "tests/test_v.py"}
    assert "Ran " in output


def test_unittest_with_nothing_wrong_exits_as_unittest_does(project: Path) -> None:
    (project / "tests/test_u.py").write_text(
        "import unittest\nclass U(unittest.TestCase):\n    def test_x(self): pass\n"
    )
    _, raw, code, _ = run("python -m unittest tests.test_u", project)
    assert code == 0
    assert raw is not None
    assert [case.id for case in reports.parse(raw, Kind.UNITTEST, 0, "")[0]] == ["tests.test_u.U.test_x"]


def test_node(project: Path) -> None:
    (project / "lib.mjs").write_text("export const half = (x) => x.y.z;\n")
    (project / "tests/a.test.mjs").write_text(NODE)
    (project / "tests/b.test.mjs").write_text("import { nope } from '../lib.mjs';\n")
    (project / "tests/c.test.cjs").write_text("require('./none');\n")
    adapted, raw, code, output = run("node --test tests/", project)
    if "not found" in output:  # no node on this host
        pytest.skip("node is not installed")
    read = reports.read(adapted, raw, exit_code=code, output=output)
    assert read.how_read is HowRead.JUNIT, output
    got = {case.id.removeprefix("tests/a.test.mjs > "): (case.outcome, case.cause) for case in read.cases}
    assert got == {
        "ok": (PASSED, None),
        "assert": (FAILED, Cause.ASSERTION),
        "deep": (FAILED, Cause.RAISED),
        "name": (FAILED, Cause.MISSING_NAME),
        "group > inner": (FAILED, Cause.UNKNOWN),
        "group > skipped": (SKIPPED, None),
        "parent > kid": (PASSED, None),
        "tests/b.test.mjs": (FAILED, Cause.MISSING_NAME),
        "tests/c.test.cjs": (FAILED, Cause.MISSING_NAME),
    }


# --- contradictions, and reports that try ------------------------------------------------------------------


def junit(*cases: str) -> bytes:
    return f"<testsuite>{''.join(cases)}</testsuite>".encode()


OK = '<testcase name="a" file="t.py"/>'
BAD = '<testcase name="b" file="t.py"><failure message="AssertionError: x"/></testcase>'


@pytest.mark.parametrize(
    ("raw", "code", "ids"),
    [
        (junit(OK), 0, {"t.py::a": PASSED}),
        (junit(OK, BAD), 1, {"t.py::a": PASSED, "t.py::b": FAILED}),
        (junit(OK), 1, {"t.py::a": PASSED, COMMAND: ERROR}),
        (junit(OK, BAD), 0, {"t.py::a": PASSED, "t.py::b": FAILED, COMMAND: ERROR}),
        (junit(), 0, {COMMAND: ERROR}),
        (junit(), 5, {COMMAND: ERROR}),
        (None, 0, {COMMAND: ERROR}),
        (b"", 0, {COMMAND: ERROR}),
        (b"<testsuite>", 0, {COMMAND: ERROR}),
        (b"\xff\xfe\x00", 0, {COMMAND: ERROR}),
        (b"not xml at all", 1, {COMMAND: ERROR}),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]><testsuite><testcase name='&a;'/></testsuite>", 0, {COMMAND: ERROR}),
    ],
)
def test_report_against_exit_code(raw: bytes | None, code: int, ids: dict[str, CaseOutcome]) -> None:
    cases, _ = reports.parse(raw, Kind.PYTEST, code, "")
    assert {case.id: case.outcome for case in cases} == ids


def test_an_entity_bomb_is_not_expanded() -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "x" * 10}">' for n in range(9))
    bomb = f"<!DOCTYPE t [{entities}]><testsuite><testcase name='&e8;'/></testsuite>".encode()
    cases, how = reports.parse(bomb, Kind.PYTEST, 0, "")
    assert [case.id for case in cases] == [COMMAND]
    assert how is HowRead.EXIT_CODE


def test_an_oversized_report_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "MAX_BYTES", 100)
    assert reports.parse(junit(OK * 10), Kind.PYTEST, 0, "")[1] is HowRead.EXIT_CODE
    monkeypatch.setattr(reports, "MAX_BYTES", 1 << 20)
    monkeypatch.setattr(reports, "MAX_CASES", 3)
    assert reports.parse(junit(OK * 10), Kind.PYTEST, 0, "")[1] is HowRead.EXIT_CODE


def test_ids_and_messages_are_bounded_and_printable() -> None:
    long = f'<testcase name="{"x" * 5_000}"><failure message="{"y" * 9_000}&#x202e;">t</failure></testcase>'
    other = f'<testcase name="{"x" * 5_000}z"/>'
    cases, _ = reports.parse(junit(long, other), Kind.OTHER, 1, "")
    assert len({case.id for case in cases}) == len(cases) == 2
    assert all(len(case.id) <= reports.MAX_ID and len(case.message) <= reports.MAX_MESSAGE for case in cases)


def test_equal_names_elsewhere_are_different_tests_in_any_order() -> None:
    one, _ = reports.parse(junit(OK, BAD.replace('"b"', '"a"'), OK), Kind.NODE, 1, "")
    other, _ = reports.parse(junit(BAD.replace('"b"', '"a"'), OK, OK), Kind.NODE, 1, "")
    assert (
        {c.id: c.outcome for c in one}
        == {c.id: c.outcome for c in other}
        == {"t.py > a": FAILED, "t.py > a #2": PASSED, "t.py > a #3": PASSED}
    )


# --- text --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "ids"),
    [
        (
            "tests/a.py::test_x PASSED [ 50%]\ntests/a.py::T::test_y[a b] FAILED [100%]",
            {"tests/a.py::test_x": PASSED, "tests/a.py::T::test_y[a b]": FAILED},
        ),
        (
            "=== short test summary info ===\nFAILED tests/a.py::test_x - assert 1\nERROR tests/b.py",
            {"tests/a.py::test_x": FAILED, "tests/b.py": ERROR},
        ),
        (
            "test_x (tests.a.T.test_x) ... ok\ntest_y (tests.a.T) ... FAIL\ntest_z (a.T.test_z) ... skipped 'w'",
            {"tests.a.T.test_x": PASSED, "tests.a.T.test_y": FAILED, "a.T.test_z": SKIPPED},
        ),
        (
            "=== RUN TestX\n--- PASS: TestX (0.00s)\n--- FAIL: TestY (0.00s)\n    --- FAIL: TestY/sub (0.00s)\nFAIL\nFAIL\tex/a\t0.1s",
            {"ex/a.TestX": PASSED, "ex/a.TestY": FAILED, "ex/a.TestY/sub": FAILED, "ex/a": FAILED},
        ),
        (
            "TAP version 13\nok 1 - one\nnot ok 2 - two\nok 3 - three # SKIP\n1..3",
            {"one": PASSED, "two": FAILED, "three": SKIPPED},
        ),
        (
            "test a::b ... ok\ntest a::c ... FAILED\ntest a::d ... ignored",
            {"a::b": PASSED, "a::c": FAILED, "a::d": SKIPPED},
        ),
        ("all is well", {}),
    ],
)
def test_what_runners_print(output: str, ids: dict[str, CaseOutcome]) -> None:
    assert {case.id: case.outcome for case in report_text.cases(output)} == ids


def test_text_and_exit_code_both_count() -> None:
    cases, how = reports.parse(None, Kind.GO, 1, "--- FAIL: TestX (0.00s)\nFAIL\tex/a\t0.1s")
    assert how is HowRead.TEXT
    assert {c.id: c.outcome for c in cases} == {"ex/a.TestX": FAILED, "ex/a": FAILED, COMMAND: FAILED}
    cases, _ = reports.parse(None, Kind.GO, 0, "--- FAIL: TestX (0.00s)\nFAIL\tex/a\t0.1s")
    assert {c.id: c.outcome for c in cases}[COMMAND] is ERROR


@pytest.mark.parametrize(
    ("code", "output", "outcome"),
    [
        (0, "fine", PASSED),
        (2, "no", FAILED),
        (0, "no tests ran in 0.01s", ERROR),
        (0, "Ran 0 tests in 0.0s", ERROR),
        (0, "collected 0 items", ERROR),
        (0, "Ran 10 tests in 0.0s", PASSED),
    ],
)
def test_the_exit_code_alone(code: int, output: str, outcome: CaseOutcome) -> None:
    cases, how = reports.parse(None, Kind.OTHER, code, output)
    assert how is HowRead.EXIT_CODE
    assert [(case.id, case.outcome) for case in cases] == [(COMMAND, outcome)]


@pytest.mark.parametrize(
    ("output", "name"),
    [
        ("--- FAIL: TestX (0.0s)\n--- PASS: TestX (0.0s)\nFAIL\tpkg\t0.1s\n", "pkg.TestX"),
        ("--- PASS: TestX (0.0s)\n--- FAIL: TestX (0.0s)\nFAIL\tpkg\t0.1s\n", "pkg.TestX"),
        ("FAIL\tpkg\t0.1s\nok  \tpkg\t0.1s\n", "pkg"),
        ("a.py::test_x FAILED\na.py::test_x PASSED\n", "a.py::test_x"),
        ("test_x (m.T) ... FAIL\ntest_x (m.T) ... ok\n", "m.T.test_x"),
        ("test x ... FAILED\ntest x ... ok\n", "x"),
    ],
)
def test_the_worse_word_on_an_id_counts(output: str, name: str) -> None:
    assert {case.id: case.outcome for case in report_text.cases(output)}[name] is FAILED


def test_printed_lines_do_not_make_a_failed_command_pass() -> None:
    cases, how = reports.parse(None, Kind.GO, 1, "--- PASS: TestX (0.0s)\nok  \tpkg\t0.1s\n")
    assert how is HowRead.TEXT
    assert cases[-1].id == COMMAND
    assert cases[-1].outcome is ERROR
    assert "though no test failed" in cases[-1].message

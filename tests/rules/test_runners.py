from __future__ import annotations

import pytest

from boatwright.rules.runners import INSIDE, Kind, adapt

SCRIPTS = {"test": "node --test", "unit": "jest", "both": "node --test && node --test x"}


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("pytest", Kind.PYTEST),
        ("python -m pytest -q tests", Kind.PYTEST),
        ("PYTHONPATH=src python3 -m pytest", Kind.PYTEST),
        (".venv/bin/pytest -k 'a and b'", Kind.PYTEST),
        ("python3 -W error -m pytest", Kind.PYTEST),
        ("cd sub && py.test", Kind.PYTEST),
        ("python -m unittest", Kind.UNITTEST),
        ("python3.11 -X dev -m unittest discover -s tests", Kind.UNITTEST),
        ("/usr/bin/python3 -m unittest -v", Kind.UNITTEST),
        ("node --test", Kind.NODE),
        ("node --enable-source-maps --test test/", Kind.NODE),
        ("npm test", Kind.NODE),
        ("npm run test", Kind.NODE),
        ("npm run unit", Kind.OTHER),
        ("npm run both", Kind.OTHER),
        ("npm ci", Kind.OTHER),
        ("go test ./...", Kind.GO),
        ("make test", Kind.OTHER),
        ("tox", Kind.OTHER),
        ("pytest a && pytest b", Kind.OTHER),
        ("python -m unittest && node --test", Kind.OTHER),
        ("./run-pytest.sh", Kind.OTHER),
        ("python tests/pytest_like.py", Kind.OTHER),
        ("node build.js", Kind.OTHER),
        ("cat pytest.ini", Kind.OTHER),
    ],
)
def test_kinds(command: str, kind: Kind) -> None:
    assert adapt(command, "/r", scripts=SCRIPTS).kind is kind


def test_pytest_reports_through_the_environment() -> None:
    got = adapt("python -m pytest -q", "/r/")
    assert got.command == "python -m pytest -q"
    assert got.reports == ("/r/junit.xml",)
    assert "--junitxml=/r/junit.xml" in got.environment["PYTEST_ADDOPTS"]
    assert "no:randomly" in got.environment["PYTEST_ADDOPTS"]
    assert "no:randomly" not in adapt("pytest -p randomly", "/r").environment["PYTEST_ADDOPTS"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("pytest -x -q", "pytest -q"),
        ("pytest -xq", "pytest -q"),
        ("pytest -qx tests", "pytest -q tests"),
        ("pytest --maxfail=1 tests", "pytest tests"),
        ("pytest --maxfail 2", "pytest"),
        ("pytest --exitfirst", "pytest"),
        ("pytest --junitxml=a.xml -v", "pytest -v"),
        ("pytest -k 'not -x'", "pytest -k 'not -x'"),
        ("pytest --exclude-x", "pytest --exclude-x"),
    ],
)
def test_every_id_is_wanted(before: str, after: str) -> None:
    assert adapt(before, "/r").command.replace("  ", " ") == after


def test_unittest_runs_our_script_with_the_same_arguments() -> None:
    got = adapt("cd x; PYTHONPATH=src python3 -W error -m unittest discover -s 'my tests' -v", "/r")
    assert (
        got.command
        == f"cd x; PYTHONPATH=src python3 -W error {INSIDE}/unittest_report.py discover -s 'my tests' -v"
    )
    assert got.environment["BOATWRIGHT_REPORT"] == "/r/junit.xml"
    assert got.scripts == ("unittest_report.py",)


def test_node_gets_a_second_reporter() -> None:
    got = adapt("node --test", "/r")
    assert got.command == "node --test"
    assert got.environment["NODE_OPTIONS"].count("--test-reporter=") == 2
    assert got.scripts == ("node_report.mjs",)


def test_go_says_every_test() -> None:
    assert adapt("go test ./...", "/r").command == "go test -v ./..."

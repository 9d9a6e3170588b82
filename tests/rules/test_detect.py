from __future__ import annotations

import pytest

from boatwright.config import policy
from boatwright.rules import detect

UNIT = "import unittest\nclass T(unittest.TestCase):\n    def test_x(self): pass\n"
FUNCTIONS = "def test_x(): pass\n"
DEPENDS = "[project]\nname='x'\ndependencies=['y']\n"
EXTRA = "[project]\nname='x'\n[project.optional-dependencies]\ntest=['pytest']\n"


@pytest.mark.parametrize(
    ("files", "setup", "test"),
    [
        ({"tests/test_a.py": UNIT}, None, "python3 -m unittest discover -s tests"),
        (
            {"tests/test_a.py": UNIT, "tests/__init__.py": ""},
            None,
            "python3 -m unittest discover -s tests -t .",
        ),
        ({"test_a.py": UNIT, "a.py": ""}, None, "python3 -m unittest discover"),
        ({"test_a.py": UNIT + "def test_suite(): pass\n"}, None, "python3 -m unittest discover"),
        ({"test_a.py": UNIT, "tests/test_b.py": UNIT}, None, "python3 -m unittest discover"),
        ({"tests/a_test.py": UNIT}, None, "python3 -m unittest discover -s tests -p '*_test.py'"),
        (
            {"tests/test_a.py": UNIT, "src/a.py": ""},
            None,
            "PYTHONPATH=src python3 -m unittest discover -s tests",
        ),
        (
            {"tests/test_a.py": UNIT, "pyproject.toml": "[project]\nname='x'\ndependencies=[]"},
            None,
            "python3 -m unittest discover -s tests",
        ),
        (
            {"tests/test_a.py": UNIT, "pyproject.toml": DEPENDS},
            "python3 -m pip install -e .",
            "python3 -m unittest discover -s tests",
        ),
        ({"tests/test_a.py": FUNCTIONS}, "python3 -m pip install pytest", "python3 -m pytest"),
        ({"tests/test_a.py": f"import pytest\n{UNIT}"}, "python3 -m pip install pytest", "python3 -m pytest"),
        (
            {"tests/test_a.py": UNIT, "pytest.ini": "[pytest]"},
            "python3 -m pip install pytest",
            "python3 -m pytest",
        ),
        ({"tests/test_a.py": UNIT, "tox.ini": "[tox]"}, None, "python3 -m unittest discover -s tests"),
        (
            {"tests/test_a.py": UNIT, "setup.cfg": "[tool:pytest]"},
            "python3 -m pip install pytest",
            "python3 -m pytest",
        ),
        (
            {"tests/test_a.py": FUNCTIONS, "pyproject.toml": EXTRA},
            "python3 -m pip install -e '.[test]'",
            "python3 -m pytest",
        ),
        (
            {"tests/test_a.py": FUNCTIONS, "pyproject.toml": DEPENDS},
            "python3 -m pip install -e . pytest",
            "python3 -m pytest",
        ),
        (
            {"tests/test_a.py": FUNCTIONS, "requirements.txt": "y\n"},
            "python3 -m pip install -r requirements.txt pytest",
            "python3 -m pytest",
        ),
        (
            {"tests/test_a.py": UNIT, "requirements.txt": "# none\n"},
            None,
            "python3 -m unittest discover -s tests",
        ),
        (
            {"tests/test_a.py": UNIT, "setup.py": "setup(install_requires=['y'])"},
            "python3 -m pip install -e .",
            "python3 -m unittest discover -s tests",
        ),
        (
            {"tests/test_a.py": UNIT, "setup.py": "setup(install_requires=[])"},
            None,
            "python3 -m unittest discover -s tests",
        ),
        ({"package.json": '{"scripts": {"test": "jest"}}'}, None, "npm test"),
        (
            {
                "package.json": '{"scripts": {"test": "jest"}, "devDependencies": {"jest": "1"}}',
                "package-lock.json": "",
            },
            "npm ci",
            "npm test",
        ),
        (
            {"package.json": '{"dependencies": {"y": "1"}, "scripts": {"test": "x"}}', "yarn.lock": ""},
            "yarn install --frozen-lockfile",
            "npm test",
        ),
        (
            {"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\""}}', "test/a.js": ""},
            None,
            "node --test",
        ),
        ({"a.test.mjs": ""}, None, "node --test"),
        ({"go.mod": "module x", "a_test.go": ""}, None, "go test ./..."),
        ({"go.mod": "require y v1", "a_test.go": ""}, "go mod download", "go test ./..."),
        ({"Cargo.toml": ""}, "cargo fetch", "cargo test"),
        ({"Makefile": "test: build\n\tx"}, None, "make test"),
        ({"Makefile": "check:\n\tx"}, None, "make check"),
    ],
)
def test_detected(files: dict[str, str], setup: str | None, test: str) -> None:
    found = detect.detect(files.keys(), files)
    assert (found.setup_command, found.test_command) == (setup, test)
    assert found.why
    assert found.next_moves == ()


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"README.md": "x"},
        {"a.py": "x = 1"},
        {"Makefile": "all:\n\tx"},
        {"package.json": "{"},
        {"go.mod": "module x"},
        {"package.json": "[]"},
        {"pyproject.toml": "= ="},
    ],
)
def test_nothing_found_says_so_and_what_to_do(files: dict[str, str]) -> None:
    found = detect.detect(files.keys(), files)
    assert found.test_command is None
    assert found.why
    assert any("--test" in move for move in found.next_moves)


def test_what_the_bottle_has_already_is_not_installed() -> None:
    files = {"tests/test_a.py": FUNCTIONS}
    assert detect.detect(files, files.get, available=["pytest"]).setup_command is None


@pytest.mark.parametrize("files", [{"tests/test_a.py": FUNCTIONS}, {}])
def test_init_writes_what_the_policy_reads(files: dict[str, str]) -> None:
    found = detect.detect(files, files)
    text = detect.policy_text(found)
    assert policy.parse(text).test_command == found.test_command
    commented = "\n".join(
        line[2:] if line.startswith("# ") and ":" in line.split("#")[1] and "…" not in line else ""
        for line in text.split("\n")
    )
    keys = [
        line.split(":")[0] for line in commented.split("\n") if line and line.split(":")[0].isidentifier()
    ]
    assert set(keys) - {"Found"} <= set(policy.Policy.model_fields)

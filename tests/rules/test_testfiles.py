from __future__ import annotations

import pytest

from boatwright.rules.testfiles import DEFAULT, Side, TestPaths, imports


@pytest.mark.parametrize(
    ("path", "side"),
    [
        ("tests/test_a.py", Side.TEST),
        ("test_a.py", Side.TEST),
        ("pkg/a_test.py", Side.TEST),
        ("app/tests.py", Side.TEST),
        ("tests/helpers.py", Side.SUPPORT),
        ("tests/data/x.json", Side.SUPPORT),
        ("pkg/tests/__init__.py", Side.SUPPORT),
        ("conftest.py", Side.SUPPORT),
        ("pkg/conftest.py", Side.SUPPORT),
        ("src/a.test.ts", Side.TEST),
        ("src/__tests__/a.js", Side.TEST),
        ("test/a.js", Side.TEST),
        ("pkg/a_test.go", Side.TEST),
        ("pkg/testdata/in.txt", Side.SUPPORT),
        ("src/test/java/ATest.java", Side.TEST),
        ("src/a.py", Side.CODE),
        ("src/testing/a.py", Side.CODE),
        ("src/contest.py", Side.CODE),
        ("src/latest/a.py", Side.CODE),
        ("README.md", Side.CODE),
    ],
)
def test_sides(path: str, side: Side) -> None:
    assert DEFAULT.side(path) is side


def test_policy_adds_and_takes_back() -> None:
    paths = TestPaths.of(["checks/*.py"], ["checks/**", "!**/test/**"])
    assert paths.side("checks/a.py") is Side.TEST
    assert paths.side("checks/a.json") is Side.SUPPORT
    assert paths.side("x/test/data.bin") is Side.CODE


def test_change_splits_by_side() -> None:
    change = DEFAULT.change(["src/a.py", "tests/test_a.py", "tests/conftest.py"])
    assert change.paths == {"tests/test_a.py", "tests/conftest.py"}
    assert change.support == {"tests/conftest.py"}


FILES = [
    "src/pkg/__init__.py",
    "src/pkg/a.py",
    "tests/__init__.py",
    "tests/helpers.py",
    "tests/deep.py",
    "tests/test_a.py",
    "tests/unused.py",
    "test/util.js",
    "lib/x.js",
    "test/data.json",
]


@pytest.mark.parametrize(
    "text",
    [
        "from tests.helpers import x",
        "import tests.helpers",
        "from tests import helpers",
        "import importlib\nimportlib.import_module('tests.helpers')",
        "def f():\n    from tests.helpers import x",
    ],
)
def test_what_code_imports_is_code(text: str) -> None:
    paths = DEFAULT.without_imported(
        FILES, {"src/pkg/a.py": text, "tests/helpers.py": "from tests.deep import y"}
    )
    assert paths.side("tests/helpers.py") is Side.CODE
    assert paths.side("tests/deep.py") is Side.CODE
    assert paths.side("tests/test_a.py") is Side.TEST
    assert paths.side("tests/unused.py") is Side.SUPPORT


def test_what_tests_import_stays_support() -> None:
    paths = DEFAULT.without_imported(FILES, {"tests/test_a.py": "from tests.helpers import x"})
    assert paths.side("tests/helpers.py") is Side.SUPPORT


def test_javascript_imports() -> None:
    text = "import u from '../test/util.js'\nconst d = require('../test/data')\nexport * from './gone'"
    assert imports("lib/x.js", text, FILES) == {"test/util.js", "test/data.json"}
    paths = DEFAULT.without_imported(FILES, {"lib/x.js": text})
    assert paths.side("test/util.js") is Side.CODE


def test_relative_python_imports() -> None:
    files = ["pkg/__init__.py", "pkg/tests/__init__.py", "pkg/tests/help.py", "pkg/sub/a.py"]
    assert "pkg/tests/help.py" in imports("pkg/sub/a.py", "from ..tests import help", files)
    assert "pkg/tests/help.py" in imports("pkg/__init__.py", "from .tests.help import x", files)


def test_source_that_does_not_parse_names_nothing() -> None:
    assert imports("a.py", "def (", FILES) == frozenset()


MONOREPO = [
    "backend/app/__init__.py",
    "backend/app/core.py",
    "backend/app/test_client.py",
    "backend/app/tests/test_a.py",
    "services/x/main.py",
    "tests/helpers.py",
    "tests/json.py",
    "src/helpers.py",
]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("backend/app/core.py", "from app.test_client import X"),
        ("backend/app/core.py", "import app.test_client"),
        ("backend/app/core.py", "from app import test_client"),
        ("backend/app/core.py", "import test_client"),
        ("backend/app/core.py", "from . import test_client"),
        ("backend/app/core.py", "from importlib import import_module\nimport_module('app.test_client')"),
        ("backend/app/core.py", "import importlib\nimportlib.import_module('.test_client', __package__)"),
        ("backend/app/core.py", "import importlib\nimportlib.import_module('.test_client', package='app')"),
        ("services/x/main.py", "import importlib\nimportlib.import_module('.test_client', 'app')"),
        ("services/x/main.py", "from app.test_client import X"),
        ("services/x/main.py", "import test_client"),
    ],
)
def test_import_roots_may_be_anywhere(path: str, text: str) -> None:
    paths = DEFAULT.without_imported(MONOREPO, {path: text})
    assert paths.side("backend/app/test_client.py") is Side.CODE
    assert paths.side("tests/helpers.py") is Side.SUPPORT
    assert paths.side("backend/app/tests/test_a.py") is Side.TEST


@pytest.mark.parametrize(
    "text", ["import helpers", "from helpers import x", "import json", "import app.helpers"]
)
def test_another_file_of_that_name_stays_support(text: str) -> None:
    paths = DEFAULT.without_imported(
        MONOREPO, {"src/a.py": text, "tests/test_a.py": "import helpers, tests.helpers"}
    )
    assert paths.side("tests/helpers.py") is Side.SUPPORT
    assert paths.side("tests/json.py") is Side.SUPPORT

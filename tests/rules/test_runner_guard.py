"""What a change may not do to the test runner, and what it may."""

from __future__ import annotations

import pytest

from boatwright.rules import runner_guard
from boatwright.rules.runner_guard import Changed

# fmt: off
REFUSED = [
    # hooks beyond fixtures
    ("tests/conftest.py", "def pytest_runtest_makereport(item, call): ..."),
    ("tests/conftest.py", "import pytest\n@pytest.hookimpl(hookwrapper=True)\ndef pytest_pyfunc_call(pyfuncitem):\n    yield"),
    ("conftest.py", "def pytest_collection_modifyitems(items): items.clear()"),
    ("conftest.py", "def pytest_sessionfinish(session): session.exitstatus = 0"),
    ("conftest.py", "class P:\n    def pytest_runtest_call(self, item): ..."),
    ("conftest.py", "pytest_plugins = ['evil']"),
    ("conftest.py", "collect_ignore = ['test_a.py']"),
    ("src/plugin.py", "async def pytest_configure(config): ..."),
    ("tests/test_a.py", "def load_tests(loader, tests, pattern): return None"),
    # sys.modules
    ("src/a.py", "import sys\nsys.modules['unittest'] = None"),
    ("src/a.py", "import sys as s\ns.modules.pop('x')"),
    ("src/a.py", "from sys import modules\nmodules['x'] = 1"),
    ("src/a.py", "import sys\ndel sys.modules['x']"),
    ("src/a.py", "import sys\ngetattr(sys, 'modules')['pytest'].x = 1"),
    ("src/a.py", "import sys\nif 'pytest' in sys.modules:\n    x = 1"),
    ("tests/test_a.py", "import sys\nsys.modules['unittest'] = None"),
    # the runner's packages
    ("src/a.py", "import unittest\nunittest.TestCase.assertEqual = lambda *a: None"),
    ("src/a.py", "from unittest import TestCase\nTestCase.run = lambda self, result=None: result"),
    ("src/a.py", "import unittest.case as c\nsetattr(c.TestCase, 'assertTrue', print)"),
    ("src/a.py", "import pytest"),
    ("src/a.py", "from _pytest import runner"),
    ("src/a.py", "import importlib\nm = importlib.import_module('unittest')"),
    ("src/a.py", "m = __import__('unit' + 'test')"),
    ("src/a.py", "exec(text)"),
    ("tests/conftest.py", "import unittest\nunittest.TestCase.assertEqual = lambda *a: None"),
    ("tests/conftest.py", "import _pytest.runner\n_pytest.runner.check_interactive_exception = None"),
    ("tests/conftest.py", "import pytest\npytest.raises = None"),
    ("tests/conftest.py", "from _pytest.reports import TestReport\nsetattr(TestReport, 'failed', False)"),
    ("tests/test_a.py", "from unittest import mock\nmock.patch('unittest.case.TestCase.fail').start()"),
    ("tests/conftest.py", "import unittest\ndef f(monkeypatch): monkeypatch.setattr(unittest.TestCase, 'run', None)"),
    # exit hooks
    ("src/a.py", "import os\nos._exit(0)"),
    ("src/a.py", "from os import _exit as bye\nbye(0)"),
    ("src/a.py", "import atexit\natexit.register(print)"),
    ("src/a.py", "import atexit\n@atexit.register\ndef f(): ..."),
    ("src/a.py", "import sys\nsys.exit(0)"),
    ("src/a.py", "raise SystemExit(0)"),
    ("src/a.py", "try:\n    exit(0)\nexcept ValueError:\n    pass"),
    ("src/a.py", "import sys\nsys.excepthook = print"),
    ("src/a.py", "import threading\nthreading.excepthook = print"),
    ("tests/test_a.py", "import signal\nsignal.signal(signal.SIGALRM, print)"),
    ("tests/test_a.py", "import faulthandler\nfaulthandler.disable()"),
    # frames, builtins, tracing
    ("src/a.py", "import sys\nsys._getframe(1)"),
    ("src/a.py", "def f(e): return e.__traceback__.tb_frame.f_back"),
    ("src/a.py", "import gc\ngc.get_objects()"),
    ("src/a.py", "import builtins\nbuiltins.isinstance = lambda *a: True"),
    ("src/a.py", "__builtins__['len'] = print"),
    ("src/a.py", "import sys\nsys.settrace(print)"),
    ("src/a.py", "import sys\nsys.meta_path.insert(0, x)"),
    # report paths and the runner's environment
    ("src/a.py", "import os\nif os.environ.get('PYTEST_CURRENT_TEST'):\n    x = 1"),
    ("src/a.py", "import os\nos.environ['PYTEST_ADDOPTS'] = '-x'"),
    ("src/a.py", "open('/tmp/boatwright-report/junit.xml', 'w')"),
    ("src/a.py", "import os\np = os.environ['BOATWRIGHT_REPORT']"),
    # names and kinds of files
    ("unittest.py", "x = 1"),
    ("tests/pytest.py", "x = 1"),
    ("src/_pytest/__init__.py", ""),
    ("sitecustomize.py", "x = 1"),
    ("src/x.pth", "import x"),
    ("src/fast.so", "\x7fELF"),
    ("node_modules/chai/index.js", "module.exports = 1"),
    # configuration
    ("pytest.ini", "[pytest]\naddopts = -x"),
    ("pyproject.toml", "[tool.pytest.ini_options]\naddopts = '-p evil'"),
    ("pyproject.toml", "[project.entry-points.pytest11]\nevil = 'evil'"),
    ("pyproject.toml", "not = = toml"),
    ("tox.ini", "[pytest]\naddopts = -q"),
    ("setup.cfg", "[tool:pytest]\naddopts = -q"),
    ("setup.py", "setup(entry_points={'pytest11': ['evil = evil']})"),
    ("package.json", '{"scripts": {"test": "true"}}'),
    ("package.json", '{"jest": {}}'),
    ("jest.config.js", "module.exports = {}"),
    (".npmrc", "node-options=--require ./evil.js"),
    # JavaScript
    ("lib/a.js", "process.on('exit', () => { process.exitCode = 0 })"),
    ("lib/a.js", "delete require.cache[x]"),
    ("lib/a.js", "const t = require('node:test')"),
    ("lib/a.mjs", "import { register } from 'node:module'"),
    ("lib/a.js", "assert.strictEqual = () => {}"),
    ("lib/a.ts", "globalThis.expect = fake"),
    ("test/a.test.js", "process.exit(0)"),
    # what would be loaded without being read
    ("src/a.py", "# -*- coding: utf-7 -*-\nx = 1"),
    ("src/a.py", "import runpy\nrunpy.run_path('notes.txt')"),
    ("tests/conftest.py", "exec(open('notes.txt').read())"),
    ("src/a.py", "import importlib.util\nimportlib.util.spec_from_file_location('m', path)"),
    ("src/a.py", "import marshal\nmarshal.loads(x)"),
    # source that Python cannot read
    ("src/a.py", "def (:\n    sys.modules['x'] = 1"),
]
ALLOWED = [
    ("tests/conftest.py", "import pytest\n@pytest.fixture(autouse=True)\ndef box(tmp_path, monkeypatch):\n    yield tmp_path"),
    ("tests/test_a.py", "import pytest, unittest\nclass T(unittest.TestCase):\n    def test_x(self): self.assertEqual(1, 1)"),
    ("tests/test_a.py", "import unittest\nif __name__ == '__main__':\n    unittest.main()"),
    ("tests/test_a.py", "from unittest import mock\n@mock.patch('builtins.open')\ndef test_x(o): ..."),
    ("tests/test_a.py", "def test_x(monkeypatch):\n    monkeypatch.setattr('sys.argv', ['x'])\n    monkeypatch.setattr('builtins.input', str)"),
    ("tests/test_a.py", "import sys\nfrom unittest.mock import patch\ndef test_x():\n    with patch.dict(sys.modules, {'x': None}): ..."),
    ("tests/test_a.py", "import sys\nsys.path.insert(0, 'src')"),
    ("tests/test_a.py", "from _pytest.monkeypatch import MonkeyPatch\ndef test_x(m: MonkeyPatch): ..."),
    ("tests/test_a.py", "import pytest\npytestmark = pytest.mark.slow\npytest.register_assert_rewrite('helpers')"),
    ("src/a.py", "import sys\ndef main():\n    sys.exit(1)\nif __name__ == '__main__':\n    sys.exit(main())"),
    ("src/a.py", "import sys\nme = sys.modules[__name__]"),
    ("src/a.py", "import os, sys, importlib\nx = os.environ.get('HOME')\nprint(x, file=sys.stderr)\nimportlib.import_module(x)"),
    ("src/a.py", '"""Run it under pytest with PYTEST_ADDOPTS."""\nimport re\nre.compile("x")'),
    ("src/a.py", "from unittest.mock import Mock"),
    ("src/a.py", "cache = {}\ncache.pop('x', None)\nmodules = {}\nmodules['x'] = 1"),
    ("src/a.py", "def pytest_style(): ..."),
    ("tests/test_a.py", "import importlib.util as u\nspec = u.spec_from_file_location('tool', 'bin/my-tool.py')"),
    ("src/a.py", "# coding: UTF-8\nx = 1"),
    ("pyproject.toml", "[project]\nname = 'x'\ndependencies = ['y']"),
    ("setup.cfg", "[metadata]\nname = x"),
    ("package.json", '{"name": "x", "scripts": {"build": "tsc"}, "dependencies": {"y": "1"}}'),
    ("Makefile", "test:\n\ttrue"),
    ("lib/a.js", "export const half = (x) => x / 2;\nif (x) process.exit(1);"),
    ("test/a.test.js", "import test from 'node:test';\nimport assert from 'node:assert';\ntest('x', () => assert.equal(1, 1));"),
    ("README.md", "Set PYTEST_ADDOPTS and sys.modules as you like."),
    ("src/_pytest_like.py", "x = 1"),
]
# fmt: on


@pytest.mark.parametrize(("path", "text"), REFUSED)
def test_refused(path: str, text: str) -> None:
    found = runner_guard.findings([Changed(path, None, text)])
    assert found
    assert all(f.blocking and f.rule == runner_guard.RULE and f.path == path and f.observed for f in found)


@pytest.mark.parametrize(("path", "text"), ALLOWED)
def test_allowed(path: str, text: str) -> None:
    assert runner_guard.findings([Changed(path, None, text)]) == ()


@pytest.mark.parametrize(
    ("path", "text"), [row for row in REFUSED if row[0].endswith((".py", "a.js", ".json"))]
)
def test_what_base_has_stays(path: str, text: str) -> None:
    added = text + ("\nx = 2\n" if path.endswith(".py") else "\n")
    assert runner_guard.findings([Changed(path, text, added)]) == ()


def test_a_second_one_is_new() -> None:
    base = "import atexit\natexit.register(print)\n"
    found = runner_guard.findings([Changed("src/a.py", base, f"# moved\n{base}atexit.register(print)\n")])
    assert [f.line for f in found] == [4]


def test_taking_a_hook_out_is_allowed_but_not_the_configuration() -> None:
    assert runner_guard.findings([Changed("conftest.py", "def pytest_configure(config): ...", "")]) == ()
    assert runner_guard.findings([Changed("pytest.ini", "[pytest]", None)])


def test_the_task_file_counts_where_the_tests_are_run_by_it() -> None:
    file = Changed("Makefile", "test:\n\tpytest", "test:\n\ttrue")
    assert runner_guard.findings([file], test_command="make test")
    assert not runner_guard.findings([file], test_command="python3 -m pytest")


def test_bytes_are_read_too() -> None:
    assert runner_guard.findings([Changed("src/a.py", None, b"import os\nos._exit(0)")])


def test_a_link_with_the_name_of_a_module_is_not_read_and_so_refused() -> None:
    assert runner_guard.findings([Changed("src/a.py", None, b"notes.txt", mode="120000")])
    assert not runner_guard.findings([Changed("docs/a.md", None, b"b.md", mode="120000")])

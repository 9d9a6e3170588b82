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
    # the runner as __main__, and other names for what is guarded
    ("src/a.py", "import __main__"),
    ("src/a.py", "from __main__ import Result"),
    ("tests/test_a.py", "import __main__"),
    ("src/a.py", "import importlib\nm = importlib.import_module('__main__')"),
    ("src/a.py", "import importlib\nimportlib.import_module('__ma' + 'in__')"),
    ("src/a.py", "import importlib\nm = importlib.import_module(n)\nm.Result = None"),
    ("tests/test_a.py", "import unittest\nT = unittest.TestCase\nT.assertEqual = print"),
    ("tests/test_a.py", "import unittest\nfrom unittest.mock import patch\npatch.multiple(unittest.TestCase, run=None).start()"),
    ("tests/test_a.py", "def f(self): self._outcome.result.addFailure = print"),
    ("src/a.py", "def g(r): setattr(r, 'addFailure', print)"),
    ("src/a.py", "f.__code__ = g.__code__"),
    # text run as code, by any name
    ("src/a.py", "run = exec\nrun(text)"),
    ("src/a.py", "list(map(eval, texts))"),
    ("src/a.py", "import builtins\nbuiltins.exec(text)"),
    ("src/a.py", "import builtins\nrun = builtins.compile"),
    ("src/a.py", "__builtins__['exec'](text)"),
    ("src/a.py", "import builtins\nvars(builtins)['exec'](text)"),
    ("src/a.py", "import code\ncode.InteractiveInterpreter().runcode(text)"),
    ("src/a.py", "from code import InteractiveConsole\nclass C(InteractiveConsole): ..."),
    ("src/a.py", "import codeop\ncodeop.compile_command(text)"),
    ("src/a.py", "import types\ntypes.FunctionType(c, {})()"),
    # computed names of modules
    ("src/a.py", "import os\ngetattr(os, name)(0)"),
    ("src/a.py", "import os\ngetattr(os, '_' + 'exit')(0)"),
    ("tests/test_a.py", "import os\ngetattr(os, n)(0)"),
    ("src/a.py", "import sys as s\nsetattr(s, name, None)"),
    ("src/a.py", "import sys\nm = sys\ngetattr(m, name)"),
    ("src/a.py", "import builtins\ngetattr(builtins, name)"),
    ("src/a.py", "import os\nvars(os)[name](0)"),
    ("src/a.py", "import os\nos.__dict__['_exit'](0)"),
    ("src/a.py", "import os, operator\noperator.methodcaller('_exit', 0)(os)"),
    ("src/a.py", "import os\ntake(os)"),
    ("src/a.py", "import os\nbye = os._exit"),
    ("src/a.py", "from os import _exit\nmap(_exit, [0])"),
    # machine code, every object there is
    ("src/a.py", "import ctypes\nctypes.CDLL(None)._exit(0)"),
    ("src/a.py", "import ctypes\nctypes.PyDLL(None)"),
    ("src/a.py", "from ctypes import cdll\nx = cdll.LoadLibrary('libc.so.6')"),
    ("src/a.py", "import ctypes\nx = ctypes.pythonapi"),
    ("src/a.py", "for c in object.__subclasses__(): setattr(c, 'x', 1)"),
    ("tests/test_a.py", "x = getattr(object, '__subclasses__')() or object.__subclasses__()"),
    ("src/a.py", "import gc\nlook = gc.get_referrers"),
    ("src/a.py", "def f(g): return g.__globals__"),
    # files loaded under the name of another, the report looked for
    ("src/a.py", "from importlib.machinery import SourceFileLoader\nSourceFileLoader('x.py', 'data/blob.txt')"),
    ("src/a.py", "import importlib.util as u\nu.spec_from_file_location('x.py', location='blob.txt')"),
    ("src/a.py", "import runpy\nrunpy.run_path(['blob.txt', 'x.py'][0])"),
    ("src/a.py", "from importlib.machinery import SourcelessFileLoader\nSourcelessFileLoader('x', 'x.py')"),
    ("src/a.py", "from pathlib import Path\nfor p in Path.home().glob('.*/*'): p.write_text('')"),
    ("src/a.py", "import os\nos.walk(os.path.expanduser('~'))"),
    ("src/a.py", "from glob import glob\nglob('/tmp/*/*.xml')"),
    ("src/a.py", "import os\nos.environ['PYTHON' + 'PATH'] = 'x'"),
    ("src/a.py", "import threading\nthreading.main_thread().join()"),
    ("conftest.py", "def f(request): request.node.runtest = print"),
    ("conftest.py", "def f(request): request.config.pluginmanager.register(X())"),
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
    ("src/a.py", "import os\nif __name__ == '__main__':\n    print(getattr(os, 'name'), hasattr(os, 'fork'))"),
    ("src/a.py", "def f(obj, name):\n    setattr(obj, name, 1)\n    return getattr(obj, name)"),
    ("src/a.py", "class A:\n    def f(self, n): return getattr(self, n, None) or vars(self)[n]"),
    ("src/a.py", "import re\nmodel.eval()\nre.compile('x')\nast.literal_eval(t)\ncode = 1\ncode.interact"),
    ("src/a.py", "import sys\nout = sys.stdout\ngetattr(sys.stdout, name)\nprint(1, file=out)"),
    ("src/a.py", "import importlib\nplugin = importlib.import_module(n)\nplugin.register(app)\ngetattr(plugin, n)"),
    ("src/a.py", "import os, json\nlog = json\nx = os.path\nlog.x = 1\nos.environ.get(k)"),
    ("src/a.py", "class R:\n    def addFailure(self, t, e): ..."),
    ("src/a.py", "from pathlib import Path\nfor p in Path('data').glob('*.txt'): print(p)\nhome = Path.home() / 'x'"),
    ("src/a.py", "import os\nfor e in os.scandir(folder): print(e)"),
    ("src/__main__.py", "from pkg.cli import main\nmain()"),
    ("tests/test_a.py", "import os\ndef test_x(monkeypatch):\n    monkeypatch.setattr(os, 'getcwd', str)"),
    ("tests/test_a.py", "import importlib.util as u\nu.spec_from_file_location('t', str(ROOT / 'bin' / f'{x}.py'))"),
    ("tests/unittest/test_a.py", "x = 1"),
    ("src/a.py", "import threading\nok = threading.current_thread() is threading.main_thread()\nt.join()"),
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


def test_a_link_named_like_the_runner_is_refused() -> None:
    for path in ("_pytest", "unittest", "src/pytest", "unittest.py"):
        assert runner_guard.findings([Changed(path, None, b"vendor/x", mode="120000")]), path
    assert runner_guard.findings([Changed("_pytest/runner.py", None, b"x = 1")])
    assert runner_guard.findings([Changed("pytest.py", b"x = 1", b"x = 1", renamed_from="a.py")])
    assert not runner_guard.findings([Changed("docs/pytest.md", None, b"x", mode="100644")])


# fmt: off
BASE = {
    "package.json": '{"scripts": {"test": "npm run unit && node scripts/check.js", "unit": "node --test test/", "start": "node lib/a.js"}}',
    "Makefile": "include mk/rules.inc\ntest:\n\t@./ci/all.sh\n",
    "ci/all.sh": "#!/bin/sh\n# lib/a.py\npython3 tools/collect.py src/a.py\n",
    "run_tests.sh": "#!/bin/sh\npython -m pytest tests/test_x.py\n",
}
DECIDED = [
    ("./run_tests.sh", "run_tests.sh"),
    ("sh -e run_tests.sh", "run_tests.sh"),
    ("sh -c './run_tests.sh | cat'", "run_tests.sh"),
    ("cd backend && ./run_tests.sh", "backend/run_tests.sh"),
    ("bash ./ci/all.sh", "ci/all.sh"),
    ("bash ./ci/all.sh", "tools/collect.py"),
    ("timeout 60 ci/all.sh", "ci/all.sh"),
    ("python runtests.py", "runtests.py"),
    ("python -W error runtests.py pytest", "runtests.py"),
    ("python tests/run_all.py", "tests/run_all.py"),
    ("python tools", "tools/__main__.py"),
    ("python tools", "tools/inner.py"),
    ("python -m tools.runtests", "tools/runtests.py"),
    ("python -m runtests", "runtests/__main__.py"),
    ("python -m pytest -p myplugin", "myplugin.py"),
    ("pytest -c ci/pytest.cfg tests", "ci/pytest.cfg"),
    ("pytest --cov-config=ci/cov.cfg", "ci/cov.cfg"),
    ("CONFIG=ci/x.cfg pytest", "ci/x.cfg"),
    ("node --import ./test/setup.mjs --test", "test/setup.mjs"),
    ("node --test --require=./test/setup.cjs test/", "test/setup.cjs"),
    ("npm test", "scripts/check.js"),
    ("make test", "Makefile"),
    ("make test", "mk/test.mk"),
    ("make test", "mk/rules.inc"),
    ("make test", "ci/all.sh"),
    ("make test", "tools/collect.py"),
    ("invoke test", "tasks.py"),
]
NOT_DECIDED = [
    ("python -m pytest tests/test_x.py", "tests/test_x.py"),
    ("python -m pytest tests/test_x.py::test_a -q", "tests/test_x.py"),
    ("python3 -m unittest discover -s tests", "tests/test_x.py"),
    ("python3 -m unittest discover -s tests", "tests/helpers.py"),
    ("python3 -m unittest tests/test_x.py", "tests/test_x.py"),
    ("python3 -m unittest tests.test_x", "tests/test_x.py"),
    ("PYTHONPATH=src python -m pytest", "src/a.py"),
    ("cd backend && python -m pytest", "backend/a.py"),
    ("pytest -q tests src", "src/a.py"),
    ("pytest --cov src --cov-report=term", "src/a.py"),
    ("pytest --ignore=tests/test_slow.py", "tests/test_slow.py"),
    ("uv run pytest tests/test_x.py", "tests/test_x.py"),
    ("coverage run -m pytest tests/test_x.py", "tests/test_x.py"),
    ("node --test test/a.test.js", "test/a.test.js"),
    ("node --test test/", "test/a.test.js"),
    ("go test ./...", "a.go"),
    ("npm test", "lib/a.js"),
    ("npm test", "test/a.test.js"),
    ("make test", "src/a.py"),
    ("./run_tests.sh", "tests/test_x.py"),
    ("python -m pytest", "run_tests.sh"),
    ("make -C backend test", "backend/a.py"),
]
# fmt: on


@pytest.mark.parametrize(("command", "path"), DECIDED)
def test_what_the_command_runs_stays(command: str, path: str) -> None:
    for head in ("x = 2", None):
        found = runner_guard.findings([Changed(path, "x = 1", head)], test_command=command, read=BASE.get)
        assert found and all(f.blocking and f.path == path for f in found)


@pytest.mark.parametrize(("command", "path"), NOT_DECIDED)
def test_tests_and_code_are_not_the_runner(command: str, path: str) -> None:
    assert runner_guard.findings([Changed(path, "x = 1", "x = 2")], test_command=command, read=BASE.get) == ()


@pytest.mark.parametrize("command", ["npm test", "npm run check", "yarn unit", "cd web; pnpm test"])
def test_all_package_scripts_stay_where_one_is_the_test(command: str) -> None:
    base, head = '{"scripts": {"test": "x", "lint": "y"}}', '{"scripts": {"test": "x", "lint": "true"}}'
    assert runner_guard.findings([Changed("package.json", base, head)], test_command=command)
    assert not runner_guard.findings([Changed("package.json", base, head)], test_command="node --test")
    more = '{"scripts": {"test": "x", "lint": "y"}, "version": "2"}'
    assert not runner_guard.findings([Changed("package.json", base, more)], test_command=command)

"""The words of the runner guard: whose names, calls and strings mean that a change reaches for the test
runner.
"""

from __future__ import annotations

import re

RUNNER_PACKAGES = frozenset(
    {"_pytest", "pytest", "pluggy", "unittest", "xdist", "doctest", "nose", "nose2", "trial", "__main__"}
)
"""``__main__`` is whatever runs the tests. A file may be called so; nobody may import it."""
MODULES = frozenset({"os", "sys", "builtins", "__builtins__", "__main__"})
"""Modules of which no attribute may be reached by a computed name."""
COMPUTED = "<computed>"
"""Stands for a module that was imported by a computed name: it can be any."""
TAKES_MODULE = frozenset(
    {"getattr", "hasattr", "setattr", "delattr", "vars", "dir", "repr", "str", "id", "type"}
)
TEXT_RUNNERS = frozenset({"exec", "eval", "compile", "__import__"})
HARMLESS = frozenset({"unittest.mock"})
HOOK = re.compile(
    r"pytest_(?:runtest|collect|pycollect|generate_tests|make_|fixture_|session|report|terminal|warning|exception"
    r"|internalerror|keyboard|enter_pdb|leave_pdb|configure|unconfigure|cmdline|load_initial|addoption|addhooks|plugin"
    r"|ignore_collect|itemcollected|deselected|assert|unraisable|markeval|python_|xdist|testnode|handlecrashitem|html)"
)
STRINGS = re.compile(
    r"PYTEST_(?:ADDOPTS|CURRENT_TEST|PLUGINS|DISABLE|DEBUG|VERSION)|BOATWRIGHT_REPORT|/opt/boatwright|boatwright-report"
    r"|--?junit-?xml|\bjunit\.xml|NODE_OPTIONS|NODE_TEST_CONTEXT|unittest_report|(?:^|[/*])\*[^/]*\.xml$|^PYTHON(?:STARTUP|PATH|HOME)$"
)
EXITS = frozenset(
    {
        "os._exit",
        "os.abort",
        "os.register_at_fork",
        "signal.raise_signal",
        "atexit.register",
        "atexit.unregister",
        "atexit._run_exitfuncs",
        "threading._register_atexit",
        "sys.settrace",
        "sys.setprofile",
        "threading.settrace",
        "threading.setprofile",
        "sys.addaudithook",
        "gc.get_objects",
        "gc.get_referrers",
        "sys._getframe",
        "sys._current_frames",
        "inspect.stack",
        "inspect.currentframe",
        "os.execv",
        "os.execve",
        "os.execvp",
        "os.execl",
        "os.execlp",
        "os.execlpe",
        "os.execvpe",
        "os.execle",
        "gc.get_referents",
        "ctypes.CDLL",
        "ctypes.PyDLL",
        "ctypes.WinDLL",
        "ctypes.cdll",
        "ctypes.pydll",
        "ctypes.pythonapi",
        "ctypes.cdll.LoadLibrary",
        "ctypes.pydll.LoadLibrary",
        "code.InteractiveInterpreter",
        "code.InteractiveConsole",
        "code.interact",
        "code.compile_command",
        "codeop.compile_command",
        "codeop.CommandCompiler",
        "codeop.Compile",
        "threading._shutdown",
    }
)
"""Refused where they are called and where they are used as a value."""
TEST_SIDE_EXITS = frozenset(
    {
        "os.kill",
        "os.killpg",
        "signal.signal",
        "signal.alarm",
        "signal.setitimer",
        "faulthandler.enable",
        "faulthandler.disable",
        "faulthandler.dump_traceback_later",
        "faulthandler.register",
    }
)
WRITES = frozenset(
    {
        "sys.excepthook",
        "sys.unraisablehook",
        "sys.meta_path",
        "sys.path_hooks",
        "sys.path_importer_cache",
        "threading.excepthook",
        "builtins",
        "sys.modules",
        "sys.addaudithook",
    }
)
FRAMES = frozenset(
    {"f_back", "f_globals", "f_builtins", "f_locals", "tb_frame", "gi_frame", "cr_frame", "__globals__"}
)
ANYWHERE = frozenset({"__subclasses__"})
"""Attributes that lead to every class there is, refused in tests too."""
OUTCOMES = frozenset(
    {
        "__code__",
        "addError",
        "addExpectedFailure",
        "addFailure",
        "addSkip",
        "addSubTest",
        "addSuccess",
        "addUnexpectedSuccess",
        "failureException",
        "runtest",
        "wasSuccessful",
    }
)
"""Attributes that say how a test ended: defined in a class they are ordinary, written from outside not."""
REACHING = re.compile(
    r"^(?:_exit|f_back|f_globals|f_builtins|__globals__|__subclasses__|__builtins__|__main__)$"
)
"""Names that code spells out only to get at the attribute behind them."""
SEARCHES = frozenset({"glob", "rglob", "iglob", "iterdir", "walk", "listdir", "scandir"})
MUTATORS = frozenset(
    {
        "pop",
        "update",
        "setdefault",
        "clear",
        "popitem",
        "__setitem__",
        "__delitem__",
        "append",
        "insert",
        "extend",
        "remove",
        "__setattr__",
        "__delattr__",
        "register",
        "unregister",
        "add_hookspecs",
        "set_blocked",
        "hookwrapper",
    }
)
SETTERS = frozenset(
    {
        "setattr",
        "delattr",
        "monkeypatch.setattr",
        "monkeypatch.delattr",
        "object.__setattr__",
        "type.__setattr__",
        "mock.patch.object",
        "unittest.mock.patch.object",
        "patch.object",
    }
)
LASTING = frozenset({"setattr", "delattr", "object.__setattr__", "type.__setattr__"})
"""Of those, the ones nobody undoes after the test."""
LOADERS: dict[str, tuple[int, str] | None] = {
    "runpy.run_path": (0, "path_name"),
    "importlib.machinery.SourceFileLoader": (1, "path"),
    "importlib.util.spec_from_file_location": (1, "location"),
    "importlib.machinery.SourcelessFileLoader": None,
    "importlib.machinery.ExtensionFileLoader": None,
    "importlib.util.spec_from_loader": None,
    "zipimport.zipimporter": None,
    "marshal.loads": None,
    "marshal.load": None,
    "types.CodeType": None,
    "types.FunctionType": None,
    "site.addsitedir": None,
}
"""What makes a module of a file, or of bytes, whatever it is called; where it takes the file's path."""
JOINS = frozenset(
    {"join", "joinpath", "Path", "PurePath", "PosixPath", "str", "fspath", "abspath", "realpath", "normpath"}
)
"""Calls whose last argument ends the path they give."""

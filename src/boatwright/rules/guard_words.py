"""The words of the runner guard: whose names, calls and strings mean that a change reaches for the test
runner.
"""

from __future__ import annotations

import re

RUNNER_PACKAGES = frozenset(
    {"_pytest", "pytest", "pluggy", "unittest", "xdist", "doctest", "nose", "nose2", "trial"}
)
HARMLESS = frozenset({"unittest.mock"})
HOOK = re.compile(
    r"pytest_(?:runtest|collect|pycollect|generate_tests|make_|fixture_|session|report|terminal|warning|exception"
    r"|internalerror|keyboard|enter_pdb|leave_pdb|configure|unconfigure|cmdline|load_initial|addoption|addhooks|plugin"
    r"|ignore_collect|itemcollected|deselected|assert|unraisable|markeval|python_|xdist|testnode|handlecrashitem|html)"
)
STRINGS = re.compile(
    r"PYTEST_(?:ADDOPTS|CURRENT_TEST|PLUGINS|DISABLE|DEBUG|VERSION)|BOATWRIGHT_REPORT|/opt/boatwright|boatwright-report"
    r"|--?junit-?xml|\bjunit\.xml|NODE_OPTIONS|NODE_TEST_CONTEXT|unittest_report|^PYTHON(?:STARTUP|PATH|HOME)$"
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
        "ctypes.PyDLL",
        "ctypes.pythonapi",
    }
)
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
FRAMES = frozenset({"f_back", "f_globals", "f_builtins", "f_locals", "tb_frame", "gi_frame", "cr_frame"})
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
LOADERS = frozenset(
    {
        "runpy.run_path",
        "importlib.machinery.SourceFileLoader",
        "importlib.machinery.SourcelessFileLoader",
        "importlib.machinery.ExtensionFileLoader",
        "importlib.util.spec_from_file_location",
        "importlib.util.spec_from_loader",
        "zipimport.zipimporter",
        "marshal.loads",
        "types.CodeType",
        "site.addsitedir",
    }
)
"""What makes a module of a file, or of bytes, whatever it is called."""

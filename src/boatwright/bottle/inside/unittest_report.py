"""``python -m unittest`` with a report: the same arguments, discovery and exit code, and a JUnit file beside
it.

Runs inside a bottle; standard library only, one file, Python 3.9 and later. ``BOATWRIGHT_REPORT`` names the
file. Every test runs: ``--failfast`` is not obeyed, because every id is wanted. For a failure the report says
the exception's type and the deepest file of the traceback that is not the runner's.

The code under test shares this process. So the runner is not to be found as ``__main__``, what it needs is taken
before anything of the repository is loaded, and the report is written last: after threads and exit hooks.
"""

# Names stay as the interpreter has them: a Path would resolve links.
from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import traceback
import types
import unittest
from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import quoteattr

REPORT = os.environ.pop("BOATWRIGHT_REPORT", "")
WORKSPACE = os.getcwd()
LONGEST = 20_000
CASES: dict[str, dict[str, str]] = {}
TIMES: list[float] = []
OPEN, END, FORMAT, MODULES = open, os._exit, traceback.format_exception, sys.modules
join_threads: Any = getattr(threading, "_shutdown", lambda: None)
run_exit_hooks: Any = getattr(atexit, "_run_exitfuncs", lambda: None)
RUNNER = (os.path.dirname(os.path.abspath(unittest.__file__)) + os.sep, os.path.abspath(__file__))


def relative(path: str) -> str:
    """The path below the workspace, with forward slashes; empty when it lies elsewhere."""
    path = os.path.abspath(path)
    if not path.startswith(WORKSPACE + os.sep):
        return ""
    return path[len(WORKSPACE) + 1 :].replace(os.sep, "/")


def frames(trace: Any) -> Iterator[str]:
    while trace is not None:
        yield trace.tb_frame.f_code.co_filename
        trace = trace.tb_next


def deepest(trace: Any) -> tuple[str, str]:
    """The last file of the traceback that is not the runner's, and the last below the workspace."""
    files = [name for name in frames(trace) if not name.startswith("<")]
    outside = [relative(name) or name for name in files if not os.path.abspath(name).startswith(RUNNER)]
    own = [name for name in outside if not os.path.isabs(name)]
    return outside[-1] if outside else "", own[-1] if own else ""


def file_of(test: Any) -> str:
    """The file a test was written in, below the workspace."""
    module = MODULES.get(type(test).__module__)
    return relative(getattr(module, "__file__", None) or "") if module else ""


def module_file(name: str) -> str:
    """Where a module that could not be imported would be."""
    stem = os.path.join(*name.split("."))
    for root in [WORKSPACE, *sys.path]:
        for candidate in (os.path.join(root, stem + ".py"), os.path.join(root, stem, "__init__.py")):
            if os.path.isfile(candidate) and relative(candidate):
                return relative(candidate)
    return ""


def name_and_file(test: Any) -> tuple[str, str]:
    """The id people write on the command line, and its file."""
    if type(test).__name__ == "_FailedTest":
        name = getattr(test, "_testMethodName", str(test))
        return name, module_file(name)
    if isinstance(test, unittest.TestCase):
        return test.id(), file_of(test)
    return str(test), ""


class Sealed(type):
    """A class whose attributes stay as they are written here."""

    def __setattr__(cls, name: str, value: Any) -> None:
        raise AttributeError(f"{name} of the test runner cannot be set")

    def __delattr__(cls, name: str) -> None:
        raise AttributeError(f"{name} of the test runner cannot be deleted")


class Result(unittest.TextTestResult, metaclass=Sealed):
    """The usual result, which also remembers every outcome. The worse word of a test's parts counts."""

    ORDER = ("passed", "skipped", "failure", "error")

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith(("add", "note", "ORDER")):
            raise AttributeError(f"{name} of the test runner cannot be set")
        super().__setattr__(name, value)

    def note(
        self, test: Any, outcome: str, detail: str = "", exception: str = "", at: tuple[str, str] = ("", "")
    ) -> None:
        test = getattr(test, "test_case", test)
        name, file = name_and_file(test)
        known = CASES.get(name)
        if known is None or self.ORDER.index(outcome) > self.ORDER.index(known["outcome"]):
            CASES[name] = {
                "outcome": outcome,
                "file": file,
                "detail": detail,
                "exception": exception,
                "frame": at[0],
                "own": at[1],
            }

    def note_error(self, test: Any, outcome: str, err: Any) -> None:
        kind, value, trace = err
        detail = "".join(FORMAT(kind, value, trace))[-LONGEST:]
        self.note(test, outcome, detail, getattr(kind, "__name__", str(kind)), deepest(trace))

    def addSuccess(self, test: Any) -> None:  # noqa: N802 - the runner's names
        super().addSuccess(test)
        self.note(test, "passed")

    def addFailure(self, test: Any, err: Any) -> None:  # noqa: N802
        super().addFailure(test, err)
        self.note_error(test, "failure", err)

    def addError(self, test: Any, err: Any) -> None:  # noqa: N802
        super().addError(test, err)
        self.note_error(test, "error", err)

    def addSkip(self, test: Any, reason: str) -> None:  # noqa: N802
        super().addSkip(test, reason)
        self.note(test, "skipped", str(reason))

    def addExpectedFailure(self, test: Any, err: Any) -> None:  # noqa: N802
        super().addExpectedFailure(test, err)
        self.note(test, "skipped", "expected failure")

    def addUnexpectedSuccess(self, test: Any) -> None:  # noqa: N802
        super().addUnexpectedSuccess(test)
        self.note(test, "failure", "unexpected success", "AssertionError")

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:  # noqa: N802
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.note_error(test, "failure" if issubclass(err[0], test.failureException) else "error", err)


def clean(text: str) -> str:
    """What XML 1.0 can hold."""
    return "".join(
        c if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c >= "\U00010000" else "?"
        for c in text
    )


def attributes(**named: str) -> str:
    return " ".join(f"{key}={quoteattr(clean(value))}" for key, value in named.items())


def xml(cases: Mapping[str, Mapping[str, str]], seconds: float) -> str:
    """The report. Properties carry what JUnit has no place for."""
    lines = ['<?xml version="1.0" encoding="utf-8"?>']
    counts = [
        sum(1 for case in cases.values() if case["outcome"] == word)
        for word in ("failure", "error", "skipped")
    ]
    tests, failures, errors, skipped = map(str, (len(cases), *counts))
    head = attributes(name="unittest", tests=tests, failures=failures, errors=errors, skipped=skipped)
    lines.append(f'<testsuite {head} time="{seconds:.3f}">')
    for name, case in cases.items():
        lines.append(f"<testcase {attributes(name=name, file=case['file'])}>")
        if case["exception"]:
            lines.append("<properties>")
            lines.append(f"<property {attributes(name='exception', value=case['exception'])}/>")
            lines.append(f"<property {attributes(name='frame', value=case['frame'])}/>")
            lines.append(f"<property {attributes(name='own', value=case['own'])}/>")
            lines.append("</properties>")
        if case["outcome"] != "passed":
            message = case["detail"].strip().rpartition("\n")[2]
            lines.append(f"<{case['outcome']} {attributes(message=message, type=case['exception'])}>")
            lines.append(
                clean(case["detail"]).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            )
            lines.append(f"</{case['outcome']}>")
        lines.append("</testcase>")
    lines.append("</testsuite>")
    return "\n".join(lines)


class Runner(unittest.TextTestRunner, metaclass=Sealed):
    resultclass: Any = Result

    def run(self, test: Any) -> Any:
        self.failfast = False
        started = time.time()
        result: Any = super().run(test)
        TIMES.append(time.time() - started)
        return result


def run() -> int:
    """``unittest.main`` with its exit code as the interpreter would give it."""
    try:
        unittest.main(module=None, testRunner=Runner)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
    return 1


def finish(code: int) -> None:
    """What the interpreter does at its end, then the report, then nothing: nobody can change it any more."""
    join_threads()
    run_exit_hooks()
    if REPORT and TIMES:
        with OPEN(REPORT, "w", encoding="utf-8") as out:
            out.write(xml(CASES, sum(TIMES)))
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            code = code or 120  # what the interpreter says of a stream that cannot be flushed
    END(code & 0xFF)


if __name__ == "__main__":
    ITSELF = sys.modules["__main__"]  # kept, so that its names live on where no import finds them
    sys.modules["__main__"] = types.ModuleType("__main__")
    sys.path[0] = WORKSPACE
    sys.argv[0] = "python -m unittest"
    finish(run())

"""Why a test failed, as far as exception, message and frames tell: assertion, raised in existing code,
missing name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from boatwright.values.proof import Cause

ASSERTIONS = frozenset(
    {
        "AssertionError",
        "Failed",
        "AssertionFailedError",
        "ComparisonFailure",
        "ERR_ASSERTION",
        "JestAssertionError",
        "ExpectationNotMetError",
    }
)
_IMPORTS = frozenset({"ImportError", "ModuleNotFoundError", "NameError", "ReferenceError"})
_LIBRARY = re.compile(r"(?:^|/)(?:site-packages|dist-packages|node_modules|lib/python[0-9.]+)/")
_MISSING = re.compile(
    r"has no attribute|got an unexpected keyword argument|positional arguments? but|missing \d+ required"
    r"|is not a function|is not a constructor|does not provide an export|Cannot find (?:module|package)"
)
_ANYWHERE = re.compile(
    r"does not have the attribute|fixture '[^']*' not found|does not provide an export named"
)
_SHAPE = frozenset({"AttributeError", "TypeError", "SyntaxError", "Error", ""})

_LONG = re.compile(r"^(?P<file>(?!E\s)\S[^\n:]*\.\w+):\d+: ?(?P<exception>[A-Za-z_][\w.]*)?$", re.MULTILINE)
_SHORT = re.compile(r"^(?P<file>(?!E\s)\S[^\n:]*\.\w+):\d+: in \S+", re.MULTILINE)
_NATIVE = re.compile(r'^\s+File "(?P<file>[^"\n]+)", line \d+', re.MULTILINE)
_RAISED = re.compile(
    r"^(?:E\s+)?(?P<exception>[A-Za-z_][\w.]*(?:Error|Exception|Failed|Warning|Exit|Interrupt))(?::|$)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Failure:
    """One failing case as its report describes it. ``frame``: deepest file; ``own``: deepest of the
    repository.
    """

    exception: str = ""
    message: str = ""
    said: str = ""
    """More of what was said, where the message alone is too short to tell by."""
    frame: str = ""
    own: str = ""


def from_text(text: str, message: str) -> Failure:
    """The same, read from a Python traceback in any of pytest's styles or the interpreter's own."""
    frames = sorted(
        (m.start(), m["file"]) for pattern in (_LONG, _SHORT, _NATIVE) for m in pattern.finditer(text)
    )
    files = [file for _, file in frames if not file.startswith("<")]
    own = [file for file in files if not file.startswith("/") and not _LIBRARY.search(file)]
    named = [m["exception"] for m in _LONG.finditer(text) if m["exception"]]
    named = named or [m["exception"] for source in (message, text) for m in _RAISED.finditer(source)]
    exception = named[-1].rpartition(".")[2] if named else ""
    deepest, mine = (files[-1] if files else "", own[-1] if own else "")
    return Failure(exception, message, _last_error(text), deepest, mine)


def _last_error(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith("E ") or _RAISED.match(line)]
    return "\n".join(lines[-3:])


def of(failure: Failure, file: str, is_test_side: Callable[[str], bool]) -> Cause:
    """The cause. ``file`` is the test's own file; where frames are not known, the test itself is assumed."""
    if failure.exception in ASSERTIONS:
        return Cause.ASSERTION
    if _ANYWHERE.search(f"{failure.message}\n{failure.said}"):
        return Cause.MISSING_NAME
    own = failure.own or file
    at_test = not own or own == file or is_test_side(own)
    if at_test and _names_something_missing(failure):
        return Cause.MISSING_NAME
    deepest = failure.frame or own
    in_code = bool(deepest) and deepest != file and not is_test_side(deepest)
    return Cause.RAISED if in_code else Cause.UNKNOWN


def _names_something_missing(failure: Failure) -> bool:
    said = f"{failure.message}\n{failure.said}"
    if failure.exception in _IMPORTS:
        return True
    if "'NoneType' object has no attribute" in said:
        return False  # a value was missing, not a name
    return failure.exception in _SHAPE and _MISSING.search(said) is not None

"""A run's report as cases. Reports are written next to the code under test: evidence, bounded, never believed
twice.

Where report and exit code contradict each other, or nothing ran, the id ``evidence.COMMAND`` carries a
failure, so that no verdict can pass over it.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol
from xml.etree import ElementTree  # the type of what defusedxml builds

from defusedxml import ElementTree as Defused
from defusedxml.common import DefusedXmlException

from boatwright.rules import cause, report_text
from boatwright.rules.evidence import COMMAND
from boatwright.rules.runners import Kind
from boatwright.rules.testfiles import DEFAULT, TestPaths
from boatwright.values.proof import Case, CaseOutcome, HowRead

MAX_BYTES = 32 << 20
MAX_CASES = 50_000
MAX_ID = 400
MAX_MESSAGE = 2_000

_REPORTING = frozenset({Kind.PYTEST, Kind.UNITTEST, Kind.NODE})
_WORDS = {"failure": CaseOutcome.FAILED, "error": CaseOutcome.ERROR, "skipped": CaseOutcome.SKIPPED}
_BAD = (CaseOutcome.FAILED, CaseOutcome.ERROR)
_SEVERITY = {CaseOutcome.SKIPPED: 0, CaseOutcome.PASSED: 1, CaseOutcome.FAILED: 2, CaseOutcome.ERROR: 3}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]+")


def parse(
    raw: bytes | None, kind: Kind | str, exit_code: int, output: str, tests: TestPaths = DEFAULT
) -> tuple[tuple[Case, ...], HowRead]:
    """The cases of one run and how they were read.

    ``raw`` is the JUnit file, None where there is none; ``output`` what the runner printed; ``tests`` tells
    whose frame a traceback ends in.
    """
    kind = Kind(kind)
    read = _junit(raw, kind, tests) if raw else None
    if read is not None:
        return _checked(read, exit_code), HowRead.JUNIT
    found = report_text.cases(output)
    whole = _whole(kind, exit_code, output, found)
    return (*_bounded(found), whole), HowRead.TEXT if found else HowRead.EXIT_CODE


def _whole(kind: Kind, exit_code: int, output: str, found: tuple[Case, ...]) -> Case:
    """The command as one case: its exit code, unless something says that this exit code means nothing."""
    if kind in _REPORTING:
        return _contradiction(f"the runner left no report that can be read; it exited with {exit_code}")
    if exit_code == 0 and report_text.nothing_ran(output):
        return _contradiction("the runner says that no test ran")
    failing = sum(1 for case in found if case.outcome in _BAD)
    if exit_code == 0 and failing:
        return _contradiction(f"exit code 0 though {failing} tests failed")
    if exit_code != 0 and found and not failing:
        return _contradiction(f"exit code {exit_code} though no test failed")
    outcome = CaseOutcome.PASSED if exit_code == 0 else CaseOutcome.FAILED
    return Case(id=COMMAND, outcome=outcome, message="" if exit_code == 0 else f"exit code {exit_code}")


def _checked(cases: tuple[Case, ...], exit_code: int) -> tuple[Case, ...]:
    failing = sum(1 for case in cases if case.outcome in _BAD)
    if not cases:
        return (_contradiction(f"no test ran (exit code {exit_code})"),)
    if exit_code == 0 and failing:
        return (*cases, _contradiction(f"exit code 0 though {failing} tests failed"))
    if exit_code != 0 and not failing:
        return (*cases, _contradiction(f"exit code {exit_code} though no test failed"))
    return cases


def _contradiction(message: str) -> Case:
    return Case(id=COMMAND, outcome=CaseOutcome.ERROR, message=message)


def _junit(raw: bytes, kind: Kind, tests: TestPaths) -> tuple[Case, ...] | None:
    """The cases of a JUnit file; None when it cannot be read, is too large, or tries to be clever."""
    if len(raw) > MAX_BYTES:
        return None
    try:
        root = Defused.fromstring(raw, forbid_dtd=True)
    except (ElementTree.ParseError, DefusedXmlException, ValueError, LookupError):
        return None
    elements = list(root.iter("testcase"))
    if len(elements) > MAX_CASES:
        return None
    return _bounded(_merged([_case(element, kind, tests) for element in elements], kind))


def _merged(cases: list[Case], kind: Kind) -> Iterator[Case]:
    """One case per id. pytest names an id twice for its teardown: the worse counts. Elsewhere equal names are
    different tests: they are numbered, worst first, whatever the order they came in."""
    worst_first = sorted(cases, key=lambda case: (case.id, -_SEVERITY[case.outcome]))
    seen: Counter[str] = Counter()
    for case in worst_first:
        seen[case.id] += 1
        if seen[case.id] == 1:
            yield case
        elif kind is not Kind.PYTEST:
            yield case.model_copy(update={"id": f"{case.id} #{seen[case.id]}"})


def _case(element: ElementTree.Element, kind: Kind, tests: TestPaths) -> Case:
    attributes = {key: _plain(value, MAX_ID * 4) for key, value in element.attrib.items()}
    file = attributes.get("file", "").removeprefix("./")
    outcome, failure = _outcome(element)
    name = _id(attributes.get("classname", ""), attributes.get("name", ""), file, kind)
    if failure is None:
        return Case(id=name, outcome=outcome, file=file)
    return Case(
        id=name,
        outcome=outcome,
        file=file,
        message=_plain(failure.message.strip(), MAX_MESSAGE),
        cause=cause.of(failure, file, tests.is_test_side),
    )


def _outcome(element: ElementTree.Element) -> tuple[CaseOutcome, cause.Failure | None]:
    said = [child for child in element if child.tag in _WORDS]
    worst = max(said, key=lambda child: _SEVERITY[_WORDS[child.tag]], default=None)
    if worst is None:
        return CaseOutcome.PASSED, None
    outcome = _WORDS[worst.tag]
    if outcome is CaseOutcome.SKIPPED:
        return outcome, None
    return outcome, _failure(element, worst)


def _failure(element: ElementTree.Element, worst: ElementTree.Element) -> cause.Failure:
    """What our own reporters put into properties, else what the traceback says."""
    known = {p.get("name", ""): p.get("value", "") for p in element.iter("property")}
    text, message = (worst.text or "")[-200_000:], worst.get("message", "")
    read = cause.from_text(text, message)
    if "exception" not in known:
        return read
    exception, frame, own = (known.get(key, "") for key in ("exception", "frame", "own"))
    if exception in {"ImportError", "ModuleNotFoundError"} and not own:
        frame, own = (
            read.frame,
            read.own,
        )  # unittest wraps a file that does not load: the inner traceback is text
    return cause.Failure(exception, message, read.said, frame, own)


def _id(classname: str, name: str, file: str, kind: Kind) -> str:
    """The id people use: pytest's node id, unittest's dotted name, ``file > suite > test`` for node."""
    if kind is Kind.NODE:
        return name if name == file or not file else f"{file} > {name}"
    if kind is Kind.UNITTEST:
        return name
    if not file:
        return f"{classname}.{name}" if classname else name
    module = re.sub(r"\.\w+$", "", file).replace("/", ".")
    if not classname:
        return file if name == module else f"{file}::{name}"
    inner = classname.removeprefix(module).strip(".") if classname.startswith(module) else classname
    return "::".join([file, *([part for part in inner.split(".") if part]), name])


def _bounded(cases: Iterable[Case]) -> tuple[Case, ...]:
    return tuple(case.model_copy(update={"id": _short(case.id)}) for case in cases)


def _short(name: str) -> str:
    """A name that fits, and still tells two long ones apart."""
    name = _plain(name, 1 << 20) or "(no name)"
    if len(name) <= MAX_ID:
        return name
    return f"{name[: MAX_ID - 9]}~{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _plain(text: str, longest: int) -> str:
    return _CONTROL.sub(" ", text[:longest])


class Reported(Protocol):
    """What ``runners.adapt`` gives."""

    @property
    def kind(self) -> Kind: ...


@dataclass(frozen=True, slots=True)
class Read:
    cases: tuple[Case, ...]
    how_read: HowRead


def read(
    adapted: Reported, raw: bytes | None, *, exit_code: int, output: str, tests: TestPaths = DEFAULT
) -> Read:
    """``parse`` for a command as it was adapted."""
    return Read(*parse(raw, adapted.kind, exit_code, output, tests))

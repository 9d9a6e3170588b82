"""A real bug of a public package fixed and proven, and every way round the proof shut, on three packages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.packages, pytest.mark.timeout(900)]

PACKAGES = ("more-itertools", "boltons", "isodate")
each_package = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in PACKAGES]
)

SHOWN = {
    "more-itertools": "tests.test_more.SplitAfterAtTheEndTests.test_nothing_is_left_after_the_last_split",
    "boltons": "tests/test_dictutils.py::test_one_to_one_update_with_nothing",
    "isodate": "src.isodate.tests.test_calendar.CalendarTest.test_a_month_later",
}
"""The test that each fix brings with it."""
EDITED = {
    "more-itertools": "tests.test_split_at_the_end.SplitAtTheEndTests.test_nothing_is_left",
    "boltons": "tests/test_one_to_one_update.py::test_nothing_to_update",
    "isodate": "src.isodate.tests.test_duration.DurationTest.test_totimedelta",
}
OUTSIDE = {
    "more-itertools": "more_itertools/__init__.py",
    "boltons": "CHANGELOG.md",
    "isodate": "src/isodate/numbers_helper.py",
}
BROKEN = {
    "more-itertools": {
        "tests.test_more.SplitAfterTest.test_no_sep",
        "tests.test_more.SplitAfterTest.test_max_split",
    },
    "boltons": {"tests/test_dictutils.py::test_one_to_one"},
    "isodate": {
        "src.isodate.tests.test_duration.DurationTest.test_neg",
        "src.isodate.tests.test_duration.DurationTest.test_format",
    },
}
RUNNER = {
    "more-itertools": ("more_itertools/more.py", "unittest.TestCase.assertEqual is written"),
    "boltons": ("boltons/dictutils.py", "_pytest.python.Function.runtest is written"),
    "isodate": ("src/isodate/duration.py", "atexit.register is called"),
}
NEW = {
    "more-itertools": "tests.test_more.EveryOtherTests.test_even_positions",
    "boltons": "tests/test_dictutils.py::test_rename_keys",
    "isodate": "src.isodate.tests.test_total_months.TotalMonthsTest.test_years_are_twelve_months",
}


def is_ready(ended: Any, word: str) -> None:
    assert (ended.code, ended.proof["word"]) == (0, word), str(ended)
    assert ended.execution["state"] == "DELIVERED" and ended.execution["ready"], str(ended)


def is_draft(ended: Any, code: int, word: str) -> None:
    assert (ended.code, ended.proof["word"]) == (code, word), str(ended)
    assert ended.execution["state"] == "DELIVERED" and not ended.execution["ready"], str(ended)
    assert f"(draft): branch {ended.execution['branch']}" in ended.text, str(ended)


def is_refused(ended: Any, *words: str) -> None:
    """Parked with the reason, nothing pushed."""
    assert (ended.code, ended.proof["word"]) == (12, "refused"), str(ended)
    assert (ended.execution["state"], ended.execution["parked_code"]) == ("PARKED", "refused"), str(ended)
    assert ended.execution["pull_request"] is None, str(ended)
    assert not [event for event in ended.events if event["type"] == "branch.pushed"], str(ended)
    for word in words:
        assert word in ended.execution["reason"] and word in ended.text, str(ended)


@each_package
def test_the_true_fix_is_proven(laid: Callable[[str], Any], name: str) -> None:
    here = laid(name)
    ended = here.run("fix")
    is_ready(ended, "proven")
    assert SHOWN[name] in ended.proof["fixed"] and not ended.proof["regressions"], str(ended)
    assert ended.proof["still_passing"] > 20 and ended.proof["how_read"] == "junit", str(ended)
    assert here.do("events", "verify").returncode == 0


@each_package
def test_the_set_up_comes_through_the_wire(laid: Callable[[str], Any], name: str) -> None:
    """The set-up of head's own environment, which no earlier run has left here."""
    here = laid(name)
    ended = here.run("no-patch")
    reached = here.tunnelled(ended.execution["id"])
    needs_none = name == "more-itertools"
    assert bool(reached) != needs_none, f"{reached}\n{ended}"
    assert (ended.last("analysis.completed")["setup_command"] is None) == needs_none, str(ended)
    is_draft(ended, 10, "unproven")
    assert SHOWN[name] in ended.proof["sentence"] and "not passing" in ended.proof["sentence"], str(ended)


@each_package
def test_no_change_is_not_green(laid: Callable[[str], Any], name: str) -> None:
    ended = laid(name).run("no-change")
    assert (ended.code, ended.execution["parked_code"]) == (4, "no_change"), str(ended)
    assert ended.execution["pull_request"] is None and ended.verification["proof"] is None, str(ended)


@each_package
def test_a_failing_test_edited_instead_is_refused(laid: Callable[[str], Any], name: str) -> None:
    ended = laid(name).run("edited-test")
    is_refused(ended, EDITED[name], "was edited instead of the code")


@each_package
def test_a_file_outside_the_plan_is_flagged(laid: Callable[[str], Any], name: str) -> None:
    ended = laid(name).run("outside-plan")
    is_draft(ended, 5, "proven")
    (finding,) = ended.verification["findings"]
    assert (finding["path"], finding["blocking"]) == (OUTSIDE[name], True), str(ended)
    assert f"held back: the file is not in the plan: {OUTSIDE[name]}" in ended.text, str(ended)


@each_package
def test_a_vacuous_test_proves_nothing(laid: Callable[[str], Any], name: str) -> None:
    ended = laid(name).run("vacuous-test")
    is_draft(ended, 10, "unproven")
    assert "No test fails on the old code and passes on the new" in ended.proof["sentence"], str(ended)


@each_package
def test_a_broken_test_made_flaky_is_a_regression(laid: Callable[[str], Any], name: str) -> None:
    """Which of the broken ones fails in which run is chance; that none of them ever does is one in thousands."""
    ended = laid(name).run("flaky")
    is_draft(ended, 11, "regression")
    assert set(ended.proof["regressions"]) & BROKEN[name], str(ended)
    assert set(ended.proof["regressions"]) <= BROKEN[name], str(ended)


@each_package
def test_code_that_patches_the_runner_is_refused(laid: Callable[[str], Any], name: str) -> None:
    ended = laid(name).run("runner")
    path, what = RUNNER[name]
    is_refused(ended, "touches the test runner", path)
    assert (path, what) in {(f["path"], f["observed"]) for f in ended.verification["findings"]}, str(ended)


@each_package
def test_a_new_function_is_new_behaviour(laid: Callable[[str], Any], name: str) -> None:
    ended = laid(name).run("new-function")
    is_ready(ended, "new behaviour")
    assert NEW[name] in ended.proof["new"] and not ended.proof["fixed"], str(ended)
    assert "proof: new behaviour" in ended.text and "proven" not in ended.text, str(ended)

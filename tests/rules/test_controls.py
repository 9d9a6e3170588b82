"""The controls, end to end without a bottle: real files, the real runner, the real judge.

A change is two trees. The four runs are composed as the stage composes them, deciding ids run a second time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from boatwright.bottle import inside
from boatwright.config.policy import DEFAULT_NONE_PATHS
from boatwright.rules import paths, proof, reports, runner_guard, runners, testfiles
from boatwright.rules.evidence import Evidence
from boatwright.values.finding import Finding
from boatwright.values.plan import Plan, Proof
from boatwright.values.proof import ProofVerdict, Run, RunReport, Word

SCRIPTS = Path(inside.__file__).parent
Tree = Mapping[str, str]

CODE = "def pages(items, size):\n    return [items[i:i + size] for i in range(0, len(items) - size, size)]\n"
MENDED = CODE.replace("len(items) - size", "len(items)")
HEAD = "import unittest\nfrom book import *\nclass T(unittest.TestCase):\n"
OLD_TEST = HEAD + "    def test_first(self): self.assertEqual(pages([1, 2, 3], 2)[0], [1, 2])\n"
NEW_TEST = "    def test_last(self): self.assertEqual(pages([1, 2, 3], 2)[-1], [3])\n"
FAILING = OLD_TEST + NEW_TEST
BASE: Tree = {"book.py": CODE, "test_book.py": OLD_TEST}
WITH_FAILING: Tree = {"book.py": CODE, "test_book.py": FAILING}


@dataclass
class Bench:
    """Runs trees in directories of their own."""

    root: Path
    count: int = 0
    runs: list[str] = field(default_factory=list)

    def run(self, tree: Tree) -> RunReport:
        self.count += 1
        folder = self.root / f"run{self.count}"
        folder.mkdir()
        for path, text in tree.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        report = self.root / f"report{self.count}"
        report.mkdir()
        adapted = runners.adapt("python -m unittest", str(report))
        done = subprocess.run(
            ["/bin/sh", "-c", adapted.command.replace(runners.INSIDE, str(SCRIPTS))],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "N": str(self.count),
                **adapted.environment,
            },
        )
        file = Path(adapted.reports[0])
        read = reports.read(
            adapted,
            file.read_bytes() if file.exists() else None,
            exit_code=done.returncode,
            output=done.stdout + done.stderr,
        )
        return RunReport(
            commit="c", cases=read.cases, exit_code=done.returncode, how_read=read.how_read, seconds=0
        )


def judge(
    root: Path, base: Tree, head: Tree, plan: Proof = Proof.BEHAVIOUR, *, approved: bool = False
) -> ProofVerdict:
    changed = sorted(path for path in base.keys() | head.keys() if base.get(path) != head.get(path))
    named = testfiles.classify(changed, all_paths=list(head), read=head.get)
    change = proof.Change(paths=tuple(changed), tests=named.change, none_paths=DEFAULT_NONE_PATHS)
    findings = runner_guard.findings(
        [runner_guard.Changed(path, base.get(path), head.get(path)) for path in changed], named.rule
    )
    trees = {
        Run.BB: base,
        Run.HH: head,
        Run.BH: overlay(base, head, named.change.paths),
        Run.HB: overlay(head, base, named.change.paths),
    }
    bench = Bench(root)
    needed = proof.needed(change)
    evidence = Evidence({run: bench.run(trees[run]) for run in needed.runs}, {}, needed.stands_for)
    while wanted := proof.deciding(evidence, change):
        evidence = replace(
            evidence, again={**evidence.again, **{run: bench.run(trees[run]) for run in wanted}}
        )
    return proof.judge(
        commit="c", plan_proof=plan, change=change, evidence=evidence, findings=findings, approved=approved
    )


def overlay(onto: Tree, source: Tree, chosen: frozenset[str]) -> Tree:
    kept = {path: text for path, text in onto.items() if path not in chosen}
    return {**kept, **{path: source[path] for path in chosen if path in source}}


def test_a_true_patch_is_proven(tmp_path: Path) -> None:
    verdict = judge(tmp_path, BASE, {"book.py": MENDED, "test_book.py": FAILING})
    assert verdict.word is Word.PROVEN, verdict.sentence
    assert verdict.fixed == ("test_book.T.test_last",)
    assert verdict.still_passing == 1


def test_a_true_patch_for_a_test_that_failed_already(tmp_path: Path) -> None:
    assert judge(tmp_path, WITH_FAILING, {**WITH_FAILING, "book.py": MENDED}).word is Word.PROVEN


def test_no_patch_is_not_green(tmp_path: Path) -> None:
    assert judge(tmp_path, WITH_FAILING, WITH_FAILING).word is Word.UNPROVEN
    assert (
        judge(
            tmp_path / "x" if (tmp_path / "x").mkdir() is None else tmp_path,
            BASE,
            {**BASE, "book.py": f"# a comment\n{CODE}"},
        ).word
        is Word.UNPROVEN
    )


@pytest.mark.parametrize(
    "edited",
    [
        FAILING.replace("[3]", "[1, 2]"),
        FAILING.replace("self.assertEqual(pages([1, 2, 3], 2)[-1], [3])", "pass"),
        OLD_TEST,
        FAILING.replace("    def test_last", "    @unittest.skip('later')\n    def test_last"),
    ],
)
def test_a_failing_test_edited_instead_is_refused_with_the_reason(tmp_path: Path, edited: str) -> None:
    verdict = judge(tmp_path, WITH_FAILING, {"book.py": f"{CODE}\n# mended\n", "test_book.py": edited})
    assert verdict.word is Word.REFUSED
    assert "edited instead of the code" in verdict.sentence
    assert verdict.changed_tests == ("test_book.T.test_last",)


def test_a_true_patch_and_a_file_outside_the_plan_is_flagged() -> None:
    plan = Plan.model_validate(
        {
            "goal": "g",
            "steps": [
                {"id": "P1", "action": "edit", "path": "book.py", "acceptance": "the last page is there"}
            ],
        }
    )
    found = paths.outside_plan(["book.py", "test_book.py", "other.py"], plan)
    assert [(finding.path, finding.blocking) for finding in found] == [("other.py", True)]
    assert isinstance(found[0], Finding)


def test_a_vacuous_new_test_is_not_proven(tmp_path: Path) -> None:
    vacuous = OLD_TEST + "    def test_last(self): self.assertTrue(True)\n"
    assert judge(tmp_path, BASE, {"book.py": MENDED, "test_book.py": vacuous}).word is Word.UNPROVEN


@pytest.mark.parametrize(
    "flaky",
    [
        # passes once and then fails: N counts the runs
        "    def test_first(self):\n        import os\n        if int(os.environ['N']) > 4: self.fail()\n",
        "    def test_first(self):\n        import os\n        if int(os.environ['N']) <= 4: self.fail()\n",
    ],
)
def test_a_broken_test_made_flaky_is_a_regression(tmp_path: Path, flaky: str) -> None:
    broken = CODE.replace("items[i:i + size]", "items[i:i + 1]")
    verdict = judge(tmp_path, BASE, {"book.py": broken, "test_book.py": HEAD + flaky})
    assert verdict.word is Word.REGRESSION, verdict.sentence
    assert verdict.regressions == ("test_book.T.test_first",)


def test_code_that_makes_a_test_flaky_is_a_regression(tmp_path: Path) -> None:
    shaky = MENDED + "import os\nif os.environ['N'] in '68': pages = None\n"
    verdict = judge(tmp_path, BASE, {"book.py": shaky, "test_book.py": FAILING})
    assert verdict.word is Word.REGRESSION, verdict.sentence


@pytest.mark.parametrize(
    "patch",
    [
        "import unittest\nunittest.TestCase.assertEqual = lambda *a: None\n",
        "import sys\nsys.modules['unittest'].TestCase.run = print\n",
        "import __main__\n__main__.Result.addFailure = lambda self, test, err: self.addSuccess(test)\n",
        "import os\nos._exit(0)\n",
    ],
)
def test_source_that_patches_the_runner_is_refused(tmp_path: Path, patch: str) -> None:
    verdict = judge(tmp_path, WITH_FAILING, {**WITH_FAILING, "book.py": patch + CODE})
    assert verdict.word is Word.REFUSED
    assert "touches the test runner" in verdict.sentence


def test_ending_the_process_leaves_nothing_green_even_without_the_guard(tmp_path: Path) -> None:
    report = Bench(tmp_path).run({**WITH_FAILING, "book.py": f"import os\nos._exit(0)\n{CODE}"})
    assert report.exit_code == 0
    assert not [case for case in report.cases if case.outcome == "passed"]


FORGE = "lambda self, test, err: self.addSuccess(test)"
REWRITE = """
import os, threading
from pathlib import Path
def forge():
    for each in Path(os.getcwd()).parent.glob("report*/*"):
        each.write_text(each.read_text().replace("failure", "ok").replace("error", "ok"))
"""


@pytest.mark.parametrize(
    "evil",
    [
        f"import __main__\nif hasattr(__main__, 'Result'):\n    __main__.Result.addFailure = {FORGE}\n",
        f"import __main__\nfor n in list(vars(__main__)):\n    if n == 'Result': getattr(__main__, n).addFailure = {FORGE}\n",
        f"import unittest\nfor c in unittest.TextTestResult.__subclasses__():\n    c.addFailure = {FORGE}\n",
        f"{REWRITE}import atexit\natexit.register(forge)\n",
        f"{REWRITE}threading.Thread(target=lambda: (threading.main_thread().join(), forge())).start()\n",
        "import os, threading\nthreading.Thread(target=lambda: (threading.main_thread().join(), os._exit(0))).start()\n",
    ],
)
def test_the_reporter_cannot_be_turned_even_without_the_guard(tmp_path: Path, evil: str) -> None:
    report = Bench(tmp_path).run({**WITH_FAILING, "book.py": evil + CODE})
    assert "test_book.T.test_last" not in {c.id for c in report.cases if c.outcome == "passed"}
    assert [case for case in report.cases if case.outcome in ("failed", "error")]


def test_exit_hooks_and_threads_still_run(tmp_path: Path) -> None:
    hooks = (
        "import atexit, threading, pathlib, time\natexit.register(pathlib.Path('hook').touch)\n"
        "threading.Thread(target=pathlib.Path('thread').touch).start()\n"
    )
    report = Bench(tmp_path).run({**BASE, "book.py": hooks + CODE})
    assert report.exit_code == 0
    assert [case.outcome for case in report.cases] == ["passed"]
    assert (tmp_path / "run1/hook").exists()
    assert (tmp_path / "run1/thread").exists()


def test_a_new_function_with_its_test_is_new_behaviour(tmp_path: Path) -> None:
    head = {
        "book.py": f"{CODE}def count(items, size):\n    return -(-len(items) // size)\n",
        "test_book.py": OLD_TEST,
        "test_count.py": "import unittest\nfrom book import count\nclass C(unittest.TestCase):\n"
        "    def test_count(self): self.assertEqual(count([1, 2, 3], 2), 2)\n",
    }
    assert judge(tmp_path, BASE, head, Proof.NEW).word is Word.NEW_BEHAVIOUR


def test_a_new_function_planned_as_behaviour_is_unproven(tmp_path: Path) -> None:
    head = {
        "book.py": f"{CODE}def count(items, size):\n    return -(-len(items) // size)\n",
        "test_book.py": OLD_TEST + "    def test_count(self): self.assertEqual(count([1, 2, 3], 2), 2)\n",
    }
    verdict = judge(tmp_path, BASE, head)
    assert verdict.word is Word.UNPROVEN
    assert verdict.new == ("test_book.T.test_count",)


def test_documentation_is_no_regression_as_planned(tmp_path: Path) -> None:
    assert judge(tmp_path, BASE, {**BASE, "README.md": "x"}, Proof.NONE).word is Word.NO_REGRESSION


def test_a_removed_old_test_needs_approval_for_that_commit(tmp_path: Path) -> None:
    head = {"book.py": MENDED, "test_book.py": HEAD + NEW_TEST}
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert judge(tmp_path / "a", BASE, head).word is Word.UNPROVEN
    assert judge(tmp_path / "b", BASE, head, approved=True).word is Word.PROVEN


def test_a_helper_of_tests_that_code_imports_is_code(tmp_path: Path) -> None:
    """Hiding the behaviour in a test-side file does not make B/H lie: the file counts as code."""
    head = {"book.py": "from tests.hidden import pages\n", "test_book.py": FAILING, "tests/hidden.py": MENDED}
    verdict = judge(tmp_path, BASE, head)
    assert verdict.word is Word.PROVEN
    assert verdict.fixed == ("test_book.T.test_last",)

from __future__ import annotations

from typing import Any

import pytest

from boatwright.config.policy import Policy
from boatwright.rules import plan_review
from boatwright.rules.plan_review import Opinion
from boatwright.values.finding import Outcome
from boatwright.values.plan import Plan, Proof, Risk

GOOD = "pages([1, 2, 3], 2) returns two pages"


def step(
    number: int, path: str | None = "src/a.py", acceptance: str = GOOD, action: str = "edit", **more: Any
) -> dict[str, Any]:
    return {"id": f"P{number}", "action": action, "path": path, "acceptance": acceptance, **more}


def make(*steps: dict[str, Any], goal: str = "Keep the last page", proof: str = "behaviour") -> Plan:
    return Plan.model_validate({"goal": goal, "proof": proof, "steps": steps})


def many(count: int, folder: str = "src") -> list[dict[str, Any]]:
    return [step(n, f"{folder}/f{n}.py") for n in range(1, count + 1)]


APPROVED = [
    make(step(1), step(2, "tests/test_a.py")),
    make(step(1), step(2, "tests/test_a.py"), step(3, "docs/a.md"), step(4, "README.md")),
    make(*many(12)),
    make(step(1), step(2, "web/a.js"), step(3, "lib/a.py"), step(4, "app/a.py")),
    make(step(1, None, action="run", command="python -m pytest")),
    make(step(1, "README.md", "the README names `--json`"), proof="none"),
]
PARKED = [
    (make(step(1, "../x")), "leaves the repository"),
    (make(step(1, "src/legal/x.py")), "forbidden"),
    (make(step(1, ".github/workflows/ci.yml")), "protected"),
    (make(step(1, None, action="read")), "names no path"),
    (make(step(1, None, action="research")), "names no artifact"),
    (make(step(1, None, action="run", command="curl x")), "command is not allowed"),
    (make(step(1), goal="Pay off technical debt"), "wish"),
    (make(*[step(n, f"area{n}/a.py") for n in range(1, 6)]), "too many areas"),
]
POLICY = Policy(forbidden_paths=("src/legal/**",), allowed_commands=("python -m pytest",))


@pytest.mark.parametrize("plan", APPROVED)
def test_approved(plan: Plan) -> None:
    seen = plan_review.examine(plan, policy=POLICY)
    assert seen.opinion is Opinion.APPROVE, seen.findings
    assert seen.plan == plan
    assert seen.verdict.green


@pytest.mark.parametrize(("plan", "says"), PARKED)
def test_parked(plan: Plan, says: str) -> None:
    seen = plan_review.examine(plan, policy=POLICY)
    assert seen.opinion is Opinion.PARK
    assert says in seen.verdict.summary
    assert plan_review.review(plan, policy=POLICY, paths=[]).outcome is Outcome.FAIL


def test_more_files_than_a_change_may_touch() -> None:
    seen = plan_review.examine(make(*many(4)), policy=Policy(max_files_changed=3))
    assert seen.opinion is Opinion.PARK


@pytest.mark.parametrize(
    ("acceptance", "vague"),
    [
        ("it works", True),
        ("improve the code as needed", True),
        ("make sure all is well here", True),
        ("done", True),
        (GOOD, False),
        ("the function `pages` keeps the rest", False),
        ("every page is shown, the last one included", False),
    ],
)
def test_vague_acceptance_is_mended(acceptance: str, vague: bool) -> None:
    seen = plan_review.examine(make(step(1, acceptance=acceptance)), policy=Policy())
    assert (seen.opinion is Opinion.REWRITE) is vague
    assert (plan_review.DONE in seen.plan.steps[0].acceptance) is vague
    assert plan_review.examine(seen.plan, policy=Policy()).opinion is Opinion.APPROVE


def test_no_proof_is_not_for_code() -> None:
    seen = plan_review.examine(make(step(1), proof="none"), policy=Policy())
    assert seen.opinion is Opinion.REWRITE
    assert seen.plan.proof is Proof.BEHAVIOUR


def test_risk_is_ours() -> None:
    seen = plan_review.examine(make(step(1), step(2, "pyproject.toml")), policy=Policy())
    assert (seen.risk, seen.drivers) == (Risk.MEDIUM, ("pyproject.toml (pyproject.toml)",))


def test_notes_do_not_park() -> None:
    plan = make(step(2), {**step(7), "path": "src/gone.py"})
    seen = plan_review.examine(plan, policy=Policy(), listing=["src/a.py"])
    assert seen.verdict.green
    assert {finding.rule for finding in seen.findings} == {
        "the steps are not numbered P1, P2 …",
        "a step edits a file that is not there",
    }

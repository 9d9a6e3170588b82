"""Ask a model for the plan. Pure in its inputs: the caller writes what came out."""

from __future__ import annotations

from dataclasses import dataclass

from boatwright.agents import heavy
from boatwright.agents.protocol import ModelWire
from boatwright.values.plan import MAX_STEPS, Plan

TOOL = "submit_plan"
DESCRIPTION = (
    f"Hand in the plan: the goal in one sentence, at most {MAX_STEPS} steps with ids P1, P2 …, and what will "
    "prove it: behaviour (a test fails now and passes after), new (something new works after) or none "
    "(documentation, configuration). A step that edits, adds or deletes names one path "
    "relative to the repository's root. changed_tests names existing tests that will go away or expect something else."
)
MAX_OUTPUT = 8_192


@dataclass(frozen=True, slots=True)
class PlannerAnswer:
    """The plan, and the conversation it came from as transcript bytes."""

    plan: Plan
    raw: bytes


async def ask_plan(
    wire: ModelWire,
    *,
    system: str,
    prompt: str,
    max_output: int = MAX_OUTPUT,
    patience: heavy.Patience | None = None,
) -> PlannerAnswer:
    """One plan from up to three attempts, told each time what was wrong.

    Raises ``errors.BudgetExhausted`` or ``errors.Parked`` with code ``credential``, ``model_unavailable``,
    ``context_too_long`` or ``model_garbage``.
    """
    asking = heavy.asking()
    question = asking.Question(TOOL, DESCRIPTION, Plan, "plan")
    plan, raw = await asking.ask(
        wire, question, system=system, prompt=prompt, max_output=max_output, patience=patience
    )
    return PlannerAnswer(plan=plan, raw=raw)

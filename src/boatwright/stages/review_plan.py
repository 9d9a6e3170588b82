"""Read the plan by rules alone: structure, paths, risk, ambiguity, overreach. Approve, mend, or park."""

from __future__ import annotations

from boatwright import errors
from boatwright.rules import plan_review
from boatwright.stages import ground, living
from boatwright.stages.house import House
from boatwright.values.chapters import Planned
from boatwright.values.context import Context
from boatwright.values.events import PlanReviewed


async def run(context: Context, house: House, planned: Planned) -> Planned:
    """The plan as it will be carried out; risk is the rules' word."""
    here = await ground.of_execution(house, context.execution)
    answer = plan_review.examine(planned.plan, policy=here.policy, listing=here.paths)
    verdict = answer.verdict
    reviewed = PlanReviewed(outcome=verdict.outcome, summary=verdict.summary, findings=verdict.findings)
    await context.emit(reviewed, key=f"t{context.turn}:plan.reviewed")
    if not verdict.green:
        raise errors.Parked(f"the plan was not approved: {verdict.summary}", code="plan_review")
    await living.working(context, house, answer.plan)
    context.say(f"plan: {planned.plan.goal} [risk {planned.risk}, proof {answer.plan.proof}]")
    return planned.model_copy(update={"plan": answer.plan, "risk": answer.risk, "drivers": answer.drivers})

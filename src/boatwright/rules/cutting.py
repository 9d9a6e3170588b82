"""What a cut means when there is one already, which policy of several holds, and when going on lifts it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from boatwright.values.cutting import Cause, CutPolicy


@dataclass(frozen=True, slots=True)
class Order:
    """One cut: what is to be done to the bottle, why, and the sentence people and agents are told."""

    policy: CutPolicy
    cause: Cause
    sentence: str


def strictest(policies: Iterable[CutPolicy]) -> CutPolicy:
    """The strictest of them; cutoff when there is none."""
    return max(policies, key=lambda each: each.strictness, default=CutPolicy.CUTOFF)


def sentence(account: str) -> str:
    """What agents and people are told of a cut by command."""
    return f"{account} has been cut: nothing is called for it until its budget is raised"


def merged(standing: Order | None, new: Order) -> Order:
    """What stands after ``new``. A cut is never made milder, and a person's word outlasts an empty budget."""
    if standing is None:
        return new
    policy = strictest((standing.policy, new.policy))
    told = standing if standing.cause is Cause.COMMAND and new.cause is Cause.EXHAUSTED else new
    return Order(policy, told.cause, told.sentence)


def again(standing: Order | None, after: Order, done: bool) -> bool:
    """Whether there is something to do after a merge: always, unless it was done under a policy as strict."""
    return not done or standing is None or after.policy is not standing.policy


def lifted_by_going_on(cause: Cause, done: bool) -> bool:
    """Whether the next run of an agent begins without it. Then the budget decides by itself: another day may
    have come, or a cap been raised elsewhere. What is not carried out yet is carried out first.
    """
    return done and cause is Cause.EXHAUSTED

"""The feature story, top to bottom: an issue goes in, a verified pull request comes out.

One call of :func:`turn` is one turn: from the inbox rows that woke it to DELIVERED, PARKED, FAILED, CANCELLED or
COMPLETED. Every line that awaits ``work.stage`` is one durable engine step; a redone step reads the ledger first and
goes on. Changing the number or order of stages needs a patch marker in the engine and a look at the recorded turns.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from boatwright import errors
from boatwright.rules import parking
from boatwright.stages import (
    analyze,
    build,
    conclude,
    deliver,
    plan,
    review,
    review_plan,
    secure,
    settle,
    switching,
    verify,
)
from boatwright.stages.house import House
from boatwright.values.chapters import (
    Analysis,
    Built,
    Chapter,
    Delivered,
    Gated,
    Planned,
    Settled,
    Verified,
    Work,
)
from boatwright.values.context import Context
from boatwright.values.events import FeatureParked
from boatwright.workflows.engine.turn import Turn


class Judged(NamedTuple):
    """What the gates said of one round."""

    built: Built
    verified: Verified
    secured: Gated
    reviewed: Gated

    @property
    def good_enough(self) -> bool:
        return self.verified.ready and self.secured.verdict.green and self.reviewed.verdict.green


async def turn(work: Turn, house: House) -> str:
    """Tell one turn; returns its outcome word (``delivered``, ``overtaken``, ``parked``, ``completed``, ``cancelled``)."""
    try:
        outcome = await _tell(work, house)
    except (errors.Stopped, errors.StoreUnavailable):
        raise  # nothing was decided: another worker, or this one later, goes on from here
    except errors.BoatwrightError as error:
        outcome = await _park(work, error)
    await _stage(work, house, "conclude", lambda context: conclude.run(context, house, outcome), Settled)
    return outcome


async def _tell(work: Turn, house: House) -> str:
    asked = await _stage(
        work, house, "settle", lambda context: settle.run(context, house, work.commands), Work
    )
    if asked.outcome:  # cancelled, closed or merged: nothing to build
        return asked.outcome
    analysis = await _stage(
        work, house, "analyze", lambda context: analyze.run(context, house, asked), Analysis
    )
    # Memory is read here, when it exists: what went wrong before on these files.
    planned = await _stage(
        work, house, "plan", lambda context: plan.run(context, house, asked, analysis), Planned
    )
    planned = await _stage(
        work, house, "review_plan", lambda context: review_plan.run(context, house, planned), Planned
    )
    if asked.only_plan:
        raise errors.Parked("the plan is ready; only the plan was asked for", code="planned")
    judged = await _gate_rounds(work, house, asked, analysis, planned)
    delivered = await _stage(
        work,
        house,
        "deliver",
        lambda context: deliver.run(
            context, house, planned, judged.verified, judged.secured, judged.reviewed
        ),
        Delivered,
    )
    # Memory is written here, when it exists.
    return delivered.outcome


async def _stage(
    work: Turn, house: House, name: str, body: Callable[[Context], Awaitable[T]], result: type[T]
) -> T:
    """One durable stage, announced to whoever watches. All but the first and the last stop where it is switched off."""
    if name not in QUIET:
        work.say(f"▸ {name.partition('-')[0]}")
    if name in UNSTOPPED:
        return await work.stage(name, body, result)

    async def heeding(context: Context) -> T:
        return await switching.heeded(house, work.execution, lambda: body(context))

    return await work.stage(name, heeding, result)


UNSTOPPED = frozenset({"settle", "conclude"})
"""What a person asked for is heard, and what is open is let go of, whatever is switched off."""
QUIET = frozenset({"settle", "review_plan", "conclude"})
T = TypeVar("T", bound=Chapter)


async def _gate_rounds(work: Turn, house: House, asked: Work, analysis: Analysis, planned: Planned) -> Judged:
    """Build, then the gates; not good enough and rounds left: build again with the findings."""
    judged: Judged | None = None
    for attempt in range(1, analysis.rounds + 1):
        built = await _build(work, house, asked, analysis, planned, attempt)
        if judged is not None and built.tree and built.tree == judged.built.tree:
            return await _stand(work, house, judged, built, attempt)
        judged = await _gates(work, house, planned, built, attempt)
        if not asked.build or judged.good_enough:
            break
    assert judged is not None, "a policy has at least one round"
    return judged


async def _build(
    work: Turn, house: House, asked: Work, analysis: Analysis, planned: Planned, attempt: int
) -> Built:
    return await _stage(
        work,
        house,
        f"build-{attempt}",
        lambda context: build.run(context, house, asked, analysis, planned, attempt),
        Built,
    )


async def _stand(work: Turn, house: House, judged: Judged, built: Built, attempt: int) -> Judged:
    """The round left the tree as it was: another look, or another round, would say the same."""
    before = judged.verified
    verified = await _stage(
        work, house, f"verify-{attempt}", lambda context: verify.again(context, before, built), Verified
    )
    return Judged(built, verified, judged.secured, judged.reviewed)


async def _gates(work: Turn, house: House, planned: Planned, built: Built, attempt: int) -> Judged:
    verified = await _stage(
        work, house, f"verify-{attempt}", lambda context: verify.run(context, house, planned, built), Verified
    )
    secured = await _stage(
        work, house, f"secure-{attempt}", lambda context: secure.run(context, house, verified), Gated
    )
    reviewed = await _stage(
        work, house, f"review-{attempt}", lambda context: review.run(context, house, planned, verified), Gated
    )
    return Judged(built, verified, secured, reviewed)


async def _park(work: Turn, error: errors.BoatwrightError) -> str:
    """Stop on purpose: say why, offer next moves, keep everything."""
    code = error.code if isinstance(error, errors.Parked) else _CODES.get(type(error), "host")
    moves = parking.next_moves(code, work.execution, error.next_moves)
    parked = FeatureParked(code=code, reason=str(error), next_moves=moves, stage=work.stage_name)
    await work.note(parked, key=f"t{work.turn}:feature.parked")
    return "parked"


_CODES: dict[type[errors.BoatwrightError], str] = {
    errors.BadPolicy: "policy",
    errors.AboveCeiling: "ceiling",
    errors.NotFound: "input",
    errors.BadInput: "input",
    errors.Refused: "refused",
    errors.MissingPart: "host",
    errors.Conflict: "conflict",
}

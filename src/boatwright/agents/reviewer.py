"""Ask a model to read a diff like a colleague. Pure in its inputs: the caller writes what came out."""

from __future__ import annotations

from dataclasses import dataclass

from boatwright.agents import heavy
from boatwright.agents.answers import Opinion, Remark, Review
from boatwright.agents.protocol import ModelWire
from boatwright.values.finding import Finding, Outcome, Verdict

TOOL = "submit_review"
DESCRIPTION = (
    "Hand in the review: approve, or request_changes with findings. A finding says what was observed, where, "
    "and how to mend it. Ask only for changes that matter to somebody who has to live with this code."
)
MAX_OUTPUT = 4_096
GATE = "review"


@dataclass(frozen=True, slots=True)
class ReviewerAnswer:
    """The verdict of the review gate, and the conversation it came from as transcript bytes."""

    verdict: Verdict
    raw: bytes


async def ask_review(
    wire: ModelWire,
    *,
    system: str,
    prompt: str,
    max_output: int = MAX_OUTPUT,
    patience: heavy.Patience | None = None,
) -> ReviewerAnswer:
    """One verdict from up to three attempts; raises what ``planner.ask_plan`` raises."""
    asking = heavy.asking()
    question = asking.Question(TOOL, DESCRIPTION, Review, "review")
    review, raw = await asking.ask(
        wire, question, system=system, prompt=prompt, max_output=max_output, patience=patience
    )
    return ReviewerAnswer(verdict=verdict_of(review), raw=raw)


def verdict_of(review: Review) -> Verdict:
    """A model's review as a gate's answer. Approving with findings passes; the findings are then advice."""
    approved = review.verdict is Opinion.APPROVE
    findings = tuple(_finding(remark, blocking=not approved) for remark in review.findings)
    summary = review.summary or ("approved" if approved else f"{len(findings)} change(s) requested")
    outcome = Outcome.PASS if approved else Outcome.FAIL
    return Verdict(gate=GATE, outcome=outcome, summary=summary, findings=findings)


def _finding(remark: Remark, *, blocking: bool) -> Finding:
    return Finding(
        rule="review",
        observed=remark.observed,
        fix=remark.fix,
        path=remark.path,
        line=remark.line,
        blocking=blocking,
    )

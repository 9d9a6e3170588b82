"""How a run ends on the terminal: the pull request, the proof, the bill, what next; and the exit code."""

from __future__ import annotations

from boatwright.cli import common
from boatwright.rules.proof import EXIT_CODES
from boatwright.stages.house import House
from boatwright.values.events import VerificationFailed, VerificationPassed
from boatwright.values.execution import ExecutionView
from boatwright.values.proof import ProofVerdict
from boatwright.values.state import State

EXIT_OF_STATE = {State.PARKED: 4, State.FAILED: 1, State.CANCELLED: 130}


async def tell(house: House, execution: str) -> int:
    """Print the ending of an execution; returns the exit code its state and verdict stand for."""
    view = await house.view(execution)
    proof = verdict(house, execution)
    common.say("")
    if view.state is State.PARKED:
        common.say(f"parked ({view.parked_code}): {view.reason}")
        common.moves(view.next_moves)
    elif view.state in {State.FAILED, State.CANCELLED}:
        common.say(f"{view.state.lower()}: {view.reason}")
        common.moves(view.next_moves or (f"boatwright show {execution}",))
    if proof is not None:
        tell_proof(proof)
    tell_bill(house, view)
    if view.pull_request is not None:
        _tell_pull_request(house, view)
    if view.state in EXIT_OF_STATE:
        return EXIT_OF_STATE[view.state]
    return EXIT_CODES[proof.word] if proof is not None and not view.ready else 0


def verdict(house: House, execution: str) -> ProofVerdict | None:
    """The newest proof of an execution, whichever way it went."""
    for event in reversed(house.ledger.events.stream(execution)):
        payload = event.payload
        if isinstance(payload, VerificationPassed | VerificationFailed) and payload.proof is not None:
            return payload.proof
    return None


def tell_proof(proof: ProofVerdict) -> None:
    common.say(f"proof: {proof.word} ({proof.how_read}) on commit {proof.commit[:12]}")
    common.say(f"  {proof.sentence}")
    for label, ids in (
        ("failed before, passes now", proof.fixed),
        ("new, passes now", proof.new),
        ("passed before, fails now", proof.regressions),
        ("changed test, needs approval", proof.changed_tests),
        ("unstable, not counted", proof.unstable),
    ):
        for case in ids[:12]:
            common.say(f"  {label}: {case}")
        if len(ids) > 12:
            common.say(f"  … and {len(ids) - 12} more")
    common.say(f"  still passing: {proof.still_passing}")


def tell_bill(house: House, view: ExecutionView) -> None:
    """Reserved and settled, from the wire's own rows."""
    rows = house.wire.budgets().usage(view.id)
    reserved = sum((row.reserved_usd for row in rows), start=type(view.usd)(0))
    common.say(
        f"cost: {view.tokens:,} tokens, {view.usd:.4f} USD settled in {len(rows)} calls "
        f"({reserved:.4f} USD was reserved; cap {view.budget})"
    )


def _tell_pull_request(house: House, view: ExecutionView) -> None:
    state = "ready" if view.ready else "draft"
    common.say(
        f"pull request {view.pull_request} ({state}): branch {view.branch}, commit {(view.head or '')[:12]}"
    )
    common.say(f"  it is in {house.forge.push_url(view.repository)}")
    common.say(f"  see it: boatwright pr diff {view.pull_request} --repo {view.source}")
    common.say(f"  take it: boatwright pr checkout {view.pull_request} --repo {view.source}")

"""How a run ends on the terminal: the pull request, the proof, the bill, what next; and the exit code."""

from __future__ import annotations

from boatwright.cli import common
from boatwright.forge.local import LocalForge
from boatwright.git import remote
from boatwright.rules import exit_codes
from boatwright.stages.house import House
from boatwright.values.events import GateAnswered, VerificationFailed, VerificationPassed
from boatwright.values.execution import ExecutionView
from boatwright.values.finding import Finding
from boatwright.values.proof import ProofVerdict
from boatwright.values.state import State


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
        tell_proof(proof, said=view.reason or "")
    tell_bill(house, view)
    if view.pull_request is not None:
        _tell_pull_request(house, view)
    return exit_code(view, proof)


def exit_code(view: ExecutionView, proof: ProofVerdict | None) -> int:
    """What a run that ended like this exits with."""
    return exit_codes.ended(view, proof.word if proof is not None else None)


def verdict(house: House, execution: str) -> ProofVerdict | None:
    """The proof of the newest verification, whichever way it went; None when it was refused before a proof."""
    for event in reversed(house.ledger.events.stream(execution)):
        if isinstance(event.payload, VerificationPassed | VerificationFailed):
            return event.payload.proof
    return None


def objections(house: House, execution: str) -> tuple[Finding, ...]:
    """What the gates held against the newest round, apart from the proof's own word."""
    found: dict[int, list[Finding]] = {}
    for event in house.ledger.events.stream(execution):
        if isinstance(event.payload, VerificationFailed | GateAnswered):
            found.setdefault(event.payload.round, []).extend(event.payload.findings)
    newest = found[max(found)] if found else []
    return tuple(f for f in dict.fromkeys(newest) if f.blocking and not f.rule.startswith("the proof says"))


def tell_proof(proof: ProofVerdict, *, said: str = "") -> None:
    """The word and the ids that decided it. ``said``: what was printed already and is not said twice."""
    common.say(f"proof: {proof.word} ({proof.how_read}) on commit {proof.commit[:12]}")
    if proof.sentence not in said:
        common.say(f"  {proof.sentence}")
    for label, ids in (
        ("failed before, passes now", proof.fixed),
        ("new, passes now", proof.new),
        ("passed before, fails now", proof.regressions),
        ("changed or removed test", proof.changed_tests),
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
    for finding in () if view.ready else objections(house, view.id):
        common.say(f"  held back: {finding.rule}: {finding.observed}")
    common.say(f"  it is in {house.forge.push_url(view.repository)}")
    if not isinstance(house.forge.of(view.repository), LocalForge):
        return  # its pages show it
    source = remote.shown(view.source)
    common.say(f"  see it: boatwright pr diff {view.pull_request} --repo {source}")
    common.say(f"  take it: boatwright pr checkout {view.pull_request} --repo {source}")

"""Why an execution parks, and what a person can do about it. One table, so that no park is without a next move."""

from __future__ import annotations

from collections.abc import Sequence

NEXT_MOVES: dict[str, tuple[str, ...]] = {
    "no_test_command": (
        "write test_command into .boatwright.yml on the base branch (boatwright init proposes one)",
        "then: boatwright retry {execution} --from analyze",
        "or name it for a new run: boatwright run … --test CMD",
    ),
    "toolchain": ("install what is named on this host", "boatwright resume {execution}"),
    "packages": (
        "or take them out of system_packages in .boatwright.yml on the base branch",
        "then: boatwright retry {execution} --from analyze",
    ),
    "setup": (
        "read the output: boatwright show {execution}",
        "mend setup_command in .boatwright.yml on the base branch, or pass --setup CMD to a new run",
        "boatwright retry {execution} --from analyze",
    ),
    "base_tests": (
        "read the output: boatwright show {execution}",
        "mend the tests on the base branch, or name another command with --test CMD",
        "boatwright retry {execution} --from analyze",
    ),
    "proof_time": (
        "raise proof.max_minutes in .boatwright.yml on the base branch, or name a narrower test_command",
        "boatwright retry {execution} --from analyze",
    ),
    "budget": ("see the calls: boatwright budget show {execution}", "boatwright resume {execution}"),
    "credential": (
        "set a valid key in the environment of the process that runs it",
        "boatwright resume {execution}",
    ),
    "model_unavailable": ("wait for the provider", "boatwright resume {execution}"),
    "model_garbage": ("boatwright retry {execution} --from plan", "or choose another model with a new run"),
    "price": ("boatwright resume {execution}",),
    "agent_failed": (
        "read what it said: boatwright show {execution}",
        "boatwright resume {execution}",
        "or let another agent do it with a new run: --agent NAME",
    ),
    "model_script": ("mend the scripted model's file", "boatwright resume {execution}"),
    "context_too_long": ("ask for less at once with a new run", "or choose a model with a larger context"),
    "plan_review": (
        "read the findings: boatwright show {execution}",
        "say more precisely what is wanted, then: boatwright retry {execution} --from plan",
    ),
    "no_change": (
        "read the transcript: boatwright show {execution}",
        "boatwright retry {execution} --from build",
    ),
    "refused": (
        "read the findings: boatwright show {execution}",
        "boatwright retry {execution} --from build",
    ),
    "conflict": (
        "the base moved and does not merge: see the paths with boatwright show {execution}",
        "boatwright retry {execution} --from build",
    ),
    "save_failed": ("free space or mend the named cause", "boatwright resume {execution}"),
    "unknown_effect": (
        "look at the target by hand: the effect may or may not have happened",
        "boatwright resume {execution}",
    ),
    "host": ("boatwright doctor", "boatwright resume {execution}"),
    "input": ("mend what is named", "boatwright resume {execution}"),
    "planned": ("read it: boatwright show {execution}", "build it: boatwright resume {execution}"),
    "policy": ("mend .boatwright.yml on the base branch", "boatwright retry {execution} --from analyze"),
    "replay": ("boatwright cancel {execution}",),
    "replayed": ("boatwright cancel {execution}",),
    "ceiling": (
        "ask for less in .boatwright.yml, or let the operator raise the ceiling in settings.yml",
        "boatwright retry {execution} --from analyze",
    ),
    "could_not_check": ("mend what is named as unreachable", "boatwright retry {execution} --from verify"),
}


def next_moves(code: str, execution: str, own: Sequence[str] = ()) -> tuple[str, ...]:
    """The error's own moves first, then the table's for its code, without repeating one; never empty.

    Who raises an error deep inside may not know the execution: its moves say ``EXECUTION``.
    """
    table = NEXT_MOVES.get(code, ("boatwright show {execution}", "boatwright resume {execution}"))
    mine = (move.replace("EXECUTION", execution) for move in own)
    moves = [*mine, *(move.format(execution=execution) for move in table)]
    return tuple(dict.fromkeys(moves))

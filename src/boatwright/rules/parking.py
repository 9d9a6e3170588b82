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
    "forge": ("wait for the forge", "boatwright resume {execution}"),
    "forge_rights": ("boatwright doctor --forge", "boatwright resume {execution}"),
    "their_ci": (
        "read what they said: boatwright show {execution}",
        "say what to do in a comment on the pull request, or mend the checks and run them again",
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
    "blocked": (
        "answer it in a comment on the issue or the pull request, or mend what it names",
        "boatwright resume {execution}",
    ),
    "did_not_report": (
        "read what it said: boatwright show {execution}",
        "boatwright resume {execution}",
        "or give it longer: 'silence' in settings.yml",
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
        "what moved does not merge with the work: see the paths with boatwright show {execution}",
        "boatwright retry {execution} --from build",
    ),
    "switched_off": ("boatwright switch show", "boatwright resume {execution}"),
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

PUBLIC = frozenset(
    {
        "base_tests", "blocked", "conflict", "context_too_long", "could_not_check", "did_not_report", "forge_rights",
        "no_change", "no_test_command", "plan_review", "planned", "policy", "proof_time", "refused", "their_ci",
    }
)  # fmt: skip
"""Codes whose sentence is about the repository and the change. Every other one may name what only an operator should
read (paths, registries, what the host spends): it is not written where everybody reads it.
"""
IN_SHORT: dict[str, str] = {
    "agent_failed": "The agent failed.",
    "budget": "Its budget is used up.",
    "model_garbage": "The model answered what is no answer.",
    "model_unavailable": "The model's provider does not answer.",
    "setup": "The repository's set-up failed.",
    "switched_off": "Work is switched off.",
}
HIDDEN = "Something on the host stopped it; its operator sees what."


def public_reason(code: str | None, reason: str | None) -> str:
    """Why it stopped, as far as everybody may read it."""
    if code in PUBLIC:
        return reason or ""
    return IN_SHORT.get(code or "", HIDDEN)


def next_moves(code: str, execution: str, own: Sequence[str] = ()) -> tuple[str, ...]:
    """The error's own moves first, then the table's for its code, without repeating one; never empty. The table's
    last stands last, whoever names it: to go on comes after what has to be mended for it.

    Who raises an error deep inside may not know the execution: its moves say ``EXECUTION``.
    """
    table = NEXT_MOVES.get(code, ("boatwright show {execution}", "boatwright resume {execution}"))
    theirs = [move.format(execution=execution) for move in table]
    mine = (move.replace("EXECUTION", execution) for move in own)
    return tuple(dict.fromkeys([*(move for move in mine if move != theirs[-1]), *theirs]))

"""What happens to a bottle whose calls have been cut: an order from mild to strict."""

from __future__ import annotations

from enum import StrEnum


class CutPolicy(StrEnum):
    """Each does what the ones before it do, and more."""

    CUTOFF = "cutoff"  # nothing is called any more; the agent's bottle lives
    FREEZE = "freeze"  # and the agent is stopped, saved and archived
    KILL = "kill"  # and its processes and directories go; record, bill and the last saved step stay

    @property
    def strictness(self) -> int:
        return list(CutPolicy).index(self)

    @property
    def ends_the_agent(self) -> bool:
        return self is not CutPolicy.CUTOFF


class Cause(StrEnum):
    """Why something was cut. What a person cut stays cut until its budget is raised."""

    EXHAUSTED = "exhausted"
    COMMAND = "command"

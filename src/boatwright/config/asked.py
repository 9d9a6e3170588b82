"""What is asked for, before it is held against the host's ceiling: by flag, and by the manifests of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from boatwright.config.policy import LimitsPolicy, NetworkPolicy
from boatwright.values.calls import ForgeCalls
from boatwright.values.cutting import CutPolicy
from boatwright.values.usage import Cap

FLAG, ENVIRONMENT, POLICY, SETTINGS, DEFAULT = (
    "flag",
    "environment",
    ".boatwright.yml",
    "settings.yml",
    "default",
)
CONTAINER = "container"
VARIABLES = {
    "model": "BOATWRIGHT_MODEL",
    "agent": "BOATWRIGHT_AGENT",
    "budget": "BOATWRIGHT_BUDGET",
    "setup_command": "BOATWRIGHT_SETUP",
    "test_command": "BOATWRIGHT_TEST",
}


@dataclass(frozen=True, slots=True)
class Flags:
    """What was typed. None: not given."""

    model: str | None = None
    agent: str | None = None
    budget: Cap | str | None = None
    setup_command: str | None = None
    test_command: str | None = None
    bottles: tuple[str, ...] | None = None
    backend: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What the manifests of a run ask for together (``rules.composition``). ``places`` says of each key where
    it is written; ``budgets`` and ``shutdowns`` are theirs with their places, the nearest (the agent's) first.
    """

    model: str | None = None
    setup_command: str | None = None
    budgets: tuple[tuple[Cap, str], ...] = ()
    limits: LimitsPolicy = field(default_factory=LimitsPolicy)
    network_policy: NetworkPolicy | None = None
    allow: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    shutdowns: tuple[tuple[CutPolicy, str], ...] = ()
    backend: str | None = None
    forge_calls: ForgeCalls = ForgeCalls.NONE
    places: Mapping[str, str] = field(default_factory=dict)

    def place(self, key: str) -> str:
        return self.places.get(key, "manifest")

"""How far an agent's calls to the forge go, and how long it may be silent: who asks, who narrows, who refuses."""

from __future__ import annotations

import pytest

from boatwright import errors
from boatwright.config import policy as policies
from boatwright.config import settings as settings_module
from boatwright.config.asked import Asked
from boatwright.config.effective import effective
from boatwright.values.calls import ForgeCalls

NONE, READ, WRITE = ForgeCalls


def held(settings: str = "", policy: str = "", wish: ForgeCalls = NONE, tmp: object = None) -> object:
    asked = Asked(forge_calls=wish, places={"forge_calls": "agents/a.md line 3"})
    return effective(settings_module.parse(settings), policies.parse(policy), asked=asked)


@pytest.mark.parametrize(
    ("settings", "policy", "wish", "calls", "source"),
    [
        ("", "", NONE, NONE, "default"),
        ("", "", READ, READ, "agents/a.md line 3"),
        ("", "", WRITE, WRITE, "agents/a.md line 3"),
        ("", "forge_calls: read\n", WRITE, READ, ".boatwright.yml"),
        ("", "forge_calls: write\n", READ, READ, "agents/a.md line 3"),
        ("", "forge_calls: none\n", WRITE, NONE, ".boatwright.yml"),
        ("forge_calls: read\n", "", READ, READ, "agents/a.md line 3"),
    ],
)
def test_the_narrowest_holds(
    settings: str, policy: str, wish: ForgeCalls, calls: ForgeCalls, source: str
) -> None:
    found = held(settings, policy, wish)
    assert (found.forge_calls, found.sources["forge_calls"]) == (calls, source)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("settings", "policy", "wish", "said"),
    [
        ("forge_calls: read\n", "", WRITE, r"of agents/a.md line 3 asks for write; this host allows read"),
        ("forge_calls: none\n", "", READ, r"of agents/a.md line 3 asks for read; this host allows none"),
        ("forge_calls: read\n", "forge_calls: write\n", NONE, r"'forge_calls' asks for write"),
        ("silence: 10m\n", "silence: 11m\n", NONE, r"'silence' asks for 660 seconds; this host allows 600"),
    ],
)
def test_asking_for_more_is_refused_by_name(settings: str, policy: str, wish: ForgeCalls, said: str) -> None:
    with pytest.raises(errors.AboveCeiling, match=said):
        held(settings, policy, wish)


@pytest.mark.parametrize(
    ("settings", "policy", "seconds", "source"),
    [
        ("", "", 1_800, "default"),
        ("silence: 2h\n", "", 7_200, "settings.yml"),
        ("silence: 2h\n", "silence: 90s\n", 90, ".boatwright.yml"),
        ("", "silence: 30m\n", 1_800, ".boatwright.yml"),
    ],
)
def test_how_long_it_may_be_silent(settings: str, policy: str, seconds: float, source: str) -> None:
    found = held(settings, policy)
    assert (found.silence, found.sources["silence"]) == (seconds, source)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "policy", ["silence: 0\n", "silence: soon\n", "forge_calls: all\n", "forge_calls: true\n"]
)
def test_what_is_neither_is_refused(policy: str) -> None:
    with pytest.raises(errors.BadPolicy):
        policies.parse(policy)

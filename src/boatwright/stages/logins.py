"""Subscriptions people have in place of a key, and for whom the wire may use one.

A Claude subscription's token (``claude setup-token``) is for Claude Code itself: Anthropic's terms say so, and its API
answers other callers with an error. So it is added to the calls of a bottle in which Claude Code runs, and to no other:
the planner, the reviewer and other agents need a key.
"""

from __future__ import annotations

from dataclasses import dataclass

from boatwright.stages import keys
from boatwright.stages.house import House
from boatwright.values.usage import ModelRef

CLAUDE_TOKEN = "CLAUDE_CODE_OAUTH_TOKEN"  # noqa: S105 - a variable's name, not a token


@dataclass(frozen=True, slots=True)
class Login:
    """Which subscription (``egress.spec.LOGINS``), and the reference of its token."""

    name: str
    secret: str


def of_program(house: House, provider: str, model: ModelRef) -> Login | None:
    """The subscription with which the program of a bottle asks ``model``; None: with a key.

    What ``logins`` of settings.yml names; else the token's variable, where no key is named beside it.
    """
    if provider != "claude" or model.provider != "anthropic":
        return None
    if house.settings.logins.claude is not None:
        return Login("claude", house.settings.logins.claude)
    if house.environment.get(CLAUDE_TOKEN) and not keys.is_named(house, "anthropic"):
        return Login("claude", f"env:{CLAUDE_TOKEN}")
    return None

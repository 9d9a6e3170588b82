"""What of the forge an agent may call, and how long it may say nothing: the narrowest that anybody asks for."""

from __future__ import annotations

from boatwright.config.asked import DEFAULT, POLICY, SETTINGS, Asked
from boatwright.config.ceiling import Settings, above
from boatwright.config.policy import Policy
from boatwright.values.calls import ForgeCalls


def forge_calls(settings: Settings, policy: Policy, asked: Asked, sources: dict[str, str]) -> ForgeCalls:
    """The agent's manifest asks, settings.yml is the ceiling, and a repository's policy may narrow it further."""
    ceiling, wish = settings.forge_calls, asked.forge_calls
    if wish.width > ceiling.width:
        raise above("forge_calls", wish, ceiling, "forge_calls", where=asked.place("forge_calls"))
    if policy.forge_calls is not None and policy.forge_calls.width > ceiling.width:
        raise above("forge_calls", policy.forge_calls, ceiling, "forge_calls")
    sources["forge_calls"] = asked.place("forge_calls") if wish is not ForgeCalls.NONE else DEFAULT
    if policy.forge_calls is not None and policy.forge_calls.width < wish.width:
        sources["forge_calls"] = POLICY
        return policy.forge_calls
    return wish


def silence(settings: Settings, policy: Policy, sources: dict[str, str]) -> float:
    """Seconds."""
    sources["silence"] = SETTINGS if "silence" in settings.model_fields_set else DEFAULT
    if policy.silence is None:
        return settings.silence
    if policy.silence > settings.silence:
        raise above("silence", f"{policy.silence:g} seconds", f"{settings.silence:g} seconds", "silence")
    sources["silence"] = POLICY
    return policy.silence

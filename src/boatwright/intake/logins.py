"""Said before work begins: whose login the agent's calls go by, and what else it takes."""

from __future__ import annotations

from boatwright import errors
from boatwright.stages import keys, logins
from boatwright.stages.house import House
from boatwright.values.usage import Cap, ModelRef


def check(house: House, provider: str, model: ModelRef, budget: Cap) -> tuple[str, ...]:
    """One line about the login that will be used, if any.

    Raises ``errors.BadInput`` where it cannot carry the work: nobody but its own program may use it, and tokens are all
    it is counted in.
    """
    login = logins.of_program(house, provider, model)
    if login is None:
        return ()
    kind = login.subscription
    if not keys.is_named(house, kind.models):
        raise errors.BadInput(
            f"a {kind.title} serves {kind.program} alone: planning and review ask the model themselves, and {kind.key} "
            "is not set",
            subject=kind.key,
            next_moves=(
                f"export {kind.key}=… too, or name it under keys in settings.yml; and let settings.yml say: "
                f"logins: {{{kind.name}: {login.secret}}}",
                f"or let {kind.program} work alone: "
                f'boatwright bottle start {kind.agent} --headless --prompt "…" --budget 2Mtok',
            ),
        )
    return (said(house, provider, login, budget),)


def said(house: House, provider: str, login: logins.Login, budget: Cap) -> str:
    """The line; raises ``errors.BadInput`` under a budget in dollars alone."""
    if budget.tokens is None and provider not in house.settings.budget.providers:
        raise errors.BadInput(
            f"a subscription's calls have no price and are counted in tokens, and a budget of {budget} has none",
            subject=str(budget),
            next_moves=("--budget 2Mtok",),
        )
    return (
        f"{provider} uses the {login.subscription.title} of {login.secret}: "
        "its calls are counted in tokens, not dollars"
    )

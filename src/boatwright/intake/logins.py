"""Said before work begins: whose login the agent's calls go by, and what else it takes."""

from __future__ import annotations

from boatwright import errors
from boatwright.stages import keys, logins
from boatwright.stages.house import House
from boatwright.values.usage import Cap, ModelRef

_KEY = "ANTHROPIC_API_KEY"


def check(house: House, provider: str, model: ModelRef, budget: Cap) -> tuple[str, ...]:
    """One line about the login that will be used, if any.

    Raises ``errors.BadInput`` where it cannot carry the work: nobody but Claude Code may use it, and tokens are all it
    is counted in.
    """
    login = logins.of_program(house, provider, model)
    if login is None:
        return ()
    if not keys.is_named(house, "anthropic"):
        raise errors.BadInput(
            f"a Claude subscription serves Claude Code alone: planning and review ask the model themselves, and {_KEY} "
            "is not set",
            subject=_KEY,
            next_moves=(
                f"export {_KEY}=… too, or name it under keys in settings.yml; and let settings.yml say: "
                f"logins: {{claude: env:{logins.CLAUDE_TOKEN}}}",
                'or let Claude Code work alone: boatwright bottle start claude --headless --prompt "…" --budget 2Mtok',
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
    return f"{provider} uses the Claude subscription of {login.secret}: its calls are counted in tokens, not dollars"

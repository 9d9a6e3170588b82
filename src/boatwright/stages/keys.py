"""Where the key of each model provider is: as settings.yml names it, else in the variable people know it by."""

from __future__ import annotations

from boatwright import errors
from boatwright.config import secrets
from boatwright.stages.house import House

VARIABLES = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY", "gemini": "GEMINI_API_KEY"}


def reference(house: House, provider: str) -> str:
    """The reference (``config.secrets``) of the provider's key."""
    named: str | None = getattr(house.settings.keys, provider)
    return named or f"env:{VARIABLES[provider]}"


def is_named(house: House, provider: str) -> bool:
    """Whether there is a key to try: settings.yml says where, or the variable is set. Nothing is asked."""
    return bool(getattr(house.settings.keys, provider) or house.environment.get(VARIABLES[provider]))


def told(house: House) -> dict[str, str]:
    """For people: what each secret of settings.yml resolves to, never its value; and which way out of the network.

    Blocks, for some seconds where a keyring or Vault does not answer.
    """
    settings = house.settings
    named = {
        **{f"keys.{name}": getattr(settings.keys, name) for name in VARIABLES},
        **{f"logins.{name}": getattr(settings.logins, name) for name in type(settings.logins).model_fields},
        "proxy.credential": settings.proxy.credential if settings.proxy else None,
    }
    report = {f"secret {name}": _standing(house, one) for name, one in named.items() if one}
    if settings.proxy is not None:
        report["proxy"] = f"{settings.proxy.url}, except {', '.join(settings.proxy.except_) or 'loopback'}"
    elif set_ := next((name for name in _PROXY_VARIABLES if house.environment.get(name)), None):
        report["proxy"] = (
            f"none; {set_} is set and the wire does not use it: settings.yml says proxy: {{url: …}}"
        )
    return report


def _standing(house: House, one: str) -> str:
    try:
        secrets.resolve(one, environment=house.environment, blanks=True)
    except errors.BoatwrightError as error:
        return f"{one}: {error}"
    return f"{one} is there"


_PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")

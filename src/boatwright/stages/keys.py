"""Where keys are: of each model provider, as settings.yml names it, else in the variable people know it by; and the
key that commits are signed with.
"""

from __future__ import annotations

from boatwright import errors
from boatwright.config import secrets
from boatwright.git import signing
from boatwright.git.signing import Signer
from boatwright.stages.house import House

VARIABLES = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY", "gemini": "GEMINI_API_KEY"}


def reference(house: House, provider: str) -> str:
    """The reference (``config.secrets``) of the provider's key."""
    named: str | None = getattr(house.settings.keys, provider)
    return named or f"env:{VARIABLES[provider]}"


def is_named(house: House, provider: str) -> bool:
    """Whether there is a key to try: settings.yml says where, or the variable is set. Nothing is asked."""
    return bool(getattr(house.settings.keys, provider) or house.environment.get(VARIABLES[provider]))


def signer(house: House) -> Signer | None:
    """What signs commits; None where settings.yml names no key. Blocks.

    ``errors.Parked`` (credential) where the key is not there or is none: a commit that should be signed is not made
    without.
    """
    named = house.settings.git.signing_key
    if named is None:
        return None
    try:
        found = secrets.resolve(named, environment=house.environment, blanks=True, lines=True)
        return signing.signer(found.reveal().encode())
    except (errors.BadInput, errors.Parked) as unfit:
        why = str(unfit) if isinstance(unfit, errors.BadInput) else f"git.signing_key: {unfit}"
        raise errors.Parked(why, code="credential", next_moves=unfit.next_moves) from unfit


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
    if settings.git.signing_key:
        report["secret git.signing_key"] = _signing(house, settings.git.signing_key)
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


def _signing(house: House, one: str) -> str:
    try:
        signer(house)
    except errors.BoatwrightError as error:
        return f"{one}: {error}"
    return f"{one} is there"


_PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")

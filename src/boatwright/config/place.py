"""Where the work is done: whose backend makes the bottles, and whose programs are in them."""

from __future__ import annotations

from boatwright import errors
from boatwright.config import packages as names
from boatwright.config.asked import DEFAULT, FLAG, POLICY, SETTINGS, Asked, Flags
from boatwright.config.ceiling import Settings, above
from boatwright.config.environment import Environment, Kind, admits
from boatwright.config.policy import FILE, Policy

CONTAINER = "container"


def environment(settings: Settings, policy: Policy, sources: dict[str, str]) -> Environment:
    """Whose programs; ``sources`` is told who said so."""
    written = "environment" in policy.model_fields_set
    sources["environment"] = POLICY if written else DEFAULT
    if policy.environment.image:
        refuse_image(settings, policy.environment.image, "environment")
    return policy.environment


def packages(settings: Settings, policy: Policy, sources: dict[str, str]) -> tuple[str, ...]:
    """The system packages of the bottles. ``sources`` knows by now whose backend makes them.

    Nothing is allowed that the operator did not allow: a package is code of somebody else, fetched by this host.
    """
    wish = policy.system_packages
    sources["system_packages"] = POLICY if "system_packages" in policy.model_fields_set else DEFAULT
    beyond = names.beyond(settings.system_packages, wish)
    if beyond:
        raise errors.AboveCeiling(
            f"'system_packages' asks for {', '.join(beyond)}; this host allows "
            f"{', '.join(settings.system_packages) or 'none'}",
            subject="system_packages",
            next_moves=(
                "take them out of .boatwright.yml",
                f"or let the operator write 'system_packages: [{', '.join(beyond)}]', or any, in settings.yml",
            ),
            public=f"{FILE}: 'system_packages' asks for {', '.join(beyond)}, and that is not allowed on this host",
        )
    return wish


def refuse_image(settings: Settings, image: str, field: str, *, where: str = "") -> None:
    """Raise ``errors.AboveCeiling`` unless ``container.images`` of this host admits the reference."""
    if not admits(settings.container.images, image):
        allowed = ", ".join(settings.container.images) or "no image"
        raise above(field, f"the image {image}", allowed, "container.images", where=where)


def backend(settings: Settings, policy: Policy, flags: Flags, asked: Asked, sources: dict[str, str]) -> str:
    """What is asked for; an image asks for containers, whoever asks for nothing gets the host's own."""
    wish = _asked(settings, flags, asked, sources)
    if policy.system_packages and wish == CONTAINER:
        raise errors.AboveCeiling(
            "'system_packages' are laid under this host's programs in bottles of bubblewrap; the backend is container, by "
            f"{sources['backend']}",
            subject="system_packages",
            next_moves=(
                "build them into an image and name it: environment: {image: REF} in .boatwright.yml",
                "or take 'system_packages' out of it",
            ),
            public=f"{FILE}: 'system_packages' are for bottles of bubblewrap, and this host's are containers",
        )
    if policy.environment.kind is Kind.HOST or wish == CONTAINER:
        return wish
    if sources["backend"] in {SETTINGS, DEFAULT} and CONTAINER in settings.backends:
        sources["backend"] = POLICY
        return CONTAINER
    raise above("environment", str(policy.environment), "host", "container")


def _asked(settings: Settings, flags: Flags, asked: Asked, sources: dict[str, str]) -> str:
    """A manifest chooses among what the settings name. A person may also ask for a container, which is no weaker."""
    if flags.backend is not None:
        allowed = tuple(dict.fromkeys((*settings.backends, CONTAINER)))
        wish, sources["backend"] = flags.backend, FLAG
    elif asked.backend is not None:
        allowed, wish, sources["backend"] = settings.backends, asked.backend, asked.place("backend")
    else:
        wish, sources["backend"] = (
            settings.backend,
            SETTINGS if "backend" in settings.model_fields_set else DEFAULT,
        )
        return wish
    if wish not in allowed:
        place = "" if flags.backend is not None else asked.place("backend")
        raise above("backend", wish, " or ".join(allowed), "backend", where=place)
    return wish

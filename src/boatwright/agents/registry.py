"""Providers by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from boatwright import errors
from boatwright.agents import heavy
from boatwright.agents.claude import Claude
from boatwright.agents.codex import Codex
from boatwright.agents.copilot import Copilot
from boatwright.agents.headless import Headless
from boatwright.agents.opencode import Opencode
from boatwright.agents.pi import Pi
from boatwright.agents.protocol import Provider


def _builtin() -> Provider:
    made: Provider = heavy.builtin().Builtin()
    return made


PROGRAMS: tuple[type[Headless], ...] = (Claude, Codex, Copilot, Opencode, Pi)
_MAKERS: Mapping[str, Callable[[], Provider]] = {
    "builtin": _builtin,
    **{each.name: each for each in PROGRAMS},
}
NAMES = tuple(sorted(_MAKERS))


def provider(name: str) -> Provider:
    """The provider of that name. Raises ``errors.BadInput`` listing the names there are."""
    maker = _MAKERS.get(name)
    if maker is None:
        raise errors.BadInput(
            f"'{name}' is not a provider; there are: {', '.join(NAMES)}", subject=name,
            next_moves=tuple(f"--agent {known}" for known in NAMES),
        )  # fmt: skip
    return maker()

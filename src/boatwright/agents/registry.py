"""Providers by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from boatwright import errors
from boatwright.agents import command, heavy
from boatwright.agents.aider import Aider
from boatwright.agents.claude import Claude
from boatwright.agents.codex import Codex
from boatwright.agents.copilot import Copilot
from boatwright.agents.gemini import Gemini
from boatwright.agents.headless import Headless
from boatwright.agents.mini import Mini
from boatwright.agents.opencode import Opencode
from boatwright.agents.pi import Pi
from boatwright.agents.protocol import Provider
from boatwright.config.manifest import Agent


def _builtin() -> Provider:
    made: Provider = heavy.builtin().Builtin()
    return made


BUILTIN = "builtin"
PROGRAMS: tuple[type[Headless], ...] = (Aider, Claude, Codex, Copilot, Gemini, Mini, Opencode, Pi)
_MAKERS: Mapping[str, Callable[[], Provider]] = {
    BUILTIN: _builtin,
    **{each.name: each for each in PROGRAMS},
}
NAMES = tuple(sorted((*_MAKERS, command.NAME)))


def provider(name: str, manifest: Agent | None = None) -> Provider:
    """The provider of that name. ``manifest`` is the agent's, where it has one: it says what ``command`` runs.

    Raises ``errors.BadInput`` listing the names there are.
    """
    if name == command.NAME:
        return _command(manifest)
    maker = _MAKERS.get(name)
    if maker is None:
        raise errors.BadInput(
            f"'{name}' is not a provider; there are: {', '.join(NAMES)}", subject=name,
            next_moves=tuple(f"--agent {known}" for known in NAMES),
        )  # fmt: skip
    return maker()


def _command(manifest: Agent | None) -> Provider:
    if manifest is None or manifest.head.command is None:
        raise errors.BadInput(
            f"the provider '{command.NAME}' is any program, and only an agent's manifest can say which",
            subject=command.NAME,
            next_moves=(
                "write .boatwright/agents/NAME.md with 'provider: command' and 'command: {run: [PROGRAM]}'",
            ),
        )
    return command.Command(manifest, manifest.head.command)

"""``.devcontainer/devcontainer.json`` as far as a bottle can be it: an image, variables, a set-up. The rest is refused.

What an editor alone cares for is passed over. What would change how the container is made (build, mounts, arguments,
privileges) or run on the host is refused by its name: leaving it out in silence would be another environment.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from boatwright import errors
from boatwright.config.environment import is_reference
from boatwright.config.manifest import variable
from boatwright.config.whose import DEVCONTAINERS

FILES = DEVCONTAINERS
PASSED_OVER = frozenset({
    "$schema", "name", "customizations", "settings", "extensions", "forwardPorts", "portsAttributes",
    "otherPortsAttributes", "remoteUser", "containerUser", "remoteEnv", "updateRemoteUserUID", "userEnvProbe",
    "shutdownAction", "overrideCommand", "hostRequirements", "waitFor", "init", "postAttachCommand",
})  # fmt: skip
"""Who attaches to it, and how: nobody does."""
REMEDIES: Mapping[str, str] = {
    "build": "build the image once, push it, and name it in 'image'",
    "dockerFile": "build the image once, push it, and name it in 'image'",
    "dockerComposeFile": "name one image in 'image'; services are not started beside a bottle",
    "service": "name one image in 'image'; services are not started beside a bottle",
    "features": "build an image that has them and name it in 'image'",
    "mounts": "remove it: a bottle shows nothing of the host but its own directories",
    "runArgs": "remove it: how a bottle is shut is not a repository's to say",
    "privileged": "remove it: a bottle never is",
    "capAdd": "remove it: a bottle holds no capability",
    "securityOpt": "remove it: how a bottle is shut is not a repository's to say",
    "workspaceMount": "remove it: the workspace is /workspace",
    "workspaceFolder": "remove it: the workspace is /workspace",
    "initializeCommand": "remove it: nothing of a repository runs on the host",
    "onCreateCommand": "move it to 'postCreateCommand'",
    "updateContentCommand": "move it to 'postCreateCommand'",
    "postStartCommand": "move it to 'postCreateCommand', or into the test command",
}
_PIECES = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Devcontainer:
    """What of the file holds in a bottle. ``setup`` is a shell line."""

    image: str
    environment: Mapping[str, str] = field(default_factory=dict)
    setup: str | None = None


def parse(text: str, *, file: str = FILES[0]) -> Devcontainer:
    """The file as a value. Raises ``errors.BadPolicy`` naming the key and what to write instead."""
    found = _read(text, file)
    for key, value in found.items():
        if key not in PASSED_OVER and key not in {"image", "containerEnv", "postCreateCommand"} and value:
            raise _refuse(file, f"'{key[:60]}' is not taken for a bottle", REMEDIES.get(key, "remove it"))
    image = found.get("image")
    if not isinstance(image, str) or not is_reference(image):
        raise _refuse(file, "'image' names no image", 'write "image": "NAME:TAG"')
    return Devcontainer(image, _variables(found.get("containerEnv") or {}, file), _setup(found, file))


def _read(text: str, file: str) -> dict[str, Any]:
    """JSON with comments and trailing commas, as editors write it."""
    bare = _PIECES.sub(lambda each: each[0] if each[0].startswith('"') else " ", text)
    try:
        found = json.loads(_TRAILING.sub(lambda each: each[1] or "", bare))
    except (ValueError, RecursionError) as error:
        raise _refuse(file, f"it is not JSON: {error}", f"mend {file}") from error
    if not isinstance(found, dict):
        raise _refuse(file, "it is not an object", f"mend {file}")
    return found


def _variables(given: Any, file: str) -> dict[str, str]:
    if not isinstance(given, dict):
        raise _refuse(file, "'containerEnv' is not an object", "write names and texts")
    for name, value in given.items():
        if not isinstance(value, str) or any(ord(each) < 0x20 for each in value):
            raise _refuse(file, f"'containerEnv.{name[:60]}' is not one line of text", "put it in quotes")
        if "${" in value:
            why = "takes its value from elsewhere, which a bottle does not have"
            raise _refuse(file, f"'containerEnv.{name[:60]}' {why}", "write the value itself")
        try:
            variable(name)
        except ValueError as error:
            raise _refuse(file, f"'containerEnv.{name[:60]}' {error}", f"remove '{name[:60]}'") from None
    return dict(given)


def _setup(found: Mapping[str, Any], file: str) -> str | None:
    """A line of shell, or words, or several of them by name: all of them, one after the other."""
    given = found.get("postCreateCommand")
    if not given:
        return None
    lines = [_line(each, file) for each in (given.values() if isinstance(given, dict) else (given,))]
    return lines[0] if len(lines) == 1 else " && ".join(f"( {line} )" for line in lines)


def _line(given: Any, file: str) -> str:
    if isinstance(given, str) and given.strip() and "\0" not in given:
        return given.strip()
    if (
        isinstance(given, list)
        and given
        and all(isinstance(each, str) and "\0" not in each for each in given)
    ):
        return shlex.join(given)
    raise _refuse(file, "'postCreateCommand' is no command", "write one line, or a list of words")


def _refuse(file: str, what: str, move: str) -> errors.BadPolicy:
    return errors.BadPolicy(f"{file}: {what}", subject=file, next_moves=(move,))

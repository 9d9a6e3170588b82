"""Bytes of a manifest file to a manifest: keys, names, and what belongs elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping

from boatwright import errors
from boatwright.config import front_matter, strict_yaml
from boatwright.config.manifest import Agent, AgentHead, Bottle, BottleHead, Head, Manifest, Where

_IN_A_BOTTLE = "write it in a bottle (bottles/NAME.md), and name that under 'bottles:'"
_IN_AN_AGENT = "write it in an agent (agents/NAME.md)"
_COMMAND = "command"
_BELOW = "write it as text below the second line ---"
ELSEWHERE: Mapping[type, Mapping[str, str]] = {
    AgentHead: {
        **dict.fromkeys(
            ("network", "network_policy", "limits", "environment", "setup", "extends", "routes"), _IN_A_BOTTLE
        ),
        **dict.fromkeys(("prompt", "system", "instructions"), _BELOW),
        "bottle": "write 'bottles:' instead",
        "skill": "write 'skills:' instead",
    },
    BottleHead: {
        **dict.fromkeys(("provider", "model", "git", "color", "bottles"), _IN_AN_AGENT),
        **dict.fromkeys(("prompt", "notes", "instructions"), _BELOW),
        "network_policy": "write 'network: {policy: …}' instead",
        "setup_command": "write 'setup:' instead",
        "env": "write 'environment:' instead",
    },
}
"""Keys people look for in the wrong place, and what to write instead."""
_SECRET_VALUE = re.compile(
    r"(^|[^A-Za-z0-9])(sk-[A-Za-z0-9_-]{16}|gh[opsur]_[A-Za-z0-9]{20}|github_pat_|glpat-|xox[abprs]-|AKIA[A-Z0-9]{12})"
    r"|-----BEGIN|://[^/\s:@]+:[^/\s@]+@"
)


def agent(data: bytes, *, name: str, where: Where, file: str) -> Agent:
    """Raises ``errors.BadPolicy`` with file, line, key, and what to write instead."""
    read = _manifest(AgentHead, data, name, where, file)
    if where is Where.REPOSITORY and (read.head.model or "").startswith("scripted:"):
        raise read.refuse(
            ("model",),
            "'model' names a scripted model, and that is a file of the host",
            "write anthropic:NAME, openai:NAME or gemini:NAME",
        )
    if (read.head.command is None) == (read.head.provider == _COMMAND):
        raise _unfit(read)
    return read


def _unfit(read: Agent) -> errors.BadPolicy:
    if read.head.command is None:
        return read.refuse(
            ("provider",),
            "'provider: command' needs to be told which program",
            "write 'command: {run: [PROGRAM]}'",
        )
    return read.refuse(
        ("command",),
        "'command' is for the provider of that name",
        f"write 'provider: {_COMMAND}', or remove 'command'",
    )


def bottle(data: bytes, *, name: str, where: Where, file: str) -> Bottle:
    """Raises ``errors.BadPolicy`` with file, line, key, and what to write instead."""
    read = _manifest(BottleHead, data, name, where, file)
    for variable, value in read.head.environment.items():
        if _SECRET_VALUE.search(value):  # said without the value: an error is kept and shown
            raise read.refuse(
                ("environment", variable),
                f"the value of 'environment.{variable}' looks like a secret, and none goes into a bottle",
                f"remove '{variable}'; the wire adds credentials outside the bottle",
            )
    return read


def _manifest(head: type[Head], data: bytes, name: str, where: Where, file: str) -> Manifest[Head]:
    page = front_matter.parse(data, file)
    document = page.document
    for key, move in ELSEWHERE[head].items():
        if key in document.value:
            what = f"unknown key '{key}'" if "instead" in move else f"'{key}' does not belong here"
            raise strict_yaml.refuse(file, document.line((key,)), what, move)
    read = strict_yaml.validate(head, document)
    made = Manifest(name, where, file, read, page.body, page.body_line, document.lines)
    if read.name not in {None, name}:
        raise made.refuse(
            ("name",),
            f"'name' is {read.name}, but the file is called {name}.md",
            f"write 'name: {name}', or rename the file to {read.name}.md",
        )
    return made

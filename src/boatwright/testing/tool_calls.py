"""A script's tool calls in the words of whatever tools the asking program offers."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from boatwright.testing.conversation import Offer
from boatwright.testing.scripted import Shell, Tool

SHELLS = (
    "bash", "shell", "exec_command", "run_shell_command", "local_shell", "shell_command", "run_command",
    "execute_command", "run_terminal_cmd", "terminal", "execute_bash", "container.exec",
)  # fmt: skip
COMMAND_ARGUMENTS = ("command", "cmd", "script", "commands", "code", "input")
TIMEOUT_ARGUMENTS = ("timeout", "timeout_seconds", "timeout_ms")
PATIENCE_ARGUMENT = "yield_time_ms"
MOST_PATIENCE = 30_000
"""Codex waits this long for a command, if told to, before it goes on beside it."""

Call = tuple[str, dict[str, Any]]


def translate(tool: Tool, offers: Sequence[Offer]) -> Call | None:
    """The call to make for ``tool``: a name and its arguments; None when nothing offered can do it."""
    if tool.call is not None:
        return tool.call.name, dict(tool.call.arguments)
    native = _native(tool, offers)
    if native is not None:
        return native
    wanted = _as_shell(tool)
    shell = shell_of(offers)
    if shell is not None:
        return shell.name, _arguments(shell, wanted)
    program = _program_of(offers)
    return (program.name, {TEXT: _program(wanted)}) if program is not None else None


def shell_of(offers: Sequence[Offer]) -> Offer | None:
    """The shell among the tools, by name without regard to case, in the order of :data:`SHELLS`."""
    by_name = {offer.name.lower(): offer for offer in offers}
    return next((by_name[name] for name in SHELLS if name in by_name), None)


TEXT = "input"
"""The argument of a tool that takes plain text."""


def _program_of(offers: Sequence[Offer]) -> Offer | None:
    """A tool that runs JavaScript in which the shell is a function, as Codex offers with its newest models."""
    return next(
        (one for one in offers if one.kind == "custom" and "tools.exec_command" in one.description), None
    )


def _program(wanted: Shell) -> str:
    patience = (wanted.timeout or 600) * 1_000
    call = json.dumps({"cmd": wanted.command, PATIENCE_ARGUMENT: MOST_PATIENCE})
    pragma = json.dumps({PATIENCE_ARGUMENT: patience})
    return f"// @exec: {pragma}\nconst done = await tools.exec_command({call});\ntext(done.output);"


def _native(tool: Tool, offers: Sequence[Offer]) -> Call | None:
    """``write_file`` and ``read_file`` where a tool of that name takes a plain ``path``."""
    by_name = {offer.name: offer for offer in offers}
    if tool.write_file is not None and _takes(by_name.get("write_file"), "path", "content"):
        return "write_file", tool.write_file.model_dump()
    if tool.read_file is not None and _takes(by_name.get("read_file"), "path"):
        return "read_file", tool.read_file.model_dump()
    return None


def _takes(offer: Offer | None, *names: str) -> bool:
    return offer is not None and all(name in offer.properties for name in names)


def _as_shell(tool: Tool) -> Shell:
    if isinstance(tool.bash, Shell):
        return tool.bash
    if tool.write_file is not None:
        path, content = tool.write_file.path, tool.write_file.content
        parent = shlex.quote(str(PurePosixPath(path).parent))
        return Shell(
            command=f"mkdir -p -- {parent} && printf %s {shlex.quote(content)} > {shlex.quote(path)}"
        )
    if tool.read_file is not None:
        return Shell(command=f"cat -- {shlex.quote(tool.read_file.path)}")
    return Shell(command=str(tool.bash))


def _arguments(shell: Offer, wanted: Shell) -> dict[str, Any]:
    """The shell's own argument names and types, from its JSON schema; required extras get a neutral value."""
    properties = shell.properties
    name = next((name for name in COMMAND_ARGUMENTS if name in properties), "command")
    listed = _type(properties.get(name)) == "array"
    arguments: dict[str, Any] = {name: ["bash", "-lc", wanted.command] if listed else wanted.command}
    for timeout in TIMEOUT_ARGUMENTS:
        if wanted.timeout is not None and timeout in properties:
            arguments[timeout] = wanted.timeout * (
                1_000 if _milliseconds(timeout, properties[timeout]) else 1
            )
            break
    if PATIENCE_ARGUMENT in properties:
        arguments[PATIENCE_ARGUMENT] = MOST_PATIENCE
    for extra in shell.required:
        if extra not in arguments:
            arguments[extra] = _neutral(properties.get(extra))
    return arguments


def _milliseconds(name: str, schema: Any) -> bool:
    """Programs differ in what they count a timeout in, and say so in words."""
    said = str(schema.get("description", "")) if isinstance(schema, dict) else ""
    return name.endswith("_ms") or "millisecond" in said.lower()


def sample(schema: Any, words: str) -> Any:
    """The plainest value that fits a JSON schema; ``words`` for every string."""
    if not isinstance(schema, dict):
        return words
    if schema.get("enum"):
        return schema["enum"][0]
    kind = _type(schema)
    if kind == "object":
        properties = schema.get("properties") or {}
        return {name: sample(properties.get(name), words) for name in schema.get("required") or properties}
    return words if kind == "string" else schema.get("minimum", _NEUTRAL.get(kind, words))


_NEUTRAL: Mapping[str, Any] = {
    "string": "scripted", "boolean": False, "integer": 1, "number": 1, "array": [], "object": {},
}  # fmt: skip


def _neutral(schema: Any) -> Any:
    if isinstance(schema, dict):
        if "default" in schema:
            return schema["default"]
        if schema.get("enum"):
            return schema["enum"][0]
    return _NEUTRAL.get(_type(schema), "scripted")


def _type(schema: Any) -> str:
    """The JSON type of a property, looking through ``["string", "null"]`` and ``anyOf``."""
    if not isinstance(schema, dict):
        return "string"
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "string")
    if kind is None:
        options = [one.get("type") for one in schema.get("anyOf", ()) if isinstance(one, dict)]
        kind = next((one for one in options if one and one != "null"), "string")
    return str(kind).lower()  # one protocol writes them in capitals

"""The built-in agent's tools. Each runs in the bottle: the host opens no file, and no path is part of a
shell line.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_ai.tools import ToolDefinition

from boatwright.agents import fence
from boatwright.bottle.protocol import WORKSPACE, Bottle
from boatwright.values.process import ExecResult

SHOWN_BYTES = 16 << 10
"""What the model sees of one tool's output; of more it sees the head and the tail."""
FILE_BYTES = 4 << 20
"""The largest file the file tools handle."""
TOOL_SECONDS = 30.0
BASH_SECONDS, BASH_MOST = 120, 600
MATCHES, MATCH_WIDTH = 200, 300

InPath = Annotated[str, StringConstraints(min_length=1, max_length=4_096, pattern=r"^[^\x00]+$")]


class Failed(Exception):  # a result for the model, not an error of ours
    """A tool could not do what was asked; the text goes to the model."""


class Tool(BaseModel):
    """One call of a tool, checked. Subclasses are the tools; their docstrings are what the model reads."""

    model_config = ConfigDict(extra="forbid")

    name: ClassVar[str]

    def brief(self) -> str:
        """The call in a few words, for people who watch."""
        return str(getattr(self, "path", ""))

    async def run(self, bottle: Bottle, within: float) -> str:
        """Do it, in no more than ``within`` seconds; the result for the model."""
        raise NotImplementedError


class Bash(Tool):
    """Run a command with bash in /workspace. Nothing keeps running between calls; there is no network."""

    name = "bash"

    command: Annotated[str, StringConstraints(min_length=1, max_length=100_000, pattern=r"^[^\x00]+$")]
    timeout: Annotated[int, Field(ge=1, le=BASH_MOST, description="seconds")] = BASH_SECONDS

    def brief(self) -> str:
        first, *more = self.command.strip().splitlines() or [""]
        return f"{first} (and {len(more)} more lines)" if more else first

    async def run(self, bottle: Bottle, within: float) -> str:
        ended = await _exec(
            bottle, ["/bin/bash", "-c", self.command], seconds=min(self.timeout, max(within, 1.0))
        )
        return f"{_how_it_ended(ended)}\n{_shown(ended.output)}"


class ReadFile(Tool):
    """Read a text file, with line numbers. Long files: pass offset (first line, from 1) and limit (lines)."""

    name = "read_file"

    path: InPath
    offset: Annotated[int, Field(ge=1)] = 1
    limit: Annotated[int, Field(ge=1, le=5_000)] = 800

    async def run(self, bottle: Bottle, within: float) -> str:
        lines = (await _read(bottle, self.path)).decode("utf-8", "replace").splitlines()
        first = self.offset - 1
        part = lines[first : first + self.limit]
        if not part:
            return f"{self.path} has {len(lines)} lines; there is nothing at line {self.offset}"
        numbered = "\n".join(f"{number}\t{text}" for number, text in enumerate(part, self.offset))
        rest = len(lines) - first - len(part)
        more = f"\n({rest} more lines; go on with offset {first + len(part) + 1})" if rest > 0 else ""
        return fence.data("file", fence.middle_cut(numbered, SHOWN_BYTES)) + more


class WriteFile(Tool):
    """Write a whole text file, making its directories; what was there before is replaced."""

    name = "write_file"

    path: InPath
    content: str

    async def run(self, bottle: Bottle, within: float) -> str:
        data = self.content.encode("utf-8", "surrogateescape")
        await _write(bottle, self.path, data)
        return f"wrote {len(data)} bytes to {self.path}"


class EditFile(Tool):
    """Replace text in a file. old must occur exactly once, character for character, unless all is true."""

    name = "edit_file"

    path: InPath
    old: Annotated[str, StringConstraints(min_length=1)]
    new: str
    all: bool = False

    async def run(self, bottle: Bottle, within: float) -> str:
        before = (await _read(bottle, self.path)).decode("utf-8", "surrogateescape")
        found = before.count(self.old)
        if found == 0:
            raise Failed(f"the text to replace does not occur in {self.path}; read the file again")
        if found > 1 and not self.all:
            raise Failed(
                f"the text to replace occurs {found} times in {self.path}; give more of it, or set all"
            )
        after = before.replace(self.old, self.new)
        await _write(bottle, self.path, after.encode("utf-8", "surrogateescape"))
        return f"replaced {found} occurrence{'s'[: found > 1]} in {self.path}"


class Search(Tool):
    """Find lines that match an extended regular expression, below a path. Binary files and .git are left
    out.
    """

    name = "search"

    pattern: Annotated[str, StringConstraints(min_length=1, max_length=4_096, pattern=r"^[^\x00]+$")]
    path: InPath = "."
    files: Annotated[str, Field(description="only files whose name matches, such as *.py")] = ""

    def brief(self) -> str:
        return self.pattern

    async def run(self, bottle: Bottle, within: float) -> str:
        only = [f"--include={self.files}"] if self.files else []
        argv = [
            "grep",
            "-rnIE",
            "--exclude-dir=.git",
            f"--max-count={MATCHES}",
            *only,
            "-e",
            self.pattern,
            "--",
        ]
        ended = await _exec(bottle, [*argv, self.path])
        if ended.limit is not None or ended.exit_code > 1:
            raise Failed(f"{_how_it_ended(ended)}\n{_shown(ended.output)}")
        return _matches(ended.text().splitlines())


def _matches(lines: list[str]) -> str:
    if not lines:
        return "no line matches"
    cut = [line if len(line) <= MATCH_WIDTH else f"{line[:MATCH_WIDTH]}…" for line in lines[:MATCHES]]
    more = f"\n({len(lines) - MATCHES} more)" if len(lines) > MATCHES else ""
    return fence.data("matches", fence.middle_cut(fence.plain("\n".join(cut)), SHOWN_BYTES)) + more


TOOLS: Mapping[str, type[Tool]] = {kind.name: kind for kind in (Bash, ReadFile, WriteFile, EditFile, Search)}


def definitions() -> list[ToolDefinition]:
    """The tools as a model is told of them."""
    return [
        ToolDefinition(
            name=name, description=kind.__doc__, parameters_json_schema=_schema(kind), strict=False
        )
        for name, kind in TOOLS.items()
    ]


def checked(name: str, arguments: str | dict[str, Any] | None) -> Tool:
    """The call, ready to run. Raises :class:`Failed` with words for the model when it makes no sense."""
    kind = TOOLS.get(name)
    if kind is None:
        raise Failed(f"there is no tool {fence.line(name, 60)!r}; there are: {', '.join(TOOLS)}")
    try:
        if isinstance(arguments, str):
            return kind.model_validate_json(arguments or "{}")
        return kind.model_validate(arguments or {})
    except ValidationError as error:
        raise Failed(f"the arguments of {name} are not valid: {complaint(error)}") from error


def complaint(error: ValidationError) -> str:
    """What is wrong, in one line, without repeating what was sent."""
    parts = []
    for one in error.errors(include_url=False, include_input=False)[:8]:
        where = ".".join(str(part) for part in one["loc"])
        parts.append(f"{where}: {one['msg']}" if where else str(one["msg"]))
    return fence.line("; ".join(parts), 1_000)


_NOISE = frozenset({"title", "pattern", "minLength", "maxLength"})
"""Checked here, not worth the model's tokens, and not known to every provider."""


def _schema(kind: type[Tool]) -> dict[str, Any]:
    schema = kind.model_json_schema()
    properties = {
        name: {key: value for key, value in one.items() if key not in _NOISE}
        for name, one in schema["properties"].items()
    }
    return {
        "type": "object", "properties": properties, "required": schema.get("required", []),
        "additionalProperties": False,
    }  # fmt: skip


async def _exec(
    bottle: Bottle, argv: list[str], *, stdin: bytes | None = None, seconds: float = TOOL_SECONDS,
    separate: bool = False,
) -> ExecResult:  # fmt: skip
    limits = dataclasses.replace(bottle.spec.limits, wall_seconds=float(seconds))
    return await bottle.exec(argv, cwd=WORKSPACE, stdin=stdin, limits=limits, separate_stdout=separate)


async def _read(bottle: Bottle, path: str) -> bytes:
    ended = await _exec(bottle, ["head", "-c", str(FILE_BYTES + 1), "--", _named(path)], separate=True)
    if not ended.ok:
        raise Failed(f"{path} cannot be read: {_why(ended)}")
    if len(ended.stdout) > FILE_BYTES:
        raise Failed(f"{path} is larger than {FILE_BYTES >> 20} MB; use bash to look at parts of it")
    return ended.stdout


_WRITE = 'mkdir -p -- "$(dirname -- "$1")" && cat > "$1"'
"""A fixed line; the path is its first argument and the content its standard input."""


async def _write(bottle: Bottle, path: str, data: bytes) -> None:
    ended = await _exec(bottle, ["/bin/bash", "-c", _WRITE, "write_file", _named(path)], stdin=data)
    if not ended.ok:
        raise Failed(f"{path} cannot be written: {_why(ended)}")


def _named(path: str) -> str:
    """``-`` alone means standard input to many programs; below the workspace it is a file like any other."""
    return str(WORKSPACE / PurePosixPath(path))


def _why(ended: ExecResult) -> str:
    if ended.limit is not None:
        return _how_it_ended(ended)
    return fence.line(ended.text(), 300) or f"exit code {ended.exit_code}"


def _how_it_ended(ended: ExecResult) -> str:
    if ended.limit is not None:
        return f"stopped after {ended.seconds:.0f} s: the {ended.limit} limit was reached"
    notes = f" ({'; '.join(ended.notes)})" if ended.notes else ""
    return f"exit code {ended.exit_code}{notes}"


def _shown(output: bytes) -> str:
    text = fence.plain(output.decode("utf-8", "replace")).rstrip("\n")
    return fence.data("output", fence.middle_cut(text, SHOWN_BYTES)) if text else "(no output)"

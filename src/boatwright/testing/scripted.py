"""A script for the scripted model: what it will plan, reply, review, and how it will fail. Read from YAML,
strictly.

``docs`` of the format: the models below are the format. An error names the file, the line and the key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from boatwright import errors
from boatwright.agents.answers import Review
from boatwright.values.plan import Plan

MAX_BYTES = 4 << 20


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Shell(_Strict):
    """A shell command in the long form; ``bash: "…"`` is the short one."""

    command: str
    timeout: int | None = None


class FileToWrite(_Strict):
    path: str
    content: str


class FileToRead(_Strict):
    path: str


class AnyCall(_Strict):
    """A call of any tool by its own name, arguments as given: for what the other forms do not cover."""

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class Tool(_Strict):
    """One tool call: exactly one of these keys."""

    bash: str | Shell | None = None
    write_file: FileToWrite | None = None
    read_file: FileToRead | None = None
    call: AnyCall | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self.model_fields_set) != 1 or any(
            getattr(self, name) is None for name in self.model_fields_set
        ):
            raise ValueError("a tool call has exactly one of: bash, write_file, read_file, call")
        return self


class UsageOverride(_Strict):
    """What this reply reports and is billed, instead of the computed counts (a lying or cached provider)."""

    input: Annotated[int, Field(ge=0)] | None = None
    cache_read: Annotated[int, Field(ge=0)] = 0
    cache_write: Annotated[int, Field(ge=0)] = 0
    output: Annotated[int, Field(ge=0)] | None = None


class Reply(_Strict):
    """One reply of the coding agent's model: words, tool calls, or both."""

    say: str = ""
    tools: tuple[Tool, ...] = ()
    usage: UsageOverride | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.say and not self.tools:
            raise ValueError("a reply needs say, tools, or both")
        return self


class FaultKind(StrEnum):
    CUT_STREAM = "cut_stream"  # the connection ends in the middle of the answer
    HTTP_401 = "http_401"
    HTTP_429 = "http_429"
    HTTP_500 = "http_500"
    HTTP_529 = "http_529"
    SLOW = "slow"  # the answer takes ``seconds``
    HANG = "hang"  # the answer begins and never ends
    NO_USAGE = "no_usage"  # the answer is whole, the bill is not told
    GARBAGE = (
        "garbage"  # a tool call whose arguments are not JSON; words without sense where no tools are offered
    )
    NOT_PROTOCOL = "not_protocol"  # status 200, a body that is not the protocol


class Fault(_Strict):
    """What goes wrong, at which reply (1 is the first), the first ``times`` times that reply is asked for.

    ``reply`` counts in gate round ``round``; ``plan`` and ``review`` name those answers instead.
    """

    reply: Annotated[int, Field(ge=1)] | Literal["plan", "review"]
    kind: FaultKind
    round: Annotated[int, Field(ge=1)] = 1
    times: Annotated[int, Field(ge=1)] | Literal["always"] = 1
    seconds: Annotated[float, Field(ge=0, le=3_600)] = 2.0
    retry_after: Annotated[int, Field(ge=0)] | None = None


class Script(_Strict):
    """A whole script. ``later`` holds the reply lists of gate rounds 2, 3 …, counted over the whole
    execution.
    """

    plan: Plan | None = None
    replies: tuple[Reply, ...] = ()
    later: tuple[tuple[Reply, ...], ...] = ()
    review: Review | tuple[Review, ...] | None = None
    """One review for every time, or a list: one for each gate round, the last one repeated."""
    faults: tuple[Fault, ...] = ()

    def round(self, number: int) -> tuple[Reply, ...]:
        """The replies of gate round ``number`` (from 1); empty past the end."""
        rounds = (self.replies, *self.later)
        return rounds[number - 1] if 1 <= number <= len(rounds) else ()

    def review_of(self, number: int) -> Review | None:
        if not isinstance(self.review, tuple):
            return self.review
        return self.review[min(number, len(self.review)) - 1] if self.review else None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A script with where it came from. ``digest`` is SHA-256 of the file."""

    script: Script
    path: Path
    digest: str


def load(path: Path | str) -> Loaded:
    """Read a script.

    Raises ``errors.BadInput`` naming file, line and key when the file cannot be read, is not YAML, or does
    not fit the format.
    """
    path = Path(path)
    raw = _read(path)
    return Loaded(script=parse(raw, name=str(path)), path=path, digest=hashlib.sha256(raw).hexdigest())


def parse(raw: bytes | str, *, name: str = "script") -> Script:
    """The script in ``raw``; ``name`` stands for the file in errors."""
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    try:
        data = yaml.safe_load(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise _not_yaml(name, error) from error
    twice = _twice(root)
    if twice is not None:
        raise _bad(name, twice.start_mark.line + 1, f"the key '{twice.value}' is there twice")
    if not isinstance(data, dict):
        raise _bad(name, 1, "a script is a mapping with plan, replies, later, review, faults")
    try:
        return Script.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise _bad(name, line_of(root, first["loc"]), f"{_dotted(first['loc'])}: {first['msg']}") from error


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise errors.BadInput(
            f"the script {path} cannot be read: {error.strerror}",
            subject=str(path),
            next_moves=("--model scripted:FILE with a file that exists",),
        ) from error
    if len(raw) > MAX_BYTES:
        raise errors.BadInput(f"the script {path} is larger than {MAX_BYTES >> 20} MB", subject=str(path))
    return raw


def line_of(root: yaml.Node | None, location: Sequence[int | str]) -> int:
    """The line (from 1) of the deepest node that ``location`` reaches."""
    node, line = root, 1
    for key in location:
        child, line = _child(node, key, line)
        if child is None:
            continue  # a name of pydantic's own in the path, such as the member of a union
        node = child
    return line


def _twice(node: yaml.Node | None) -> yaml.ScalarNode | None:
    """The first key that a mapping has for the second time; YAML itself would let the last one win."""
    if isinstance(node, yaml.SequenceNode):
        return next((found for one in node.value if (found := _twice(one))), None)
    if not isinstance(node, yaml.MappingNode):
        return None
    seen: set[str] = set()
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value in seen:
            return key
        seen.add(str(key.value))
        if found := _twice(value):
            return found
    return None


def _child(node: yaml.Node | None, key: int | str, line: int) -> tuple[yaml.Node | None, int]:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if isinstance(name, yaml.ScalarNode) and name.value == str(key):
                return value, name.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        child = node.value[key]
        return child, child.start_mark.line + 1
    return None, line


def _dotted(location: Sequence[int | str]) -> str:
    return ".".join(str(part) for part in location) or "script"


def _not_yaml(name: str, error: yaml.YAMLError) -> errors.BadInput:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "not YAML"
    return _bad(name, mark.line + 1 if mark else 1, f"not YAML: {problem}")


def _bad(name: str, line: int, what: str) -> errors.BadInput:
    return errors.BadInput(
        f"{name}, line {line}: {what}",
        subject=name,
        next_moves=(f"mend line {line} of {name}",),
    )

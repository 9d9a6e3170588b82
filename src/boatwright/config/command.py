"""The keys of an agent that is any program: ``command:`` of a manifest whose provider is ``command``."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from boatwright.config.policy import Block

FILLED = ("model", "prompt", "prompt_file", "session")
"""What stands in braces in an argument and is filled in."""
_AGAIN = {"resume": "resumes with", "terminal": "shows", "terminal_resume": "shows again"}
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_PROGRAM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}|/[^\x00-\x1f]{1,1000}")
_KEPT = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._-]*(/[A-Za-z0-9._][A-Za-z0-9._-]*){0,9}")


def _argument(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError('must be text: put it in quotes, "…"')
    if any(ord(character) < 0x20 for character in value):
        raise ValueError("must be one line without control characters")
    named = _PLACEHOLDER.fullmatch(value)
    if named and named[1] not in FILLED:
        known = ", ".join(f"{{{name}}}" for name in FILLED)
        raise ValueError(f"names {value}, which is not filled in; there are {known}")
    return value


def _program(words: tuple[str, ...]) -> tuple[str, ...]:
    if words and _PROGRAM.fullmatch(words[0]) is None:
        raise ValueError("must begin with a program's name, or its whole path")
    return words


def _below_home(path: str) -> str:
    if _KEPT.fullmatch(path) is None or {".", ".."} & set(path.split("/")):
        raise ValueError("is not a path below HOME, such as .agent/sessions")
    return path


Argument = Annotated[str, BeforeValidator(_argument), StringConstraints(max_length=4_096)]
Argv = Annotated[tuple[Argument, ...], AfterValidator(_program), Field(max_length=100)]
Kept = Annotated[str, AfterValidator(_below_home)]


class Command(Block):
    """Any program. Its prompt comes on stdin, or where an argument holds ``{prompt}`` or ``{prompt_file}``; its
    variables lead to the wire; its output is read as text. ``terminal`` is how it is called for a person at a
    terminal, and ``terminal_resume`` how it goes on there; without them it works headless only.
    """

    run: Annotated[Argv, Field(min_length=1)]
    resume: Argv = ()
    terminal: Argv = ()
    terminal_resume: Argv = ()
    protocol: Literal["anthropic", "openai", "gemini"] = "openai"
    keeps: Annotated[tuple[Kept, ...], Field(max_length=20)] = ()

    @model_validator(mode="after")
    def _can_go_on(self) -> Self:
        for name, words in self._others():
            if words and words[0] != self.run[0]:
                raise ValueError(f"runs one program and {_AGAIN[name]} another: begin '{name}' like 'run'")
        if self.terminal_resume and not self.terminal:
            raise ValueError("has 'terminal_resume' without 'terminal': say how it begins, too")
        if self.resume and not self.keeps:
            raise ValueError(
                "has 'resume', and nothing to go on from: name what is kept of HOME under 'keeps'"
            )
        return self

    def _others(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        return (
            ("resume", self.resume),
            ("terminal", self.terminal),
            ("terminal_resume", self.terminal_resume),
        )

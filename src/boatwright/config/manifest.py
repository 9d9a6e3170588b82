"""Manifests as values: an agent says who does the work, a bottle where. Strict, each key with its line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, field_validator

from boatwright import errors
from boatwright.config import strict_yaml
from boatwright.config.ceiling import Email, PersonName
from boatwright.config.command import Command
from boatwright.config.policy import Block, Budget, LimitsPolicy, Line, NetworkPolicy, Pattern
from boatwright.config.route_names import Credentials, RouteNames
from boatwright.config.strict_yaml import Place
from boatwright.values.calls import ForgeCalls
from boatwright.values.cutting import CutPolicy
from boatwright.values.models import Models

NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
NAME_RULE = "a name is made of a-z, 0-9 and '-', begins with a letter, and has at most 63 characters"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_SECRET = re.compile(
    r"(^|_)(API|ACCESS|PRIVATE|SIGNING)?KEYS?($|_)|TOKEN($|_)|SECRET|PASSW(OR)?D|PASSPHRASE|CREDENTIAL"
    r"|(^|_)(AUTH|PASS|PAT|BEARER|COOKIE)($|_)",
    re.IGNORECASE,
)
_OURS = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|PWD|TMPDIR|IFS|ENV|BASH_ENV|.*_PROXY|(ANTHROPIC|OPENAI|GEMINI|GOOGLE_GEMINI)_BASE_URL|.*_CA_CERTS|.*_CA_BUNDLE|"
    r"SSL_CERT_.*|.*_CAINFO|PIP_CERT|NPM_CONFIG_CAFILE|LD_.*|DYLD_.*|GIT_.*|BOATWRIGHT.*",
    re.IGNORECASE,
)


class Where(StrEnum):
    """Whose it is: the repository's (its base commit) or this host's (its state directory)."""

    REPOSITORY = "repository"
    HOST = "host"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from: a file and a line of it, or a word (``default``, ``flag --budget``)."""

    place: str
    line: int | None = None

    def __str__(self) -> str:
        return self.place if self.line is None else f"{self.place} line {self.line}"


def is_name(text: str) -> bool:
    """Whether ``text`` may name an agent, a bottle or a skill: it becomes a path segment and a shell word."""
    return NAME.fullmatch(text) is not None


def refuse_name(kind: str, text: str) -> None:
    """Raise ``errors.BadInput`` when ``text``, typed by a person, is no name."""
    if not is_name(text):
        raise errors.BadInput(
            f"{text[:80]!r} is not a name of {kind}; {NAME_RULE}",
            subject=text[:80],
            next_moves=("boatwright agent list",),
        )


def _name(value: Any) -> str:
    if not isinstance(value, str) or not is_name(value):
        raise ValueError(f"is not a name ({NAME_RULE})")
    return value


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def variable(name: str) -> str:
    """The name of a variable a bottle may be given. Raises ``ValueError`` with what is wrong with it."""
    if _VARIABLE.fullmatch(name) is None:
        raise ValueError("is not a name of an environment variable (letters, digits and '_')")
    if _SECRET.search(name):
        raise ValueError("looks like a secret: no secret goes into a bottle, the wire adds it")
    if _OURS.fullmatch(name):
        raise ValueError("is set by Boatwright itself: leave it out")
    return name


def _words(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError('must be text: put it in quotes, "…"')
    if any(ord(character) < 0x20 for character in value):
        raise ValueError("must be one line without control characters")
    return value


def _model(value: str) -> str:
    try:
        Models.parse(value)
    except errors.BadInput as error:
        raise ValueError(str(error)) from None
    return value


ManifestName = Annotated[str, BeforeValidator(_name)]
Names = Annotated[tuple[ManifestName, ...], BeforeValidator(_one_or_more)]
Variable = Annotated[str, AfterValidator(variable)]
Words = Annotated[str, BeforeValidator(_words), StringConstraints(max_length=4_096)]
Color = Literal["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"]


class GitUser(Block):
    name: PersonName | None = None
    email: Email | None = None


class GitBlock(Block):
    """Who the commits of this agent say made them; ``gate``: whether it has a remote to fetch from and push to."""

    user: GitUser = GitUser()
    gate: bool = False


class AgentHead(Block):
    """Who does the work. The text below the keys is added to the agent's prompt."""

    name: ManifestName | None = None
    description: Line | None = None
    provider: ManifestName | None = None
    model: Annotated[Line, AfterValidator(_model)] | None = None
    bottles: Names = ()
    skills: Names = ()
    budget: Budget | None = None
    git: GitBlock = GitBlock()
    command: Command | None = None
    supervise: bool = False
    forge_calls: ForgeCalls = ForgeCalls.NONE
    color: Color | None = None


class NetworkWish(Block):
    """Which network, and the hosts of an ``allow_list`` (``name``, ``name:port``, ``*.name``)."""

    policy: NetworkPolicy | None = None
    allow: tuple[Pattern, ...] = ()


class BottleHead(Block):
    """Where the work is done. The text below the keys is shown to the agent as a note about the place."""

    name: ManifestName | None = None
    description: Line | None = None
    extends: Names = ()
    network: NetworkWish = NetworkWish()
    limits: LimitsPolicy = LimitsPolicy()
    budget: Budget | None = None
    shutdown: CutPolicy | None = None
    environment: Annotated[dict[Variable, Words], Field(max_length=200)] = Field(default_factory=dict)
    setup: Line | None = None
    skills: Names = ()
    routes: RouteNames = ()
    credentials: Credentials = None
    backend: Literal["bubblewrap", "container"] | None = None

    @field_validator("environment", mode="before")
    @classmethod
    def _is_a_mapping(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("should be lines like NAME: value")
        return value


Head = TypeVar("Head", AgentHead, BottleHead)


@dataclass(frozen=True, slots=True)
class Manifest(Generic[Head]):
    """One file, read: ``file`` is what people see of its path, ``body`` the text below the front matter."""

    name: str
    where: Where
    file: str
    head: Head
    body: str = ""
    body_line: int = 1
    lines: Mapping[Place, int] = field(default_factory=dict)

    def origin(self, *place: str | int) -> Origin:
        """Where a key stands, or the nearest thing around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return Origin(self.file, self.lines.get(place, 1))

    @property
    def body_origin(self) -> Origin:
        return Origin(self.file, self.body_line)

    def refuse(self, place: Place, what: str, *moves: str) -> errors.BadPolicy:
        return strict_yaml.refuse(self.file, self.origin(*place).line or 1, what, *moves)


Agent = Manifest[AgentHead]
Bottle = Manifest[BottleHead]

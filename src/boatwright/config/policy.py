"""``.boatwright.yml``, schema version 1: what a repository asks for. Strict, read from the base branch only.

The caller reads the text from the base commit; nothing here opens a file. What is asked may only narrow what
``settings.yml`` of the host allows (``config.settings.effective``).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from boatwright import errors
from boatwright.config import packages, route_names, strict_yaml
from boatwright.config.environment import Environment, Kind, Wish
from boatwright.config.route_names import RouteNames
from boatwright.config.units import Bytes, NotEnforced, Seconds
from boatwright.values.calls import ForgeCalls
from boatwright.values.cutting import CutPolicy
from boatwright.values.models import ELSEWHERE, Models
from boatwright.values.usage import Cap

FILE = ".boatwright.yml"
SCHEMA_VERSION = 1

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]
Pattern = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
Patterns = tuple[Pattern, ...]

DEFAULT_PROTECTED: Patterns = (
    ".github/workflows/**",
    ".env",
    ".env.*",
    "**/*.env",
    "**/secrets.*",
    "Dockerfile",
    "docker-compose*.yml",
)
DEFAULT_NONE_PATHS: Patterns = (
    "docs/**",
    "!docs/**/*.py",
    "!docs/**/*.js",
    "!docs/**/*.ts",
    "*.md",
    "*.rst",
    "LICENSE*",
    "NOTICE*",
    "AUTHORS*",
    "CODEOWNERS",
    "CHANGELOG*",
    "CITATION.cff",
    ".gitignore",
    ".gitattributes",
    ".editorconfig",
    ".mailmap",
    ".pre-commit-config.yaml",
    "mkdocs.yml",
    ".readthedocs.yaml",
    ".github/ISSUE_TEMPLATE/**",
    "uv.lock",
    "poetry.lock",
    "Pipfile.lock",
    "pdm.lock",
    "package-lock.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "Cargo.lock",
    "composer.lock",
    "Gemfile.lock",
    "go.sum",
)
"""Documentation, editor and repository configuration, lock files. Nothing a test can hang on."""
DEFAULT_PER_FILE: Patterns = (
    "**",
    "!tests/**",
    "!**/tests/**",
    "!**/test/**",
    "!docs/**",
    "!.github/**",
    "!*.md",
    "!uv.lock",
    "!poetry.lock",
    "!Pipfile.lock",
    "!pdm.lock",
    "!package-lock.json",
    "!yarn.lock",
    "!pnpm-lock.yaml",
    "!Cargo.lock",
    "!composer.lock",
    "!Gemfile.lock",
    "!go.sum",
)
"""Where the limit per file applies."""


class NetworkPolicy(StrEnum):
    DENY_ALL = "deny_all"
    REGISTRY_ONLY = "registry_only"
    ALLOW_LIST = "allow_list"


class Block(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ProofPolicy(Block):
    """``none_paths``: what needs no proof when the plan says so. Minutes are for all runs of the proof."""

    none_paths: Patterns = DEFAULT_NONE_PATHS
    max_minutes: int = Field(default=30, ge=1, le=24 * 60)


class LimitsPolicy(Block):
    """Limits of each bottle; the rest stays the host's. ``hard``: refuse a host that only samples."""

    wall: Seconds | None = Field(default=None, gt=0)
    cpu: Seconds | None = Field(default=None, gt=0)
    memory: Bytes | None = Field(default=None, gt=0)
    pids: int | None = Field(default=None, gt=0)
    disk: Bytes | None = Field(default=None, gt=0)
    output: Bytes | None = Field(default=None, gt=0)
    hard: bool = False


class NetworkBlock(Block):
    """Hosts for ``allow_list`` (``name``, ``name:port``, ``*.name``), and routes of ``settings.yml`` by name. They
    are for set-up: tests have no network.
    """

    allow: tuple[Pattern, ...] = ()
    routes: RouteNames = ()
    tests: NotEnforced = None


def cap(value: Any) -> Any:
    """A budget as people write it: ``5usd``, ``2Mtok``, ``5usd,2Mtok``, or a mapping of both."""
    if isinstance(value, str):
        try:
            return Cap.parse(value)
        except errors.BadInput as error:
            raise ValueError(f"{error}") from None
    if isinstance(value, bool | int | float):
        raise ValueError("needs its unit: write 5usd or 2Mtok")
    return value


Budget = Annotated[Cap, BeforeValidator(cap)]


class Policy(Block):
    """The file as a value.

    Three path lists mean three things: allowed is where an agent may write (empty: anywhere), forbidden is a
    hard no, protected needs a person.
    """

    schema_version: Literal[1] = 1
    test_command: Line | None = None
    setup_command: Line | None = None
    install_command: Line | None = None
    timeout_seconds: int = Field(default=300, ge=10, le=3_600)
    max_retries: int = Field(default=3, ge=1, le=10)
    allowed_paths: Patterns = ()
    forbidden_paths: Patterns = ()
    allowed_commands: tuple[Line, ...] = ()
    network_policy: NetworkPolicy | None = None
    network: NetworkBlock = NetworkBlock()
    environment: Wish = Environment()
    system_packages: packages.Wish = ()
    labels: NotEnforced = None
    max_files_changed: int = Field(default=12, ge=1)
    max_diff_loc: int = Field(default=600, ge=1)
    max_loc_per_file: int = Field(default=250, ge=1)
    max_loc_per_file_pathspec: Patterns = DEFAULT_PER_FILE
    protected_paths: Patterns = DEFAULT_PROTECTED
    test_paths: Patterns = ()
    support_paths: Patterns = ()
    proof: ProofPolicy = ProofPolicy()
    limits: LimitsPolicy = LimitsPolicy()
    ready_waits_for_checks: bool = True
    budget: Budget | None = None
    shutdown: CutPolicy | None = None
    forge_calls: ForgeCalls | None = None
    silence: Seconds | None = Field(default=None, gt=0)
    model: Line | None = None
    agent: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")] | None = None
    _route_lines: dict[str, int] = PrivateAttr(default_factory=dict)

    @field_validator("schema_version", mode="before")
    @classmethod
    def _known_version(cls, value: Any) -> Any:
        if value != SCHEMA_VERSION or isinstance(value, bool):
            raise ValueError(f"must be {SCHEMA_VERSION}: this release reads no other version")
        return value

    @field_validator("model")
    @classmethod
    def _is_a_model_of_a_provider(cls, value: str | None) -> str | None:
        """A scripted model is a file of the host: a repository does not name one."""
        if value is None:
            return None
        try:
            known = Models.parse(value).main.provider != "scripted"
        except errors.BadInput as error:
            if "," in value or value.partition(":")[0] in ELSEWHERE:
                raise ValueError(str(error)) from None
            known = False
        if not known:
            raise ValueError("should be anthropic:NAME, openai:NAME or gemini:NAME")
        return value

    @field_validator("system_packages")
    @classmethod
    def _lie_under_a_hosts_programs(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if value and info.data.get("environment", Environment()).kind is not Kind.HOST:
            raise ValueError(
                "are for 'environment: host', and 'environment' asks for an image: build them into it"
            )
        return value

    @property
    def gate_rounds(self) -> int:
        """Build and gates again, at most this often in a turn (``max_retries`` of the file)."""
        return self.max_retries

    def route_place(self, name: str) -> str:
        """Where the file names a route, for a sentence."""
        line = self._route_lines.get(name)
        return FILE if line is None else f"{FILE} line {line}"

    @property
    def setup_line(self) -> str | None:
        """Setup, then install, as one shell line; None when neither is named."""
        named = [line for line in (self.setup_command, self.install_command) if line]
        return " && ".join(named) or None


DEFAULT = Policy()


def parse(text: str, *, file: str = FILE) -> Policy:
    """The policy in ``text``. Raises ``errors.BadPolicy`` with file, line, key, and what to write instead."""
    document = strict_yaml.parse(text, file)
    route_names.refuse_definitions(document, "write 'network: {routes: [NAME]}' to use one")
    policy = strict_yaml.validate(Policy, document)
    policy._route_lines.update(route_names.lines(document, "network", "routes"))
    return policy


def written(text: str, *, file: str = FILE) -> Mapping[str, Any]:
    """The keys the text itself sets, for ``explain``."""
    return strict_yaml.parse(text, file).value

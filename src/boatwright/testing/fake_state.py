"""What a fake forge remembers: one document, so that a restart keeps it."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field


class Account(BaseModel):
    """Somebody with a login. ``kind`` is ``User``, ``Bot`` or ``Organization``."""

    id: int
    login: str
    kind: str = "User"


class Pull(BaseModel):
    """What makes a topic a pull request. ``head`` is the last commit the branch was seen at; ``fork`` the path of the
    repository the branch is in, where that is another one.
    """

    branch: str
    base: str
    head: str
    draft: bool = False
    merged: bool = False
    merge_commit: str | None = None
    fork: str = ""


class Topic(BaseModel):
    """An issue or a pull request: they share one count."""

    id: int
    number: int
    title: str
    body: str
    author: str
    created: datetime
    updated: datetime
    state: str = "open"
    closed: datetime | None = None
    labels: list[str] = Field(default_factory=list)
    assignees: list[str] = Field(default_factory=list)
    labellings: list[tuple[str, str, bool, datetime]] = Field(default_factory=list)
    """Label, who, whether it was put on (or taken off), when: in the order it was done."""
    reactions: list[tuple[str, str]] = Field(default_factory=list)
    pull: Pull | None = None


class Remark(BaseModel):
    """A comment; one on a line of a pull request where ``path`` is set."""

    id: int
    number: int
    author: str
    body: str
    created: datetime
    updated: datetime
    reactions: list[tuple[str, str]] = Field(default_factory=list)
    path: str = ""
    line: int | None = None
    commit: str = ""


class Run(BaseModel):
    """A check run."""

    id: int
    commit: str
    name: str
    author: str
    external_id: str = ""
    app: str = ""
    """The App whose run it is, where that is not ours."""
    status: str = "queued"
    conclusion: str | None = None
    title: str = ""
    summary: str = ""
    annotations: list[dict[str, object]] = Field(default_factory=list)


class Status(BaseModel):
    """A commit status: the newest of its context counts."""

    id: int
    commit: str
    context: str
    state: str
    author: str
    description: str = ""
    target_url: str = ""
    created: datetime


class Hook(BaseModel):
    """Where events go. ``repository`` is empty for one that hears of every repository, as an App's does."""

    id: int
    url: str
    secret: str
    events: list[str] = Field(default_factory=lambda: ["*"])
    repository: str = ""
    active: bool = True


class Depot(BaseModel):
    """One repository. ``people`` has the role of each login; ``required`` the checks that guard each branch; ``logs`` what
    the job of each check said.
    """

    id: int
    path: str
    default_branch: str = "main"
    private: bool = False
    archived: bool = False
    last: int = 0
    topics: dict[int, Topic] = Field(default_factory=dict)
    remarks: list[Remark] = Field(default_factory=list)
    runs: list[Run] = Field(default_factory=list)
    statuses: list[Status] = Field(default_factory=list)
    logs: dict[int, str] = Field(default_factory=dict)
    labels: dict[str, int] = Field(default_factory=dict)
    people: dict[str, str] = Field(default_factory=dict)
    required: dict[str, list[str]] = Field(default_factory=dict)


class App(BaseModel):
    """An App and its one installation, on every repository. ``public_key`` is PEM; rights as GitHub names them."""

    id: int
    slug: str
    public_key: str
    installation: int
    permissions: dict[str, str] = Field(default_factory=dict)


class State(BaseModel):
    """Everything. ``organisations``: the members of each, and whether the world may know; ``tokens``: whose each is;
    ``moved``: what a repository is called now."""

    last_id: int = 1000
    depots: dict[str, Depot] = Field(default_factory=dict)
    accounts: dict[str, Account] = Field(default_factory=dict)
    organisations: dict[str, dict[str, bool]] = Field(default_factory=dict)
    moved: dict[str, str] = Field(default_factory=dict)
    tokens: dict[str, str] = Field(default_factory=dict)
    app: App | None = None
    hooks: list[Hook] = Field(default_factory=list)

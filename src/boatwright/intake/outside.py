"""What the pump has to be told from outside: which repositories are served, what people may do, what is switched off.

Each is a protocol of one or two calls; forges and registers implement them, tests and polling may, too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from boatwright.values.people import Permission


class Served(Protocol):
    """A repository that is served: its id in the ledger, where its history comes from (a path or a URL), and what its
    forge calls it now (``owner/name``).
    """

    @property
    def id(self) -> str: ...

    @property
    def source(self) -> str: ...

    @property
    def path(self) -> str: ...


class Repositories(Protocol):
    """Synchronous: a register of this host."""

    def of(self, kind: str, path: str) -> Served | None:
        """The repository that a forge of this kind calls ``path`` (``owner/name``), or called so once."""
        ...

    def rename(self, repository: str, path: str) -> object:
        """Its forge calls it ``path`` from now on; the name of before still finds it. Again: the same."""
        ...


class People(Protocol):
    """What a forge says of people. ``errors.BoatwrightError`` when it cannot be asked: then nobody is let in."""

    async def me(self) -> str:
        """Who we are there ourselves; empty for nobody."""
        ...

    async def permission(self, repository: str, login: str) -> Permission: ...

    async def is_member(self, organisation: str, login: str) -> bool: ...


class PeopleOf(Protocol):
    """Whom to ask about people: the forge of a repository. Blocks; it is called off the event loop."""

    def __call__(self, kind: str, repository: str) -> People: ...


Called = Callable[[str, str], Awaitable[str]]
"""What the forge of a repository calls now whatever it finds under a name; empty where there is nothing we may see.
``errors.BoatwrightError`` when it cannot be asked.
"""


class Switches(Protocol):
    """Kill switches: of everything and of each repository. They survive a restart."""

    def is_off(self, repository: str) -> str | None:
        """Why nothing new begins there, in one clause; None when something may."""
        ...


class NoneServed:
    """A host whose register of repositories is empty."""

    def of(self, kind: str, path: str) -> Served | None:
        return None

    def rename(self, repository: str, path: str) -> object:
        return None


class NobodyKnown:
    """A forge that knows nobody: whoever asks may not."""

    async def me(self) -> str:
        return ""

    async def permission(self, repository: str, login: str) -> Permission:
        return Permission.NONE

    async def is_member(self, organisation: str, login: str) -> bool:
        return False


class NothingOff:
    """A host without switches."""

    def is_off(self, repository: str) -> str | None:
        return None


def nobody(kind: str, repository: str) -> People:
    return NobodyKnown()


async def uncalled(repository: str, name: str) -> str:
    """A forge that knows no names."""
    return ""


@dataclass(frozen=True, slots=True)
class Outside:
    """All of it together."""

    repositories: Repositories = field(default_factory=NoneServed)
    people: PeopleOf = nobody
    called: Called = uncalled
    switches: Switches = field(default_factory=NothingOff)

"""What a repository asks of a pull request: its template and who owns which files. Read from the base alone, so that no
change under review says how it is to be presented.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from boatwright.git.mirror import Mirror
from boatwright.rules import owners, pull_template
from boatwright.stages import ground
from boatwright.stages.house import House


@dataclass(frozen=True, slots=True)
class Manners:
    """``template`` is empty where there is none; ``owners``: each with the paths of the change that are theirs."""

    template: str = ""
    owners: Mapping[str, Sequence[str]] = field(default_factory=dict)


async def of(house: House, repository: str, mirror: Mirror, base: str, changed: Sequence[str]) -> Manners:
    """At commit ``base``, for a change of these paths."""
    return await asyncio.to_thread(_of, house, repository, mirror, base, changed)


def _of(house: House, repository: str, mirror: Mirror, base: str, changed: Sequence[str]) -> Manners:
    kind, paths = house.forge.kind(repository), frozenset(mirror.paths(base))
    template, owning = pull_template.find(paths, kind), owners.find(paths, kind)
    return Manners(
        template=_read(mirror, base, template, pull_template.LONGEST * 4),
        owners=owners.of(_read(mirror, base, owning, owners.LONGEST), changed),
    )


def _read(mirror: Mirror, commit: str, path: str | None, cap: int) -> str:
    """The file's text; empty where there is none, or one too large to be what it is called."""
    data = None if path is None else ground.reader(mirror, commit, cap)(path)
    return "" if data is None else data.decode("utf-8", "replace")

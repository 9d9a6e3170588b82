"""``boatwright agent``: which agents there are, and where each is written."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from boatwright import errors
from boatwright.agents import registry
from boatwright.cli import common
from boatwright.cli.safe import one_line
from boatwright.config.shelf import Listed, Shelf
from boatwright.git.mirror import Mirror
from boatwright.git.remote import Remote
from boatwright.intake import request
from boatwright.stages import manifests
from boatwright.stages.house import House

app = typer.Typer(no_args_is_help=True, help="Agents: who does the work, with which provider and prompt.")
Repo = Annotated[
    str | None,
    typer.Option("--repo", help="The repository: a path (its HEAD) or a URL. Default: the one around here."),
]
Base = Annotated[str | None, typer.Option("--base", help="The branch, tag or commit to read; default: HEAD.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]


@dataclass(frozen=True, slots=True)
class Here:
    """Where manifests are read from: a base commit, or (``mirror`` None) this host alone."""

    shelf: Shelf
    mirror: Mirror | None = None
    commit: str = ""


async def here(house: House, repo: str | None, base: str | None = None) -> Here:
    """The shelf of a repository's base and of this host; of this host alone where no repository is named or
    around.
    """
    named = repo or _around()
    if named is None:
        if base is not None:
            raise errors.BadInput("--base needs a repository", subject=base, next_moves=("--repo PATH",))
        return Here(manifests.shelf(house, None))
    _, mirror = await request.open_repository(house, named)
    _, commit = await asyncio.to_thread(mirror.fetch_base, base)
    return Here(manifests.shelf(house, mirror, commit), mirror, commit)


def _around() -> str | None:
    """The repository the current directory is in, if it is in one."""
    try:
        return Remote.of(Path.cwd()).address
    except errors.BadInput:
        return None


@app.command("list")
def list_(repo: Repo = None, base: Base = None, as_json: Json = False) -> int:
    """Every agent: this host's, the repository's (read from its base commit), and the providers themselves."""
    with common.housed() as house:
        rows = _rows(common.wait(here(house, repo, base)).shelf)
    if as_json:
        common.emit_json(rows)
        return 0
    for row in rows:
        common.say(
            f"{one_line(row.name):<20} {row.provider or '—':<10} {row.model or '—':<32} "
            f"{' + '.join(row.bottles) or '—':<20} {row.where:<10} {one_line(row.file or '—')}"
        )
        if row.problem:
            common.say(f"  not usable: {one_line(row.problem)}")
    return 0


@dataclass(frozen=True, slots=True)
class Row:
    """One agent as it is shown. ``where``: host, repository, or provider (no file: the program itself)."""

    name: str
    provider: str | None
    model: str | None
    bottles: tuple[str, ...]
    where: str
    file: str | None
    description: str
    problem: str | None


def _rows(shelf: Shelf) -> list[Row]:
    listed = shelf.agents()
    written = {each.name for each in listed}
    plain = (Row(name, name, None, (), "provider", None, "", None) for name in registry.NAMES)
    return [*(_row(each) for each in listed), *(row for row in plain if row.name not in written)]


def _row(listed: Listed) -> Row:
    head = listed.agent.head if listed.agent else None
    if head is None:
        return Row(listed.name, None, None, (), listed.where, listed.file, "", listed.problem)
    provider = head.provider or manifests.PROVIDER
    return Row(
        name=listed.name,
        provider=provider,
        model=head.model,
        bottles=head.bottles,
        where=listed.where,
        file=listed.file,
        description=head.description or "",
        problem=None if provider in registry.NAMES else f"'{provider}' is not a provider here",
    )

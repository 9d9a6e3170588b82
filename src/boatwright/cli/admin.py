"""Commands about the host and the repository: doctor, init, gc."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from boatwright import errors
from boatwright.agents import registry
from boatwright.bottle.packages import host as packages
from boatwright.cli import common, doctor_forge
from boatwright.cli.safe import one_line
from boatwright.rules import detect, routes
from boatwright.stages import keys, sweep, traffic
from boatwright.stages.house import House
from boatwright.stages.sweep_kinds import Thing


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    forge: Annotated[
        bool, typer.Option("--forge", help="What the forges of the served repositories let us do, instead.")
    ] = False,
) -> int:
    """What this host can do, what is missing, and the command that fixes it. Exit 3 when no bottle can be made, or, with
    --forge, when a right is missing.
    """
    if forge:
        return doctor_forge.run(as_json=as_json)
    with common.opened() as (house, engine):
        missing = house.backend.missing()
        report = _report(house)
        if as_json:
            common.emit_json(
                {"missing": missing, "report": report, "state": house.state.root, "workers": engine.workers()}
            )
            return errors.MissingPart.exit_code if missing else 0
        for name, value in report.items():
            common.say(f"{name:<22} {value}")
        common.say(f"{'state':<22} {house.state.root}")
        common.say(f"{'workers':<22} {len(engine.workers())} alive")
        for part in missing:
            common.say(f"\nmissing: {part.what}. {part.why}")
            common.moves((part.remedy,))
    return errors.MissingPart.exit_code if missing else 0


def _report(house: House) -> dict[str, str]:
    """What this host can do: the programs that make bottles, and how each limit is enforced."""
    report = {"release": house.release, "backend": house.backend.name}
    try:
        report["bubblewrap"] = str(house.backend.bubblewrap.bwrap.path)
    except errors.MissingPart as missing:
        report["bubblewrap"] = f"missing: {missing}"
    report["container"] = _containers(house)
    report["system packages"] = packages.told(house.backend.bubblewrap)
    for limit in house.backend.capabilities():
        report[f"limit on {limit.limit}"] = f"{limit.strength}: {limit.by}"
    report |= keys.told(house)
    for agent in registry.PROGRAMS:
        report[f"agent {agent.name}"] = agent.state_of(house.environment)
    return report | _registries(house) | _routes(house)


def _registries(house: House) -> dict[str, str]:
    """Where this host's package clients look, and what about that somebody should know."""
    found = house.wire.registries()
    told = {f"registries, {at}": note for at, note in enumerate(found.notes, 1)}
    return {"registries": ", ".join(found.hosts) or "none is known", **told}


def _routes(house: House) -> dict[str, str]:
    """Each route of settings.yml, with what is wrong with it: a missing file, or that nothing ever went over it."""
    unused = traffic.never_used(house)
    found = {}
    for route in house.settings.all_routes:
        notes = (
            [f"its authorities cannot be read: {route.ca}"]
            if route.ca and not Path(route.ca).is_file()
            else []
        )
        notes += ["never used, as far as the log tells"] if route.name in unused else []
        found[f"route {route.name}"] = "; ".join([routes.words(route), *notes])
    return found


def _containers(house: House) -> str:
    """The engine and its runtime, or what is missing: no failure where containers are not this host's choice."""
    missing = house.backend.container.missing()
    if missing:
        return f"missing: {missing[0].what}. {missing[0].why}"
    engine = house.backend.container.engine
    return f"{engine.path}{f' with {engine.runtime}' if engine.runtime else ''}"


def init(
    repo: Annotated[Path, typer.Option("--repo", help="The repository's directory.")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> int:
    """Write a commented .boatwright.yml by looking at the repository."""
    root = repo.expanduser().absolute()
    target = root / ".boatwright.yml"
    if not (root / ".git").exists():
        raise errors.BadInput(
            f"{root} is not a git repository", subject=str(root), next_moves=("--repo PATH",)
        )
    if target.exists() and not force:
        raise errors.BadInput(f"{target} exists already", subject=str(target), next_moves=("--force",))
    paths, read = _survey(root)
    found = detect.detect(paths, read)
    target.write_text(detect.policy_text(found), encoding="utf-8")
    common.say(f"wrote {target}: {found.language}, tests by `{found.test_command or '—'}`")
    common.say("commit it to the base branch: that is where it is read from")
    return 0


def _survey(root: Path) -> tuple[list[str], Callable[[str], str | None]]:
    """The files of a work tree, and a way to read a small one. Links are not followed."""
    paths = []
    for directory, names, files in os.walk(root):
        names[:] = [name for name in names if name not in SKIPPED]
        paths += [str((Path(directory) / name).relative_to(root)) for name in files]

    def read(path: str) -> str | None:
        place = root / path
        if place.is_symlink() or not place.is_file() or place.stat().st_size > SURVEY_CAP:
            return None
        return place.read_text("utf-8", "replace")

    return sorted(paths), read


SKIPPED = frozenset({".git", ".venv", "venv", "node_modules", "__pycache__", ".tox", "dist", "build"})
SURVEY_CAP = 64 << 10


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go.")] = False,
    days: Annotated[
        int | None, typer.Option(min=0, help="Keep what is younger; default: retention of settings.yml.")
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", help="Only this kind; again for more."),
    ] = None,
) -> int:
    """Remove what nothing names any more: old artifacts, environments, mirrors, copies of programs, bottles of
    finished executions. Bottles people began go by `--kind kept-bottles`, or retention.bottles.

    Nothing of the last hour is touched, whatever is said: live work may be about to name it.
    """
    older = None if days is None else timedelta(days=days)
    with common.housed() as house:
        now = house.clock.now()

        def tell(name: str, thing: Thing) -> None:
            age = (now - thing.used).days
            common.say(f"  {name:<14} {one_line(thing.name):<44} {_mb(thing.size):>12}  {age:>4} days")

        freed = asyncio.run(
            sweep.collect(
                house, older_than=older, dry_run=dry_run, kinds=kind or (), tell=tell if dry_run else None
            )
        )
    word = "would go" if dry_run else "gone"
    for name, (count, size) in freed.items():
        common.say(f"{name:<14} {count:>6} {word}, {_mb(size)}")
    common.say(
        f"{'all':<14} {sum(c for c, _ in freed.values()):>6} {word}, {_mb(sum(s for _, s in freed.values()))}"
    )
    return 0


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"

"""Skills: a directory with a SKILL.md, read whole into a value. No links, small, ready to be copied into a HOME."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from boatwright import errors
from boatwright.config.manifest import Where
from boatwright.config.source import Kind, Source

FOLDER = "skills"
MAIN = "SKILL.md"
MAX_BYTES = 1 << 20
MAX_FILES = 200
MAX_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Skill:
    """``files`` are (path inside the skill, bytes), sorted; ``executables`` names those with the x bit."""

    name: str
    where: Where
    folder: str
    files: tuple[tuple[str, bytes], ...]
    executables: frozenset[str] = frozenset()

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(len(data) for _, data in self.files)


def resolve(source: Source, name: str, kind: Kind = Kind.FOLDER) -> Skill:
    """The skill of that name there. Raises ``errors.BadPolicy``: no SKILL.md, a link, too many, too large."""
    folder = f"{FOLDER}/{name}"
    if kind is not Kind.FOLDER:
        raise _refuse(source, folder, f"{name} is {kind}", f"write {source.shown(folder)}/{MAIN}")
    found = dict(_walk(source, folder, folder, 1, [0]))
    if f"{folder}/{MAIN}" not in found:
        raise _refuse(source, folder, f"there is no {MAIN} in it", f"write {source.shown(folder)}/{MAIN}")
    read = source.read_all(folder, tuple(found), MAX_BYTES)
    return Skill(
        name=name,
        where=source.where,
        folder=source.shown(folder),
        files=tuple((path.removeprefix(f"{folder}/"), read[path]) for path in sorted(found)),
        executables=frozenset(path.removeprefix(f"{folder}/") for path, x in found.items() if x),
    )


def _walk(source: Source, top: str, folder: str, depth: int, seen: list[int]) -> Iterator[tuple[str, bool]]:
    """(path, executable) of each file. ``seen`` counts everything met, folders too."""
    if depth > MAX_DEPTH:
        raise _refuse(source, top, f"it is nested deeper than {MAX_DEPTH} folders", "make it flatter")
    for item in source.list(folder):
        path = f"{folder}/{item.name}"
        seen[0] += 1
        if seen[0] > MAX_FILES:
            raise _refuse(source, top, f"it holds more than {MAX_FILES} files", "make it smaller")
        if not item.name.isprintable() or item.name.lower() == ".git":
            raise _refuse(source, top, f"the name {item.name!r} is not taken", "rename it")
        if item.kind is Kind.FOLDER:
            yield from _walk(source, top, path, depth + 1, seen)
        elif item.kind is Kind.FILE:
            yield path, item.executable
        else:
            raise _refuse(source, top, f"{item.name} is {item.kind}", "put the file itself there")


def _refuse(source: Source, folder: str, why: str, move: str) -> errors.BadPolicy:
    shown = source.shown(folder)
    return errors.BadPolicy(f"the skill {shown} is refused: {why}", subject=shown, next_moves=(move,))

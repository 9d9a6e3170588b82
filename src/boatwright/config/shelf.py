"""The shelf: agents, bottles and skills by name, the host's before the repository's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from boatwright import errors
from boatwright.config import front_matter, reading, skill, strict_yaml
from boatwright.config.manifest import NAME_RULE, Agent, Bottle, Origin, Where, is_name, refuse_name
from boatwright.config.skill import Skill
from boatwright.config.source import Kind, Source
from boatwright.config.whose import is_repositorys

AGENTS, BOTTLES = "agents", "bottles"
MAX_BOTTLES = 32
_SUFFIX = ".md"


@dataclass(frozen=True, slots=True)
class Listed:
    """One agent file as ``boatwright agent list`` shows it. ``problem``: why it cannot be used, if so."""

    name: str
    where: Where
    file: str
    agent: Agent | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Shelf:
    """What there is to choose from. ``sources``: the first that has a name wins, so the host's stands first."""

    sources: tuple[Source, ...]

    def agent(self, name: str) -> Agent | None:
        """The agent manifest of that name; None when nobody wrote one (then it may name a provider)."""
        refuse_name("an agent", name)
        found = self._first(AGENTS, name)
        if found is None:
            return None
        source, data = found
        return reading.agent(data, name=name, where=source.where, file=source.shown(_path(AGENTS, name)))

    def bottle(self, name: str, asked: Origin) -> Bottle:
        """The bottle of that name; what is not there is refused where it was asked for."""
        refuse_name("a bottle", name)
        found = self._first(BOTTLES, name)
        if found is None:
            raise self._absent("bottle", BOTTLES, name, asked)
        source, data = found
        return reading.bottle(data, name=name, where=source.where, file=source.shown(_path(BOTTLES, name)))

    def bottles(self, wanted: Sequence[tuple[str, Origin]]) -> dict[str, Bottle]:
        """The bottles named, and every parent they extend, by name; in no order."""
        found: dict[str, Bottle] = {}
        waiting = list(wanted)
        while waiting:
            name, asked = waiting.pop()
            if name in found:
                continue
            if len(found) == MAX_BOTTLES:
                raise errors.BadInput(
                    f"more than {MAX_BOTTLES} bottles would be composed",
                    subject=name,
                    next_moves=("name fewer bottles, or extend fewer parents",),
                )
            bottle = found[name] = self.bottle(name, asked)
            waiting += [
                (parent, bottle.origin("extends", at)) for at, parent in enumerate(bottle.head.extends)
            ]
        return found

    def skill(self, name: str, asked: Origin) -> Skill:
        refuse_name("a skill", name)
        for source in self.sources:
            item = next((item for item in source.list(skill.FOLDER) if item.name == name), None)
            if item is not None:
                return skill.resolve(source, name, item.kind)
        raise self._absent("skill", skill.FOLDER, name, asked)

    def hidden(self, folder: str, name: str) -> str | None:
        """A sentence when more than one place has that name: which one holds."""
        file = name if folder == skill.FOLDER else f"{name}{_SUFFIX}"
        have = [s for s in self.sources if any(item.name == file for item in s.list(folder))]
        if len(have) < 2:
            return None
        first, second = (source.shown(f"{folder}/{file}") for source in have[:2])
        return f"{first} of the {have[0].where} is used; {second} of the {have[1].where} is not"

    def agents(self) -> tuple[Listed, ...]:
        """Every agent file of every place, by name; one that cannot be used says why."""
        return tuple(sorted(self._agents(), key=lambda listed: listed.name))

    def names(self, folder: str, where: Where | None = None) -> list[str]:
        """The names there are, sorted; of one place, where that is named."""
        found = {
            item.name
            for source in self.sources
            if where is None or source.where is where
            for item in source.list(folder)
        }
        if folder != skill.FOLDER:
            found = {name.removesuffix(_SUFFIX) for name in found if name.endswith(_SUFFIX)}
        return sorted(name for name in found if is_name(name))

    def _agents(self) -> Iterator[Listed]:
        taken: dict[str, str] = {}
        for source in self.sources:
            for item in source.list(AGENTS):
                if item.name.endswith(_SUFFIX) and item.kind is not Kind.FOLDER:
                    listed = _listed(source, item.name.removesuffix(_SUFFIX))
                    if listed.name in taken:
                        problem = f"hidden: {taken[listed.name]} has the same name and is used"
                        listed = Listed(listed.name, listed.where, listed.file, problem=problem)
                    taken.setdefault(listed.name, listed.file)
                    yield listed

    def _first(self, folder: str, name: str) -> tuple[Source, bytes] | None:
        for source in self.sources:
            data = source.read(_path(folder, name), front_matter.MAX_BYTES)
            if data is not None:
                return source, data
        return None

    def _absent(self, kind: str, folder: str, name: str, asked: Origin) -> errors.BadInput:
        # A repository's file is told of where everybody reads it, and what this host has is not for everybody.
        theirs = is_repositorys(str(asked))
        known = self.names(folder, Where.REPOSITORY if theirs else None)
        near = strict_yaml.nearest(name, known)
        has = "the repository has" if theirs else "there are"
        there = f"the nearest is '{near}'" if near else f"{has}: {', '.join(known[:20]) or 'none'}"
        what = f"there is no {kind} '{name}'; {there}"
        file = f"{folder}/{name}/{skill.MAIN}" if folder == skill.FOLDER else _path(folder, name)
        moves = (f"write '{near}' instead" if near else f"write {self.sources[-1].shown(file)}",)
        if asked.line is not None:
            return strict_yaml.refuse(asked.place, asked.line, what, *moves)
        return errors.NotFound(what, subject=name, next_moves=moves, public=f"there is no {kind} '{name}'")


def _path(folder: str, name: str) -> str:
    return f"{folder}/{name}{_SUFFIX}"


def _listed(source: Source, name: str) -> Listed:
    path = _path(AGENTS, name)
    file = source.shown(path)
    if not is_name(name):
        return Listed(name, source.where, file, problem=f"the file name is refused: {NAME_RULE}")
    try:
        data = source.read(path, front_matter.MAX_BYTES)
        read = reading.agent(data or b"", name=name, where=source.where, file=file)
    except errors.BadInput as error:
        return Listed(name, source.where, file, problem=str(error))
    return Listed(name, source.where, file, read)

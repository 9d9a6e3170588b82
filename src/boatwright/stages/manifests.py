"""The composed agent of a run: manifests of the base commit and of this host, read, composed, held against the ceiling."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from boatwright import errors
from boatwright.agents import registry
from boatwright.config import effective as effective_module
from boatwright.config import shelf as shelf_module
from boatwright.config import skill as skill_module
from boatwright.config.ceiling import Settings
from boatwright.config.effective import FLAG, POLICY, Flags
from boatwright.config.manifest import Agent, Origin, Where, refuse_name
from boatwright.config.policy import Policy
from boatwright.config.shelf import Shelf
from boatwright.config.source import HostSource, Item, Kind, Source, is_no_file, too_large
from boatwright.git.mirror import Entry, Mirror
from boatwright.git.run import Call
from boatwright.git.trees import EXECUTABLE, FILE, LINK
from boatwright.rules import composition
from boatwright.rules.composed import Choice, Composed, origin_of
from boatwright.stages.house import House

ROOT = ".boatwright"
PROVIDER = composition.PROVIDER
_THEIRS = frozenset({FLAG, POLICY})


@dataclass(frozen=True)
class CommitSource:
    """The manifests of one commit, out of the mirror: what lies in a work tree is never read."""

    mirror: Mirror
    commit: str
    where: Where = field(default=Where.REPOSITORY, init=False)

    def shown(self, path: str) -> str:
        return f"{ROOT}/{path}"

    def list(self, folder: str) -> Sequence[Item]:
        self._refuse_file(folder)
        prefix = f"{folder}/"
        found: dict[str, Item] = {}
        for path, entry in self._entries.items():
            if path.startswith(prefix):
                name, slash, _ = path.removeprefix(prefix).partition("/")
                found[name] = Item(name, Kind.FOLDER) if slash else Item(name, _kind(entry), _runs(entry))
        return [found[name] for name in sorted(found)]

    def read(self, path: str, cap: int) -> bytes | None:
        self._refuse_file(path.rpartition("/")[0])
        entry = self._entries.get(path)
        if entry is None:
            return None
        if _kind(entry) is not Kind.FILE:
            raise is_no_file(self.shown(path), _kind(entry))
        return self._blobs(path, [path], cap)[path]

    def read_all(self, folder: str, paths: Sequence[str], cap: int) -> Mapping[str, bytes]:
        return self._blobs(folder, paths, cap)

    @cached_property
    def _entries(self) -> Mapping[str, Entry]:
        """What lies below ``.boatwright``, by its path there ("": where that itself is no folder)."""
        found = {}
        for entry in self.mirror.entries(self.commit):
            if entry.path == ROOT or entry.path.startswith(f"{ROOT}/"):
                found[entry.path.removeprefix(ROOT).removeprefix("/")] = entry
        return found

    def _refuse_file(self, folder: str) -> None:
        """A folder that is a link would be a way out of the commit, and would otherwise read as empty."""
        parts = folder.split("/")
        for path in ("", *("/".join(parts[:end]) for end in range(1, len(parts) + 1))):
            entry = self._entries.get(path)
            if entry is not None:
                shown = self.shown(path).rstrip("/")
                raise errors.BadPolicy(
                    f"{shown} is {_kind(entry)}, not a folder", subject=shown, next_moves=(f"remove {shown}",)
                )

    def _blobs(self, shown: str, paths: Sequence[str], cap: int) -> Mapping[str, bytes]:
        oids = {path: self._entries[path].oid for path in paths}
        order = "".join(f"{oid}\n" for oid in oids.values()).encode()
        sizes = self.mirror.run("cat-file", "--batch-check=%(objectsize)", call=Call(stdin=order)).out.split()
        if sum(map(int, sizes)) > cap:
            raise too_large(self.shown(shown), cap)
        # The same content twice counts once for git's output; each answer line is far below 128 bytes.
        blobs = self.mirror.read_many(sorted(set(oids.values())), cap=cap + 128 * len(paths))
        return {path: blobs[oid] for path, oid in oids.items()}


def _kind(entry: Entry) -> Kind:
    if entry.mode == LINK:
        return Kind.LINK
    return Kind.FILE if entry.mode in {FILE, EXECUTABLE} else Kind.OTHER


def _runs(entry: Entry) -> bool:
    return entry.mode == EXECUTABLE


def shelf(house: House, mirror: Mirror | None, commit: str = "") -> Shelf:
    """What there is to choose from: the host's manifests first, then the commit's."""
    sources: list[Source] = [HostSource(house.state)]
    if mirror is not None:
        sources.append(CommitSource(mirror, commit))
    return Shelf(tuple(sources))


async def at(
    house: House,
    mirror: Mirror,
    commit: str,
    policy: Policy,
    flags: Flags,
    environment: Mapping[str, str] | None = None,
) -> Composed:
    """The composed agent at a commit, whose policy the caller has read: for a stage, the intake, ``explain``.

    ``environment``: the variables of whoever asks; a later turn, whose worker has others, gives none and
    carries what was fixed at the request in ``flags``. Raises ``errors.BadPolicy``, ``errors.AboveCeiling``,
    ``errors.NotFound``, each with its place. Hard limits are the caller's to check (``ground.refuse_sampled``).
    """
    return await asyncio.to_thread(
        compose, shelf(house, mirror, commit), house.settings, policy, flags, environment
    )


def compose(
    shelf: Shelf,
    settings: Settings,
    policy: Policy,
    flags: Flags,
    environment: Mapping[str, str] | None = None,
) -> Composed:
    """Read what is needed from the shelf, and put it together."""
    held = effective_module.effective(settings, policy, flags, environment)
    origins = {"agent": origin_of("agent", held.sources["agent"])}
    agent = shelf.agent(held.agent)
    chosen = _bottles(agent, flags)
    loaded = shelf.bottles(list(chosen.items()))
    lineage = composition.order(tuple(chosen), loaded)
    wanted = composition.skills(agent, lineage)
    return composition.compose(
        Choice(held.agent, tuple(chosen), origins | {f"bottles.{n}": o for n, o in chosen.items()}),
        agent,
        lineage,
        settings=settings,
        policy=policy,
        flags=flags,
        environment=environment,
        found=tuple(shelf.skill(name, origin) for name, origin in wanted.items()),
        notices=_hidden(shelf, agent, tuple(loaded), tuple(wanted)),
    )


def _bottles(agent: Agent | None, flags: Flags) -> dict[str, Origin]:
    """The bottles as they were typed, else the agent's own; each with who named it."""
    if flags.bottles is not None:
        for name in flags.bottles:
            refuse_name("a bottle", name)
        return dict.fromkeys(flags.bottles, Origin("flag --bottle"))
    named = agent.head.bottles if agent else ()
    found: dict[str, Origin] = {}
    for index, name in enumerate(named):
        if agent is not None:
            found.setdefault(name, agent.origin("bottles", index))
    return found


def _hidden(
    shelf: Shelf, agent: Agent | None, bottles: Sequence[str], skills: Sequence[str]
) -> tuple[str, ...]:
    named = [(shelf_module.AGENTS, agent.name)] if agent else []
    named += [(shelf_module.BOTTLES, name) for name in sorted(bottles)]
    named += [(skill_module.FOLDER, name) for name in skills]
    found = (shelf.hidden(folder, name) for folder, name in named)
    return tuple(sentence for sentence in found if sentence)


def refuse_unknown_provider(run: Composed, shelf: Shelf) -> None:
    """Raise where nobody of that name works here: at the manifest's line, or listing the agents there are."""
    if run.provider in registry.NAMES:
        return
    known = ", ".join(registry.NAMES)
    if run.manifest is not None:
        raise run.manifest.refuse(
            ("provider",),
            f"'{run.provider}' is not a provider; there are: {known}",
            *(f"write 'provider: {name}'" for name in registry.NAMES),
        )
    agents = ", ".join(dict.fromkeys((*shelf.names(shelf_module.AGENTS), *registry.NAMES)))
    raise errors.NotFound(
        f"there is no agent '{run.agent}'; there are: {agents}",
        subject=run.agent,
        next_moves=("boatwright agent list", f"write {ROOT}/agents/{run.agent}.md"),
        # What settings.yml names is the operator's to mend.
        public=f"there is no agent '{run.agent}'" if run.effective.sources["agent"] in _THEIRS else "",
    )

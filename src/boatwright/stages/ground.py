"""The ground an execution stands on: one commit's policy, commands and environment, held against the host's ceiling."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from boatwright import errors
from boatwright.bottle.limits import Strength
from boatwright.bottle.packages import providing
from boatwright.config import devcontainer
from boatwright.config import policy as policy_module
from boatwright.config.devcontainer import Devcontainer
from boatwright.config.effective import POLICY, Effective, Flags
from boatwright.config.environment import Kind
from boatwright.config.place import refuse_image
from boatwright.config.policy import Policy
from boatwright.git.mirror import Mirror
from boatwright.rules import detect
from boatwright.rules.composed import Composed
from boatwright.rules.detect import Detected
from boatwright.stages import manifests
from boatwright.stages.house import House
from boatwright.values.execution import ExecutionView
from boatwright.values.process import Limit

POLICY_CAP = 256 << 10
SURVEY_CAP = 64 << 10
LIMIT_KEYS = {
    Limit.WALL: "wall",
    Limit.CPU: "cpu",
    Limit.MEMORY: "memory",
    Limit.PIDS: "pids",
    Limit.DISK: "disk",
    Limit.OUTPUT: "output",
}
"""What a policy file calls each limit."""
_HARD = policy_module.FILE + ": 'limits.hard' is asked for, and this host only samples the limit on {limit}"


@dataclass(frozen=True, slots=True)
class Ground:
    """What holds at ``commit``. ``setup_line`` and ``test_line`` are shell lines for the inside of a bottle."""

    commit: str
    paths: tuple[str, ...]
    language: str
    setup_line: str | None
    test_line: str
    command_source: str
    composed: Composed
    """Agent and bottles, as manifests, policy and settings make them."""
    image: str = ""
    """The image whose programs its bottles run, by reference; empty: this host's own programs."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """What its devcontainer sets."""

    @property
    def effective(self) -> Effective:
        return self.composed.effective

    @property
    def policy(self) -> Policy:
        return self.effective.policy


async def of_execution(house: House, execution: str) -> Ground:
    """The ground at the execution's own base."""
    view = await house.view(execution)
    return await of_commit(house, view, house.mirror(view), view.base_commit)


async def of_commit(house: House, view: ExecutionView, mirror: Mirror, commit: str) -> Ground:
    """``errors.Parked`` (no_test_command) where nobody says how to test; policy errors pass through."""
    flags = Flags(
        model=view.model,
        agent=view.agent,
        bottles=view.bottles,
        budget=None,
        setup_command=view.setup_command,
        test_command=view.test_command,
    )
    return await asyncio.to_thread(_look, house, mirror, commit, flags)


async def untested(
    house: House,
    mirror: Mirror | None,
    commit: str,
    flags: Flags,
    *,
    files: bool,
    environment: Mapping[str, str] | None = None,
) -> Ground:
    """The ground of work that no tests of ours judge: at a commit, or (no mirror) on this host alone.

    ``files`` False: the commit only says what holds, its files are not there, so neither is what sets them up.
    """
    composed = await composed_at(house, mirror, commit, flags, environment)
    effective = composed.effective
    if mirror is not None and files:
        found = await asyncio.to_thread(_detected, mirror, commit)
        inside = await asyncio.to_thread(_inside, house, mirror, commit, effective)
        detected = inside.setup or (None if effective.test_command else found.setup_command)
        standing = _standing(commit, composed, found.language, effective.setup_command or detected)
        return replace(standing, image=inside.image, variables=inside.environment)
    if mirror is not None:
        inside = await asyncio.to_thread(_inside, house, mirror, commit, effective)
        bare = _standing("", composed, "", None if _is_written(effective) else effective.setup_command)
        return replace(bare, image=inside.image, variables=inside.environment)
    return _standing("", composed, "", None if _is_written(effective) else effective.setup_command)


def _is_written(effective: Effective) -> bool:
    """Whether the set-up is the repository's own, for its files."""
    return effective.sources["setup_command"] == POLICY


def _inside(house: House, mirror: Mirror, commit: str, effective: Effective) -> Devcontainer:
    """What the bottles' programs come from: nothing in it for this host's own. Read from the commit alone."""
    if effective.environment.kind is not Kind.DEVCONTAINER:
        return Devcontainer(effective.environment.image)
    for file in devcontainer.FILES:
        text = _text(mirror, commit, file)
        if text is not None:
            found = devcontainer.parse(text, file=file)
            refuse_image(house.settings, found.image, "image", where=file)
            return found
    raise errors.BadPolicy(
        f"{policy_module.FILE} says 'environment: devcontainer', and the commit has no {devcontainer.FILES[0]}",
        subject="environment",
        next_moves=(f"commit {devcontainer.FILES[0]} to the base branch", "environment: host"),
        public=f"{policy_module.FILE} says 'environment: devcontainer', and there is no {devcontainer.FILES[0]}",
    )


def _standing(commit: str, composed: Composed, language: str, setup_line: str | None) -> Ground:
    return Ground(
        commit=commit, paths=(), language=language, setup_line=setup_line, test_line="",
        command_source="", composed=composed,
    )  # fmt: skip


async def composed_at(
    house: House, mirror: Mirror | None, commit: str, flags: Flags, environment: Mapping[str, str] | None
) -> Composed:
    """Policy and manifests against the ceiling: what a request is refused by before anything is written.

    Without a mirror this host's manifests alone. ``environment`` is that of whoever asks; None: of nobody.
    """
    policy = policy_module.DEFAULT if mirror is None else await asyncio.to_thread(policy_at, mirror, commit)
    shelf = manifests.shelf(house, mirror, commit)
    composed = await asyncio.to_thread(manifests.compose, shelf, house.settings, policy, flags, environment)
    await asyncio.to_thread(refuse_sampled, house, composed.effective)
    await refuse_packages(house, composed.effective)
    manifests.refuse_unknown_provider(composed, shelf)
    return composed


def refuse_sampled(house: House, effective: Effective) -> None:
    """A policy that demands hard limits is refused by a host that only samples one it names (or, naming none, any)."""
    if not effective.hard_limits:
        return
    named = {name for name in LIMIT_KEYS.values() if getattr(effective.policy.limits, name) is not None}
    for one in house.backend.capabilities():
        name = LIMIT_KEYS[one.limit]
        if one.strength is Strength.SAMPLED and (name in named or not named):
            raise errors.MissingPart(
                f"the repository demands hard limits, and this host only samples the one on {one.limit}: {one.by}",
                subject=f"limits.{name}",
                next_moves=("boatwright doctor", "take limits.hard out of .boatwright.yml, or of the bottle"),
                public=_HARD.format(limit=one.limit) if effective.policy.limits.hard else "",
            )


async def refuse_packages(house: House, effective: Effective) -> None:
    """System packages are refused by a host that neither has them nor can lay them into a bottle."""
    if effective.packages:
        await providing.refuse_impossible(house.backend.bubblewrap, effective.packages)


def policy_at(mirror: Mirror, commit: str) -> Policy:
    """The policy file of the base; its absence is the default policy."""
    data = mirror.read(commit, policy_module.FILE, POLICY_CAP)
    if data is None:
        return policy_module.DEFAULT
    try:
        return policy_module.parse(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise errors.BadPolicy(
            f"{policy_module.FILE} is not UTF-8",
            subject=policy_module.FILE,
            next_moves=("save it as UTF-8 text and commit it to the base branch",),
        ) from error


def _look(house: House, mirror: Mirror, commit: str, flags: Flags) -> Ground:
    shelf = manifests.shelf(house, mirror, commit)
    composed = manifests.compose(shelf, house.settings, policy_at(mirror, commit), flags)
    effective = composed.effective
    paths = tuple(mirror.paths(commit))
    found = _detected(mirror, commit, paths)
    test_line = effective.test_command or found.test_command
    if not test_line:
        raise errors.Parked(
            f"nobody says how to test this repository: {found.why}", code="no_test_command", subject=commit
        )
    detected = effective.test_command is None
    inside = _inside(house, mirror, commit, effective)
    return Ground(
        commit=commit,
        paths=paths,
        language=found.language,
        test_line=test_line,
        composed=composed,
        image=inside.image,
        variables=inside.environment,
        setup_line=effective.setup_command or inside.setup or (found.setup_command if detected else None),
        command_source="detected" if detected else effective.sources["test_command"],
    )


def _detected(mirror: Mirror, commit: str, paths: Sequence[str] | None = None) -> Detected:
    paths = tuple(mirror.paths(commit)) if paths is None else paths
    return detect.detect(paths, lambda path: _text(mirror, commit, path))


def reader(mirror: Mirror, commit: str, cap: int) -> Callable[[str], bytes | None]:
    """Reads files of the commit; None for what is absent or larger than ``cap`` bytes."""

    def read(path: str) -> bytes | None:
        try:
            return mirror.read(commit, path, cap)
        except errors.BadInput:
            return None

    return read


def _text(mirror: Mirror, commit: str, path: str) -> str | None:
    """A small text file of the commit; None for what is absent, large or not text."""
    data = reader(mirror, commit, SURVEY_CAP)(path)
    return data.decode("utf-8", "replace") if data is not None and b"\0" not in data else None

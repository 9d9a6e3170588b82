"""The issue a bottle by itself is about: named by whoever begins it, read once, and never another one's afterwards."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from boatwright import errors
from boatwright.agents.protocol import Provider
from boatwright.config.effective import POLICY, Effective
from boatwright.config.paths import StateDir
from boatwright.intake import request
from boatwright.rules import naming
from boatwright.stages import ground, switching
from boatwright.stages.house import House
from boatwright.values.calls import ForgeCalls
from boatwright.values.solo import Solo, SoloTopic

REPOSITORY, ISSUE = "FORGE_REPOSITORY", "FORGE_ISSUE"
"""What ``forge_env`` of the Python API may hold."""
LARGEST = (1 << 31) - 1
_EXAMPLE = f'forge_env={{"{ISSUE}": "7"}}'


@dataclass(frozen=True, slots=True)
class Named:
    """An issue as somebody names it. ``repository`` is a path or a URL; None: the repository around where they are."""

    issue: int
    repository: str | None = None


@dataclass(frozen=True, slots=True)
class Here:
    """Where somebody names it: their directory, the id of the repository around it (or nothing), and where a mirror may
    be made to look.
    """

    cwd: Path
    repository: str
    place: StateDir


def named(forge_env: Mapping[str, str]) -> Named:
    """What a caller of the Python API names. ``errors.BadInput``, which repeats no value: one may be a secret."""
    unknown = sorted(str(name)[:60] for name in forge_env if name not in {REPOSITORY, ISSUE})
    if unknown:
        raise errors.BadInput(
            f"forge_env takes {ISSUE} and {REPOSITORY}, and no {unknown[0]}: this host's own login is used, and the "
            "agent sees none",
            subject=unknown[0],
            next_moves=(_EXAMPLE, "boatwright connect"),
        )
    number = str(forge_env.get(ISSUE, ""))
    if not re.fullmatch(r"[1-9][0-9]{0,9}", number) or int(number) > LARGEST:
        raise errors.BadInput(
            f"{ISSUE} of forge_env is not the number of an issue", subject=ISSUE, next_moves=(_EXAMPLE,)
        )
    repository = forge_env.get(REPOSITORY)
    if repository is not None and not (isinstance(repository, str) and repository.strip()):
        raise errors.BadInput(
            f"{REPOSITORY} of forge_env is not a path or a URL, as text",
            subject=REPOSITORY,
            next_moves=(_EXAMPLE,),
        )
    return Named(int(number), repository)


async def look(house: House, wanted: Named, here: Here, agent: Provider, held: Effective) -> SoloTopic:
    """The issue as it is now; nothing of it is written anywhere.

    Raises ``errors.BadInput`` where the agent can call no forge or no repository is known, ``errors.Refused`` where that
    repository's policy or a switch forbids it, ``errors.NotFound`` where there is no such issue.
    """
    _refuse_silent(agent, held)
    source = _source(wanted, here)
    repository = naming.repository_id(source) if source else here.repository
    await switching.refuse(house, repository)
    try:
        title, body = await request.words_of(house, repository, wanted.issue)
    except errors.NotFound as error:
        raise _unknown(error, source) from error
    except errors.BoatwrightError as error:  # no execution waits for that forge
        error.next_moves = tuple(move for move in error.next_moves if "EXECUTION" not in move)
        raise
    calls = (
        await _allowed(house, repository, source, here) if repository != here.repository else held.forge_calls
    )
    kind = await asyncio.to_thread(house.forge.kind, repository)
    return SoloTopic(
        repository=repository, forge=kind, calls=calls, issue=wanted.issue, title=title, body=body
    )


async def may_go_on(house: House, record: Solo, wanted: Named | None, cwd: Path) -> None:
    """Raise ``errors.Refused`` where a bottle is to go on with another issue than its own (what was said there is in its
    session), or where its issue's repository is switched off. Without a repository the number alone is compared.
    """
    topic = record.topic
    if wanted is not None:
        same = topic is not None and topic.issue == wanted.issue
        if same and topic is not None and wanted.repository is not None:
            same = naming.repository_id(_resolved(wanted.repository, cwd)) == topic.repository
        if not same:
            own = (
                f"is about issue {topic.issue} of {topic.repository}"
                if topic
                else "was begun without an issue"
            )
            raise errors.Refused(
                f"the bottle '{record.slug}' {own}, and stays so",
                subject=record.slug,
                next_moves=("leave it out", f"start a new bottle for issue {wanted.issue}"),
            )
    if topic is not None:
        await switching.refuse(house, topic.repository)


async def _allowed(house: House, repository: str, source: str, here: Here) -> ForgeCalls:
    """How far calls may go as the policy of the issue's own repository has it, at its base."""
    mirror = await asyncio.to_thread(house.mirror_of, repository, source, here.place)
    _, commit = await asyncio.to_thread(mirror.fetch_base, None)
    policy = await asyncio.to_thread(ground.policy_at, mirror, commit)
    if policy.forge_calls is ForgeCalls.NONE:
        raise errors.Refused(
            f"the policy of {repository} lets no agent call its forge",
            subject=repository,
            next_moves=("forge_calls: read in .boatwright.yml of its base branch",),
        )
    return ForgeCalls.WRITE if policy.forge_calls is None else policy.forge_calls


def _source(wanted: Named, here: Here) -> str:
    """Path or URL of the repository that is named; empty: it is the one they are in."""
    if wanted.repository is not None:
        return _resolved(wanted.repository, here.cwd)
    if not here.repository:
        raise errors.BadInput(
            f"whose issue {wanted.issue} is it? There is no repository here",
            subject=str(wanted.issue),
            next_moves=("--repo PATH or URL", f'forge_env={{"{ISSUE}": …, "{REPOSITORY}": "PATH or URL"}}'),
        )
    return ""


def _resolved(repository: str, cwd: Path) -> str:
    """A path counts from where they are, which need not be where this process is."""
    is_path = "://" not in repository and not repository.startswith(("git@", "~"))
    return request.resolve_source(str(cwd / repository) if is_path else repository)


def _unknown(error: errors.NotFound, source: str) -> errors.NotFound:
    """No such issue. A server's repository that nobody registered looks like one of the local forge."""
    if "://" not in source and not source.startswith("git@"):
        return error
    return errors.NotFound(
        str(error),
        subject=error.subject,
        next_moves=(f"boatwright repo add {source}", "boatwright repo list"),
    )


def _refuse_silent(agent: Provider, held: Effective) -> None:
    """An issue that the agent could not even read is a mistake of whoever named it."""
    if not agent.wired:
        raise errors.BadInput(
            f"{agent.name} thinks on the host: it has no wire over which it could call a forge",
            subject=agent.name,
            next_moves=(
                "leave the issue out",
                "name an agent with 'forge_calls: read' that works in its bottle",
            ),
        )
    if held.forge_calls is not ForgeCalls.NONE:
        return
    narrowed = held.sources.get("forge_calls") == POLICY
    where = ".boatwright.yml of the base branch" if narrowed else "the agent's manifest"
    raise errors.BadInput(
        f"the agent '{held.agent}' may not call the forge, so an issue is nothing to it",
        subject=held.agent,
        next_moves=(f"forge_calls: read in {where}", "leave the issue out"),
    )

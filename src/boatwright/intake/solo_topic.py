"""The issue a bottle by itself is about: named by whoever begins it, read once, and never another one's afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from boatwright import errors
from boatwright.agents.protocol import Provider
from boatwright.config.effective import Effective
from boatwright.intake import request
from boatwright.rules import naming
from boatwright.stages.house import House
from boatwright.values.calls import ForgeCalls
from boatwright.values.solo import Solo, SoloTopic

REPOSITORY, ISSUE = "FORGE_REPOSITORY", "FORGE_ISSUE"
"""What ``forge_env`` of the Python API may hold."""
_LARGEST = 1 << 31


@dataclass(frozen=True, slots=True)
class Named:
    """An issue as somebody names it. ``repository`` is a path or a URL; None: the repository around where they are."""

    issue: int
    repository: str | None = None


def named(forge_env: Mapping[str, str]) -> Named:
    """What a caller of the Python API names. ``errors.BadInput``, which repeats no value: one may be a secret."""
    unknown = sorted(str(name)[:60] for name in forge_env if name not in {REPOSITORY, ISSUE})
    if unknown:
        raise errors.BadInput(
            f"forge_env takes {ISSUE} and {REPOSITORY}, and no {unknown[0]}: this host's own login is used, and the "
            "agent sees none",
            subject=unknown[0],
            next_moves=(f'forge_env={{"{ISSUE}": "7"}}', "boatwright connect"),
        )
    number = forge_env.get(ISSUE, "")
    if not (
        isinstance(number, str)
        and number.isascii()
        and number.isdecimal()
        and 0 < int(number[:11]) < _LARGEST
    ):
        raise errors.BadInput(
            f"{ISSUE} of forge_env is not the number of an issue",
            subject=ISSUE,
            next_moves=(f'forge_env={{"{ISSUE}": "7"}}',),
        )
    return Named(int(number), forge_env.get(REPOSITORY))


async def look(house: House, wanted: Named, around: str, agent: Provider, held: Effective) -> SoloTopic:
    """The issue as it is now; nothing is written anywhere. ``around``: the id of the repository they are in, or nothing.

    Raises ``errors.BadInput`` where the agent can call no forge or no repository is known, ``errors.NotFound`` where
    there is no such issue.
    """
    _refuse_silent(agent, held)
    repository = _repository(wanted, around)
    title, body = await request.words_of(house, repository, wanted.issue)
    return SoloTopic(repository=repository, issue=wanted.issue, title=title, body=body)


def refuse_another(record: Solo, wanted: Named | None) -> None:
    """A bottle stays with the issue it was begun for: what was said there is in its session."""
    if wanted is None:
        return
    topic = record.topic
    same = topic is not None and topic.issue == wanted.issue
    if same and topic is not None and wanted.repository is not None:
        same = naming.repository_id(request.resolve_source(wanted.repository)) == topic.repository
    if not same:
        own = f"is about issue {topic.issue} of {topic.repository}" if topic else "was begun without an issue"
        raise errors.Refused(
            f"the bottle '{record.slug}' {own}, and stays so",
            subject=record.slug,
            next_moves=("leave it out", f"start a new bottle for issue {wanted.issue}"),
        )


def _repository(wanted: Named, around: str) -> str:
    if wanted.repository is not None:
        return naming.repository_id(request.resolve_source(wanted.repository))
    if not around:
        raise errors.BadInput(
            f"whose issue {wanted.issue} is it? There is no repository here",
            subject=str(wanted.issue),
            next_moves=("--repo PATH or URL", f'forge_env={{"{ISSUE}": …, "{REPOSITORY}": "PATH or URL"}}'),
        )
    return around


def _refuse_silent(agent: Provider, held: Effective) -> None:
    """An issue that the agent could not even read is a mistake of whoever named it."""
    if not agent.wired:
        raise errors.BadInput(
            f"{agent.name} thinks on the host: it has no wire over which it could call a forge",
            subject=agent.name,
            next_moves=("leave the issue out", "name an agent that works in its bottle, such as claude"),
        )
    if held.forge_calls is ForgeCalls.NONE:
        raise errors.BadInput(
            f"the agent '{held.agent}' may not call the forge, so an issue is nothing to it",
            subject=held.agent,
            next_moves=("forge_calls: read in the agent's manifest", "leave the issue out"),
        )

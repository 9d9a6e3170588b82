"""Which forge a repository is on: the one the register names, else the local one.

What the stages know as the forge. Each call goes to the forge of its repository, which the register is asked for each
time: it may be renamed, or registered, while we run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from boatwright import errors
from boatwright.config.settings import Settings
from boatwright.forge.adapters import Adapters, Surroundings
from boatwright.forge.gitea import Gitea
from boatwright.forge.github import GitHub
from boatwright.forge.gitlab import GitLab
from boatwright.forge.hooks import Hooks
from boatwright.forge.local import LocalForge
from boatwright.forge.protocol import (
    Check,
    Comment,
    Forge,
    Issue,
    Labelled,
    MissingRight,
    PullRequest,
    ReviewComment,
)
from boatwright.rules import forge_place
from boatwright.rules.missed import Progress
from boatwright.values.checks import FailedCheck, TheirCheck
from boatwright.values.people import Permission
from boatwright.values.place import ForgePlace

LOCAL = "local"
PlaceOf = Callable[[str], ForgePlace | None]
"""Where a repository id of ours is; None: on the local forge. Blocks."""


class Forges:
    """All forges as one, by repository."""

    def __init__(self, local: LocalForge, place_of: PlaceOf, adapters: Adapters) -> None:
        self.local, self._place_of, self._adapters = local, place_of, adapters

    def of(self, repository: str) -> Forge:
        """The forge of a repository. Blocks for a look at the register."""
        place = self._place_of(repository)
        return self.local if place is None else self._adapters.of(place)

    def is_remote(self, repository: str) -> bool:
        """Whether people talk about it on a server. Blocks."""
        return self._place_of(repository) is not None

    def kind(self, repository: str) -> str:
        """``github``, ``gitea``, ``forgejo``, ``gitlab`` or ``local``. Blocks."""
        place = self._place_of(repository)
        return LOCAL if place is None else place.kind

    async def at(self, repository: str) -> Forge:
        return await asyncio.to_thread(self.of, repository)

    def push_url(self, repository: str) -> str:
        return self.of(repository).push_url(repository)

    def fetch_address(self, repository: str, source: str) -> str:
        """Where the history that came from ``source`` is fetched from now: under the name its forge has for it. Blocks."""
        place = self._place_of(repository)
        return source if place is None else forge_place.address_now(source, place)

    def git_login(self, repository: str, address: str) -> bytes:
        """What git may say to ``address`` for this repository: the login of its forge, there and nowhere else. Blocks."""
        place = self._place_of(repository)
        if place is None or not address.lower().startswith(f"{place.base_url.rstrip('/').lower()}/"):
            return b""
        forge = self._adapters.of(place)
        with ThreadPoolExecutor(1) as apart:  # this thread may have a loop of its own
            return apart.submit(asyncio.run, forge.credential(repository)).result()

    def login_setting(self, repository: str) -> str:
        """Which part of settings.yml names the login of its forge; empty where it is on no server. Blocks."""
        place = self._place_of(repository)
        return "" if place is None else f"forges.{place.kind}"

    async def add_repository(self, repository: str, *, source: str, default_branch: str) -> None:
        forge = await self.at(repository)
        await forge.add_repository(repository, source=source, default_branch=default_branch)

    # --- issues ---

    async def issue(self, repository: str, number: int) -> Issue:
        return await (await self.at(repository)).issue(repository, number)

    async def create_issue(
        self, repository: str, *, title: str, body: str, author: str, labels: Sequence[str] = ()
    ) -> Issue:
        forge = await self.at(repository)
        return await forge.create_issue(repository, title=title, body=body, author=author, labels=labels)

    async def issues(self, repository: str, *, state: str | None = "open") -> Sequence[Issue]:
        return await (await self.at(repository)).issues(repository, state=state)

    async def close_issue(self, repository: str, number: int) -> Issue:
        return await (await self.at(repository)).close_issue(repository, number)

    async def describe_issue(self, repository: str, number: int, *, body: str) -> Issue:
        return await (await self.at(repository)).describe_issue(repository, number, body=body)

    async def relabel(
        self, repository: str, number: int, *, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> Issue:
        return await (await self.at(repository)).relabel(repository, number, add=add, remove=remove)

    async def labelled_by(self, repository: str, number: int, labels: Collection[str]) -> Labelled | None:
        return await (await self.at(repository)).labelled_by(repository, number, labels)

    # --- pull requests ---

    async def pull_request(self, repository: str, number: int) -> PullRequest:
        return await (await self.at(repository)).pull_request(repository, number)

    async def pull_requests(self, repository: str, *, state: str | None = "open") -> Sequence[PullRequest]:
        return await (await self.at(repository)).pull_requests(repository, state=state)

    async def find_pull_request(self, repository: str, *, branch: str) -> PullRequest | None:
        return await (await self.at(repository)).find_pull_request(repository, branch=branch)

    async def open_pull_request(
        self, repository: str, *, title: str, body: str, branch: str, base_ref: str, draft: bool, author: str,
        issue: int | None,
    ) -> PullRequest:  # fmt: skip
        forge = await self.at(repository)
        return await forge.open_pull_request(
            repository,
            title=title,
            body=body,
            branch=branch,
            base_ref=base_ref,
            draft=draft,
            author=author,
            issue=issue,
        )

    async def update_pull_request(
        self, repository: str, number: int, *, title: str | None = None, body: str | None = None,
        draft: bool | None = None, head: str | None = None,
    ) -> PullRequest:  # fmt: skip
        forge = await self.at(repository)
        return await forge.update_pull_request(
            repository, number, title=title, body=body, draft=draft, head=head
        )

    async def close_pull_request(self, repository: str, number: int) -> PullRequest:
        return await (await self.at(repository)).close_pull_request(repository, number)

    async def merge_pull_request(self, repository: str, number: int, *, head: str) -> PullRequest:
        return await (await self.at(repository)).merge_pull_request(repository, number, head=head)

    async def review_comments(
        self, repository: str, number: int, *, since: datetime | None = None
    ) -> Sequence[ReviewComment]:
        return await (await self.at(repository)).review_comments(repository, number, since=since)

    # --- comments and checks ---

    async def comments(
        self, repository: str, number: int, *, since: datetime | None = None
    ) -> Sequence[Comment]:
        return await (await self.at(repository)).comments(repository, number, since=since)

    async def post_comment(
        self, repository: str, number: int, *, author: str, body: str, marker: str = ""
    ) -> Comment:
        forge = await self.at(repository)
        return await forge.post_comment(repository, number, author=author, body=body, marker=marker)

    async def edit_comment(self, repository: str, comment: int, *, body: str) -> Comment:
        return await (await self.at(repository)).edit_comment(repository, comment, body=body)

    async def delete_comment(self, repository: str, comment: int) -> None:
        await (await self.at(repository)).delete_comment(repository, comment)

    async def react(
        self, repository: str, number: int, *, comment: int | None = None, reaction: str = "eyes"
    ) -> None:
        await (await self.at(repository)).react(repository, number, comment=comment, reaction=reaction)

    async def set_check(self, check: Check) -> Check:
        return await (await self.at(check.repository)).set_check(check)

    async def checks(self, repository: str, commit: str) -> Sequence[Check]:
        return await (await self.at(repository)).checks(repository, commit)

    async def required_checks(self, repository: str, branch: str) -> Sequence[str]:
        return await (await self.at(repository)).required_checks(repository, branch)

    # --- people: who we are, and who belongs to whom, depends on the forge ---

    async def me(self, repository: str) -> str:
        return await (await self.at(repository)).me()

    async def permission(self, repository: str, login: str) -> Permission:
        return await (await self.at(repository)).permission(repository, login)

    async def is_member(self, repository: str, organisation: str, login: str) -> bool:
        return await (await self.at(repository)).is_member(organisation, login)

    async def ask_again(self, kind: str, before: Progress) -> tuple[int, Progress]:
        """Have that kind of forge send again what nobody took, where it can tell. Returns how many, and how far what it
        tells is read now.
        """
        forge = self._adapters.of_kind(kind)
        return await forge.ask_again(before) if isinstance(forge, GitHub) else (0, before)

    async def called(self, repository: str, path: str) -> str:
        """What the forge of ``repository`` calls now whatever it finds under ``path``, a name of now or of before; empty
        where our login sees nothing there.
        """
        forge = await self.at(repository)
        if not isinstance(forge, GitHub | Gitea | GitLab) or not forge_place.fits(path, forge.name):
            return ""
        now = await forge.called(repository, path)
        return now if forge_place.fits(now, forge.name) else ""

    async def seen(self, place: ForgePlace) -> str:
        """What is found at a place that need not be served, as its forge calls it; empty where our login sees nothing.

        ``errors.Parked`` (``credential``) or ``errors.Refused`` where there is no login for that place.
        """
        forge = await asyncio.to_thread(self._adapters.of, place)
        return (
            await forge.called("", place.path) if isinstance(forge, GitHub | Gitea | GitLab) else place.path
        )

    async def hooks(self, repository: str) -> Hooks:
        """The hooks of a repository's forge; ``errors.BadInput`` for the local one, which tells us by itself."""
        forge = await self.at(repository)
        if isinstance(forge, GitHub | Gitea | GitLab):
            return forge.hooks(repository)
        raise errors.BadInput(
            f"{repository} is on no forge that has hooks",
            subject=repository,
            next_moves=("boatwright repo list",),
        )

    async def rights(self, repository: str) -> Sequence[MissingRight]:
        return await (await self.at(repository)).rights(repository)

    async def missing_for(self, repository: str, paths: Collection[str]) -> Sequence[MissingRight]:
        return await (await self.at(repository)).missing_for(repository, paths)

    # --- other people's checks ---

    async def their_checks(self, repository: str, commit: str) -> Sequence[TheirCheck]:
        return await (await self.at(repository)).their_checks(repository, commit)

    async def failed_checks(self, repository: str, commit: str) -> Sequence[FailedCheck]:
        return await (await self.at(repository)).failed_checks(repository, commit)


def forges(
    local: LocalForge, settings: Settings, place_of: PlaceOf, around: Callable[..., Surroundings]
) -> Forges:
    """All forges of this host. ``around`` is told how to find a repository's path at its forge."""

    def path(repository: str) -> str:
        place = place_of(repository)
        if place is None:
            raise errors.NotFound(
                f"{repository} is on no forge any more",
                subject=repository,
                next_moves=("boatwright repo add URL",),
            )
        return place.path

    return Forges(local, place_of, Adapters(settings, around(path=path)))

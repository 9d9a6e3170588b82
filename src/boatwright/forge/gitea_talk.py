"""Gitea and Forgejo: comments, commit statuses as checks, labels, and what people may do.

A label is named by its id, a check is a commit status (the newest of a context counts), and whether somebody belongs to
an organisation is told in full to its own members only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import quote

from boatwright import errors
from boatwright.forge import gitea_read as read
from boatwright.forge import gitea_rights, gitea_theirs, marks, shapes, theirs, whereabouts
from boatwright.forge.hooks import Hooks, RepositoryHooks
from boatwright.forge.http import Answer, Call, ForgeHttp, Sleep
from boatwright.forge.protocol import Check, Comment, Issue, Labelled, MissingRight, ReviewComment
from boatwright.forge.token_account import TokenAccount
from boatwright.forge.token_login import TokenLogin
from boatwright.rules.hooks import WORDS
from boatwright.values.checks import FailedCheck, TheirCheck
from boatwright.values.clock import Clock, Ids
from boatwright.values.people import Permission

PAGE = 50
"""Items a page: the most a Gitea gives when nobody changed ``MAX_RESPONSE_ITEMS``."""
LABEL_COLOUR = "#1d76db"


class GiteaHttp(ForgeHttp):
    paging: ClassVar[Mapping[str, str | int]] = {"limit": PAGE}


class GiteaTalk(TokenAccount):
    """Half of ``forge.protocol.Forge``: what is said, and by whom. ``path`` says what a repository id of ours is called
    there.
    """

    def __init__(
        self,
        base_url: str,
        login: TokenLogin,
        *,
        path: Callable[[str], str],
        clock: Clock,
        ids: Ids,
        sleep: Sleep = asyncio.sleep,
        kind: str = "gitea",
    ) -> None:
        self._base_url, self._login, self._path = base_url, login, path
        self._ids, self._sleep = ids, sleep
        self._http = GiteaHttp(f"{base_url}/api/v1", login, name=kind, clock=clock, sleep=sleep)
        self._me = ""

    def _at(self, repository: str, *parts: str | int) -> str:
        """The address of something in a repository, each part quoted by itself."""
        path = self._path(repository)
        return "/repos/" + "/".join(quote(str(part), safe="") for part in (*path.split("/"), *parts))

    def _about(self, repository: str, what: str = "") -> str:
        path = self._path(repository)
        return f"{what} of {path}" if what else path

    def _named(self, said: Any) -> str:
        return read.login(said)

    # --- comments ------------------------------------------------------------------------------------------

    async def comments(
        self, repository: str, number: int, *, since: datetime | None = None
    ) -> Sequence[Comment]:
        me, found = await self.me(), await self._comments(repository, number, since)
        return [read.comment(repository, each, me=me, number=number) for each in found]

    async def _comments(self, repository: str, number: int, since: datetime | None = None) -> list[Any]:
        """All of them: this list has no pages."""
        about, path = (
            self._about(repository, f"number {number}"),
            self._at(repository, "issues", number, "comments"),
        )
        said = (await self._http.get(path, shapes.since(since), about=about)).json()
        return sorted(said or (), key=lambda each: (shapes.when(each.get("created_at")), int(each["id"])))

    async def post_comment(
        self, repository: str, number: int, *, author: str, body: str, marker: str = ""
    ) -> Comment:
        """``author`` is for forges without accounts: here it is ours."""
        me, once = await self.me(), self._ids.token()

        async def look() -> Comment | None:
            for each in reversed(await self._comments(repository, number)):
                if marks.read(str(each.get("body") or ""), ours=True).once == once:
                    return read.comment(repository, each, me=me, number=number)
            return None

        call = Call(
            "POST", self._at(repository, "issues", number, "comments"),
            json={"body": marks.write(body, marker=marker, once=once)},
            about=self._about(repository, f"number {number}"),
        )  # fmt: skip
        return await self._http.create(
            call, lambda answer: read.comment(repository, answer.json(), me=me, number=number), look
        )

    async def edit_comment(self, repository: str, comment: int, *, body: str) -> Comment:
        """Change the words; the hidden marker stays."""
        me, path = await self.me(), self._at(repository, "issues", "comments", comment)
        about = self._about(repository, f"comment {comment}")
        there = await self._http.get(path, about=about, ok=(200, 204))
        if there.status == 204:  # a comment of another kind: a review, a change of labels
            raise errors.NotFound(f"{about} is no comment one can edit", subject=str(comment))
        marker = read.comment(repository, there.json(), me=me).marker
        call = Call("PATCH", path, json={"body": marks.write(body, marker=marker)}, about=about)
        return read.comment(repository, (await self._http.call(call)).json(), me=me)

    async def delete_comment(self, repository: str, comment: int) -> None:
        """Gone already is fine."""
        path = self._at(repository, "issues", "comments", comment)
        about = self._about(repository, f"comment {comment}")
        await self._http.call(Call("DELETE", path, ok=(200, 204, 404), about=about))

    async def review_comments(
        self, repository: str, number: int, *, since: datetime | None = None
    ) -> Sequence[ReviewComment]:
        """All, whatever ``since`` says: an answer may join a review of long ago, which does not look new for that."""
        about = self._about(repository, f"pull request {number}")
        reviews = self._at(repository, "pulls", number, "reviews")
        found: list[ReviewComment] = []
        async for review in self._http.pages(reviews, about=about):
            said = (await self._http.get(f"{reviews}/{int(review['id'])}/comments", about=about)).json()
            found += [read.review_comment(repository, number, each) for each in said or ()]
        return sorted(found, key=lambda each: (each.created, each.id))

    async def react(
        self, repository: str, number: int, *, comment: int | None = None, reaction: str = "eyes"
    ) -> None:
        """A reaction that is there already is answered with it, so the call may be sent again."""
        parts = ("issues", number) if comment is None else ("issues", "comments", comment)
        about = self._about(repository, f"number {number}")
        path = self._at(repository, *parts, "reactions")
        await self._http.call(Call("POST", path, json={"content": reaction}, again=True, about=about))

    # --- checks --------------------------------------------------------------------------------------------

    async def set_check(self, check: Check) -> Check:
        """A commit status whose context is the check's name. Set again it says the same again, so it may be repeated."""
        if check.conclusion not in read.STATES:
            raise errors.BadInput(f"{check.conclusion!r} is not a conclusion", subject=check.name)
        page = f"{self._base_url}/{self._path(check.repository)}/commit/{quote(check.commit)}"
        status = {
            "context": marks.storable(check.name), "state": read.STATES[check.conclusion],
            "description": marks.storable(check.summary),
            "target_url": marks.status_url(page, check.external_id, check.conclusion),
        }  # fmt: skip
        about = self._about(check.repository, f"commit {check.commit[:12]}")
        path = self._at(check.repository, "statuses", check.commit)
        said = (await self._http.call(Call("POST", path, json=status, again=True, about=about))).json()
        return read.check(check.repository, check.commit, said, me=await self.me())

    async def checks(self, repository: str, commit: str) -> Sequence[Check]:
        """The newest status of each context; none for a commit the forge does not have."""
        me, latest = await self.me(), dict[str, Check]()
        path = self._at(repository, "commits", commit, "statuses")
        try:
            async for said in self._http.pages(path, about=self._about(repository), sort="highestindex"):
                found = read.check(repository, commit, said, me=me)
                latest.setdefault(found.name, found)
        except errors.NotFound:
            await self._http.get(self._at(repository), about=self._about(repository))  # is it there at all?
        return sorted(latest.values(), key=lambda check: (check.name, check.external_id))

    async def required_checks(self, repository: str, branch: str) -> Sequence[str]:
        """Contexts of the branch's protection; a name may be a pattern (``ci/*``)."""
        path = f"{self._at(repository, 'branches')}/{quote(branch, safe='/')}"
        about = self._about(repository, f"branch {branch}")
        answer = await self._http.get(path, about=about, ok=(200, 404))
        said = answer.json() if answer.status == 200 else {}
        if not said.get("enable_status_check"):
            return ()
        return tuple(str(name) for name in said.get("status_check_contexts") or ())

    async def their_checks(self, repository: str, commit: str) -> Sequence[TheirCheck]:
        return [gitea_theirs.check(said) for said in await self._theirs(repository, commit)]

    async def failed_checks(self, repository: str, commit: str) -> Sequence[FailedCheck]:
        said = await self._theirs(repository, commit)
        return await gitea_theirs.failed(self._http, self._at(repository), commit, said)

    async def _theirs(self, repository: str, commit: str) -> Sequence[Any]:
        """The newest status of each context, without ours."""
        me, latest = await self.me(), dict[str, Any]()
        path = self._at(repository, "commits", commit, "statuses")
        try:
            async for said in self._http.pages(path, about=self._about(repository), sort="highestindex"):
                latest.setdefault(str(said.get("context") or ""), said)
        except errors.NotFound:
            await self._http.get(self._at(repository), about=self._about(repository))  # is it there at all?
        return theirs.without_ours(latest, me, gitea_theirs.author)

    # --- labels --------------------------------------------------------------------------------------------

    async def relabel(
        self, repository: str, number: int, *, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> Issue:
        about = self._about(repository, f"issue {number}")
        path = self._at(repository, "issues", number, "labels")
        wanted = [label for label in add if label not in set(remove)]
        if wanted:
            body = {"labels": await self._label_ids(repository, wanted)}
            await self._http.call(Call("POST", path, json=body, again=True, about=about))
        there = (await self._http.get(path, about=about)).json() or ()
        for label in there:
            if str(label.get("name")) in set(remove):
                gone = Call("DELETE", f"{path}/{int(label['id'])}", ok=(204, 404, 422), about=about)
                await self._http.call(gone)
        said = await self._http.get(self._at(repository, "issues", number), about=about)
        return read.issue(repository, said.json(), me=await self.me())

    async def labelled_by(self, repository: str, number: int, labels: Collection[str]) -> Labelled | None:
        path = self._at(repository, "issues", number, "timeline")
        return read.labelled_by(
            await self._http.list(path, about=self._about(repository, f"number {number}")), labels
        )

    async def called(self, repository: str, path: str) -> str:
        return await whereabouts.github(self._http, path)

    def hooks(self, repository: str) -> Hooks:
        return RepositoryHooks(self._http, self._at(repository, "hooks"), WORDS[self._http.name])

    async def _label_ids(self, repository: str, names: Sequence[str]) -> list[int]:
        """The ids of labels; one that neither the repository nor its organisation has is made."""
        known = await self._known_labels(repository)
        wanted = dict.fromkeys(map(marks.storable, names))
        return [known.get(name) or await self._new_label(repository, name) for name in wanted]

    async def _known_labels(self, repository: str) -> dict[str, int]:
        """The repository's own come first where the organisation has one of the same name."""
        owner = self._path(repository).partition("/")[0]
        known: dict[str, int] = {}
        for path in (self._at(repository, "labels"), f"/orgs/{quote(owner, safe='')}/labels"):
            try:
                async for label in self._http.pages(path, about=self._about(repository, "labels")):
                    known.setdefault(str(label.get("name")), int(label["id"]))
            except errors.NotFound:
                if not path.startswith("/orgs/"):  # the owner may be a person
                    raise
        return known

    async def _new_label(self, repository: str, name: str) -> int:
        async def look() -> int | None:
            return (await self._known_labels(repository)).get(name)

        def made(answer: Answer) -> int:
            return int(answer.json()["id"])

        call = Call(
            "POST", self._at(repository, "labels"), json={"name": name, "color": LABEL_COLOUR},
            about=self._about(repository, "labels"),
        )  # fmt: skip
        return await self._http.create(call, made, look)

    # --- people --------------------------------------------------------------------------------------------

    async def permission(self, repository: str, login: str) -> Permission:
        """Told to administrators of the repository, and to everybody about themselves."""
        if not login:
            return Permission.NONE
        path = self._at(repository, "collaborators", login, "permission")
        about = self._about(repository, "permissions")
        answer = await self._http.get(path, about=about, ok=(200, 404))
        return Permission.NONE if answer.status == 404 else read.permission(answer.json())

    async def is_member(self, organisation: str, login: str) -> bool:
        """A 303 says that we do not belong to it ourselves: then only who is a member in public is one."""
        there = f"/orgs/{quote(organisation, safe='')}"
        who = quote(login, safe="")
        answer = await self._http.get(
            f"{there}/members/{who}", about=f"organisation {organisation}", ok=(204, 303, 404)
        )
        if answer.status == 303:
            answer = await self._http.get(
                f"{there}/public_members/{who}", about=f"organisation {organisation}", ok=(204, 404)
            )
        return answer.status == 204

    async def missing_for(self, repository: str, paths: Collection[str]) -> Sequence[MissingRight]:
        """Nothing: whoever may push may push any path."""
        return ()

    async def rights(self, repository: str) -> Sequence[MissingRight]:
        return await gitea_rights.missing(self._http, self._at(repository), self._about(repository))

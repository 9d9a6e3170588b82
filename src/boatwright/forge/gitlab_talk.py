"""GitLab: notes, commit statuses as checks, labels, and what people may do.

A project is named by its path, quoted whole. Issues and merge requests are counted apart (``rules.gitlab_numbers``), and a
note is found only under the one it belongs to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

from boatwright import errors
from boatwright.forge import gitlab_read as read
from boatwright.forge import gitlab_theirs, gitlab_words, marks, shapes, theirs, whereabouts
from boatwright.forge.gitlab_http import GitLabHttp
from boatwright.forge.hooks import Hooks, RepositoryHooks
from boatwright.forge.http import Call, Sleep
from boatwright.forge.protocol import Check, Comment, Issue, Labelled, MissingRight, ReviewComment
from boatwright.forge.token_account import TokenAccount
from boatwright.forge.token_login import TokenLogin
from boatwright.rules import gitlab_numbers
from boatwright.rules.hooks import WORDS
from boatwright.values.checks import FailedCheck, TheirCheck
from boatwright.values.clock import Clock, Ids
from boatwright.values.people import Permission

LONGEST = 255
"""Characters of a status's description and address."""
EMOJI = {"+1": "thumbsup", "-1": "thumbsdown", "laugh": "laughing", "hooray": "tada"}
_DEVELOPER = 30


class GitLabTalk(TokenAccount):
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
    ) -> None:
        self._base_url, self._login, self._path = base_url, login, path
        self._ids, self._sleep = ids, sleep
        self._http = GitLabHttp(f"{base_url}/api/v4", login, name="gitlab", clock=clock, sleep=sleep)
        self._me = ""

    def _at(self, repository: str, *parts: str | int) -> str:
        """The address of something in a project, each part quoted by itself."""
        path = self._path(repository)
        return "/projects/" + "/".join(quote(str(part), safe="") for part in (path, *parts))

    def _thread(self, repository: str, number: int, *parts: str | int) -> str:
        """The address of an issue or a merge request, or of something under it."""
        kind = "merge_requests" if gitlab_numbers.is_pull(number) else "issues"
        return self._at(repository, kind, gitlab_numbers.iid(number), *parts)

    def _about(self, repository: str, what: str | int = "") -> str:
        path = self._path(repository)
        named = gitlab_numbers.shown(what) if isinstance(what, int) else what
        return f"{named} of {path}" if named else path

    def _named(self, said: Any) -> str:
        return read.username(said)

    # --- comments ------------------------------------------------------------------------------------------

    async def comments(
        self, repository: str, number: int, *, since: datetime | None = None
    ) -> Sequence[Comment]:
        me, notes = await self.me(), await self._notes(repository, number, since)
        return [read.comment(repository, number, each, me=me) for each in notes if read.is_comment(each)]

    async def _notes(self, repository: str, number: int, since: datetime | None = None) -> list[Any]:
        """The oldest first; with ``since`` they are read from the newest to then."""
        listed = self._http.pages(
            self._thread(repository, number, "notes"), about=self._about(repository, number),
            order_by="created_at", sort="desc" if since else "asc",
        )  # fmt: skip
        found = []
        async for each in listed:
            if since is not None and shapes.when(each.get("created_at")) < since:
                break
            found.append(each)
        return found[::-1] if since else found

    async def post_comment(
        self, repository: str, number: int, *, author: str, body: str, marker: str = ""
    ) -> Comment:
        """``author`` is for forges without accounts: here it is ours."""
        me, once = await self.me(), self._ids.token()

        async def look() -> Comment | None:
            for each in reversed(await self._notes(repository, number)):
                if read.once(each.get("body")) == once:
                    return read.comment(repository, number, each, me=me)
            return None

        text = gitlab_words.harmless(marks.write(body, marker=marker, once=once))
        call = Call(
            "POST", self._thread(repository, number, "notes"), json={"body": text}, ok=(201,),
            about=self._about(repository, number),
        )  # fmt: skip
        return await self._http.create(
            call, lambda answer: read.comment(repository, number, answer.json(), me=me), look
        )

    async def edit_comment(self, repository: str, comment: int, *, body: str) -> Comment:
        """Change the words; the hidden marker stays."""
        me, (note, number) = await self.me(), gitlab_numbers.note_of(comment)
        path = self._thread(repository, number, "notes", note)
        about = self._about(repository, f"comment {note}")
        there = (await self._http.get(path, about=about)).json()
        marker = read.comment(repository, number, there, me=me).marker
        text = gitlab_words.harmless(marks.write(body, marker=marker))
        said = (await self._http.call(Call("PUT", path, json={"body": text}, about=about))).json()
        return read.comment(repository, number, said, me=me)

    async def delete_comment(self, repository: str, comment: int) -> None:
        """Gone already is fine."""
        note, number = gitlab_numbers.note_of(comment)
        path = self._thread(repository, number, "notes", note)
        call = Call("DELETE", path, ok=(200, 204, 404), about=self._about(repository, f"comment {note}"))
        await self._http.call(call)

    async def review_comments(
        self, repository: str, number: int, *, since: datetime | None = None
    ) -> Sequence[ReviewComment]:
        notes = await self._notes(repository, number, since)
        return [
            read.review_comment(repository, number, each)
            for each in notes
            if each.get("type") == "DiffNote" and not each.get("system")
        ]

    async def react(
        self, repository: str, number: int, *, comment: int | None = None, reaction: str = "eyes"
    ) -> None:
        """A second one of the same kind is refused there, so it is looked for first. ``comment`` may also be the note's
        own id, as webhooks have it.
        """
        under: tuple[str | int, ...] = ()
        if comment is not None:
            note, thread = gitlab_numbers.note_of(comment)
            under = ("notes", note if thread == number else comment)
        path = self._thread(repository, number, *under, "award_emoji")
        about, name = self._about(repository, number), EMOJI.get(reaction, reaction)
        me = await self.me()

        async def there() -> bool | None:
            async for each in self._http.pages(path, about=about):
                if each.get("name") == name and read.username(each.get("user")) == me:
                    return True
            return None

        if await there() is None:
            call = Call("POST", path, json={"name": name}, about=about)
            await self._http.create(call, lambda _: True, there)

    # --- checks --------------------------------------------------------------------------------------------

    async def set_check(self, check: Check) -> Check:
        """A commit status whose name is the check's. One in the same state as before is refused by older versions, so it is
        looked for first; a refusal all the same means that it stands as it should.
        """
        if check.conclusion not in read.STATES:
            raise errors.BadInput(f"{check.conclusion!r} is not a conclusion", subject=check.name)
        summary = marks.storable(check.summary)[:LONGEST]
        wanted = replace(check, summary=summary, annotations=())
        there = next(
            (c for c in await self.checks(check.repository, check.commit) if c.name == check.name), None
        )
        if there == wanted:
            return wanted
        status = {
            "name": marks.storable(check.name), "state": read.STATES[check.conclusion], "description": summary,
            "target_url": self._status_url(check),
        }  # fmt: skip
        about = self._about(check.repository, f"commit {check.commit[:12]}")
        path = self._at(check.repository, "statuses", check.commit)
        call = Call("POST", path, json=status, ok=(200, 201, 400), again=True, about=about)
        answer = await self._http.call(call)
        if answer.status == 400:
            return self._stands(wanted, answer.text)
        return read.check(check.repository, check.commit, answer.json(), me=await self.me())

    def _status_url(self, check: Check) -> str:
        """The commit's page with our marks; without the page's path where that would be too long."""
        page = f"{self._base_url}/{self._path(check.repository)}/-/commit/{quote(check.commit)}"
        url = marks.status_url(page, check.external_id, check.conclusion)
        return (
            url
            if len(url) <= LONGEST
            else marks.status_url(self._base_url, check.external_id, check.conclusion)
        )

    def _stands(self, wanted: Check, said: str) -> Check:
        if "cannot transition" not in said.lower():
            raise errors.BadInput(
                f"{self._http.name} refuses the status {wanted.name} of {wanted.commit[:12]}",
                subject=wanted.name,
            )
        return wanted

    async def checks(self, repository: str, commit: str) -> Sequence[Check]:
        """The newest status of each name; none for a commit the forge does not have."""
        me, latest = await self.me(), dict[str, tuple[int, Check]]()
        path = self._at(repository, "repository", "commits", commit, "statuses")
        try:
            async for said in self._http.pages(path, about=self._about(repository)):
                found, age = read.check(repository, commit, said, me=me), int(said.get("id") or 0)
                if age >= latest.get(found.name, (0, found))[0]:
                    latest[found.name] = (age, found)
        except errors.NotFound:
            await self._http.get(self._at(repository), about=self._about(repository))  # is it there at all?
        return sorted((found for _, found in latest.values()), key=lambda c: (c.name, c.external_id))

    async def required_checks(self, repository: str, branch: str) -> Sequence[str]:
        """None by name: GitLab asks for the pipeline as a whole, and refuses the merge itself until that has passed."""
        await self._http.get(self._at(repository), about=self._about(repository))
        return ()

    async def their_checks(self, repository: str, commit: str) -> Sequence[TheirCheck]:
        return [gitlab_theirs.check(said) for said in await self._theirs(repository, commit)]

    async def failed_checks(self, repository: str, commit: str) -> Sequence[FailedCheck]:
        """Of a job of a pipeline the end of its trace, else the words of the status."""
        said = await self._theirs(repository, commit)
        return await gitlab_theirs.failed(self._http, self._at(repository), said)

    async def _theirs(self, repository: str, commit: str) -> Sequence[Any]:
        """The newest status of each name, jobs among them, without ours."""
        me, latest = await self.me(), dict[str, Any]()
        path = self._at(repository, "repository", "commits", commit, "statuses")
        try:
            async for said in self._http.pages(path, about=self._about(repository)):
                there = latest.get(str(said.get("name") or ""))
                if there is None or int(said.get("id") or 0) >= int(there.get("id") or 0):
                    latest[str(said.get("name") or "")] = said
        except errors.NotFound:
            await self._http.get(self._at(repository), about=self._about(repository))  # is it there at all?
        return theirs.without_ours(latest, me, gitlab_theirs.author)

    # --- labels --------------------------------------------------------------------------------------------

    async def relabel(
        self, repository: str, number: int, *, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> Issue:
        """A label nobody has used yet is made by using it. A comma ends a label's name."""
        wanted = {
            "add_labels": _names([label for label in add if label not in set(remove)]),
            "remove_labels": _names(remove),
        }
        call = Call(
            "PUT", self._thread(repository, number), json={key: value for key, value in wanted.items() if value},
            about=self._about(repository, number),
        )  # fmt: skip
        if not call.json:
            call = Call("GET", call.path, about=call.about)
        return read.issue(repository, (await self._http.call(call)).json(), me=await self.me())

    async def labelled_by(self, repository: str, number: int, labels: Collection[str]) -> Labelled | None:
        path = self._thread(repository, number, "resource_label_events")
        return read.labelled_by(await self._http.list(path, about=self._about(repository, number)), labels)

    async def called(self, repository: str, path: str) -> str:
        return await whereabouts.gitlab(self._http, path)

    def hooks(self, repository: str) -> Hooks:
        return RepositoryHooks(self._http, self._at(repository, "hooks"), WORDS["gitlab"])

    # --- people --------------------------------------------------------------------------------------------

    async def permission(self, repository: str, login: str) -> Permission:
        user = await self._user(login)
        if user is None:
            return Permission.NONE
        path, about = self._at(repository, "members", "all", user), self._about(repository, "members")
        answer = await self._http.get(path, about=about, ok=(200, 404))
        if answer.status == 404:
            await self._http.get(self._at(repository), about=self._about(repository))  # is it there at all?
            return Permission.NONE
        return read.permission(answer.json().get("access_level"))

    async def is_member(self, organisation: str, login: str) -> bool:
        """Of the group, or of one it is in."""
        user = await self._user(login)
        if user is None:
            return False
        path = f"/groups/{quote(organisation, safe='')}/members/all/{user}"
        answer = await self._http.get(path, about=f"group {organisation}", ok=(200, 404))
        return answer.status == 200

    async def _user(self, login: str) -> int | None:
        """The id of an account that may log in; members are asked for by it."""
        if not login:
            return None
        said = (await self._http.get("/users", {"username": login}, about="accounts")).json()
        found = next((u for u in said or () if read.username(u).lower() == login.lower()), None)
        return int(found["id"]) if found and found.get("state", "active") == "active" else None

    async def missing_for(self, repository: str, paths: Collection[str]) -> Sequence[MissingRight]:
        """Nothing: whoever may push a branch may push any path on it."""
        return ()

    async def rights(self, repository: str) -> Sequence[MissingRight]:
        """What the token's scopes and our role in the project lack. A token that cannot look at itself (of a job, of an
        application) is judged by the role alone.
        """
        missing = []
        answer = await self._http.get(
            "/personal_access_tokens/self", about="our own token", ok=(200, 401, 403, 404)
        )
        if answer.status == 200 and "api" not in (answer.json().get("scopes") or ()):
            missing.append(
                MissingRight(
                    "api", "to read issues, open merge requests and push", "make a token with the scope api"
                )
            )
        said = (await self._http.get(self._at(repository), about=self._about(repository))).json()
        given = (said.get("permissions") or {}).values()
        if max((int((each or {}).get("access_level") or 0) for each in given), default=0) < _DEVELOPER:
            remedy = "give our account this role: the project's Manage, Members"
            why = "to push branches, open merge requests and set statuses"
            missing.append(MissingRight("Developer", why, remedy))
        return missing


def _names(labels: Sequence[str]) -> str:
    """Names in one field, as GitLab takes them."""
    return ",".join(marks.storable(label).replace(",", " ") for label in labels)

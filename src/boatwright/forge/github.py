"""GitHub, github.com or an enterprise server: ``forge.protocol.Forge`` over its REST API, and GraphQL for drafts.

Every effect may be repeated without harm: a pull request is found by its head, a comment, an issue and a check by their
marks. Source of what is sent and read: GitHub's REST documentation, version 2022-11-28; a merge, a label or a reaction
that is there already is an answer, not an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from boatwright import errors
from boatwright.forge import (
    github_checks,
    github_drafts,
    github_merging,
    github_missed,
    github_reading,
    github_rights,
    github_talk,
    heads,
    marks,
    protocol,
    whereabouts,
)
from boatwright.forge.github_app import HEADERS, Logins, api
from boatwright.forge.github_theirs import GitHubTheirs
from boatwright.forge.hooks import AppHook, Hooks, RepositoryHooks
from boatwright.forge.http import Answer, Call, ForgeHttp, Sleep
from boatwright.forge.protocol import Check, Comment, Issue, MissingRight, PullRequest, ReviewComment
from boatwright.git import names
from boatwright.rules.hooks import WORDS
from boatwright.rules.missed import Progress
from boatwright.values.clock import Clock, Ids
from boatwright.values.people import Permission

NAME = "GitHub"


class GitHub(GitHubTheirs):
    """One GitHub and one login. ``path`` says what a repository id of ours is called there: ``owner/name``."""

    def __init__(
        self,
        base_url: str,
        logins: Logins,
        *,
        path: Callable[[str], str],
        clock: Clock,
        ids: Ids,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._base_url, self._logins, self._path = base_url, logins, path
        self._clock, self._ids, self._sleep = clock, ids, sleep
        self._me = ""

    @property
    def name(self) -> str:
        return "github"

    def push_url(self, repository: str) -> str:
        return f"{self._base_url}/{self._path(repository)}.git"

    async def credential(self, repository: str) -> bytes:
        token = await self._logins.of(self._path(repository)).token()
        return f"username=x-access-token\npassword={token}\n".encode()

    async def add_repository(self, repository: str, *, source: str, default_branch: str) -> None:
        """It is there, or ``errors.NotFound``."""
        await self._http(repository).get(self._at(repository, ""), about=self._path(repository))

    # --- issues --------------------------------------------------------------------------------------------

    async def issue(self, repository: str, number: int) -> Issue:
        said = (await self._get(repository, f"/issues/{number}", f"issue {number}")).json()
        if "pull_request" in said:
            raise errors.NotFound(
                f"{number} of {self._path(repository)} is a pull request, not an issue", subject=str(number)
            )
        return github_reading.issue(repository, said, await self.me())

    async def create_issue(
        self, repository: str, *, title: str, body: str, author: str, labels: Sequence[str] = ()
    ) -> Issue:
        """The author is whoever the login is; ``author`` is for forges without logins."""
        once, me = self._ids.token(), await self.me()
        said = {
            "title": marks.one_line(title),
            "body": marks.write(body, once=once),
            "labels": [*dict.fromkeys(labels)],
        }

        async def look() -> Issue | None:
            answer = await self._get(
                repository, "/issues", "its issues", creator=me, state="all", per_page=100
            )
            found = (
                each for each in answer.json() if marks.read(each.get("body") or "", ours=True).once == once
            )
            return next((github_reading.issue(repository, each, me) for each in found), None)

        about = f"the issues of {self._path(repository)}"
        call = Call("POST", self._at(repository, "/issues"), json=said, about=about)
        return await self._http(repository).create(
            call, lambda answer: github_reading.issue(repository, answer.json(), me), look
        )

    async def issues(self, repository: str, *, state: str | None = "open") -> Sequence[Issue]:
        me = await self.me()
        path = self._at(repository, "/issues")
        listed = self._http(repository).pages(path, about="its issues", state=state or "all", direction="asc")
        found = [
            github_reading.issue(repository, said, me) async for said in listed if "pull_request" not in said
        ]
        return sorted(found, key=lambda issue: issue.number)

    async def close_issue(self, repository: str, number: int) -> Issue:
        found = await self.issue(repository, number)
        if found.state == "closed":
            return found
        return await self._issue(repository, number, {"state": "closed"})

    async def describe_issue(self, repository: str, number: int, *, body: str) -> Issue:
        return await self._issue(repository, number, {"body": marks.write(body)})

    async def _issue(self, repository: str, number: int, said: dict[str, Any]) -> Issue:
        found = await self._patch(repository, f"/issues/{number}", said, f"issue {number}")
        return github_reading.issue(repository, found, await self.me())

    async def relabel(
        self, repository: str, number: int, *, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> Issue:
        http, about = self._http(repository), f"the labels of issue {number}"
        path = self._at(repository, f"/issues/{number}/labels")
        if add:
            await http.call(Call("POST", path, json={"labels": [*add]}, again=True, about=about))
        for label in remove:
            await http.call(
                Call("DELETE", f"{path}/{quote(label, safe='')}", ok=(200, 204, 404), about=about)
            )
        return await self.issue(repository, number)

    async def labelled_by(
        self, repository: str, number: int, labels: Collection[str]) -> protocol.Labelled | None:  # fmt: skip
        path = self._at(repository, f"/issues/{number}/events")
        return github_reading.labelled_by(await self._http(repository).list(path, about="its labels"), labels)

    # --- pull requests -------------------------------------------------------------------------------------

    async def pull_request(self, repository: str, number: int) -> PullRequest:
        said = await self._raw(repository, number)
        return github_reading.pull(repository, said, await self.me())

    async def pull_requests(self, repository: str, *, state: str | None = "open") -> Sequence[PullRequest]:
        me = await self.me()
        asked = "closed" if state == "merged" else state or "all"
        listed = self._http(repository).pages(
            self._at(repository, "/pulls"), about="its pull requests", state=asked, direction="asc"
        )
        found = [github_reading.pull(repository, said, me) async for said in listed]
        return sorted((pull for pull in found if state in {None, pull.state}), key=lambda pull: pull.number)

    async def find_pull_request(self, repository: str, *, branch: str) -> PullRequest | None:
        return await self._of_branch(repository, branch, "all")

    async def _of_branch(self, repository: str, branch: str, state: str) -> PullRequest | None:
        owner = self._path(repository).partition("/")[0]
        answer = await self._get(
            repository,
            "/pulls",
            "its pull requests",
            head=f"{owner}:{branch}",
            state=state,
            sort="created",
            direction="desc",
        )
        me = await self.me()
        found = (github_reading.pull(repository, said, me) for said in answer.json())
        return next((pull for pull in found if pull.branch == branch and not pull.fork), None)

    async def open_pull_request(
        self, repository: str, *, title: str, body: str, branch: str, base_ref: str, draft: bool, author: str,
        issue: int | None,
    ) -> PullRequest:  # fmt: skip
        """One open pull request per branch: a second call finds the first one. The branch must have been pushed."""
        me = await self.me()

        async def look() -> PullRequest | None:
            return await self._of_branch(repository, branch, "open")

        found = await look()
        if found is not None:
            return found
        text = marks.write(body, issue=issue)
        said = {
            "title": marks.one_line(title), "body": text, "head": branch, "base": base_ref, "draft": draft,
        }  # fmt: skip
        call = Call("POST", self._at(repository, "/pulls"), json=said, about=f"a pull request of {branch}")
        try:
            return await self._http(repository).create(
                call, lambda answer: github_reading.pull(repository, answer.json(), me), look
            )
        except errors.BadInput:  # 422: somebody was quicker, or there is no such branch
            found = await look()
            if found is None:
                raise
            return found

    async def update_pull_request(
        self, repository: str, number: int, *, title: str | None = None, body: str | None = None,
        draft: bool | None = None, head: str | None = None,
    ) -> PullRequest:  # fmt: skip
        """Change an open pull request; ``errors.Conflict`` when its branch is elsewhere than at ``head``."""
        raw, me = await self._raw(repository, number), await self.me()
        now = github_reading.pull(repository, raw, me)
        heads.stands(now, head)
        if now.state != "open":
            raise errors.Conflict(f"pull request {number} is {now.state}", subject=str(number))
        said = {} if title is None else {"title": marks.one_line(title)}
        if body is not None:
            said["body"] = marks.write(body, issue=now.issue)
        if said:
            await self._patch(repository, f"/pulls/{number}", said, f"pull request {number}")
        if draft is not None and draft != now.draft:
            await self._set_draft(repository, raw, draft)
        after = await self.pull_request(repository, number)
        if head is not None and after.head != names.oid(head) and draft is False:
            await self._set_draft(
                repository, raw, True
            )  # ready belongs to one commit, and it moved under our hands
        heads.stands(after, head)
        return after

    async def _set_draft(self, repository: str, raw: Any, draft: bool) -> None:
        await github_drafts.set_draft(self._http(repository), raw, draft)

    async def close_pull_request(self, repository: str, number: int) -> PullRequest:
        """Close without merging. Closed already is fine; ``errors.Conflict`` when it is merged."""
        said = await self._patch(
            repository, f"/pulls/{number}", {"state": "closed"}, f"pull request {number}"
        )
        pull = github_reading.pull(repository, said, await self.me())
        if pull.state == "merged":
            raise errors.Conflict(f"pull request {number} is merged already", subject=str(number))
        return pull

    async def merge_pull_request(self, repository: str, number: int, *, head: str) -> PullRequest:
        """Merge exactly ``head``; the issue it is for is closed. A redo finds the merge."""
        raw = await self._raw(repository, number)
        pull = github_reading.pull(repository, raw, await self.me())
        if pull.state == "open":
            heads.stands(pull, head)
            if pull.draft:  # a draft is not merged; whoever asks for it has been told
                await self._set_draft(repository, raw, False)
            refused = await github_merging.merge(
                self._http(repository),
                self._at(repository, f"/pulls/{number}/merge"),
                number,
                names.oid(head),
            )
            pull = await self.pull_request(repository, number)
            if refused and pull.state != "merged":
                raise refused
        if pull.state != "merged" or pull.head != names.oid(head):
            raise errors.Conflict(f"pull request {number} is {pull.state} already", subject=str(number))
        if pull.issue is not None:
            await self.close_issue(repository, pull.issue)
        return pull

    async def review_comments(
        self, repository: str, number: int, *, since: datetime | None = None
    ) -> Sequence[ReviewComment]:
        path = self._at(repository, f"/pulls/{number}/comments")
        return await github_talk.on_lines(self._http(repository), path, repository, number, since)

    # --- comments and checks -------------------------------------------------------------------------------

    async def comments(
        self, repository: str, number: int, *, since: datetime | None = None
    ) -> Sequence[Comment]:
        me, path = await self.me(), self._at(repository, f"/issues/{number}/comments")
        return await github_talk.comments(self._http(repository), path, repository, number, me, since)

    async def post_comment(
        self, repository: str, number: int, *, author: str, body: str, marker: str = ""
    ) -> Comment:
        once, me = self._ids.token(), await self.me()
        path, about = self._at(repository, f"/issues/{number}/comments"), f"the comments of {number}"

        async def look() -> Comment | None:
            for said in await self._http(repository).list(path, about=about):
                if marks.read(said.get("body") or "", ours=True).once == once:
                    return github_reading.comment(repository, number, said, me)
            return None

        call = Call("POST", path, json={"body": marks.write(body, marker=marker, once=once)}, about=about)
        return await self._http(repository).create(
            call, lambda answer: github_reading.comment(repository, number, answer.json(), me), look
        )

    async def edit_comment(self, repository: str, comment: int, *, body: str) -> Comment:
        """Its marker stays."""
        path, about = f"/issues/comments/{comment}", f"comment {comment}"
        now = (await self._get(repository, path, about)).json()
        me, number = await self.me(), github_reading.number_of(now)
        marker = github_reading.comment(repository, number, now, me).marker
        said = await self._patch(repository, path, {"body": marks.write(body, marker=marker)}, about)
        return github_reading.comment(repository, number, said, me)

    async def delete_comment(self, repository: str, comment: int) -> None:
        """Gone already is fine."""
        path = self._at(repository, f"/issues/comments/{comment}")
        await self._http(repository).call(Call("DELETE", path, ok=(204, 404), about=f"comment {comment}"))

    async def react(
        self, repository: str, number: int, *, comment: int | None = None, reaction: str = "eyes"
    ) -> None:
        where = f"/issues/{number}" if comment is None else f"/issues/comments/{comment}"
        path = self._at(repository, f"{where}/reactions")
        await self._http(repository).call(
            Call("POST", path, json={"content": reaction}, again=True, about=f"a reaction to {number}")
        )

    async def set_check(self, check: Check) -> Check:
        runs, statuses = self._checks(check.repository)
        return await (runs.set(check) if self._logins.is_app else statuses.set(check))

    async def checks(self, repository: str, commit: str) -> Sequence[Check]:
        runs, statuses = self._checks(repository)
        return await github_checks.both(runs, statuses, repository, names.oid(commit))

    def _checks(self, repository: str) -> tuple[github_checks.Runs, github_checks.Statuses]:
        http, path = self._http(repository), self._path(repository)
        return github_checks.Runs(http, path), github_checks.Statuses(http, path, f"{self._base_url}/{path}")

    async def required_checks(self, repository: str, branch: str) -> Sequence[str]:
        named = await github_rights.required(self._http(repository), self._at(repository, ""), branch)
        return named if named and await self._sees_runs(repository, branch) else ()

    # --- people --------------------------------------------------------------------------------------------

    async def me(self) -> str:
        if not self._me:
            self._me = await self._logins.me(self._http_of(""))
        return self._me

    async def ask_again(self, before: Progress) -> tuple[int, Progress]:
        """Have webhooks sent again that nobody took; an App alone is told which those are."""
        http = self._logins.as_app
        return await github_missed.ask_again(http, self._clock.now(), before) if http else (0, before)

    async def called(self, repository: str, path: str) -> str:  # of none: with the login of the path
        http = self._http(repository) if repository else self._http_of(path)
        return await whereabouts.github(http, path)

    def hooks(self, repository: str) -> Hooks:
        app, at = self._logins.as_app, self._at(repository, "/hooks")
        return AppHook(app) if app else RepositoryHooks(self._http(repository), at, WORDS["github"])

    async def permission(self, repository: str, login: str) -> Permission:
        path = self._at(repository, f"/collaborators/{quote(login, safe='')}/permission")
        answer = await self._http(repository).get(path, about=f"the rights of {login}", ok=(200, 404))
        return Permission.NONE if answer.status == 404 else github_reading.permission(answer.json())

    async def is_member(self, organisation: str, login: str) -> bool:
        return await github_rights.is_member(self._http_of(organisation), organisation, login)

    async def rights(self, repository: str) -> Sequence[MissingRight]:
        return await github_rights.missing(self._http(repository), self._logins, self._path(repository))

    # --- the calls -----------------------------------------------------------------------------------------

    def _http(self, repository: str) -> ForgeHttp:
        return self._http_of(self._path(repository))

    def _http_of(self, path: str) -> ForgeHttp:
        login = self._logins.of(path)
        return ForgeHttp(
            api(self._base_url), login, name=NAME, clock=self._clock, sleep=self._sleep, headers=HEADERS
        )

    def _at(self, repository: str, rest: str) -> str:
        return f"/repos/{quote(self._path(repository))}{rest}"

    async def _get(self, repository: str, rest: str, about: str, **params: str | int) -> Answer:
        about = f"{about} of {self._path(repository)}"
        return await self._http(repository).get(self._at(repository, rest), params, about=about)

    async def _raw(self, repository: str, number: int) -> Any:
        return (await self._get(repository, f"/pulls/{number}", f"pull request {number}")).json()

    async def _patch(self, repository: str, rest: str, said: dict[str, Any], about: str) -> Any:
        about = f"{about} of {self._path(repository)}"
        call = Call("PATCH", self._at(repository, rest), json=said, about=about)
        return (await self._http(repository).call(call)).json()

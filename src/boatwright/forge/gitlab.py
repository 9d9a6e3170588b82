"""GitLab over ``/api/v4``: issues and merge requests.

A merge request is a pull request here. A draft is a title that begins with ``Draft:``; where a branch stands is asked of
the branch, because the merge request learns of a push later.

Sources: GitLab, "Issues API", "Merge requests API", "Notes API", "Commits API", "Members API" (17.x), and its own code for
what is refused with which status. Not run against a server.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from boatwright import errors
from boatwright.forge import drafts, gitlab_words, landing, marks
from boatwright.forge import gitlab_read as read
from boatwright.forge.gitlab_talk import GitLabTalk
from boatwright.forge.http import Answer, Call
from boatwright.forge.landing import Attempt
from boatwright.forge.protocol import Issue, PullRequest
from boatwright.rules import gitlab_numbers

_LISTED = {"open": "opened", "closed": "closed", "merged": "merged", None: "all"}
_UNSURE = frozenset(
    {"", "unchecked", "checking", "preparing", "commits_status", "approvals_syncing", "mergeable"}
)
"""``detailed_merge_status`` while GitLab is still working it out."""


class GitLab(GitLabTalk):
    """``forge.protocol.Forge`` at a GitLab."""

    async def credential(self, repository: str) -> bytes:
        """What git is to say: the token is the password, under any name."""
        return f"username=oauth2\npassword={await self._login.token()}\n".encode()

    async def add_repository(self, repository: str, *, source: str, default_branch: str) -> None:
        """It is there; ``errors.NotFound`` when it is not, or we may not see it."""
        await self._http.get(self._at(repository), about=self._about(repository))

    # --- issues --------------------------------------------------------------------------------------------

    async def issue(self, repository: str, number: int) -> Issue:
        return read.issue(repository, await self._issue(repository, number), me=await self.me())

    async def _issue(self, repository: str, number: int) -> Any:
        about = self._about(repository, number)
        if gitlab_numbers.is_pull(number):
            raise errors.NotFound(f"{about} is a pull request, not an issue", subject=str(number))
        return (await self._http.get(self._thread(repository, number), about=about)).json()

    async def create_issue(
        self, repository: str, *, title: str, body: str, author: str, labels: Sequence[str] = ()
    ) -> Issue:
        """``author`` is for forges without accounts: here it is ours."""
        me, once, path = await self.me(), self._ids.token(), self._at(repository, "issues")

        async def look() -> Issue | None:
            async for said in self._http.pages(path, author_username=me, scope="all", sort="desc"):
                if read.once(said.get("description")) == once:
                    return read.issue(repository, said, me=me)
            return None

        content = {
            "title": drafts.one_line(title)[: drafts.LONGEST_TITLE],
            "description": gitlab_words.harmless(marks.write(body, once=once)),
            "labels": ",".join(marks.storable(label).replace(",", " ") for label in labels),
        }
        call = Call("POST", path, json=content, about=self._about(repository))
        return await self._http.create(
            call, lambda answer: read.issue(repository, answer.json(), me=me), look
        )

    async def issues(self, repository: str, *, state: str | None = "open") -> Sequence[Issue]:
        me, path = await self.me(), self._at(repository, "issues")
        said = self._http.pages(
            path, about=self._about(repository), scope="all", state=_LISTED.get(state, "all")
        )
        found = [read.issue(repository, each, me=me) async for each in said]
        return sorted(found, key=lambda issue: issue.number)

    async def close_issue(self, repository: str, number: int) -> Issue:
        said = await self._issue(repository, number)
        if said.get("state") != "closed":
            said = await self._put(repository, number, {"state_event": "close"})
        return read.issue(repository, said, me=await self.me())

    async def describe_issue(self, repository: str, number: int, *, body: str) -> Issue:
        before = str((await self._issue(repository, number)).get("description") or "")
        description = gitlab_words.harmless(marks.write(body), after=before)
        said = await self._put(repository, number, {"description": description})
        return read.issue(repository, said, me=await self.me())

    async def _put(self, repository: str, number: int, content: dict[str, str]) -> Any:
        about = self._about(repository, number)
        call = Call("PUT", self._thread(repository, number), json=content, about=about)
        return (await self._http.call(call)).json()

    # --- pull requests -------------------------------------------------------------------------------------

    async def pull_request(self, repository: str, number: int) -> PullRequest:
        return await self._as_it_stands(await self._pull(repository, number))

    async def _pull(self, repository: str, number: int) -> PullRequest:
        return read.pull(repository, await self._said_of(repository, number), me=await self.me())

    async def _said_of(self, repository: str, number: int) -> Any:
        about = self._about(repository, number)
        if not gitlab_numbers.is_pull(number):
            raise errors.NotFound(f"there is no pull request {about}", subject=str(number))
        return (await self._http.get(self._thread(repository, number), about=about)).json()

    async def _as_it_stands(self, pull: PullRequest) -> PullRequest:
        """An open one's head is where its branch is now: the merge request learns of a push some time after it."""
        if pull.state != "open" or pull.fork:
            return pull
        return replace(pull, head=await self._head(pull.repository, pull.branch) or pull.head)

    async def _head(self, repository: str, branch: str) -> str | None:
        path = self._at(repository, "repository", "branches", branch)
        answer = await self._http.get(path, about=self._about(repository, f"branch {branch}"), ok=(200, 404))
        return None if answer.status == 404 else str(answer.json()["commit"]["id"])

    async def pull_requests(self, repository: str, *, state: str | None = "open") -> Sequence[PullRequest]:
        me, path = await self.me(), self._at(repository, "merge_requests")
        said = self._http.pages(
            path, about=self._about(repository), scope="all", state=_LISTED.get(state, "all")
        )
        found = [read.pull(repository, each, me=me) async for each in said]
        return sorted(found, key=lambda pull: pull.number)

    async def find_pull_request(self, repository: str, *, branch: str) -> PullRequest | None:
        """Newest first; a branch of the same name in a fork is not it."""
        me, path = await self.me(), self._at(repository, "merge_requests")
        said = self._http.pages(
            path, about=self._about(repository), scope="all", state="all", source_branch=branch, sort="desc",
            order_by="created_at",
        )  # fmt: skip
        found = [read.pull(repository, each, me=me) async for each in said]
        ours = [pull for pull in found if pull.branch == branch and not pull.fork]
        newest = max(ours, key=lambda pull: pull.number, default=None)
        return None if newest is None else await self._as_it_stands(newest)

    async def open_pull_request(
        self, repository: str, *, title: str, body: str, branch: str, base_ref: str, draft: bool, author: str,
        issue: int | None,
    ) -> PullRequest:  # fmt: skip
        """One open pull request per branch: the forge answers 409 for a second one, and the first is found."""
        me = await self.me()
        if await self._head(repository, branch) is None:
            raise errors.BadInput(
                f"there is no {self._about(repository, f'branch {branch}')}", subject=branch,
                next_moves=(f"git push {self.push_url(repository)} HEAD:refs/heads/{branch}",),
            )  # fmt: skip
        content = {
            "title": drafts.GITLAB.write(title, draft=draft), "source_branch": branch, "target_branch": base_ref,
            "description": gitlab_words.harmless(marks.write(body, issue=issue)),
        }  # fmt: skip
        call = Call(
            "POST", self._at(repository, "merge_requests"), json=content, ok=(201, 409),
            about=self._about(repository, f"branch {branch}"),
        )  # fmt: skip

        def made(answer: Answer) -> PullRequest | None:
            return None if answer.status == 409 else read.pull(repository, answer.json(), me=me)

        async def look() -> PullRequest | None:
            found = await self.find_pull_request(repository, branch=branch)
            return found if found is not None and found.state == "open" else None

        found = await self._http.create(call, made, look) or await look()
        if found is None:
            raise errors.Conflict(
                f"{self.name} says that {branch} has an open merge request already, and lists none", subject=branch,
                next_moves=("try again",),
            )  # fmt: skip
        return await self._as_it_stands(found)

    async def update_pull_request(
        self, repository: str, number: int, *, title: str | None = None, body: str | None = None,
        draft: bool | None = None, head: str | None = None,
    ) -> PullRequest:  # fmt: skip
        """Change an open pull request; ``errors.Conflict`` when it is not open, or not at ``head``."""
        now = await self.pull_request(repository, number)
        landing.require_open(now)
        if head is not None:
            landing.require_head(now, head)
        content: dict[str, str] = {}
        if title is not None or draft is not None:
            wanted = now.draft if draft is None else draft
            content["title"] = drafts.GITLAB.write(now.title if title is None else title, draft=wanted)
        if body is not None:
            content["description"] = gitlab_words.harmless(marks.write(body, issue=now.issue))
        if not content:
            return now
        return replace(await self._change(repository, number, content), head=now.head)

    async def _change(self, repository: str, number: int, content: dict[str, str]) -> PullRequest:
        return read.pull(repository, await self._put(repository, number, content), me=await self.me())

    async def close_pull_request(self, repository: str, number: int) -> PullRequest:
        """Close without merging. Closed already is fine; ``errors.Conflict`` when it is merged."""
        now = await self.pull_request(repository, number)
        if now.state == "merged":
            landing.require_open(now)
        if now.state == "closed":
            return now
        after = await self._change(repository, number, {"state_event": "close"})
        if after.state == "merged":  # it was quicker: closing what is merged changes nothing there
            landing.require_open(after)
        return after

    # --- merging -------------------------------------------------------------------------------------------

    async def merge_pull_request(self, repository: str, number: int, *, head: str) -> PullRequest:
        """Merge exactly ``head``; the issue it is for is closed."""

        async def now() -> PullRequest:
            return await self.pull_request(repository, number)

        async def set_draft(draft: bool) -> PullRequest:
            title = drafts.GITLAB.write((await now()).title, draft=draft)
            return await self._change(repository, number, {"title": title})

        async def attempt() -> Attempt:
            return await self._attempt(repository, number, head)

        merged = await landing.land(landing.Steps(now, set_draft, attempt, self._sleep), head)
        if merged.issue is not None:
            await self.close_issue(repository, merged.issue)
        return merged

    async def _attempt(self, repository: str, number: int, head: str) -> Attempt:
        """405: a draft, closed, merged, a pipeline that has not passed, or not worked out yet. 406, and 422 in newer
        versions: it does not merge, or not worked out yet. 409: the head has moved. 401: our role may not.
        """
        about = self._about(repository, number)
        call = Call(
            "PUT", self._thread(repository, number, "merge"), json={"sha": head},
            ok=(200, 401, 405, 406, 409, 422), about=about,
        )  # fmt: skip
        answer = await self._http.call(call)
        if answer.status == 200:
            return Attempt.DONE
        if answer.status == 401:
            raise errors.Parked(
                f"{self.name} does not let us merge {about}", code="forge_rights", subject=about,
                next_moves=("give our account the role Maintainer, or merge by hand",),
            )  # fmt: skip
        status = str((await self._said_of(repository, number)).get("detailed_merge_status") or "")
        return Attempt.LATER if answer.status != 409 and status in _UNSURE else Attempt.REFUSED

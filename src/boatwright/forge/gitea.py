"""Gitea and Forgejo over ``/api/v1``: issues and pull requests.

The two have one API; only the name differs. A draft is a title that begins with ``WIP:``, pull requests and issues share
their numbers, and a merge is guarded by the commit it is meant for.

Sources: Gitea 1.27 and Forgejo 11 as their generated clients describe them, and Gitea's own handlers
(``routers/api/v1/repo``). Not run against a server.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from boatwright import errors
from boatwright.forge import drafts, landing, marks
from boatwright.forge import gitea_read as read
from boatwright.forge.gitea_talk import GiteaTalk
from boatwright.forge.http import Answer, Call
from boatwright.forge.landing import Attempt
from boatwright.forge.protocol import Issue, PullRequest

FAR = 1_000
"""Closed pull requests that are looked through for the newest of a branch."""
_LISTED = {"open": "open", "closed": "closed", "merged": "closed", None: "all"}


class Gitea(GiteaTalk):
    """``forge.protocol.Forge`` at a Gitea or a Forgejo."""

    async def credential(self, repository: str) -> bytes:
        """What git is to say: the token is the password, under any name."""
        return f"username=boatwright\npassword={await self._login.token()}\n".encode()

    async def add_repository(self, repository: str, *, source: str, default_branch: str) -> None:
        """It is there; ``errors.NotFound`` when it is not, or we may not see it."""
        await self._http.get(self._at(repository), about=self._about(repository))

    # --- issues --------------------------------------------------------------------------------------------

    async def issue(self, repository: str, number: int) -> Issue:
        return read.issue(repository, await self._issue(repository, number), me=await self.me())

    async def _issue(self, repository: str, number: int) -> Any:
        about = self._about(repository, f"issue {number}")
        said = (await self._http.get(self._at(repository, "issues", number), about=about)).json()
        if said.get("pull_request"):
            raise errors.NotFound(f"{about} is a pull request, not an issue", subject=str(number))
        return said

    async def create_issue(
        self, repository: str, *, title: str, body: str, author: str, labels: Sequence[str] = ()
    ) -> Issue:
        """``author`` is for forges without accounts: here it is ours."""
        me, once = await self.me(), self._ids.token()

        async def look() -> Issue | None:
            path = self._at(repository, "issues")
            async for said in self._http.pages(path, type="issues", state="all", created_by=me):
                if marks.read(str(said.get("body") or ""), ours=True).once == once:
                    return read.issue(repository, said, me=me)
            return None

        content = {
            "title": drafts.one_line(title)[: drafts.LONGEST_TITLE], "body": marks.write(body, once=once),
            "labels": await self._label_ids(repository, labels) if labels else [],
        }  # fmt: skip
        call = Call("POST", self._at(repository, "issues"), json=content, about=self._about(repository))
        return await self._http.create(
            call, lambda answer: read.issue(repository, answer.json(), me=me), look
        )

    async def issues(self, repository: str, *, state: str | None = "open") -> Sequence[Issue]:
        me, path = await self.me(), self._at(repository, "issues")
        said = self._http.pages(
            path, about=self._about(repository), type="issues", state=_LISTED.get(state, "all")
        )
        found = [read.issue(repository, each, me=me) async for each in said]
        return sorted(found, key=lambda issue: issue.number)

    async def close_issue(self, repository: str, number: int) -> Issue:
        about = self._about(repository, f"issue {number}")
        said = await self._issue(repository, number)
        if said.get("state") != "closed":
            call = Call(
                "PATCH", self._at(repository, "issues", number), json={"state": "closed"}, about=about
            )
            said = (await self._http.call(call)).json()
        return read.issue(repository, said, me=await self.me())

    async def describe_issue(self, repository: str, number: int, *, body: str) -> Issue:
        await self._issue(repository, number)
        path, about = self._at(repository, "issues", number), self._about(repository, f"issue {number}")
        call = Call("PATCH", path, json={"body": marks.write(body)}, about=about)
        return read.issue(repository, (await self._http.call(call)).json(), me=await self.me())

    # --- pull requests -------------------------------------------------------------------------------------

    async def pull_request(self, repository: str, number: int) -> PullRequest:
        about = self._about(repository, f"pull request {number}")
        said = (await self._http.get(self._at(repository, "pulls", number), about=about)).json()
        return read.pull(repository, said, me=await self.me())

    async def pull_requests(self, repository: str, *, state: str | None = "open") -> Sequence[PullRequest]:
        me, path = await self.me(), self._at(repository, "pulls")
        said = self._http.pages(path, about=self._about(repository), state=_LISTED.get(state, "all"))
        found = [read.pull(repository, each, me=me) async for each in said]
        return sorted((p for p in found if state in {None, p.state}), key=lambda pull: pull.number)

    async def find_pull_request(self, repository: str, *, branch: str) -> PullRequest | None:
        """The open one, else the newest of the others; a branch of the same name in a fork is not it.

        There is no list by branch. Whether there was ever one into the default branch can be asked; only then the others
        are looked through. One that went into another branch and is closed is not found.
        """
        found = await self._open_of(repository, branch)
        if found is not None:
            return found
        ever = await self._ever(repository, branch)
        return None if ever is None else await self._newest_closed(ever)

    async def _open_of(self, repository: str, branch: str) -> PullRequest | None:
        """The open pull request of a branch; the newest, where it has several bases."""
        me, path = await self.me(), self._at(repository, "pulls")
        async for said in self._http.pages(path, about=self._about(repository), state="open"):
            found = read.pull(repository, said, me=me)
            if found.branch == branch and not found.fork:
                return found
        return None

    async def _ever(self, repository: str, branch: str) -> PullRequest | None:
        """Some pull request of a branch into the default one, in any state."""
        about = self._about(repository)
        base = str(
            (await self._http.get(self._at(repository), about=about)).json().get("default_branch") or ""
        )
        path = f"{self._at(repository, 'pulls', base)}/{quote(branch, safe='/')}"
        answer = await self._http.get(path, about=about, ok=(200, 404))
        return read.pull(repository, answer.json(), me=await self.me()) if answer.status == 200 else None

    async def _newest_closed(self, ever: PullRequest) -> PullRequest:
        """The newest of that branch, looked for as far down as is worth the calls."""
        me, looked = await self.me(), 0
        path, about = self._at(ever.repository, "pulls"), self._about(ever.repository)
        async for said in self._http.pages(path, about=about, state="closed"):
            found = read.pull(ever.repository, said, me=me)
            if found.branch == ever.branch and not found.fork:
                return found
            looked += 1
            if looked == FAR:
                break
        return ever

    async def open_pull_request(
        self, repository: str, *, title: str, body: str, branch: str, base_ref: str, draft: bool, author: str,
        issue: int | None,
    ) -> PullRequest:  # fmt: skip
        """One open pull request per branch: the forge answers 409 for a second one, and the first is found."""
        me = await self.me()
        await self._require_branch(repository, branch)
        content = {
            "title": drafts.GITEA.write(title, draft=draft), "body": marks.write(body, issue=issue),
            "head": branch, "base": base_ref,
        }  # fmt: skip
        call = Call(
            "POST", self._at(repository, "pulls"), json=content, ok=(201, 409),
            about=self._about(repository, f"branch {branch}"),
        )  # fmt: skip

        def made(answer: Answer) -> PullRequest | None:
            return None if answer.status == 409 else read.pull(repository, answer.json(), me=me)

        async def look() -> PullRequest | None:
            return await self._open_of(repository, branch)

        found = await self._http.create(call, made, look)
        return found or await self._found_after_all(repository, branch)

    async def _require_branch(self, repository: str, branch: str) -> None:
        about = self._about(repository, f"branch {branch}")
        path = f"{self._at(repository, 'branches')}/{quote(branch, safe='/')}"
        if (await self._http.get(path, about=about, ok=(200, 404))).status == 404:
            raise errors.BadInput(
                f"there is no {about}", subject=branch,
                next_moves=(f"git push {self.push_url(repository)} HEAD:refs/heads/{branch}",),
            )  # fmt: skip

    async def _found_after_all(self, repository: str, branch: str) -> PullRequest:
        found = await self._open_of(repository, branch)
        if found is None:
            raise errors.Conflict(
                f"{self.name} says that {branch} has an open pull request already, and lists none",
                subject=branch,
                next_moves=("try again",),
            )
        return found

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
            content["title"] = drafts.GITEA.write(now.title if title is None else title, draft=wanted)
        if body is not None:
            content["body"] = marks.write(body, issue=now.issue)
        return await self._change(repository, number, content) if content else now

    async def _change(self, repository: str, number: int, content: dict[str, str]) -> PullRequest:
        about = self._about(repository, f"pull request {number}")
        call = Call("PATCH", self._at(repository, "pulls", number), json=content, about=about)
        return read.pull(repository, (await self._http.call(call)).json(), me=await self.me())

    async def close_pull_request(self, repository: str, number: int) -> PullRequest:
        """Close without merging. Closed already is fine; ``errors.Conflict`` when it is merged."""
        now = await self.pull_request(repository, number)
        if now.state == "merged":
            landing.require_open(now)
        if now.state == "closed":
            return now
        return await self._change(repository, number, {"state": "closed"})

    # --- merging -------------------------------------------------------------------------------------------

    async def merge_pull_request(self, repository: str, number: int, *, head: str) -> PullRequest:
        """Merge exactly ``head`` by the first style the repository allows; the issue it is for is closed."""

        async def now() -> PullRequest:
            return await self.pull_request(repository, number)

        async def set_draft(draft: bool) -> PullRequest:
            title = drafts.GITEA.write((await now()).title, draft=draft)
            return await self._change(repository, number, {"title": title})

        about = self._about(repository)
        style = read.merge_style((await self._http.get(self._at(repository), about=about)).json())

        async def attempt() -> Attempt:
            return await self._attempt(repository, number, {"Do": style, "head_commit_id": head})

        merged = await landing.land(landing.Steps(now, set_draft, attempt, self._sleep), head)
        if merged.issue is not None:
            await self.close_issue(repository, merged.issue)
        return replace(merged, draft=False)

    async def _attempt(self, repository: str, number: int, order: dict[str, str]) -> Attempt:
        """404: it is closed. 405: a draft, merged, forbidden, or *try again later*, which covers a conflict as well.
        409: a conflict, or the head has moved. Sending it again is harmless: what is merged answers 405.
        """
        call = Call(
            "POST", self._at(repository, "pulls", number, "merge"),
            json=order, ok=(200, 404, 405, 409), again=True,
            about=self._about(repository, f"pull request {number}"),
        )  # fmt: skip
        answer = await self._http.call(call)
        if answer.status == 200:
            return Attempt.DONE
        later = answer.status == 405 and "try again later" in answer.text.lower()
        return Attempt.LATER if later else Attempt.REFUSED

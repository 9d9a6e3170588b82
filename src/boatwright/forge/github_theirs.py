"""Checks that others set on a commit at GitHub: check runs of any App, GitHub's own Actions among them, and statuses.

What a failed one said is its output, its first remarks, and, of a job of Actions, the end of the job's log: that is behind
a redirect to a store of GitHub's, where our login does not go. Source: GitHub's REST documentation, "Checks", "Commit
statuses", "Workflow jobs"; a job of Actions and its check run have one id.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import quote

from boatwright import errors
from boatwright.forge import github_rights, logs, theirs
from boatwright.forge.github_app import Logins
from boatwright.forge.http import ForgeHttp
from boatwright.forge.protocol import MissingRight
from boatwright.git import names
from boatwright.rules import excerpts, plain, their_checks
from boatwright.values.checks import FailedCheck, Standing, TheirCheck

ACTIONS = "github-actions"
MOST_REMARKS = 50
_JOB = re.compile(r"/job/(\d{1,20})\b")


class GitHubTheirs:
    """The part of ``forge.protocol.Forge`` that is about other people's checks."""

    _logins: Logins

    def _http(self, repository: str) -> ForgeHttp:
        raise NotImplementedError

    def _at(self, repository: str, rest: str) -> str:
        raise NotImplementedError

    async def me(self) -> str:
        raise NotImplementedError

    async def their_checks(self, repository: str, commit: str) -> Sequence[TheirCheck]:
        runs, statuses = await self._theirs(repository, commit)
        found = [*map(_run, runs), *map(_status, statuses)]
        return sorted(found, key=lambda check: (check.name, check.url))

    async def failed_checks(self, repository: str, commit: str) -> Sequence[FailedCheck]:
        runs, statuses = await self._theirs(repository, commit)
        bad = [(said, _run(said)) for said in runs if _run(said).standing is Standing.FAILED]
        found = [
            FailedCheck(
                check.name,
                check.conclusion,
                check.url,
                await self._said(repository, said) if at < excerpts.MOST_CHECKS else "",
            )
            for at, (said, check) in enumerate(bad)
        ]
        for said in statuses:
            check = _status(said)
            if check.standing is Standing.FAILED:
                words = str(said.get("description") or "")
                found.append(FailedCheck(check.name, check.conclusion, check.url, words))
        return sorted(found, key=lambda each: (each.name, each.url))

    async def missing_for(self, repository: str, paths: Collection[str]) -> Sequence[MissingRight]:
        http = self._http(repository)
        return await github_rights.missing_for(http, self._logins, self._at(repository, ""), paths)

    async def _theirs(self, repository: str, commit: str) -> tuple[list[Any], list[Any]]:
        """Check runs and the newest status of each context, without ours."""
        me, at = await self.me(), self._at(repository, f"/commits/{names.oid(commit)}")
        runs = await self._listed(repository, f"{at}/check-runs", commit)
        statuses = await self._listed(repository, f"{at}/statuses", commit)
        newest = {str(said.get("context")): said for said in reversed(statuses)}
        return (
            [said for said in runs if not _is_our_run(said, me)],
            [said for said in newest.values() if not _is_our_status(said, me)],
        )

    async def _listed(self, repository: str, path: str, commit: str) -> list[Any]:
        try:
            return await self._http(repository).list(path, about=f"commit {commit[:12]}")
        except (errors.NotFound, errors.BadInput):  # no such commit there: nothing was checked
            return []
        except errors.Parked as shut:
            if shut.code != "forge_rights":
                raise
            return []  # a fine-grained token is not shown check runs: what it may see counts

    async def _sees_runs(self, repository: str, branch: str) -> bool:
        """Whether our login is shown check runs at all."""
        path = self._at(repository, f"/commits/{quote(branch, safe='')}/check-runs")
        try:
            await self._http(repository).get(
                path, {"per_page": 1}, about=f"branch {branch}", ok=(200, 404, 422)
            )
        except errors.Parked as shut:
            if shut.code != "forge_rights":
                raise
            return False
        return True

    async def _said(self, repository: str, run: Any) -> str:
        """What a failed run said: its words and remarks, then the end of its log."""
        output = run.get("output") or {}
        parts = [str(output.get(key) or "") for key in ("title", "summary", "text")]
        http, number = self._http(repository), int(run["id"])
        if output.get("annotations_count"):
            path = self._at(repository, f"/check-runs/{number}/annotations")
            answer = await http.get(path, {"per_page": MOST_REMARKS}, about="its remarks", ok=(200, 404))
            parts += [_remark(each) for each in (answer.json() if answer.status == 200 else ())]
        said = [plain.short("\n".join(filter(None, parts)), excerpts.WORDS_CHARS)]
        if (run.get("app") or {}).get("slug") == ACTIONS:
            job = _JOB.search(str(run.get("details_url") or run.get("html_url") or ""))
            path = self._at(repository, f"/actions/jobs/{job[1] if job else number}/logs")
            said.append(await logs.tail(http, path, about=f"the log of {run.get('name')}"))
        return "\n".join(filter(None, said))


def _run(said: Any) -> TheirCheck:
    ended = said.get("status") == "completed"
    word = str(said.get("conclusion") or "") if ended else "pending"
    url = str(said.get("html_url") or "")
    return TheirCheck(str(said.get("name") or ""), their_checks.standing(word), word, url)


def _status(said: Any) -> TheirCheck:
    word = str(said.get("state") or "")
    url = str(said.get("target_url") or "")
    return TheirCheck(str(said.get("context") or ""), their_checks.standing(word), word, url)


def _is_our_run(said: Any, me: str) -> bool:
    mine = f"{(said.get('app') or {}).get('slug') or ''}[bot]" == me
    return mine or their_checks.is_ours(str(said.get("name") or ""))


def _is_our_status(said: Any, me: str) -> bool:
    by = str((said.get("creator") or {}).get("login") or "")
    return theirs.is_mine(said, me, by) or their_checks.is_ours(str(said.get("context") or ""))


def _remark(said: Any) -> str:
    place = f"{said.get('path') or ''}:{said.get('start_line') or ''}"
    return f"{said.get('annotation_level') or 'note'}: {place}: {said.get('message') or ''}"

"""Checks that others set on a commit at a GitLab: its statuses, and the jobs of its pipelines, which GitLab lists as such.

A job that is allowed to fail fails nothing. Sources: GitLab, "Commits API" (a job's status has the job's id), "Jobs API".
"""

from __future__ import annotations

from collections.abc import Sequence

from boatwright.forge import logs
from boatwright.forge.gitlab_read import username
from boatwright.forge.http import ForgeHttp
from boatwright.forge.theirs import Said
from boatwright.rules import excerpts, their_checks
from boatwright.values.checks import FailedCheck, Standing, TheirCheck


def author(said: Said) -> str:
    return username(said.get("author"))


def check(said: Said) -> TheirCheck:
    word = str(said.get("status") or "")
    standing = their_checks.standing(word)
    if standing is Standing.FAILED and said.get("allow_failure"):
        standing = Standing.PASSED
    return TheirCheck(str(said.get("name") or ""), standing, word, str(said.get("target_url") or ""))


async def failed(http: ForgeHttp, at: str, said: Sequence[Said]) -> list[FailedCheck]:
    """Those that failed; ``at`` is the project's address in the API."""
    found: list[FailedCheck] = []
    for each in said:
        known = check(each)
        if known.standing is not Standing.FAILED:
            continue
        words = str(each.get("description") or "")
        if len(found) < excerpts.MOST_CHECKS:
            path = f"{at}/jobs/{int(each['id'])}/trace"
            words = await logs.tail(http, path, about=f"the log of {known.name}") or words
        found.append(FailedCheck(known.name, known.conclusion, known.url, words))
    return found

"""Checks that others set on a commit at a Gitea or Forgejo: commit statuses, those of its own Actions among them.

Where the server tells of the jobs of Actions (Gitea since 1.24), the end of a failed job's log is read; where it does not
(Forgejo, older servers), a check has the words of its status. A job's status is called ``workflow / job (event)``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from boatwright.forge import logs
from boatwright.forge.http import Call, ForgeHttp
from boatwright.forge.theirs import Said
from boatwright.rules import excerpts, their_checks
from boatwright.values.checks import FailedCheck, Standing, TheirCheck

MOST_RUNS = 10
"""Of one commit, so many runs are looked into for their jobs."""
_ACTIONS = "/actions/runs/"


def author(said: Said) -> str:
    return str((said.get("creator") or {}).get("login") or "")


def check(said: Said) -> TheirCheck:
    word = str(said.get("status") or said.get("state") or "")
    url = str(said.get("target_url") or "")
    return TheirCheck(str(said.get("context") or ""), their_checks.standing(word), word, url)


async def failed(http: ForgeHttp, at: str, commit: str, said: Sequence[Said]) -> list[FailedCheck]:
    """Those that failed; ``at`` is the repository's address in the API."""
    bad = [(each, check(each)) for each in said if check(each).standing is Standing.FAILED]
    jobs = await _jobs(http, at, commit) if any(_ACTIONS in each.url for _, each in bad) else {}
    found: list[FailedCheck] = []
    for each, known in bad:
        words = str(each.get("description") or "")
        number = _job_of(known.name, jobs)
        if number is not None and len(found) < excerpts.MOST_CHECKS:
            log = await logs.tail(http, f"{at}/actions/jobs/{number}/logs", about=f"the log of {known.name}")
            words = log or words
        found.append(FailedCheck(known.name, known.conclusion, known.url, words))
    return found


async def _jobs(http: ForgeHttp, at: str, commit: str) -> dict[str, int]:
    """The failed jobs of a commit by name, where the server tells of them."""
    path = f"{at}/actions/runs"
    answer = await http.call(
        Call("GET", path, params={"head_sha": commit}, ok=(200, 404, 405), about="its runs of Actions")
    )
    runs = answer.json().get("workflow_runs") or () if answer.status == 200 else ()
    found: dict[str, int] = {}
    for run in list(runs)[:MOST_RUNS]:
        if str(run.get("head_sha") or commit) != commit:
            continue
        jobs = await http.get(f"{path}/{int(run['id'])}/jobs", about="jobs of Actions", ok=(200, 404))
        for job in (jobs.json().get("jobs") or ()) if jobs.status == 200 else ():
            if their_checks.standing(str(job.get("conclusion") or "")) is Standing.FAILED:
                found.setdefault(str(job.get("name") or ""), int(job["id"]))
    return found


def _job_of(context: str, jobs: Mapping[str, int]) -> int | None:
    """The job a status is about: the longest name that its own has in it."""
    fits = [name for name in jobs if name and f"/ {name} (" in f"{context} ("]
    return jobs[max(fits, key=len)] if fits else None

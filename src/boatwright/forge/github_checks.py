"""Checks on GitHub: check runs for an App; commit statuses for a token, which may not make check runs.

A check run is found again by its external id. A status has no such field and is never changed, only outdone by a newer
one of the same context: what it is stands behind the ``#`` of the page it leads to (``marks.status_url``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from boatwright import errors
from boatwright.forge import marks
from boatwright.forge.http import Call, ForgeHttp
from boatwright.forge.protocol import Annotation, Check

MOST_ANNOTATIONS = 50
"""Of one call; more are sent by more calls."""
MOST_SUMMARY = 60_000
MOST_DESCRIPTION = 140
_STATES = {
    "success": "success",
    "failure": "failure",
    "action_required": "failure",
    "neutral": "pending",  # what could not be checked is not green, and not red either: it waits
    "pending": "pending",
}


class Runs:
    """Check runs."""

    def __init__(self, http: ForgeHttp, path: str) -> None:
        self._http, self._path = http, path

    async def set(self, check: Check) -> Check:
        """Create or replace by external id; of many annotations the first fifty come with the result."""
        parts = [
            check.annotations[at : at + MOST_ANNOTATIONS]
            for at in range(0, len(check.annotations), MOST_ANNOTATIONS)
        ]
        found = await self._find(check)
        if found is None:
            found = await self._create(check, parts[0] if parts else ())
            parts = parts[1:]
        elif not parts:
            parts = [()]
        for part in parts:
            about = f"the check {check.name}"
            path = f"/repos/{self._path}/check-runs/{found}"
            await self._http.call(Call("PATCH", path, json=_run(check, part), about=about))
        return check

    async def _find(self, check: Check) -> int | None:
        for said in await self._listed(check.commit):
            if said.get("external_id") == check.external_id:
                return int(said["id"])
        return None

    async def _create(self, check: Check, annotations: Sequence[Annotation]) -> int:
        said = {**_run(check, annotations), "head_sha": check.commit, "external_id": check.external_id}
        call = Call("POST", f"/repos/{self._path}/check-runs", json=said, about=f"the check {check.name}")
        return await self._http.create(
            call, lambda answer: int(answer.json()["id"]), lambda: self._find(check)
        )

    async def _listed(self, commit: str) -> list[Any]:
        try:
            return await self._http.list(
                f"/repos/{self._path}/commits/{commit}/check-runs", about=f"commit {commit[:12]}"
            )
        except (errors.NotFound, errors.BadInput):  # no such commit there: nothing was checked
            return []

    async def of(self, repository: str, commit: str) -> Sequence[Check]:
        return [
            Check(
                repository=repository,
                commit=str(said["head_sha"]),
                name=str(said["name"]),
                conclusion=_conclusion(said),
                summary=str((said.get("output") or {}).get("summary") or ""),
                external_id=str(said.get("external_id") or ""),
            )
            for said in await self._listed(commit)
        ]


def _run(check: Check, annotations: Sequence[Annotation]) -> dict[str, Any]:
    summary = marks.storable(check.summary)[:MOST_SUMMARY]
    output: dict[str, Any] = {"title": check.name, "summary": summary}
    if annotations:
        output["annotations"] = [
            {
                "path": each.path,
                "start_line": max(each.line, 1),
                "end_line": max(each.line, 1),
                "annotation_level": each.level,
                "message": marks.storable(each.message)[:MOST_SUMMARY],
            }
            for each in annotations
        ]
    ended = check.conclusion != "pending"
    state = {"status": "completed", "conclusion": check.conclusion} if ended else {"status": "in_progress"}
    return {"name": check.name, **state, "output": output}


def _conclusion(said: Any) -> str:
    """Theirs, in our words: whatever is not good and not merely open has failed."""
    if said.get("status") != "completed":
        return "pending"
    found = str(said.get("conclusion") or "")
    if found in {"success", "neutral", "action_required"}:
        return found
    return "neutral" if found == "skipped" else "failure"


class Statuses:
    """Commit statuses."""

    def __init__(self, http: ForgeHttp, path: str, page: str) -> None:
        self._http, self._path, self._page = http, path, page

    async def set(self, check: Check) -> Check:
        url = marks.status_url(f"{self._page}/commit/{check.commit}", check.external_id, check.conclusion)
        said = {
            "state": _STATES[check.conclusion],
            "context": check.name,
            "description": _short(check.summary),
            "target_url": url,
        }
        call = Call(
            "POST",
            f"/repos/{self._path}/statuses/{check.commit}",
            json=said,
            again=True,  # the newest of a context counts: the same one twice is the same one
            about=f"the status {check.name}",
        )
        await self._http.call(call)
        return check

    async def of(self, repository: str, commit: str) -> Sequence[Check]:
        try:
            listed = await self._http.list(
                f"/repos/{self._path}/commits/{commit}/statuses", about=f"commit {commit[:12]}"
            )
        except (errors.NotFound, errors.BadInput):  # no such commit there: nothing was checked
            return []
        newest = {str(said["context"]): said for said in reversed(listed)}
        return [_status(repository, commit, said) for said in newest.values()]


def _status(repository: str, commit: str, said: Any) -> Check:
    ours = marks.status_marks(str(said.get("target_url") or ""))
    state = {"error": "failure"}.get(str(said["state"]), str(said["state"]))
    external_id, conclusion = ours or ("", state)
    return Check(
        repository=repository,
        commit=commit,
        name=str(said["context"]),
        conclusion=conclusion if ours and _STATES.get(conclusion) == said["state"] else state,
        summary=str(said.get("description") or ""),
        external_id=external_id,
    )


def _short(text: str) -> str:
    line = " ".join(marks.storable(text).split())
    return line if len(line) <= MOST_DESCRIPTION else line[: MOST_DESCRIPTION - 1] + "…"


async def both(runs: Runs, statuses: Statuses, repository: str, commit: str) -> Sequence[Check]:
    """Everything that was checked there, by whatever means and by whomever, in the order of its names."""
    found = [*await runs.of(repository, commit), *await statuses.of(repository, commit)]
    known = [replace(check, commit=commit) for check in found]
    return sorted(known, key=lambda check: (check.name, check.external_id))

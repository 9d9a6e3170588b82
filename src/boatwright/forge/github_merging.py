"""Merging exactly the judged commit, by the first method the repository allows."""

from __future__ import annotations

from boatwright import errors
from boatwright.forge import refusals
from boatwright.forge.http import Answer, Call, ForgeHttp

METHODS = ("merge", "squash", "rebase")
"""In this order: a merge commit keeps the judged commit in the history."""


async def merge(http: ForgeHttp, path: str, number: int, head: str) -> errors.Conflict | None:
    """The refusal, where no method merges it; a merge whose answer was lost is refused as well, and found by reading."""
    refused = None
    for method in METHODS:
        said = {"sha": head, "merge_method": method}
        answer = await http.call(
            Call("PUT", path, json=said, ok=(200, 405, 409), about=f"pull request {number}")
        )
        if answer.status == 200:
            return None
        refused = _refusal(answer, number, head)
        if "not allowed" not in answer.text:
            break
    return refused


def _refusal(answer: Answer, number: int, head: str) -> errors.Conflict:
    said = refusals.plain(refusals.message(answer.body))
    what = f"is no longer at {head[:12]}" if answer.status == 409 else "does not merge as it stands"
    return errors.Conflict(
        f"pull request {number} {what}" + (f" (GitHub says: {said})" if said else ""),
        subject=str(number),
        next_moves=(f"boatwright pr show {number}", f"boatwright pr comment {number} 'merge the base'"),
    )

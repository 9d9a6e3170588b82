"""Ready and back to draft: the two things GitHub offers by GraphQL alone. What goes wrong there comes with status 200."""

from __future__ import annotations

from typing import Any

from boatwright import errors
from boatwright.forge import refusals
from boatwright.forge.http import Call, ForgeHttp

_READY = "mutation($id: ID!) { markPullRequestReadyForReview(input: {pullRequestId: $id}) { pullRequest { isDraft } } }"
_DRAFT = "mutation($id: ID!) { convertPullRequestToDraft(input: {pullRequestId: $id}) { pullRequest { isDraft } } }"


def address(api: str) -> str:
    """Where GraphQL is, beside a REST API: ``…/api/v3`` and ``…/api/graphql`` on an enterprise server."""
    return f"{api.removesuffix('/v3')}/graphql"


async def set_draft(http: ForgeHttp, pull: Any, draft: bool) -> None:
    """Make the pull request, as REST showed it, a draft or ready. It being so already is fine."""
    about = f"pull request {pull['number']}"
    said = {"query": _DRAFT if draft else _READY, "variables": {"id": pull["node_id"]}}
    answer = await http.call(Call("POST", address(http.base), json=said, again=True, about=about))
    failed = answer.json().get("errors")
    if failed:
        raise _refusal(failed, about)


def _refusal(said: Any, about: str) -> errors.BoatwrightError:
    first = said[0] if isinstance(said, list) and said and isinstance(said[0], dict) else {}
    words = refusals.plain(str(first.get("message", "")))
    kind = first.get("type")
    if kind in {"FORBIDDEN", "INSUFFICIENT_SCOPES"}:
        return errors.Parked(
            f"GitHub does not let us change the draft of {about}: our token lacks the right pull_requests=write ({words})",
            code="forge_rights", subject=about, next_moves=(refusals.DOCTOR,),
        )  # fmt: skip
    if kind == "NOT_FOUND":
        return errors.NotFound(f"{about} is not to be found at GitHub", subject=about)
    return errors.ForgeUnavailable(f"GitHub did not change the draft of {about}: {words}", subject=about)

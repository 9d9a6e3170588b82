"""Which rights we lack at a Gitea or Forgejo, found without changing anything.

A token's scopes cannot be read with the token. They are tried on what does not exist: the scope is looked at before the
thing is, so 403 means *no scope* and 404 means *nothing there*.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from boatwright import errors
from boatwright.forge.http import Call, ForgeHttp
from boatwright.forge.protocol import MissingRight

NOBODY = "0"
"""The number of no issue, no pull request and no comment."""
_TOKEN = "a token with this scope: Settings, Applications, Manage Access Tokens"  # noqa: S105 - where to click
_ACCESS = (
    "give our account this access: the repository's Settings, Collaborators (or a team of its organisation)"
)


@dataclass(frozen=True, slots=True)
class _Probe:
    """A call that changes nothing, and what it means when it is forbidden."""

    call: Call
    missing: MissingRight


async def missing(http: ForgeHttp, repository: str, about: str) -> list[MissingRight]:
    """What we lack. ``repository`` is its address in the API; ``errors.NotFound`` when we may not even see it."""
    try:
        said = (await http.get(repository, about=about)).json()
    except errors.Parked as refused:
        if refused.code != "forge_rights":
            raise
        return [MissingRight("read:repository", "to read branches and pull requests", _TOKEN)]
    found = _access(said.get("permissions") or {})
    for probe in _probes(repository, about):
        answer = await http.call(probe.call)
        if answer.status == 403:
            found.append(probe.missing)
    return found


def _access(said: Mapping[str, Any]) -> list[MissingRight]:
    """What our account may do in the repository, whatever the token."""
    if not said.get("push"):
        return [MissingRight("write access", "to push branches and open pull requests", _ACCESS)]
    if not said.get("admin"):
        why = "to ask who may write before their words are obeyed: only an administrator is told"
        return [MissingRight("administrator of the repository", why, _ACCESS)]
    return []


def _probes(repository: str, about: str) -> tuple[_Probe, ...]:
    tried = (200, 201, 204, 400, 403, 404, 405, 410, 412, 422)
    comment = Call(
        "PATCH", f"{repository}/issues/comments/{NOBODY}", json={"body": "nothing"}, ok=tried, about=about
    )
    account = Call("GET", "/user", ok=tried, about="our own account")
    pull = Call("PATCH", f"{repository}/pulls/{NOBODY}", json={}, ok=tried, about=about)
    return (
        _Probe(account, MissingRight("read:user", "to know our own words", _TOKEN)),
        _Probe(comment, MissingRight("write:issue", "to comment, label and react", _TOKEN)),
        _Probe(pull, MissingRight("write:repository", "to open pull requests and set statuses", _TOKEN)),
    )  # fmt: skip

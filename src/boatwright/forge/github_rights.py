"""What GitHub lets us do: the rights we need, those we have, what a branch demands, and what a refusal means."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import quote, unquote

from boatwright import errors
from boatwright.forge.github_app import Logins
from boatwright.forge.http import ForgeHttp
from boatwright.forge.protocol import MissingRight

NEEDED: tuple[tuple[str, str, str], ...] = (
    ("metadata", "read", "to see the repository and who may write to it"),
    ("contents", "write", "to fetch the base and push the branch"),
    ("issues", "write", "to read what is asked for and answer there"),
    ("pull_requests", "write", "to open the pull request and say when it is ready"),
    ("checks", "write", "to show verify, security and review on the commit"),
    ("statuses", "read", "to see what other programs found out about the commit"),
)
"""Of an App: the right, how much of it, and what for."""
WORKFLOWS = ".github/workflows/"
_RANK = {"none": 0, "read": 1, "write": 2, "admin": 3}


async def missing(http: ForgeHttp, logins: Logins, path: str) -> Sequence[MissingRight]:
    """The rights we lack in a repository, each with its remedy."""
    try:
        said = (await http.get(f"/repos/{quote(path)}", about=path)).json()
    except errors.NotFound:
        return (_unseen(path, logins.is_app),)
    if said.get("archived"):
        return (MissingRight("a repository that can be changed", f"{path} is archived", "unarchive it"),)
    granted = await logins.granted(path)
    if granted is None:
        return _of_token(path, said.get("permissions") or {})
    return [
        MissingRight(
            f"{right}: {level}", why, f"give the App '{right}: {level}' and accept it where it is installed"
        )
        for right, level, why in NEEDED
        if _RANK.get(granted.get(right, "none"), 0) < _RANK[level]
    ]


def _unseen(path: str, is_app: bool) -> MissingRight:
    remedy = (
        "let the App's installation see it" if is_app else "let the token see it: its list of repositories"
    )
    return MissingRight("metadata: read", f"{path} is not to be seen with our login, or is not there", remedy)


def _of_token(path: str, permissions: dict[str, Any]) -> Sequence[MissingRight]:
    if permissions.get("push"):
        return ()
    return (
        MissingRight(
            "contents: write",
            f"the token may not push to {path}",
            "make the token's owner a collaborator with write",
        ),
    )


async def missing_for(
    http: ForgeHttp, logins: Logins, at: str, paths: Collection[str]
) -> Sequence[MissingRight]:
    """What a change of these paths needs beside the right to push: workflows are guarded by a right of their own.

    What a fine-grained token may is told to nobody: then the push itself says so.
    """
    flow = next((path for path in sorted(paths) if path.startswith(WORKFLOWS)), None)
    if flow is None:
        return ()
    granted = await logins.granted(unquote(at.removeprefix("/repos/")))
    if granted is not None:
        if _RANK.get(granted.get("workflows", "none"), 0) >= _RANK["write"]:
            return ()
        remedy = "give the App 'workflows: write' and accept it where it is installed"
        return (MissingRight("workflows: write", f"to change {flow}", remedy),)
    scopes = (await http.get("/user", about="who we are")).headers.get("x-oauth-scopes", "")
    known = {scope.strip() for scope in scopes.split(",")} - {""}
    if not known or "workflow" in known:
        return ()
    return (MissingRight("workflow", f"to change {flow}", "give the classic token the scope 'workflow'"),)


async def required(http: ForgeHttp, at: str, branch: str) -> Sequence[str]:
    """The checks a branch demands: by its protection, and by the rulesets over it. Reading both needs no special right."""
    named = quote(branch, safe="")
    answer = await http.get(f"{at}/branches/{named}", about=f"the branch {branch}", ok=(200, 404))
    said = answer.json() if answer.status == 200 else {}
    demanded = (
        ((said.get("protection") or {}).get("required_status_checks") or {}) if isinstance(said, dict) else {}
    )
    found = [str(name) for name in demanded.get("contexts") or ()]
    rules = await http.get(f"{at}/rules/branches/{named}", about=f"the rules of {branch}", ok=(200, 404))
    for rule in rules.json() if rules.status == 200 else ():
        if rule.get("type") == "required_status_checks":
            listed = (rule.get("parameters") or {}).get("required_status_checks") or ()
            found += [str(each.get("context")) for each in listed]
    return tuple(dict.fromkeys(found))


async def is_member(http: ForgeHttp, organisation: str, login: str) -> bool:
    """Of whom we may not see the members, those who say so in public are."""
    at, who = f"/orgs/{quote(organisation, safe='')}", quote(login, safe="")
    answer = await http.get(f"{at}/members/{who}", about=organisation, ok=(204, 302, 404))
    if answer.status == 302:
        answer = await http.get(f"{at}/public_members/{who}", about=organisation, ok=(204, 404))
    return answer.status == 204

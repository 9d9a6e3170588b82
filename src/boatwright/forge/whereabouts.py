"""What a forge calls a repository now. It answers to names of before until somebody takes them, so a name alone proves
nothing, and neither does an event that says a repository has moved.
"""

from __future__ import annotations

from urllib.parse import quote

from boatwright.forge.http import ForgeHttp


async def github(http: ForgeHttp, path: str) -> str:
    """The name of what a GitHub, Gitea or Forgejo finds under ``path``; empty where the login sees nothing there."""
    return await _said(http, f"/repos/{quote(path)}", "full_name", path)


async def gitlab(http: ForgeHttp, path: str) -> str:
    """The same at a GitLab."""
    return await _said(http, f"/projects/{quote(path, safe='')}", "path_with_namespace", path)


async def _said(http: ForgeHttp, at: str, word: str, path: str) -> str:
    answer = await http.get(at, about=path, ok=(200, 404))
    said = answer.json() if answer.status == 200 else None
    return str(said.get(word) or "") if isinstance(said, dict) else ""

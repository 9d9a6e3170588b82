"""What is said at issues and pull requests of a GitHub, read: all of it, or what was written lately."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from boatwright.forge import github_reading, shapes
from boatwright.forge.http import ForgeHttp
from boatwright.forge.protocol import Comment, ReviewComment


async def comments(
    http: ForgeHttp, path: str, repository: str, number: int, me: str, since: datetime | None
) -> Sequence[Comment]:
    listed = await http.list(path, about=f"the comments of {number}", **shapes.since(since))
    return [github_reading.comment(repository, number, said, me) for said in listed]


async def on_lines(
    http: ForgeHttp, path: str, repository: str, number: int, since: datetime | None
) -> Sequence[ReviewComment]:
    listed = await http.list(
        path, about=f"pull request {number}", sort="created", direction="asc", **shapes.since(since)
    )
    return [github_reading.review_comment(repository, number, said) for said in listed]

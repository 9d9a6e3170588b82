"""What a comment is called, whoever tells of it: a webhook, a look at a list, or the patrol. One name is heard once."""

from __future__ import annotations


def name(kind: str, number: int, *, on_line: bool) -> str:
    """A comment's own name within its repository. ``on_line``: it is about a line of a pull request.

    Forges count those apart from other comments, and so does the local one; GitLab alone has one sequence for both.
    """
    return f"r{number}" if on_line and kind != "gitlab" else str(number)

"""Texts for GitLab. A line that begins with a slash is an order there (``/merge``, ``/close``), carried out with the rights
of whoever wrote it, and much of what we write quotes strangers: so no line of ours begins with one.

Source: GitLab, "Quick actions": at the beginning of a line, outside code and quotes. The slash is escaped everywhere, in
code as well, because two readers of Markdown do not agree on where code ends.
"""

from __future__ import annotations

import re

_ORDER = re.compile(r"^([ \t]*)/", re.MULTILINE)
_ESCAPED = re.compile(r"^([ \t]*)\\/", re.MULTILINE)


def harmless(text: str, *, after: str = "") -> str:
    """The text, and nothing in it is an order. Line ends are made the ones that ``^`` sees.

    ``after``: what stood there before. The lines that it and the text begin with stay as they are: people wrote them, and
    GitLab has carried them out, or has not.
    """
    lines, stood = _lines(text), _lines(after)
    same = next((at for at, (one, other) in enumerate(zip(lines, stood, strict=False)) if one != other), None)
    kept = (min(len(lines), len(stood)) if same is None else same) if after else 0
    return "\n".join([*lines[:kept], *(_ORDER.sub(r"\1\\/", line) for line in lines[kept:])])


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def as_written(text: str) -> str:
    """A text of ours as it was before :func:`harmless`."""
    return _ESCAPED.sub(r"\1/", text)

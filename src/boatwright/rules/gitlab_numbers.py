"""GitLab's numbers as ours. There, issue 5 and merge request 5 are two things, and a note is found only with its thread.

Here a number names one thing of a repository, and a comment's id is enough to find it. So a merge request's number is its
``iid`` and ten million, and a comment's id holds the note's and the number of its thread.
"""

from __future__ import annotations

PULLS = 10_000_000
"""The number of merge request !0: no project has as many issues."""
_BITS = 26
_MASK = (1 << _BITS) - 1


def pull_number(iid: int) -> int:
    """The number of merge request ``!iid``."""
    return PULLS + iid


def is_pull(number: int) -> bool:
    return number > PULLS


def iid(number: int) -> int:
    """What GitLab calls the issue or merge request of that number."""
    return number - PULLS if is_pull(number) else number


def shown(number: int) -> str:
    """As people there write it: ``#7``, ``!5``."""
    return f"!{iid(number)}" if is_pull(number) else f"#{number}"


def comment_id(note: int, number: int) -> int:
    """The id of note ``note`` in the thread of ``number``."""
    return note << _BITS | number & _MASK


def note_of(comment: int) -> tuple[int, int]:
    """The note and the number of its thread."""
    return comment >> _BITS, comment & _MASK

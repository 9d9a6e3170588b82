"""What the step saver could not store, as findings for people and the agent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from boatwright.git import names
from boatwright.values.finding import Finding

_FIX = {
    "unreadable": "make it readable for its owner",
    "special": "a tree holds files and links only",
    "git_entry": "rename it",
    "repository": "nothing: its files are kept, its history is not",
}
_OBSERVED = {
    "unreadable": "{path} cannot be read; what was saved of it last stays",
    "special": "{path} is a pipe, a socket or a device and is not saved",
    "git_entry": "{path} is not saved: some file systems take its name for .git",
    "repository": "{path} is a repository of its own; its files are saved, its .git is not",
}


def findings(noted: Iterable[Any], total: int, file_bytes: int) -> tuple[Finding, ...]:
    """One finding a note; only a file that is too large stops delivery, because it was made to be there."""
    found = [_finding(note, file_bytes) for note in noted if isinstance(note, dict)]
    if total > len(found):
        more = f"{total - len(found)} more paths were not saved as they are"
        found.append(Finding(rule="save.more", observed=more, blocking=False))
    return tuple(found)


def _finding(note: dict[str, Any], file_bytes: int) -> Finding:
    kind, path = str(note.get("kind")), names.shown(str(note.get("path"))[:1_000])
    if kind == "too_large":
        return Finding(
            rule="save.too_large",
            observed=f"{path} has {note.get('size')} bytes and is not saved",
            limit=f"{file_bytes} bytes a file",
            fix="make it smaller, remove it, or let the base branch's .gitignore name it",
            path=path,
        )
    observed = _OBSERVED.get(kind, "{path} is not saved").replace("{path}", path)
    return Finding(
        rule=f"save.{kind}"[:60], observed=observed, fix=_FIX.get(kind, ""), path=path, blocking=False
    )

"""What the step saver answers: a tree, or why not, and what it could not store. Data from a bottle: read with
care."""

from __future__ import annotations

from dataclasses import dataclass

from boatwright.git import names
from boatwright.values.finding import Finding

_SHOWN = 1_000


@dataclass(frozen=True, slots=True)
class Note:
    """One path that is not in the tree as it is in the workspace."""

    kind: str
    size: int
    path: str


@dataclass(frozen=True, slots=True)
class Answer:
    tree: str = ""
    failed: str = ""
    noted: int = 0
    notes: tuple[Note, ...] = ()


_OBSERVED = {
    "unreadable": (
        "{path} cannot be read; what was saved of it last stays",
        "make it readable for its owner",
    ),
    "special": (
        "{path} is a pipe, a socket or a device and is not saved",
        "a tree holds files and links only",
    ),
    "git_entry": ("{path} is not saved: some file systems take its name for .git", "rename it"),
    "repository": ("{path} is a repository of its own; its files are saved, its .git is not", ""),
}


def read(out: bytes) -> Answer:
    """Records ended by NUL: ``tree``, ``noted``, ``note`` and ``failed``; anything else is passed over."""
    told: dict[bytes, bytes] = {}
    notes = []
    for record in out.split(b"\x00"):
        word, _, rest = record.partition(b" ")
        if word == b"note":
            notes.append(_note(rest))
        else:
            told[word] = rest
    noted = told.get(b"noted", b"")
    return Answer(
        tree=told.get(b"tree", b"").decode("ascii", "replace"),
        failed=names.shown(told.get(b"failed", b"")[:_SHOWN]),
        noted=int(noted) if noted.isdigit() else len(notes),
        notes=tuple(notes),
    )


def findings(answer: Answer, file_bytes: int) -> tuple[Finding, ...]:
    """One finding a note; only a file that is too large stops delivery, because it was made to be there."""
    found = [_finding(note, file_bytes) for note in answer.notes]
    if answer.noted > len(found):
        more = f"{answer.noted - len(found)} more paths are not saved as they are"
        found.append(Finding(rule="save.more", observed=more, blocking=False))
    return tuple(found)


def _note(rest: bytes) -> Note:
    kind, _, rest = rest.partition(b" ")
    size, _, path = rest.partition(b" ")
    known = kind.decode("ascii", "replace")
    shown = names.shown(path[:_SHOWN])
    return Note(
        known if known in {*_OBSERVED, "too_large"} else "other", int(size) if size.isdigit() else 0, shown
    )


def _finding(note: Note, file_bytes: int) -> Finding:
    if note.kind == "too_large":
        return Finding(
            rule="save.too_large",
            observed=f"{note.path} has {note.size} bytes and is not saved",
            limit=f"{file_bytes} bytes a file",
            fix="make it smaller, remove it, or let the base branch's .gitignore name it",
            path=note.path,
        )
    observed, fix = _OBSERVED.get(note.kind, ("{path} is not saved", ""))
    observed = observed.replace("{path}", note.path)
    return Finding(rule=f"save.{note.kind}", observed=observed, fix=fix, path=note.path, blocking=False)

"""Marks that nobody sees: how something of ours is found again at a forge.

``<!-- boatwright:living:ex-1 -->``     a comment's marker; believed only of an author who is us
``<!-- boatwright issue:7 -->``         the issue a pull request is for
``<!-- boatwright once:TOKEN -->``      one attempt to make a thing, so that a lost answer does not make two

They stand at the end of a text and are taken off again before anybody reads it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode

from boatwright import errors

LONGEST = 60_000
"""Characters of a text at a forge; GitHub takes 65,536, and our marks need room."""
_MARKER = re.compile(r"\n*<!-- boatwright:([A-Za-z0-9:._-]{1,120}) -->\s*\Z")
_ISSUE = re.compile(r"\n*<!-- boatwright issue:(\d{1,12}) -->\s*\Z")
_ONCE = re.compile(r"\n*<!-- boatwright once:([0-9a-f]{32}) -->\s*\Z")
_CUT = "\n\n… (cut: the text is longer than the forge takes)"


@dataclass(frozen=True, slots=True)
class Marked:
    """A text without its marks, and the marks."""

    text: str
    marker: str = ""
    issue: int | None = None
    once: str = ""


def write(text: str, *, marker: str = "", issue: int | None = None, once: str = "") -> str:
    """The text with its marks, cut where a forge would refuse it for its length."""
    text = storable(text)
    if len(text) > LONGEST:
        text = text[: LONGEST - len(_CUT)] + _CUT
    marks = [f"boatwright:{marker}"] if marker else []
    marks += [f"boatwright issue:{issue}"] if issue is not None else []
    marks += [f"boatwright once:{once}"] if once else []
    return "\n\n".join([text, *(f"<!-- {mark} -->" for mark in marks)]) if marks else text


def read(text: str, *, ours: bool) -> Marked:
    """The text and its marks. Somebody else's text has none, whatever it says, but the mark of one attempt, which
    means nothing.
    """
    text, once = _off(_ONCE, text or "")
    issue = marker = ""
    if ours:
        text, issue = _off(_ISSUE, text)
        text, marker = _off(_MARKER, text)
    return Marked(text, marker, int(issue) if issue else None, once)


def _off(pattern: re.Pattern[str], text: str) -> tuple[str, str]:
    found = pattern.search(text)
    return (text[: found.start()], found[1]) if found else (text, "")


def storable(text: str) -> str:
    """Text as JSON and every forge's database take it: what is no character, and NUL, becomes the replacement character."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


def one_line(text: str, longest: int = 250) -> str:
    """A title: one line, not empty, and not longer than a forge takes."""
    title = " ".join(storable(text).split())[:longest]
    if not title:
        raise errors.BadInput("the title is empty", next_moves=('--title "…"',))
    return title


# --- commit statuses, where a forge has no checks ----------------------------------------------------------


def status_url(page: str, external_id: str, conclusion: str) -> str:
    """The page a status leads to, which also says which check of ours it is and how it ended: a status has no field
    for either.
    """
    return f"{page}#{urlencode({'boatwright': external_id, 'conclusion': conclusion})}"


def status_marks(url: str) -> tuple[str, str] | None:
    """External id and conclusion of a status of ours; None for anybody else's."""
    said = parse_qs((url or "").partition("#")[2])
    if not said.get("boatwright") or not said.get("conclusion"):
        return None
    return said["boatwright"][0], said["conclusion"][0]

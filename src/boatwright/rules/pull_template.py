"""A repository's own template for pull requests, filled with what we know.

A section whose heading asks for something we have (summary, changes, tests, the issue, the cost) gets it, in the place
of the template's words to the author. Lists to tick stay and nothing in them is ticked: what is not in the proof we
do not claim. Sections nobody can fill stay as they are, and what of ours has no place comes below.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from boatwright.rules.plain import paragraphs

LONGEST = 20_000
"""Characters of a template that are read."""

_NAME = "pull_request_template"
_HOMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "github": (".github/", "", "docs/"),
        "gitea": ("", ".gitea/", ".github/"),
        "forgejo": ("", ".forgejo/", ".gitea/", ".github/"),
        "local": (".github/", "", "docs/"),
    }
)
_GITLAB = ".gitlab/merge_request_templates/default.md"
_ENDS = (".md", ".txt", "")

ASKED: tuple[tuple[str, str], ...] = (
    ("Proof", r"\b(tests?|tested|testing|verification|verified|proof|validation|validated|qa)\b"),
    ("Issue", r"\b(issues?|tickets?|fix(es)?|closes?|resolves?|linked|related)\b"),
    ("Cost", r"\b(cost|costs)\b"),
    ("Changes", r"(?<!type of )\b(changes|changed|changelist|implementation|files)\b"),
    ("Summary", r"\b(summary|description|overview|what|purpose|goal|motivation|context|why|proposed)\b"),
)
"""Our section, and the words of a heading that ask for it; the first that fits. Each is filled once."""

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+([^\n]{1,200}?)[ \t#]*$")
_FENCE = re.compile(r"^ {0,3}(```|~~~)")
_TICK = re.compile(r"^(\s*(?:[-*+]|\d+[.)])\s+)\[[ xX]\](?=\s)")
_KIND = re.compile(r"\b(type|kind)s? of\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Part:
    """A heading and the lines below it; the first part of a template may have no heading."""

    heading: str
    lines: tuple[str, ...]


def find(paths: Collection[str], forge: str) -> str | None:
    """Which of a repository's files is the template that kind of forge (``github``, ``gitea`` …) would use."""
    lowered = {path.lower(): path for path in sorted(paths, reverse=True)}
    if forge == "gitlab":
        return lowered.get(_GITLAB)
    homes = _HOMES.get(forge, _HOMES["github"])
    names = (f"{home}{_NAME}{end}" for home in homes for end in _ENDS)
    return next((lowered[name] for name in names if name in lowered), None)


def filled(template: str, sections: Mapping[str, str], footer: str = "") -> str:
    """The description. ``sections``: our texts by the names of :data:`ASKED`, in the order they should come where the
    template has no place for them.
    """
    left = dict(sections)
    parts = [_written(part, left) for part in _parts(_read(template))]
    parts += [f"## {name}\n\n{text}" for name, text in left.items() if text and name != "Issue"]
    parts += [left["Issue"]] if left.get("Issue") else []
    return "\n\n".join(part for part in (*parts, footer) if part)


def _read(template: str) -> str:
    """Without its hidden words, and with nothing in it that would do something (a mention, a command)."""
    text = paragraphs(_COMMENT.sub("", template[:LONGEST])).replace("\t", "    ")
    return "\n".join(_TICK.sub(r"\1[ ]", each) for each in text.split("\n"))


def _parts(text: str) -> Iterator[_Part]:
    heading, lines, fence = "", list[str](), ""
    for each in text.split("\n"):
        opened = _FENCE.match(each)
        if opened and fence in {"", opened[1]}:
            fence = "" if fence else opened[1]
        if not fence and _HEADING.match(each):
            yield _Part(heading, tuple(lines))
            heading, lines = each, []
        else:
            lines.append(each)
    yield _Part(heading, tuple([*lines, fence] if fence else lines))


def _written(part: _Part, left: dict[str, str]) -> str:
    ours = left.pop(name, "") if (name := _asks_for(part, left)) else ""
    ticks = "\n".join(line for line in part.lines if _TICK.match(line))
    below = "\n\n".join(each for each in (ours, ticks) if each) if ours else "\n".join(part.lines).strip()
    return "\n\n".join(each for each in (part.heading.strip(), below) if each)


def _asks_for(part: _Part, left: Mapping[str, str]) -> str:
    """The name of our section that the heading asks for; empty: none, or it was given already."""
    found = _HEADING.match(part.heading)
    if found is None or _KIND.search(found[2]):
        return ""
    words = found[2].lower()
    return next((name for name, asked in ASKED if left.get(name) and re.search(asked, words)), "")

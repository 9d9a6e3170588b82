"""What a planner is shown of a repository: its instructions, its files, and the ones the request's words
point to.

Deterministic: the same commit, words and budget give the same text. Bytes are counted, whole files or a said
cut.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from boatwright.rules import globs

INSTRUCTIONS: tuple[str, ...] = (
    "AGENTS.md",
    "CLAUDE.md",
    ".github/copilot-instructions.md",
    "CONTRIBUTING.md",
)
BUDGET = 60_000
MOST_READ = 60
"""Files whose text is looked at: the best by name, so that a large repository costs no more than a small one.
"""
FILE_CAP = 24_000
_LISTING_SHARE, _INSTRUCTION_SHARE = 4, 4
_SKIPPED = (
    "*.lock",
    "package-lock.json",
    "*.min.js",
    "*.svg",
    "*.png",
    "*.jpg",
    "*.gif",
    "*.ico",
    "*.pdf",
    "*.woff*",
    "*.zip",
    "*.gz",
    "*.so",
    "*.pyc",
    "**/node_modules/**",
    "**/vendor/**",
    "**/dist/**",
    "**/.git/**",
    "*.csv",
    "*.parquet",
    "*.map",
)
_WORD = re.compile(r"[A-Za-z][a-z]+|[A-Z]+(?![a-z])|\d+")
_NAMED = re.compile(r"[\w.-]+(?:/[\w.-]+)+|\b[\w-]+\.[A-Za-z]{1,5}\b")
_STOP = frozenset(
    [
        "the",
        "a",
        "an",
        "and",
        "or",
        "of",
        "to",
        "in",
        "on",
        "at",
        "for",
        "with",
        "is",
        "are",
        "be",
        "it",
        "this",
        "that",
        "as",
        "by",
        "from",
        "not",
        "no",
        "but",
        "if",
        "then",
        "when",
        "should",
        "must",
        "can",
        "does",
        "do",
        "done",
        "use",
        "uses",
        "get",
        "set",
        "add",
        "make",
        "fix",
        "bug",
        "error",
        "test",
        "tests",
        "file",
        "files",
        "code",
        "new",
        "old",
        "all",
        "any",
    ]
)


@dataclass(frozen=True, slots=True)
class Context:
    """``text`` is what the planner reads; ``shown`` the files whose text is in it; ``bytes`` its size."""

    text: str
    shown: tuple[str, ...]

    @property
    def bytes(self) -> int:
        return len(self.text.encode())


def words_of(text: str) -> Counter[str]:
    """The words of a text, identifiers split (``parse_pageSize`` → parse, page, size), plurals folded."""
    found = (match[0].lower() for match in _WORD.finditer(text))
    return Counter(_stem(word) for word in found if len(word) > 1 and word not in _STOP)


def _stem(word: str) -> str:
    for end in ("ies", "es", "s", "ing", "ed"):
        if word.endswith(end) and len(word) - len(end) >= 4:
            return word.removesuffix(end)
    return word


def rank_by_name(paths: Iterable[str], words: str) -> list[str]:
    """Readable paths, best first: spelled out in the request, then by the words they share with it, then by
    name.
    """
    wanted = words_of(words)
    named = {each.strip("./").lower() for each in _NAMED.findall(words)}
    readable = [path for path in paths if not globs.matches(_SKIPPED, path)]
    return sorted(readable, key=lambda path: (-_name_score(path, wanted, named), path.count("/"), path))


def _name_score(path: str, wanted: Counter[str], named: Collection[str]) -> float:
    lower, base = path.lower(), posixpath.basename(path).lower()
    spelled = (
        100.0 if any(lower == each or lower.endswith(f"/{each}") or base == each for each in named) else 0.0
    )
    inside, own = words_of(posixpath.dirname(path)), words_of(posixpath.splitext(posixpath.basename(path))[0])
    code = (
        0.5 if path.endswith((".py", ".js", ".ts", ".go", ".rs", ".java", ".rb", ".c", ".cpp", ".h")) else 0.0
    )
    shared = sum(min(wanted[word], 3) for word in own) * 3 + sum(min(wanted[word], 3) for word in inside)
    return spelled + shared + code


def pick(
    *, paths: Sequence[str], words: str, read: Callable[[str], bytes | str | None], budget: int = BUDGET
) -> Context:
    """The planner's context in at most ``budget`` bytes. ``read`` gives a file of the base, or None."""
    parts = [_listing(paths, budget // _LISTING_SHARE)]
    parts += _instructions(paths, read, budget // _INSTRUCTION_SHARE)
    left = budget - sum(len(part.encode()) + 2 for part in parts)
    shown: list[str] = []
    for path, text in _best(paths, words, read):
        part = f"File {path}:\n{text}"
        size = len(part.encode()) + 2
        if size <= left:
            parts.append(part)
            shown.append(path)
            left -= size
    return Context("\n\n".join(parts), tuple(shown))


def _best(
    paths: Sequence[str], words: str, read: Callable[[str], bytes | str | None]
) -> list[tuple[str, str]]:
    """Files with their text, best first: the name's score and how often the text says the request's words."""
    wanted = words_of(words)
    ranked = [path for path in rank_by_name(paths, words) if path not in INSTRUCTIONS][:MOST_READ]
    scored = []
    for place, path in enumerate(ranked):
        text = _text(read(path))
        if text is None:
            continue
        said = words_of(text)
        score = sum(min(said[word], 5) * min(count, 3) for word, count in wanted.items()) / (
            1 + len(text) / 20_000
        )
        scored.append((place - 2 * score, path, text))
    return [(path, text) for _, path, text in sorted(scored)]


def _listing(paths: Sequence[str], room: int) -> str:
    """Every path if they fit, else as many as do and how many there are."""
    lines, used = [f"Files ({len(paths)}):"], 0
    for path in sorted(paths):
        used += len(path.encode()) + 1
        if used > room - 60:
            lines.append(f"… and {len(paths) - len(lines) + 1} more")
            break
        lines.append(path)
    return "\n".join(lines)


def _instructions(paths: Sequence[str], read: Callable[[str], bytes | str | None], room: int) -> list[str]:
    """The repository's own instructions, from the base, so that a change cannot rewrite them for itself."""
    parts = []
    for path in INSTRUCTIONS:
        text = _text(read(path)) if path in paths else None
        if text:
            kept = text.encode()[: max(0, room - 100)].decode("utf-8", "ignore")
            cut = "" if kept == text else "\n… (cut)"
            parts.append(f"The repository's instructions, {path}:\n{kept}{cut}")
            room -= len(parts[-1].encode())
        if room < 500:
            break
    return parts


def _text(data: bytes | str | None) -> str | None:
    """Text of a file that is text; a long one is cut and says so."""
    if data is None:
        return None
    if isinstance(data, bytes):
        data = data.decode("utf-8", "replace")
    if "\0" in data[:8_000]:
        return None
    return data if len(data) <= FILE_CAP else f"{data[:FILE_CAP]}\n… (cut: {len(data)} characters)"

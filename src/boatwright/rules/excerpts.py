"""What of a failed check's log an agent is shown: the end, and earlier lines that speak of an error. Pure.

A log is untrusted text of any size. Colours and control characters go, and so does what looks like a secret.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from boatwright.rules import plain
from boatwright.values.checks import FailedCheck

LAST_LINES, LAST_CHARS = 150, 8_192
EARLIER_LINES, LINE_CHARS = 30, 400
WORDS_CHARS, READ_CHARS, READ_LINE = 12_000, 80_000, 2_000
"""The most of what a check says itself, of that with the end of its log, and of one line: no more is searched."""
MOST_CHECKS, MOST_CHARS = 5, 24_000
HIDDEN = "[hidden]"
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_STAMP = re.compile(r"(?m)^\ufeff?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z (?:\d\d[OE]\+? ?)?")
_SECTION = re.compile(r"section_(?:start|end):\d+:[^\r\n]*\r?")
_ERROR = re.compile(
    r"(?i)\b(?:error|errors|failed|failure|fatal|panic|exception|traceback)\b|##\[error\]|^E  "
)
_PEM = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)"
)
_PEM_END = re.compile(r"\A[\s\S]*-----END [A-Z ]{0,40}PRIVATE KEY-----")
"""One that began before what was read: everything before its end may be of it."""
_QUOTED = r"""\\{0,3}(?:"[^"\n]{4,2000}"?|'[^'\n]{4,2000}'?)"""
_IS = r"""\\{0,3}["']?[ \t]{0,8}[:=]>?[ \t]{0,8}(?:str(?:ing)?[ \t]{0,8}=[ \t]{0,8})?"""
"""From the end of a name, quoted or not, with a type or not, to the value."""
_SECRETS = (
    re.compile(
        r"()\b(?:gh[pousr]_|github_pat_|glpat-|glptt-|sk-|xox[abprs]-|npm_|pypi-|hf_)[A-Za-z0-9_-]{8,2000}"
    ),
    re.compile(r"()\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[A-Za-z0-9_-]{30,2000}"),
    re.compile(r"()\beyJ[A-Za-z0-9_-]{8,2000}+(?:\.[A-Za-z0-9_-]{8,2000}+){1,2}"),
    re.compile(rf"""(?i)(authorization{_IS}\\{{0,3}}["']?)[^"'\n]{{4,2000}}"""),
    re.compile(r"(?i)(bearer )\S{6,2000}|(basic )[A-Za-z0-9+/=]{12,2000}"),
    re.compile(r"""(://)[^/\s"<>]{1,2000}(?=@)"""),
    re.compile(
        r"(?i)((?:passw(?:or)?d|passphrase|secret|credential|(?:api|access|private|account)[_-]?key)"
        rf"""[\w-]{{0,40}}{_IS})(?:{_QUOTED}|[^\s"']{{6,2000}})"""
    ),
    re.compile(
        rf"""(?i)([\w"'-]token[\w-]{{0,40}}{_IS})(?:{_QUOTED}|(?![\w.]{{1,200}}[(\[])[^\s"']{{6,2000}})"""
    ),
    re.compile(
        rf"""(?i)(\btoken{_IS})(?:{_QUOTED}|(?=\S{{0,200}}\d)[^\s"']{{6,2000}})|(\btoken=)\S{{6,2000}}"""
    ),
)
"""Of one line each; the first group, or the second, stays. Every repeat is bounded: who wrote the line may mean ill."""


def text(checks: Sequence[FailedCheck]) -> str:
    """All of them, each under its name, as the agent's prompt quotes them."""
    parts = [_one(check) for check in checks[:MOST_CHECKS]]
    if len(checks) > MOST_CHECKS:
        parts.append(f"And {len(checks) - MOST_CHECKS} more checks failed.")
    return plain.short("\n\n".join(parts), MOST_CHARS)


def _one(check: FailedCheck) -> str:
    name, conclusion = (" ".join(plain.printable(word).split()) for word in (check.name, check.conclusion))
    head = f"The check {plain.short(name, 200)} ended with: {plain.short(conclusion, 40)}"
    said = excerpt(check.log)
    return f"{head}\n{said}" if said else f"{head}\n(It says nothing more.)"


def excerpt(log: str) -> str:
    """The last lines of a log, and before them the earlier ones that speak of an error."""
    lines = [_cut(line.rstrip()) for line in hidden(_bare(_end(log))).split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    last = _last(lines)
    earlier = [line for line in lines[: len(lines) - len(last)] if _ERROR.search(line)][-EARLIER_LINES:]
    gap = ["[…]"] if len(lines) > len(last) else []
    return "\n".join([*earlier, *gap, *last]).strip("\n")


def _last(lines: Sequence[str]) -> Sequence[str]:
    size, kept = 0, 0
    for line in reversed(lines[-LAST_LINES:]):
        size += len(line) + 1
        if size > LAST_CHARS:
            break
        kept += 1
    return lines[len(lines) - kept :]


def _end(log: str) -> str:
    """Its last :data:`READ_CHARS`, and the line they begin in from its beginning: half a secret is not known for one."""
    before = max(0, len(log) - READ_CHARS)
    return log[max(log.rfind("\n", 0, before), log.rfind("\r", 0, before)) + 1 :]


def _bare(log: str) -> str:
    """Without colours, a runner's own marks and times, and control characters."""
    bare = _STAMP.sub("", _SECTION.sub("", _ANSI.sub("", log)))
    return plain.printable(bare)


def _cut(line: str) -> str:
    return plain.short(line, LINE_CHARS)


def hidden(said: str) -> str:
    """Without what looks like a secret, lines cut at :data:`READ_LINE`: a forge hides those it knows of, and no others."""
    said = _PEM_END.sub(HIDDEN, _PEM.sub(HIDDEN, said))
    return "\n".join(_hidden(line[:READ_LINE]) for line in said.split("\n"))


def _hidden(line: str) -> str:
    for pattern in _SECRETS:
        line = pattern.sub(_kept, line)
    return line


def _kept(found: re.Match[str]) -> str:
    return f"{next((group for group in found.groups() if group), '')}{HIDDEN}"

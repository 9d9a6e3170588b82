"""Put a fence around text that others wrote, so that a model can tell data from what it is asked to do."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")


def data(kind: str, text: str) -> str:
    """``text`` between ``<kind>`` and ``</kind>``. The tag gets a number that makes it absent from the text.

    The text itself is not changed, and the same text always gets the same fence.
    """
    tag, number = kind, 1
    while f"<{tag}" in text or f"</{tag}" in text:
        number += 1
        tag = f"{kind}-{number}"
    return f"<{tag}>\n{text}\n</{tag}>"


def plain(text: str) -> str:
    """``text`` without terminal escapes and control characters; line ends and tabs stay."""
    return _CONTROL.sub("", _ESCAPE.sub("", text.replace("\r\n", "\n")))


def line(text: str, limit: int = 160) -> str:
    """``text`` as one short line for people who watch."""
    flat = " ".join(plain(text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def middle_cut(text: str, limit: int) -> str:
    """``text`` within ``limit`` bytes of UTF-8: its head and its tail, and between them how much is left
    out.
    """
    raw = text.encode("utf-8", "replace")
    if len(raw) <= limit:
        return raw.decode()
    half = limit // 2
    head, tail = raw[:half].decode("utf-8", "ignore"), raw[-half:].decode("utf-8", "ignore")
    return f"{head}\n[… {len(raw) - 2 * half} bytes left out …]\n{tail}"

"""A Markdown file with front matter: keys between two lines ``---``, then text for people and agents."""

from __future__ import annotations

from dataclasses import dataclass

from boatwright.config import strict_yaml
from boatwright.config.strict_yaml import Document

FENCE = "---"
MAX_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class Page:
    """The keys with their lines in the file, and the text below them (``body_line``: where it begins, from 1)."""

    document: Document
    body: str
    body_line: int


def parse(data: bytes, file: str) -> Page:
    """Raises ``errors.BadPolicy`` with file and line for what is no such file."""
    lines = _text(data, file).split("\n")
    if lines[0].rstrip() != FENCE:
        raise strict_yaml.refuse(
            file,
            1,
            "the file does not begin with front matter",
            "write a line ---, the keys, a line ---, then the text",
        )
    end = next((at for at, line in enumerate(lines) if at and line.rstrip() == FENCE), None)
    if end is None:
        raise strict_yaml.refuse(file, 1, "the front matter has no end", "write a line --- below the keys")
    # The empty first line stands for the fence, so that YAML counts lines as the file does.
    document = strict_yaml.parse("\n".join(["", *lines[1:end]]), file)
    below = lines[end + 1 :]
    blank = next((at for at, line in enumerate(below) if line.strip()), len(below))
    return Page(document, "\n".join(below).strip(), end + 2 + blank)


def _text(data: bytes, file: str) -> str:
    if len(data) > MAX_BYTES:
        raise strict_yaml.refuse(file, 1, f"the file is larger than {MAX_BYTES >> 10} KiB", "make it smaller")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise strict_yaml.refuse(file, line, "this is not UTF-8", "save it as UTF-8 text") from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise strict_yaml.refuse(file, line, "there is a NUL character", "remove it")
    return text.replace("\r\n", "\n")

"""Which new files of a workspace are left out when a step is saved: the base commit's rules and the host's.

Never the workspace's own: an agent that writes ``src/`` into its .gitignore would lose its work.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

from boatwright.git import names
from boatwright.git.trees import EXECUTABLE, FILE, Trees

HOST_DEFAULTS = b"""\
.venv/
node_modules/
__pycache__/
*.py[cod]
*.egg-info/
.pytest_cache/
.mypy_cache/
.ruff_cache/
.hypothesis/
.tox/
.nox/
.coverage
.DS_Store
.aider.tags.cache.v*/
"""
"""What tools leave behind in any repository. The base's own rules come after these and may take them back."""

_FILE_BYTES = 1 << 20
_NAME = ".gitignore"


def of(mirror: Trees, base: str) -> bytes:
    """The host's defaults and every .gitignore of ``base`` as one list of patterns, anchored at the root."""
    return _of(mirror.path, names.oid(base))


@functools.lru_cache(maxsize=64)
def _of(path: Path, base: str) -> bytes:
    mirror = Trees(path)
    files = [
        entry
        for entry in mirror.entries(base)
        if entry.path.rsplit("/", 1)[-1] == _NAME and entry.mode in {FILE, EXECUTABLE}
    ]
    contents = mirror.read_many([entry.oid for entry in files])
    files.sort(key=lambda entry: (entry.path.count("/"), entry.path))
    lists = [HOST_DEFAULTS]
    for entry in files:
        text = contents.get(entry.oid, b"")
        if len(text) <= _FILE_BYTES:
            lists.append(anchored(text, names.raw(entry.path)[: -len(_NAME)].rstrip(b"/")))
    return b"".join(lists)


def anchored(text: bytes, directory: bytes) -> bytes:
    """The patterns of ``directory/.gitignore`` rewritten to mean the same in one list at the root.

    Source of the rules: gitignore(5). A later line wins over an earlier one, so deeper files must come later.
    """
    if re.search(rb"[\n\x00]", directory):
        return b""  # no pattern can name it
    lines = (
        _anchor(line.removesuffix(b"\r"), directory)
        for line in text.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    )
    return b"".join(line + b"\n" for line in lines if line)


def _anchor(line: bytes, directory: bytes) -> bytes:
    bare = re.sub(rb"(?<!\\) +$", b"", line)
    if not bare or bare.startswith(b"#") or b"\x00" in bare:
        return b""
    if not directory:
        return bare
    no = b"!" if bare.startswith(b"!") else b""
    pattern = bare[len(no) :]
    place = b"/" + re.sub(rb"([\\*?\[\]])", rb"\\\1", directory) + b"/"
    if b"/" in pattern[:-1]:
        return no + place + pattern.removeprefix(b"/")
    return no + place + b"**/" + pattern


def unanchored(patterns: bytes) -> bytes:
    """The patterns that name a file wherever it is: the only ones that mean the same in a repository further
    down."""
    lines = patterns.split(b"\n")
    return b"".join(
        line + b"\n" for line in lines if line and not line.startswith(b"!") and b"/" not in line[:-1]
    )

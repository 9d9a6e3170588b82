"""Which files of a repository speak to coding agents. They hold as the base branch has them.

An agent may edit such a file, and the edit is part of its change like any other; but nobody has agreed to it yet, so
the next round does not read it as an instruction. Names are those the supported programs document.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

NAMES = frozenset({
    "agents.md", "agents.override.md", "claude.md", "claude.local.md", "gemini.md", "qwen.md", "conventions.md",
    ".mcp.json", "mcp.json", "opencode.json", "opencode.jsonc", ".aider.conf.yml", ".cursorrules", ".windsurfrules",
    ".clinerules", ".goosehints", "copilot-instructions.md",
})  # fmt: skip
"""Of files in any directory, in lower case: a file system may not tell cases apart."""
FOLDERS = frozenset(
    {".agents", ".aider", ".claude", ".codex", ".copilot", ".cursor", ".gemini", ".opencode", ".pi"}
)
"""Of directories in which every file counts."""
BELOW = ((".github", "instructions"), (".github", "agents"), (".github", "prompts"))


def instructs(path: str) -> bool:
    """Whether a coding agent may take this file for an instruction to itself."""
    parts = path.lower().split("/")
    folders = parts[:-1]
    return (
        parts[-1] in NAMES
        or any(part in FOLDERS for part in folders)
        or any(pair in BELOW for pair in pairwise(folders))
    )


def among(paths: Iterable[str]) -> tuple[str, ...]:
    """Those of the paths that instruct, in order."""
    return tuple(sorted(path for path in paths if instructs(path)))

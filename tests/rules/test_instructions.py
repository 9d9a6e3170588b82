"""Which files speak to coding agents."""

from __future__ import annotations

import pytest

from boatwright.rules import instructions


@pytest.mark.parametrize(
    ("path", "speaks"),
    [
        ("AGENTS.md", True), ("CLAUDE.md", True), ("src/deep/Claude.MD", True), ("GEMINI.md", True),
        (".claude/settings.json", True), ("lib/.codex/config.toml", True), (".mcp.json", True),
        (".github/copilot-instructions.md", True), (".github/instructions/python.instructions.md", True),
        ("README.md", False), ("docs/agents.md.txt", False), ("claude/settings.json", False), (".claude", False),
        (".github/workflows/test.yml", False), ("instructions/a.md", False), ("", False),
    ],
)  # fmt: skip
def test_names(path: str, speaks: bool) -> None:
    assert instructions.instructs(path) is speaks


def test_among_keeps_their_order() -> None:
    assert instructions.among(["b/CLAUDE.md", "x.py", "AGENTS.md"]) == ("AGENTS.md", "b/CLAUDE.md")

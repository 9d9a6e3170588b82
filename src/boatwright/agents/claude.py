"""Claude Code: Anthropic Messages over the gateway, JSON lines out, a session by id."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from boatwright.agents.headless import ASK_SECONDS, NO_KEY, Call, Headless, Heard
from boatwright.bottle.protocol import WORKSPACE


def _common(call: Call) -> Sequence[str]:
    return (
        "--dangerously-skip-permissions", "--disallowedTools", "WebSearch,WebFetch", "--model", call.model,
        *_servers(call),
    )  # fmt: skip


def _session(call: Call) -> Sequence[str]:
    if not call.resumes:
        return ()
    return ("--resume", call.session) if call.session else ("--continue",)


class Claude(Headless):
    name = "claude"
    remedy = "npm install -g @anthropic-ai/claude-code"
    tested = ("2.1.197",)
    models = ("anthropic",)
    keeps = (".claude/projects",)
    skills = ".claude/skills"
    mcp = True
    standing = ".claude/CLAUDE.md"

    def environment(self, call: Call) -> Mapping[str, str]:
        return {
            "ANTHROPIC_BASE_URL": call.url,
            "ANTHROPIC_AUTH_TOKEN": NO_KEY,
            "ANTHROPIC_DEFAULT_HAIKU_MODEL": call.model,  # its small side calls go to the model that was allowed
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "MCP_TOOL_TIMEOUT": str(1_000 * ASK_SECONDS),
        }

    def arguments(self, call: Call) -> Sequence[str]:
        session = _session(call) or ("--session-id", call.session)
        return ("--print", "--output-format", "stream-json", "--verbose", *_common(call), *session)

    def interactive(self, call: Call) -> Sequence[str]:
        return (*_common(call), *_session(call))

    def first_start(self, call: Call) -> Mapping[str, str]:
        trusted = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
        settings = {
            "hasCompletedOnboarding": True, "bypassPermissionsModeAccepted": True, "theme": "dark",
            "autoUpdates": False, "projects": {str(WORKSPACE): trusted},
        }  # fmt: skip
        return {".claude.json": json.dumps(settings)}

    def hear(self, line: Mapping[str, Any]) -> Iterable[Heard]:
        if line.get("type") == "result":
            # A dead API ends with the subtype "success" and is_error: only the latter tells.
            said = str(line.get("result") or line.get("subtype") or "")
            yield Heard(failed=said) if line.get("is_error") else Heard(final=said)
        message = line.get("message")
        parts = message.get("content") if isinstance(message, Mapping) else None
        for part in parts if isinstance(parts, list) else ():
            match part.get("type"):
                case "text" if line["type"] == "assistant":
                    yield Heard(said=str(part["text"]))
                case "tool_use":
                    yield Heard(tool=f"{part['name']} {json.dumps(part['input'], ensure_ascii=False)}")
                case "tool_result":
                    yield Heard(result=str(part.get("content")))


def _servers(call: Call) -> Sequence[str]:
    """No MCP server but ours, whatever the repository names."""
    named = {name: {"type": "http", "url": url} for name, url in call.servers.items()}
    return ("--strict-mcp-config", "--mcp-config", json.dumps({"mcpServers": named})) if named else ()

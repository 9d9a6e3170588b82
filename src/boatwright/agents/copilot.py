"""Copilot CLI: Anthropic Messages or Chat Completions over the gateway, no GitHub login, JSON lines out, a session by id."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from boatwright.agents.headless import NO_KEY, Call, Headless, Heard

_PATHS = {"anthropic": "", "openai": "/v1"}


class Copilot(Headless):
    name = "copilot"
    remedy = "npm install -g @github/copilot"
    tested = ("1.0.102",)
    models = ("openai", "anthropic")
    keeps = (".copilot/session-state", ".copilot/history-session-state")
    skills = ".copilot/skills"
    mcp = True
    standing = ".copilot/copilot-instructions.md"

    def environment(self, call: Call) -> Mapping[str, str]:
        return {
            "COPILOT_PROVIDER_BASE_URL": f"{call.url}{_PATHS[call.protocol]}",
            "COPILOT_PROVIDER_TYPE": call.protocol,
            "COPILOT_PROVIDER_API_KEY": NO_KEY,
            "COPILOT_MODEL": call.model,
            "COPILOT_OFFLINE": "true",
        }

    def files(self, call: Call) -> Mapping[str, str]:
        named = {name: {"type": "http", "url": url, "tools": ["*"]} for name, url in call.servers.items()}
        return {".copilot/mcp-config.json": json.dumps({"mcpServers": named})} if named else {}

    def arguments(self, call: Call) -> Sequence[str]:
        begins = () if call.resumes else (f"--session-id={call.session}",)
        return ("--output-format", "json", *self.interactive(call), *begins)

    def interactive(self, call: Call) -> Sequence[str]:
        session = f"--resume={call.session}" if call.session else "--continue"
        return ("--allow-all-tools", "--no-auto-update", *((session,) if call.resumes else ()))

    def hear(self, line: Mapping[str, Any]) -> Iterable[Heard]:
        data = line.get("data") or {}
        match line.get("type"):
            case "assistant.message":
                said = str(data.get("content") or "")
                yield Heard(said=said, final=said or None)
            case "tool.execution_start":
                yield Heard(
                    tool=f"{data['toolName']} {json.dumps(data.get('arguments'), ensure_ascii=False)}"
                )
            case "tool.execution_complete":
                yield Heard(result=str(data.get("result") or ""))
            case "session.error":
                yield Heard(failed=str(data.get("message") or "error"))
            case "result" if line.get("exitCode"):
                yield Heard(failed=f"exit code {line['exitCode']}")

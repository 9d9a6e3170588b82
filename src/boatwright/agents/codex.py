"""Codex: OpenAI Responses over the gateway, JSON lines out, a thread by the id it gives itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from boatwright.agents.headless import ASK_SECONDS, NO_KEY, Call, Headless, Heard
from boatwright.bottle.protocol import WORKSPACE


class Codex(Headless):
    name = "codex"
    remedy = "npm install -g @openai/codex"
    tested = ("0.169.0",)
    models = ("openai",)
    keeps = (".codex/sessions",)
    skills = ".codex/skills"
    mcp = True
    standing = ".codex/AGENTS.md"

    def environment(self, call: Call) -> Mapping[str, str]:
        return {"OPENAI_API_KEY": NO_KEY}

    def arguments(self, call: Call) -> Sequence[str]:
        common = ("--json", "--skip-git-repo-check", *self._common(call))
        if not call.resumes:
            return ("exec", *common, "-")
        return ("exec", "resume", *common, call.session or "--last", "-")

    def interactive(self, call: Call) -> Sequence[str]:
        goes_on = ("resume", call.session or "--last") if call.resumes else ()
        trusted = f"projects.{json.dumps(str(WORKSPACE))}.trust_level"
        return (
            *goes_on,
            *self._common(call),
            "-c",
            f'{trusted}="trusted"',
            "-c",
            "check_for_update_on_startup=false",
        )

    @staticmethod
    def _common(call: Call) -> Sequence[str]:
        # A provider of our own naming: the built-in one tries a WebSocket first and waits for it.
        provider = {
            "name": "boatwright",
            "base_url": f"{call.url}/v1",
            "env_key": "OPENAI_API_KEY",
            "wire_api": "responses",
        }
        table = ", ".join(f"{key} = {json.dumps(value)}" for key, value in provider.items())
        return (
            "--dangerously-bypass-approvals-and-sandbox", "--model", call.model,
            "-c", "model_provider=boatwright", "-c", f"model_providers.boatwright={{{table}}}",
            "-c", 'web_search="disabled"', *_servers(call),
        )  # fmt: skip

    def hear(self, line: Mapping[str, Any]) -> Iterable[Heard]:
        found = line.get("item")
        item: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
        match line.get("type"), item.get("type"):
            case "thread.started", _:
                yield Heard(session=str(line.get("thread_id") or ""))
            case "item.completed", "agent_message":
                yield Heard(said=str(item.get("text") or ""), final=str(item.get("text") or ""))
            case "item.completed", "command_execution":
                yield Heard(
                    tool=f"shell {item.get('command')}", result=str(item.get("aggregated_output") or "")
                )
            case "item.completed", "file_change":
                yield Heard(tool=f"edit {json.dumps(item.get('changes'))}")
            case "item.completed", "mcp_tool_call":
                called = f"{item.get('server')}.{item.get('tool')}"
                given = json.dumps(item.get("arguments"), ensure_ascii=False)
                yield Heard(tool=f"{called} {given}", result=_told(item))
            case "turn.failed", _:
                error = line.get("error")
                yield Heard(failed=str(error.get("message") if isinstance(error, Mapping) else error))
            case "error", _:
                yield Heard(failed=str(line.get("message") or ""))


def _told(item: Mapping[str, Any]) -> str:
    """What a tool of an MCP server came back with: its words, or why there are none."""
    for found in (item.get("error"), item.get("result")):
        if isinstance(found, Mapping):
            parts = found.get("content")
            texts = [str(part.get("text") or "") for part in parts or () if isinstance(part, Mapping)]
            return "\n".join(texts) or str(found.get("message") or "")
    return ""


def _servers(call: Call) -> Sequence[str]:
    tables = {
        name: f"{{url = {json.dumps(url)}, tool_timeout_sec = {ASK_SECONDS}}}"
        for name, url in call.servers.items()
    }
    return tuple(word for name, table in tables.items() for word in ("-c", f"mcp_servers.{name}={table}"))

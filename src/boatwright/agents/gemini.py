"""Gemini CLI: the Gemini protocol over the gateway, JSON lines out, one session a HOME."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from boatwright.agents.headless import ASK_SECONDS, NO_KEY, Call, Headless, Heard
from boatwright.values.clock import Ids


class Gemini(Headless):
    name = "gemini"
    remedy = "npm install -g @google/gemini-cli"
    tested = ("0.61.0",)
    models = ("gemini",)
    keeps = (".gemini/tmp", ".gemini/history", ".gemini/projects.json")
    skills = ".gemini/skills"
    mcp = True
    standing = ".gemini/GEMINI.md"

    def __init__(self, *, ids: Ids | None = None) -> None:
        super().__init__(ids=ids)
        self._words = ""

    def environment(self, call: Call) -> Mapping[str, str]:
        return {
            "GEMINI_API_KEY": NO_KEY,
            "GOOGLE_GEMINI_BASE_URL": call.url,
            "GEMINI_CLI_TRUST_WORKSPACE": "true",
        }

    def files(self, call: Call) -> Mapping[str, str]:
        settings: dict[str, Any] = {
            "security": {"auth": {"selectedType": "gemini-api-key"}},  # without: exit code 41
            "privacy": {"usageStatisticsEnabled": False},
            "telemetry": {"enabled": False},
            "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
            "tools": {"exclude": ["google_web_search", "web_fetch"]},  # they run at the provider
        }
        if call.servers:
            server = {"timeout": 1_000 * ASK_SECONDS, "trust": True}
            settings["mcpServers"] = {name: {**server, "httpUrl": url} for name, url in call.servers.items()}
        return {".gemini/settings.json": json.dumps(settings)}

    def arguments(self, call: Call) -> Sequence[str]:
        return ("--output-format", "stream-json", *self.interactive(call))

    def interactive(self, call: Call) -> Sequence[str]:
        goes_on = ("--resume", "latest") if call.resumes else ()
        return ("--yolo", "--model", call.model, *goes_on)

    def hear(self, line: Mapping[str, Any]) -> Iterable[Heard]:
        kind = line.get("type")
        if kind == "message":  # in pieces, and the prompt too
            if line.get("role") == "assistant":
                self._words += str(line.get("content") or "")
            return
        if self._words:
            yield Heard(said=self._words, final=self._words)
            self._words = ""
        match kind:
            case "tool_use":
                called = json.dumps(line.get("parameters"), ensure_ascii=False)
                yield Heard(tool=f"{line['tool_name']} {called}")
            case "tool_result":
                yield Heard(result=str(line.get("output") or ""))
            case "error" if line.get("severity") == "error":
                yield Heard(failed=str(line.get("message")))
            case "result" if line.get("status") == "error":
                yield Heard(failed=str((line.get("error") or {}).get("message") or "error"))

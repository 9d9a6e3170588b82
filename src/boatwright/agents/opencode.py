"""opencode: Anthropic Messages or Chat Completions over the gateway, JSON lines out, a session by the id it gives itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from boatwright.agents.headless import ASK_SECONDS, NO_KEY, Call, Headless, Heard

_PACKAGES = {"anthropic": "@ai-sdk/anthropic", "openai": "@ai-sdk/openai-compatible"}


class Opencode(Headless):
    name = "opencode"
    remedy = "npm install -g opencode-ai"
    tested = ("1.18.33",)
    models = ("anthropic", "openai")
    keeps = (".local/share/opencode",)
    skills = ".config/opencode/skills"
    mcp = True
    standing = ".config/opencode/AGENTS.md"

    def environment(self, call: Call) -> Mapping[str, str]:
        return {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1"}

    def files(self, call: Call) -> Mapping[str, str]:
        name = f"boatwright/{call.model}"
        provider = {
            "npm": _PACKAGES[call.protocol],
            "options": {"baseURL": f"{call.url}/v1", "apiKey": NO_KEY},
            "models": {call.model: {"name": call.model, "limit": {"context": 128_000, "output": 8_192}}},
        }
        settings: dict[str, Any] = {
            "provider": {"boatwright": provider}, "model": name, "small_model": name,  # titles ask the same one
            "permission": {"*": "allow"}, "autoupdate": False, "share": "disabled",
        }  # fmt: skip
        if call.servers:
            server = {"type": "remote", "oauth": False, "timeout": 1_000 * ASK_SECONDS}
            settings["mcp"] = {name: {**server, "url": url} for name, url in call.servers.items()}
        return {".config/opencode/opencode.json": json.dumps(settings)}

    def arguments(self, call: Call) -> Sequence[str]:
        return ("run", "--format", "json", *self.interactive(call))

    def interactive(self, call: Call) -> Sequence[str]:
        session = ("--session", call.session) if call.session else ("--continue",)
        return ("--model", f"boatwright/{call.model}", *(session if call.resumes else ()))

    def hear(self, line: Mapping[str, Any]) -> Iterable[Heard]:
        part = line.get("part") or {}
        session = str(line.get("sessionID") or "")
        match line.get("type"):
            case "text":
                yield Heard(said=str(part["text"]), final=str(part["text"]), session=session)
            case "tool_use":
                state = part["state"]
                called = f"{part['tool']} {json.dumps(state.get('input'), ensure_ascii=False)}"
                yield Heard(tool=called, result=str(state.get("output") or ""), session=session)
            case "error":
                yield Heard(failed=json.dumps(line.get("error")), session=session)

"""pi: Anthropic Messages or Chat Completions over the gateway, JSON lines out, one session a HOME."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from boatwright.agents.headless import NO_KEY, Call, Headless, Heard

_APIS = {"anthropic": ("anthropic-messages", ""), "openai": ("openai-completions", "/v1")}


class Pi(Headless):
    name = "pi"
    remedy = "npm install -g @mariozechner/pi-coding-agent"
    tested = ("0.73.1",)
    models = ("anthropic", "openai")
    keeps = (".pi/agent/sessions",)
    skills = ".pi/agent/skills"
    standing = ".pi/agent/AGENTS.md"

    def environment(self, call: Call) -> Mapping[str, str]:
        return {"PI_OFFLINE": "1", "PI_SKIP_VERSION_CHECK": "1"}

    def files(self, call: Call) -> Mapping[str, str]:
        api, path = _APIS[call.protocol]
        provider = {
            "baseUrl": f"{call.url}{path}", "apiKey": NO_KEY, "api": api,
            "models": [{"id": call.model, "contextWindow": 128_000, "maxTokens": 8_192}],
        }  # fmt: skip
        return {".pi/agent/models.json": json.dumps({"providers": {"boatwright": provider}})}

    def arguments(self, call: Call) -> Sequence[str]:
        return ("--print", "--mode", "json", *self.interactive(call))

    def interactive(self, call: Call) -> Sequence[str]:
        goes_on = ("--continue",) if call.resumes else ()
        return ("--provider", "boatwright", "--model", call.model, *goes_on)

    def hear(self, line: Mapping[str, Any]) -> Iterable[Heard]:
        message = line.get("message")
        if line.get("type") != "message_end" or not isinstance(message, Mapping):
            return
        if message.get("stopReason") in {"error", "aborted"}:
            yield Heard(failed=str(message.get("errorMessage") or message.get("stopReason")))
        parts = message.get("content")
        for part in parts if isinstance(parts, list) else ():
            match message.get("role"), part.get("type"):
                case "assistant", "text":
                    yield Heard(said=str(part["text"]), final=str(part["text"]))
                case "assistant", "toolCall":
                    yield Heard(
                        tool=f"{part['name']} {json.dumps(part.get('arguments'), ensure_ascii=False)}"
                    )
                case "toolResult", "text":
                    yield Heard(result=str(part["text"]))

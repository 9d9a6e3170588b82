"""What programs have in common that ask through litellm: where it looks for the wire, and a task that is no stdin."""

from __future__ import annotations

from collections.abc import Mapping

from boatwright.agents.headless import NO_KEY, TASK, Call, Headless


class Litellm(Headless):
    models = ("openai", "anthropic")

    def environment(self, call: Call) -> Mapping[str, str]:
        return {
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "OPENAI_API_BASE": f"{call.url}/v1",
            "OPENAI_API_KEY": NO_KEY,
            "ANTHROPIC_API_BASE": call.url,
            "ANTHROPIC_API_KEY": NO_KEY,
            "COLUMNS": "400",  # what such a program prints is hardly broken into lines
        }

    def files(self, call: Call) -> Mapping[str, str]:
        return {TASK: call.prompt}

    def stdin(self, call: Call) -> str:
        return ""

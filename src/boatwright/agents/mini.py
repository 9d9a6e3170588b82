"""mini-swe-agent: Chat Completions or Anthropic Messages over the gateway, text out, no session: it begins again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from boatwright.agents.headless import Call, Heard, argument
from boatwright.agents.litellm import Litellm
from boatwright.values.clock import Ids

_SAYS = re.compile(r"mini-swe-agent \(step \d+, \$[\d.]+\):")
_HEADS = frozenset({"System:", "User:", "Tool:", "Exit:"})
_BAD_END = re.compile(r"[\w.]+(Error|Exceeded)(: .*)?")
_RULE = re.compile("─+")


class Mini(Litellm):
    name = "mini"
    remedy = "pipx install mini-swe-agent && pipx inject mini-swe-agent mcp"
    tested = ("2.4.6",)
    keeps = ()

    def __init__(self, *, ids: Ids | None = None) -> None:
        super().__init__(ids=ids)
        self._part = ""
        self._command: list[str] | None = None

    def environment(self, call: Call) -> Mapping[str, str]:
        return {
            "MSWEA_CONFIGURED": "true",
            "MSWEA_SILENT_STARTUP": "1",
            "MSWEA_COST_TRACKING": "ignore_errors",  # the wire counts
            "MSWEA_MODEL_RETRY_STOP_AFTER_ATTEMPT": "5",
            **super().environment(call),
        }

    def arguments(self, call: Call) -> Sequence[str]:
        return (
            "--model", f"{call.protocol}/{call.model}", "--yolo", "--exit-immediately", "--cost-limit", "0",
            "--task", argument(call.prompt),
        )  # fmt: skip

    def interactive(self, call: Call) -> Sequence[str]:
        return ("--model", f"{call.protocol}/{call.model}", "--cost-limit", "0")

    def read(self, text: str) -> Iterable[Heard]:
        """It prints the whole conversation: heads, and what was said below them, commands between fences."""
        line = text.strip()
        if _SAYS.fullmatch(line) or line in _HEADS or _RULE.fullmatch(line):
            self._part, self._command = line.strip("─").partition(" ")[0], None
        elif self._part == "mini-swe-agent":
            yield from self._said(text.rstrip())
        elif self._part == "Tool:" and line:
            yield Heard(result=line)
        elif self._part in {"", "Exit:"} and _BAD_END.fullmatch(line):
            yield Heard(failed=line)

    def _said(self, line: str) -> Iterable[Heard]:
        if line == "```":
            if self._command is not None:
                yield Heard(tool="bash " + "\n".join(self._command))
            self._command = [] if self._command is None else None
        elif self._command is not None:
            self._command.append(line)
        elif line:
            yield Heard(said=line, final=line)

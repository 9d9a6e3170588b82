"""aider: Chat Completions or Anthropic Messages over the gateway, text out, its conversation in one file of HOME."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from boatwright.agents.headless import TASK, Call, Heard
from boatwright.agents.litellm import Litellm
from boatwright.bottle.protocol import HOME
from boatwright.values.clock import Ids

_CHAT = ".aider/chat.md"
_LAST = 5
"""Lines of a reply, outside its fences, that are taken for its last words."""
_ASIDE = (
    "Aider v", "Analytics have ", "Git repo: ", "HTTPSConnectionPool(", "Model: ", "Repo-map: ", "Restored previous ",
    "Retrying in ", "Tokens: ",
)  # fmt: skip
_ERROR = re.compile(r"litellm\.\w+(Error|Exception)\b")


class Aider(Litellm):
    name = "aider"
    remedy = "pipx install aider-chat"
    tested = ("0.86.2",)
    keeps = (_CHAT,)

    def __init__(self, *, ids: Ids | None = None) -> None:
        super().__init__(ids=ids)
        self._words: list[str] = []
        self._fenced = False

    def arguments(self, call: Call) -> Sequence[str]:
        return (
            "--message-file", str(HOME / TASK), "--yes-always", "--no-pretty", "--no-fancy-input",
            "--no-suggest-shell-commands", *self._common(call),
        )  # fmt: skip

    def interactive(self, call: Call) -> Sequence[str]:
        return ("--read", str(HOME / TASK), *self._common(call))

    @staticmethod
    def _common(call: Call) -> Sequence[str]:
        model = f"{call.protocol}/{call.model}"
        goes_on = ("--restore-chat-history",) if call.resumes else ()
        return (
            "--model", model, "--weak-model", model, "--editor-model", model, "--no-auto-commits",
            "--no-dirty-commits", "--no-gitignore", "--no-check-update", "--no-show-release-notes",
            "--no-show-model-warnings", "--analytics-disable", "--disable-playwright", "--no-detect-urls",
            "--chat-history-file", str(HOME / _CHAT), "--input-history-file", str(HOME / ".aider/input"), *goes_on,
        )  # fmt: skip

    def read(self, text: str) -> Iterable[Heard]:
        """A banner, then each reply, closed by what it took; then the files it edited."""
        line = text.rstrip()
        if _ERROR.match(line):
            yield Heard(failed=line)
        elif line.startswith("Tokens: ") and self._words:
            yield Heard(final="\n".join(self._words[-_LAST:]))
            self._words, self._fenced = [], False
        elif line.startswith("Applied edit to "):
            yield Heard(tool=f"edit {line.removeprefix('Applied edit to ')}")
        elif line.startswith(_ASIDE):
            self._words = []
        elif line:
            self._fenced ^= line.startswith("```")
            if not self._fenced and line != "```":
                self._words.append(line)
            yield Heard(said=line)

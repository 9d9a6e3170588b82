"""Any other program, as an agent's manifest describes it: text out, and a session where it keeps one."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from boatwright import errors
from boatwright.agents.headless import NO_KEY, TASK, Call, Headless, Heard, argument
from boatwright.agents.protocol import Host
from boatwright.bottle import program
from boatwright.bottle.protocol import HOME
from boatwright.config.command import FILLED
from boatwright.config.command import Command as Said
from boatwright.config.manifest import Agent, Where
from boatwright.values.clock import Ids

NAME = "command"
_FILLED = re.compile(rf"\{{({'|'.join(FILLED)})\}}")


class Command(Headless):
    name = NAME

    def __init__(self, manifest: Agent, said: Said, *, ids: Ids | None = None) -> None:
        super().__init__(ids=ids)
        self._manifest, self._said = manifest, said
        self.models, self.keeps = (said.protocol,), said.keeps

    def environment(self, call: Call) -> Mapping[str, str]:
        """Where the usual client libraries look, and what has no variable of its own."""
        ways = {
            "anthropic": {"ANTHROPIC_BASE_URL": call.url, "ANTHROPIC_API_KEY": NO_KEY},
            "openai": {
                "OPENAI_BASE_URL": f"{call.url}/v1",
                "OPENAI_API_BASE": f"{call.url}/v1",
                "OPENAI_API_KEY": NO_KEY,
            },
            "gemini": {"GOOGLE_GEMINI_BASE_URL": call.url, "GEMINI_API_KEY": NO_KEY},
        }
        return {**ways[call.protocol], "BOATWRIGHT_MODEL": call.model, "BOATWRIGHT_SESSION": call.session}

    def files(self, call: Call) -> Mapping[str, str]:
        return {TASK: call.prompt}

    def arguments(self, call: Call) -> Sequence[str]:
        return self._filled(call, self._words(call))

    @staticmethod
    def _filled(call: Call, words: Sequence[str]) -> Sequence[str]:
        filled = {
            "model": call.model, "session": call.session, "prompt": argument(call.prompt),
            "prompt_file": str(HOME / TASK),
        }  # fmt: skip
        return tuple(_FILLED.sub(lambda found: filled[found[1]], word) for word in words[1:])

    @property
    def screen(self) -> bool:
        return bool(self._said.terminal)

    def interactive(self, call: Call) -> Sequence[str] | None:
        goes_on = call.resumes and self._said.terminal_resume
        return self._filled(call, self._said.terminal_resume if goes_on else self._said.terminal)

    def stdin(self, call: Call) -> str:
        words = self._words(call)
        return "" if any("{prompt}" in word or "{prompt_file}" in word for word in words) else call.prompt

    def read(self, text: str) -> Iterable[Heard]:
        if text.strip():
            yield Heard(said=text, final=text)

    def find(self, host: Host) -> program.Program:
        """A repository names only what every bottle sees; the host's own manifests name any program it has."""
        name, place = self._said.run[0], self._manifest.origin("command", "run", 0)
        found = shutil.which(name, path=host.environment.get("PATH", os.defpath))
        own = self._manifest.where is Where.HOST
        if found and not own and not Path(found).resolve().is_relative_to("/usr"):
            raise errors.AboveCeiling(
                f"{place}: a repository may name programs of the system alone, and '{name}' is not one here",
                subject=name,
                next_moves=(f"write agents/{self._manifest.name}.md in this host's state directory",),
            )
        remedy = f"install it, or name another program in {place}"
        return program.find(name, host.environment, uid=host.uid, shelf=host.shelf, remedy=remedy)

    def _words(self, call: Call) -> tuple[str, ...]:
        return self._said.resume if call.resumes and self._said.resume else self._said.run

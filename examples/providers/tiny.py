"""A provider: how Boatwright starts, resumes and reads the program ``tiny`` beside this file.

To add one for good: put it into ``src/boatwright/agents/``, and its class into ``PROGRAMS`` of ``registry.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from boatwright.agents.headless import NO_KEY, Call, Headless, Heard


class Tiny(Headless):
    name = "tiny"  # of the program, and for --agent
    remedy = "cp examples/providers/tiny ~/.local/bin/"  # told where it is missing
    tested = ("1",)  # versions whose requests pass the wire; doctor warns on others
    models = ("openai",)  # whose models it can ask: anthropic, openai, gemini
    keeps = (".tiny",)  # below HOME: saved with each step, laid out again before it is resumed
    skills = ".tiny/skills"  # below HOME: where it looks for skills

    def environment(self, call: Call) -> Mapping[str, str]:
        """Its variables. The wire is the only way out, and adds the key itself."""
        return {"OPENAI_BASE_URL": f"{call.url}/v1", "OPENAI_API_KEY": NO_KEY}

    def arguments(self, call: Call) -> Sequence[str]:
        """What follows its name; the prompt comes on stdin. ``call.session`` is an id it may be given."""
        return (call.model, "--resume") if call.resumes else (call.model,)

    def hear(self, line: Mapping[str, Any]) -> Iterable[Heard]:
        """What a JSON line of its output says. ``final`` is the last word so far; ``failed`` would park the run."""
        if line.get("say"):
            yield Heard(said=line["say"], final=line["say"])
        if "ran" in line:
            yield Heard(tool=f"bash {line['ran']}", result=line["output"])

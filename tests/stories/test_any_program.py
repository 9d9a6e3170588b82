"""Programs Boatwright does not know: one by an agent's manifest, one by the example's class. Whole, in a bottle."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest

from boatwright import errors
from boatwright.agents import registry
from boatwright.values import events
from boatwright.values.execution import State
from boatwright.values.proof import Word

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "providers"
MANIFEST = """---
provider: command
command:
  run: [tiny, "{model}"]
  resume: [tiny, "{model}", --resume]
  keeps: [.tiny]
---
"""
FIRST = ("printf '\\nA short guide.\\n' >> README.md", "Documented.")


@pytest.fixture
def tiny(yard: Any) -> Any:
    """The example's program on PATH, where a person would put it."""
    place = yard.repository.parent / "bin"
    place.mkdir()
    (place / "tiny").write_bytes((EXAMPLE / "tiny").read_bytes())
    (place / "tiny").chmod(0o755)
    yard.house.environment["PATH"] = f"{place}:{os.environ['PATH']}"
    return yard


def manifest(yard: Any, text: str = MANIFEST) -> None:
    folder = yard.house.state.root / "agents"
    folder.mkdir(exist_ok=True)
    (folder / "helper.md").write_text(text)


async def goes_on(yard: Any, agent: str) -> None:
    line, end = FIRST
    replies = yard.replies(yard.test, yard.fix)
    script = yard.script(replies=replies, later=[yard.replies(line, end=end)])
    view = await yard.run(script, agent=agent)
    assert (view.state, view.word) == (State.DELIVERED, Word.PROVEN), view.reason
    again = await yard.comment(view, "Please mention it in the README.")
    diff = yard.house.mirror(again).diff_text(again.base_commit, again.head)
    assert "A short guide." in diff and "-(-len(items) // size)" in diff
    calls = yard.payloads(view.id, events.ModelCalled)
    assert {call.source for call in calls} == {"provider"} and sum(
        call.purpose == "build" for call in calls
    ) >= 4
    assert all(step.session for step in yard.payloads(view.id, events.StepCompleted))


async def test_a_program_by_manifest_does_the_sample_task_and_goes_on(tiny: Any) -> None:
    manifest(tiny)
    await goes_on(tiny, "helper")


async def test_a_key_that_is_turned_down_parks_by_what_the_wire_saw(tiny: Any) -> None:
    manifest(tiny)
    script = tiny.script(replies=tiny.replies(tiny.test, tiny.fix), faults=[{"reply": 1, "kind": "http_401"}])
    view = await tiny.run(script, agent="helper")
    assert (view.state, view.parked_code) == (State.PARKED, "credential"), view.reason
    assert "it answered 401 to the last call" in view.reason


async def test_the_example_is_a_provider_in_under_sixty_lines(
    tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = EXAMPLE / "tiny.py"
    assert len(file.read_text().splitlines()) < 60
    spec = importlib.util.spec_from_file_location("tiny_provider", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(registry._MAKERS, "tiny", module.Tiny)  # type: ignore[index]
    monkeypatch.setattr(registry, "NAMES", (*registry.NAMES, "tiny"))
    await goes_on(tiny, "tiny")


async def test_a_repository_names_no_program_of_the_hosts_own(tiny: Any) -> None:
    folder = tiny.repository / ".boatwright" / "agents"
    folder.mkdir(parents=True)
    tiny.commit(".boatwright/agents/helper.md", MANIFEST)
    with pytest.raises(
        errors.AboveCeiling, match=r"helper.md line 4: .*programs of the system alone, and 'tiny'"
    ):
        await tiny.ask(tiny.good(), agent="helper")
    tiny.commit(".boatwright/agents/helper.md", MANIFEST.replace("tiny,", "env,"))
    assert await tiny.ask(tiny.good(), agent="helper")


async def test_a_program_that_is_not_here_is_named_with_the_file(yard: Any) -> None:
    manifest(yard, MANIFEST.replace("tiny,", "absent-program,"))
    with pytest.raises(errors.MissingPart, match="'absent-program' is not on this host's PATH") as missing:
        await yard.ask(yard.good(), agent="helper")
    assert "helper.md line 4" in missing.value.next_moves[0]


async def test_any_program_needs_a_manifest_that_says_which(yard: Any) -> None:
    with pytest.raises(errors.BadInput, match="only an agent's manifest can say which"):
        await yard.ask(yard.good(), agent="command")

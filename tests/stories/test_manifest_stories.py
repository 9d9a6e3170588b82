"""An agent of the repository's own: its manifest, its bottle, its skill, from the base branch to the pull request."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from boatwright import errors
from boatwright.bottle.protocol import Missing
from boatwright.values import events
from boatwright.values.execution import State
from boatwright.values.proof import Word

AGENT = """---
description: Writes small changes
provider: builtin
bottles: [base]
skills: [lint]
budget: 2usd
git: {user: {name: Implementer, email: implementer@example.org}}
---

Prefer the smallest change.
"""
BOTTLE = """---
environment: {MODE: development}
limits: {memory: 1GiB}
---

Packages cannot be installed here.
"""
FILES = {
    ".boatwright/agents/implementer.md": AGENT,
    ".boatwright/bottles/base.md": BOTTLE,
    ".boatwright/bottles/slow.md": "---\nextends: base\nenvironment: {MODE: slow}\n---\n",
    ".boatwright/skills/lint/SKILL.md": "Lint before you end.\n",
}


def lay(yard: Any) -> None:
    for path, text in FILES.items():
        (yard.repository / path).parent.mkdir(parents=True, exist_ok=True)
        yard.commit(path, text)


async def test_an_agent_of_the_repository_does_the_work_in_its_bottle(yard: Any) -> None:
    lay(yard)
    look = 'echo "MODE is $MODE"; cat ~/skills/lint/SKILL.md'
    view = await yard.run(yard.script(replies=yard.replies(look, yard.test, yard.fix)), agent="implementer")
    assert (view.state, view.word, view.agent, view.provider) == (
        State.DELIVERED, Word.PROVEN, "implementer", "builtin",
    ), view.reason  # fmt: skip
    assert str(view.budget) == "2 USD"
    built = yard.payloads(view.id, events.BuildCompleted)[-1]
    told = json.dumps(json.loads(yard.house.ledger.artifacts.get(built.transcript)))
    assert "MODE is development" in told and "Lint before you end." in told
    author = yard.house.mirror(view).line("show", "--no-patch", "--format=%an <%ae>", view.head)
    assert author == "Implementer <implementer@example.org>"


async def test_its_variables_hold_while_it_is_set_up_and_another_value_is_set_up_anew(yard: Any) -> None:
    lay(yard)
    mode = 'echo "MODE is $MODE" > /env/mode'
    look = "cat /env/mode"
    for bottles, word in ((None, "development"), (("slow",), "slow")):
        script = yard.script(replies=yard.replies(look, yard.test, yard.fix))
        view = await yard.run(script, agent="implementer", setup=mode, bottles=bottles)
        assert view.state is State.DELIVERED, view.reason
        built = yard.payloads(view.id, events.BuildCompleted)[-1]
        assert f"MODE is {word}".encode() in yard.house.ledger.artifacts.get(built.transcript)


async def test_the_backend_that_is_asked_for_is_the_one_that_must_be_here(
    yard: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(yard)
    place = yard.house.state.bottles / "boxed.md"
    place.write_text("---\nbackend: container\n---\n")
    settings = type(yard.house.settings).model_validate({"container": {}})
    yard.house = dataclasses.replace(yard.house, settings=settings)
    for backend, program in (
        (yard.house.backend.container, "podman"),
        (yard.house.backend.bubblewrap, "bwrap"),
    ):
        lacks = (Missing(program, "it is nowhere", f"apt-get install {program}"),)
        monkeypatch.setattr(type(backend), "missing", lambda _, lacks=lacks: lacks)
    with pytest.raises(errors.MissingPart, match="podman"):
        await yard.ask(yard.good(), bottles=("boxed",))
    with pytest.raises(errors.MissingPart, match="bwrap"):
        await yard.ask(yard.good())


async def test_bottles_that_were_named_hold_in_later_turns_too(yard: Any) -> None:
    lay(yard)
    script = yard.script(
        replies=yard.replies(yard.test, yard.fix),
        later=[yard.replies('echo "MODE is $MODE"', "printf '\\nMore.\\n' >> README.md")],
    )
    first = await yard.run(script, agent="implementer", bottles=("slow",))
    again = await yard.comment(first, "Please mention it in the README.")
    built = yard.payloads(again.id, events.BuildCompleted)[-1]
    assert b"MODE is slow" in yard.house.ledger.artifacts.get(built.transcript)


@pytest.mark.parametrize(
    ("path", "text", "agent", "sentence"),
    [
        ("agents/a.md", "---\nbudget: 99usd\n---\n", "a", r"agents/a\.md.*line 2.*99"),
        ("agents/a.md", "---\nprovider: nobody\n---\n", "a", "'nobody' is not a provider"),
        ("agents/a.md", "---\nbottles: [missing]\n---\n", "a", "missing"),
        ("bottles/b.md", "---\nlimits: {memory: 900GiB}\n---\n", "a", "memory"),
        ("bottles/b.md", "---\nnetwork: {policy: allow_list, allow: [example.org]}\n---\n", "a", "network"),
        ("bottles/b.md", "---\ncredentials: [x]\n---\n", "a", "credentials"),
        ("bottles/b.md", "---\nroutes: [x]\n---\n", "a", "b.md line 2: there is no route 'x' on this host"),
    ],
)
async def test_a_hostile_manifest_is_refused_by_name_before_anything_is_written(
    yard: Any, path: str, text: str, agent: str, sentence: str
) -> None:
    files = {"agents/a.md": "---\nbottles: [b]\n---\n", path: text}
    for name, content in files.items():
        (yard.repository / ".boatwright" / name).parent.mkdir(parents=True, exist_ok=True)
        yard.commit(f".boatwright/{name}", content)
    with pytest.raises(errors.BoatwrightError, match=sentence) as refused:
        await yard.ask(yard.good(), agent=agent)
    assert refused.value.exit_code != 1 and refused.value.next_moves
    assert list(yard.house.ledger.executions.list()) == []


async def test_a_rule_that_a_program_cannot_be_held_to_is_not_dropped(yard: Any) -> None:
    yard.commit(".boatwright.yml", "schema_version: 1\nallowed_commands: ['python3 -m unittest']\n")
    with pytest.raises(errors.Refused, match="allowed_commands, and claude runs its commands"):
        await yard.ask(yard.good(), agent="claude")

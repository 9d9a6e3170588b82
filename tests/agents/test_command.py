"""Any program as an agent: what its manifest's words become, and what its output says."""

from __future__ import annotations

import pytest

from boatwright import errors
from boatwright.agents import registry
from boatwright.agents.command import Command
from boatwright.agents.headless import NO_KEY, TASK, Call, Heard, argument
from boatwright.bottle.protocol import HOME, WIRE_URL
from boatwright.config import reading
from boatwright.config.manifest import Where
from boatwright.values.usage import ModelRef


def made(block: str) -> Command:
    text = f"---\nprovider: command\ncommand: {block}\n---\n"
    manifest = reading.agent(text.encode(), name="helper", where=Where.HOST, file="agents/helper.md")
    provider = registry.provider("command", manifest)
    assert isinstance(provider, Command)
    return provider


def call(prompt: str = "mend it", *, resumes: bool = False, protocol: str = "openai") -> Call:
    return Call("some-model", protocol, "0190", resumes, prompt=prompt)


def test_the_prompt_is_read_from_stdin_unless_an_argument_takes_it() -> None:
    plain = made('{run: [prog, "--model={model}", "{session}", "{other words}"]}')
    assert plain.arguments(call()) == ("--model=some-model", "0190", "{other words}")
    assert plain.stdin(call()) == "mend it" and plain.files(call()) == {TASK: "mend it"}
    taken = made('{run: [prog, -t, "{prompt}"]}')
    assert taken.arguments(call()) == ("-t", "mend it") and taken.stdin(call()) == ""
    file = made('{run: [prog, "--file={prompt_file}"]}')
    assert file.arguments(call()) == (f"--file={HOME / TASK}",) and file.stdin(call()) == ""


def test_what_is_filled_in_is_not_filled_in_again() -> None:
    assert made('{run: [prog, "{prompt}"]}').arguments(call("say {model}")) == ("say {model}",)


def test_a_prompt_too_long_for_an_argument_is_pointed_to() -> None:
    assert argument("x\0y" + "é" * 40_000).startswith("xy")
    assert (
        argument("é" * 60_000) == f"Your task is in the file {HOME / TASK}. Read all of it first, then do it."
    )


def test_it_resumes_with_other_words_where_it_has_them() -> None:
    one = made('{run: [prog, new], resume: [prog, again, "{session}"], keeps: [.prog/sessions]}')
    assert one.arguments(call()) == ("new",) and one.arguments(call(resumes=True)) == ("again", "0190")
    assert one.keeps == (".prog/sessions",)
    assert made("{run: [prog, new], keeps: [.prog]}").arguments(call(resumes=True)) == ("new",)


WAYS = [
    ("anthropic", {"ANTHROPIC_BASE_URL": WIRE_URL, "ANTHROPIC_API_KEY": NO_KEY}),
    ("openai", {"OPENAI_BASE_URL": f"{WIRE_URL}/v1", "OPENAI_API_KEY": NO_KEY}),
    ("gemini", {"GOOGLE_GEMINI_BASE_URL": WIRE_URL, "GEMINI_API_KEY": NO_KEY}),
]


@pytest.mark.parametrize(("protocol", "variables"), WAYS)
def test_its_variables_lead_to_the_wire_in_its_protocol(protocol: str, variables: dict[str, str]) -> None:
    one = made(f"{{run: [prog], protocol: {protocol}}}")
    environment = one.environment(call(protocol=protocol))
    assert variables.items() <= environment.items() and environment["BOATWRIGHT_MODEL"] == "some-model"
    assert one.speaks(ModelRef.parse("scripted:a.yml")) == protocol
    assert one.speaks(ModelRef.parse(f"{protocol}:x")) == protocol
    other = "openai" if protocol != "openai" else "anthropic"
    with pytest.raises(errors.BadInput, match=f"command cannot use {other}:x"):
        one.speaks(ModelRef.parse(f"{other}:x"))


def test_every_line_is_something_said() -> None:
    one = made("{run: [prog]}")
    assert list(one.read("{}")) == [Heard(said="{}", final="{}")] and list(one.read("  ")) == []

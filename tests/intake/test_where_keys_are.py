"""Keys that settings.yml names: which model is chosen, what the wire is told, what doctor says of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from boatwright import errors
from boatwright.agents import registry
from boatwright.config import settings as settings_module
from boatwright.config.paths import StateDir
from boatwright.intake import request
from boatwright.stages import keys, logins, wiring
from boatwright.stages.house import House
from boatwright.values.usage import ModelRef


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Any]:
    opened: list[House] = []

    def make(settings: str = "", **environment: str) -> House:
        state = StateDir(tmp_path / "state").create()
        state.settings.write_text(settings)
        opened.append(House.open(state=state, environment={"PATH": os.defpath, **environment}))
        return opened[-1]

    yield make
    for house in opened:
        house.close()


@pytest.mark.parametrize(
    ("settings", "environment", "model", "secret"),
    [
        ("", {"OPENAI_API_KEY": "k"}, "openai:gpt-5", "env:OPENAI_API_KEY"),
        ("keys: {openai: 'keyring:boatwright/openai'}", {}, "openai:gpt-5", "keyring:boatwright/openai"),
        ("keys: {gemini: 'vault:secret/m#key'}", {}, "gemini:gemini-2.5-pro", "vault:secret/m#key"),
        (
            "keys: {anthropic: 'file:/run/key'}",
            {"ANTHROPIC_API_KEY": "k"},
            "anthropic:claude-sonnet-5-5",
            "file:/run/key",
        ),
    ],
)
async def test_a_key_that_is_named_chooses_the_model_and_goes_to_the_wire_as_a_reference(
    made: Any, settings: str, environment: dict[str, str], model: str, secret: str
) -> None:
    house = made(settings, **environment)
    chosen = request.choose_model(house, None, registry.provider("builtin"))
    assert str(chosen) == model
    assert (await wiring.upstream(house, chosen.main, "openai")).secret == secret


def test_no_key_anywhere(made: Any) -> None:
    with pytest.raises(errors.BadInput, match="neither ANTHROPIC_API_KEY nor OPENAI_API_KEY"):
        request.choose_model(made(), None, registry.provider("builtin"))


def test_a_named_key_comes_before_a_subscription(made: Any) -> None:
    house = made("keys: {anthropic: 'file:/run/key'}", CLAUDE_CODE_OAUTH_TOKEN="t")
    assert logins.of_program(house, "claude", ModelRef(provider="anthropic", name="m")) is None


@pytest.mark.parametrize("block", ["keys: {anthropic: sk-pasted-here}", "logins: {claude: sk-pasted-here}"])
def test_a_key_pasted_into_settings_is_refused_and_not_repeated(block: str) -> None:
    with pytest.raises(errors.BadPolicy, match="a secret reference is written") as refused:
        settings_module.parse(block)
    assert "sk-pasted" not in str(refused.value) + " ".join(refused.value.next_moves)


def test_doctor_says_what_is_there_and_never_the_value(made: Any, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("sk-of-a-file")
    key.chmod(0o600)
    house = made(
        f"keys: {{anthropic: 'file:{key}', openai: 'file:{tmp_path}/none'}}\n"
        'proxy: {url: "http://proxy.corp:3128", credential: env:PROXY_WORD, except: ["*.corp"]}',
        PROXY_WORD="me:a word",
        HTTPS_PROXY="http://me:secret@other:1",
    )
    told = keys.told(house)
    assert told["secret keys.anthropic"] == f"file:{key} is there"
    assert "cannot be read" in told["secret keys.openai"]
    assert told["secret proxy.credential"] == "env:PROXY_WORD is there"
    assert told["proxy"] == "http://proxy.corp:3128, except *.corp"
    assert "sk-of" not in str(told) and "word" not in str(told).replace("PROXY_WORD", "")


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "all_proxy"])
def test_doctor_says_that_a_callers_proxy_is_not_used(made: Any, name: str) -> None:
    told = keys.told(made("", **{name: "http://me:secret@other:1"}))
    assert told["proxy"].startswith(f"none; {name} is set and the wire does not use it")
    assert "secret" not in str(told)
    assert keys.told(made()) == {}

"""What ``--model`` may say: one model, or several of one provider that stand in for each other."""

from __future__ import annotations

import pytest

from boatwright import errors
from boatwright.config import policy
from boatwright.config import settings as settings_module
from boatwright.config.manifest import _model
from boatwright.values.models import MOST, Models

ASKED = [
    ("anthropic:a", ("anthropic:a",), ()),
    ("anthropic:a,anthropic:b", ("anthropic:a", "anthropic:b"), ("a", "b")),
    (" openai:a , openai:b,openai:c", ("openai:a", "openai:b", "openai:c"), ("a", "b", "c")),
    ("scripted:/some/where,else.yml", ("scripted:/some/where,else.yml",), ()),
]


@pytest.mark.parametrize(("text", "refs", "chain"), ASKED, ids=[row[0] for row in ASKED])
def test_the_first_is_asked_and_the_others_stand_in(
    text: str, refs: tuple[str, ...], chain: tuple[str, ...]
) -> None:
    models = Models.parse(text)
    assert tuple(map(str, models.refs)) == refs and models.chain == chain
    assert str(models.main) == refs[0]
    assert Models.parse(str(models)) == models


REFUSED = [
    ("anthropic:a,openai:b", "in one protocol, and anthropic and openai are two", "--model anthropic:NAME,anthropic:NAME"),
    ("openai:a,openai:a", "it names a model twice", "--model openai:NAME,openai:NAME"),
    (",".join(f"openai:m{n}" for n in range(MOST + 1)), f"at most {MOST} models", "--model openai:NAME,openai:NAME"),
    ("anthropic:a,", "'' is not a model", "--model anthropic:NAME"),
    ("anthropic:a,b", "'b' is not a model", "--model anthropic:NAME"),
    ("bedrock:anthropic.claude-sonnet-4-5", "Amazon Bedrock signs each request", "ANTHROPIC_API_KEY"),
    ("vertex:gemini-2.5-pro", "Vertex AI takes access tokens", "ANTHROPIC_API_KEY"),
    ("azure:my-deployment", "Azure names a deployment in place of a model", "OPENAI_API_KEY"),
    ("chatgpt:gpt-5", "Codex uses it, in a bottle", "--agent codex"),
    ("anthropic:a,bedrock:b", "Amazon Bedrock signs each request", "ANTHROPIC_API_KEY"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence", "move"), REFUSED, ids=[row[0][:40] for row in REFUSED])
def test_one_sentence_and_what_to_do_instead(text: str, sentence: str, move: str) -> None:
    with pytest.raises(errors.BadInput) as told:
        Models.parse(text)
    assert sentence in str(told.value) and "\n" not in str(told.value)
    assert any(move in each for each in told.value.next_moves)


def test_a_list_may_stand_wherever_a_model_may() -> None:
    text = "anthropic:a,anthropic:b"
    assert policy.parse(f"model: {text}\n").model == text
    assert settings_module.parse(f"models: {{default: '{text}'}}\n").model == text
    assert _model(text) == text


@pytest.mark.parametrize("text", ["anthropic:a,openai:b", "bedrock:x", "azure:x"])
def test_and_is_refused_there_in_the_same_words(text: str) -> None:
    with pytest.raises(errors.BadInput) as plain:
        Models.parse(text)
    for read, line in (
        (policy.parse, f"model: '{text}'\n"),
        (settings_module.parse, f"models: {{default: '{text}'}}\n"),
    ):
        with pytest.raises(errors.BadInput, match="cannot be used") as told:
            read(line)
        assert str(plain.value) in str(told.value)

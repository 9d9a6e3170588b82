"""A Gemini model for our own calls: planned, built and reviewed over its provider's Chat Completions, metered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from boatwright.egress.upstream import origin
from boatwright.stages import wiring
from boatwright.testing.scripted_process import ScriptedModel, running
from boatwright.values import events
from boatwright.values.execution import State
from boatwright.values.proof import Word
from boatwright.values.usage import ModelRef

GEMINI = ModelRef(provider="gemini", name="gemini-2.5-pro")


@pytest.fixture
async def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ScriptedModel]:
    """Before ``yard``: the house is opened with this address, and the key, in its environment."""
    script = (resources.files("boatwright.cli") / "sample" / "model.yml").read_text()
    async with running(script, tmp_path, port=0) as model:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", model.url)
        monkeypatch.setenv("GEMINI_API_KEY", "a-key")
        yield model


async def test_it_is_asked_over_chat_completions_and_priced_from_its_list(
    provider: ScriptedModel, yard: Any
) -> None:
    view = await yard.run(str(GEMINI))
    assert (view.state, view.word) == (State.DELIVERED, Word.PROVEN), view.reason
    billed = sorted((row["input"], row["output"]) for row in provider.ledger() if row["billed"])
    calls = yard.payloads(view.id, events.ModelCalled)
    assert sorted((call.usage.input, call.usage.output) for call in calls) == billed
    assert view.usd > 0 and {call.source for call in calls} == {"provider"}


@pytest.mark.parametrize("base", ["", "https://example.org/gemini/"])
async def test_where_its_calls_go(yard: Any, base: str) -> None:
    yard.house.environment.update({"GOOGLE_GEMINI_BASE_URL": base})
    ours = origin(await wiring.upstream(yard.house, GEMINI, "openai"))
    assert ours.target("/v1/chat/completions").endswith("/v1beta/openai/chat/completions")
    its = origin(await wiring.upstream(yard.house, GEMINI, "gemini"))
    path = "/v1beta/models/m:generateContent"
    assert its.target(path).endswith(path) and ours.authority == its.authority
    assert (await wiring.upstream(yard.house, GEMINI, "gemini")).secret == "env:GEMINI_API_KEY"

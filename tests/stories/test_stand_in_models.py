"""A run with two models of a provider at an address of this host: one is overloaded once, the other answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from boatwright.cli import page
from boatwright.testing.scripted_process import ScriptedModel, running
from boatwright.values import events
from boatwright.values.state import State

KEY = "sk-ant-api03-canary-77f1"
MODELS = "anthropic:claude-sonnet-4-5,anthropic:claude-haiku-4-5"


@pytest.fixture
async def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ScriptedModel]:
    """Before ``yard``: the house is opened with this address, and the key, in its environment."""
    script = (resources.files("boatwright.cli") / "sample" / "model.yml").read_text()
    async with running(f"{script}\nfaults:\n  - {{reply: 2, kind: http_529}}\n", tmp_path, port=0) as model:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", model.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        yield model


async def test_the_run_is_delivered_and_says_who_answered(
    provider: ScriptedModel, yard: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    view = await yard.run(MODELS)
    assert view.state is State.DELIVERED, view.reason
    calls = yard.payloads(view.id, events.ModelCalled)
    assert [(call.model, call.status) for call in calls if call.status != 200] == [("claude-sonnet-4-5", 529)]
    assert [call.model for call in calls].count("claude-haiku-4-5") == 1
    kinds = ("input", "cache_read", "cache_write", "output")
    billed = sum(each[kind] for each in provider.ledger() if each["billed"] for kind in kinds)
    assert sum(call.usage.tokens for call in calls) == billed > 0
    page.tell(yard.house, view)
    assert "claude-haiku-4-5 (1 calls)" in capsys.readouterr().out
    kept = [path for path in yard.house.state.root.rglob("*") if path.is_file()]
    assert not [path for path in kept if KEY.encode() in path.read_bytes()]

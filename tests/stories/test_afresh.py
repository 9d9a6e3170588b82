"""An analysis a person asks for again prepares a new environment and leaves the old one to whoever uses it."""

from __future__ import annotations

from typing import Any

from boatwright.intake import commands
from boatwright.values.events import BaseProven, EnvironmentPrepared

Yard = Any  # tests/stories/conftest.py


async def test_a_retry_from_the_analysis_prepares_the_environment_anew(yard: Yard) -> None:
    view = await yard.run(yard.good(), only_plan=True)
    await commands.retry(yard.house, yard.engine, view.id, stage="analyze", by="someone", private=True)
    await yard.work(view.id)
    first, second = yard.payloads(view.id, EnvironmentPrepared)
    assert (first.cached, second.cached) == (False, False)
    assert first.key != second.key
    assert (yard.house.state.environments / first.key).is_dir()
    assert [proven.cached for proven in yard.payloads(view.id, BaseProven)] == [False, False]

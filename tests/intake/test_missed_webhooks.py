"""The sweep asks forges that have webhooks to send, now and then, and goes on past one that is away."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from boatwright import errors
from boatwright.config import settings
from boatwright.intake.missed import PLACE, Kept, Sweep
from boatwright.rules.missed import Attempt, Progress, Walk
from boatwright.testing.clock import FakeClock

SAID = """
forges:
  gitea: {token: "env:T", base_url: "https://git.example.org", webhook_secret: "env:S"}
  github: {app_id: 7, app_key: "file:/k", webhook_secret: "env:S"}
  gitlab: {token: "env:T"}
"""

NOW = datetime(2026, 1, 2, tzinfo=UTC)
FAR = Progress(NOW, Walk("https://git.example.org/next", NOW), (Attempt(7, "a", False, NOW),))


class Forge:
    def __init__(self) -> None:
        self.asked: list[str] = []
        self.known: list[Progress] = []

    async def ask_again(self, kind: str, before: Progress) -> tuple[int, Progress]:
        self.asked.append(kind)
        self.known.append(before)
        if kind == "gitea":
            raise errors.ForgeUnavailable("it is away")
        return 3, FAR


async def test_every_five_minutes_and_only_where_somebody_listens(tmp_path: Path) -> None:
    forge, clock = Forge(), FakeClock()
    house: Any = SimpleNamespace(
        forge=forge, clock=clock, settings=settings.parse(SAID), state=SimpleNamespace(root=tmp_path)
    )
    sweep = Sweep()
    assert await sweep.once(house) == 3
    assert forge.asked == ["gitea", "github"]
    clock.advance(299)
    assert await sweep.once(house) == 0
    clock.advance(1)
    assert await sweep.once(house) == 3
    assert forge.asked == ["gitea", "github"] * 2
    assert forge.known == [Progress()] * 3 + [FAR], "it goes on where it was"
    for bad in ("{", "[]", '{"github": 7}', '{"github": {"mark": 7, "walk": 7}}'):
        (tmp_path / PLACE).write_text(bad)
        assert Kept(tmp_path / PLACE).get("github") == Progress()

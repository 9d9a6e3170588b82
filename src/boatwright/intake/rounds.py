"""Rounds of tasks that go on for as long as the process: one that breaks is told of, and the next one comes."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from boatwright import errors
from boatwright.workflows.engine.durable import report

T = TypeVar("T")


async def outlived(turn: Awaitable[T], what: str) -> T | None:
    """What the round returns; None where it failed. Nothing is lost by that: what a round left is found by the next."""
    try:
        return await turn
    except errors.BoatwrightError as error:  # the store is away, mostly
        report(f"{what}: {error}")
    except Exception as bug:  # noqa: BLE001  the edge of a task: the next round may succeed
        report(f"{what} broke", bug)
    return None

"""The engine: what makes a turn durable. This package is the only one that imports dbos."""

from __future__ import annotations

from boatwright.workflows.engine.core import Engine
from boatwright.workflows.engine.turn import Story, Turn

__all__ = ["Engine", "Story", "Turn"]

"""The ledger's parts over a fresh database of each kind."""

from __future__ import annotations

import pytest

from boatwright.ledger.database import Database
from boatwright.ledger.events import EventLog
from boatwright.ledger.executions import Executions
from boatwright.testing.clock import ManualClock
from boatwright.values.clock import SystemIds


@pytest.fixture
def log(database: Database, clock: ManualClock, ids: SystemIds) -> EventLog:
    return EventLog(database, clock=clock, ids=ids, producer="test")


@pytest.fixture
def executions(database: Database) -> Executions:
    return Executions(database)

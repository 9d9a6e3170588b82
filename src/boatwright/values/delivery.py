"""What a forge sends us: as it came through the door, and as the row that is kept of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

STREAM = "deliveries"
"""The stream of events about deliveries; it is no execution's."""


class DeliveryState(StrEnum):
    RECEIVED = "received"  # it is here, nobody has done what it asks
    PROCESSED = "processed"  # what it asks is done, or was ignored with a reason
    FAILED = "failed"  # doing it failed; it is tried again
    DEAD = "dead"  # it failed too often; a person may retry it


class Stored(StrEnum):
    """What a delivery was to us when it came."""

    NEW = "new"
    AGAIN = "again"  # known, and not processed yet: it will be
    PROCESSED = "processed"  # known and done: nothing happens


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request at a door whose signature holds. Nothing in it was read yet, and all of it is untrusted.

    ``signer`` is the repository whose own secret signed it; empty when the forge's did. ``event`` and ``delivery`` are the
    forge's own words for what it is and which one it is.
    """

    forge: str
    hook: str
    delivery: str
    event: str
    signer: str
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    """The row of one delivery, without its bytes. ``outcome`` says what was done (``started``, ``skipped`` …),
    ``reason`` why it was skipped, ``about`` the execution or whatever else it was about.
    """

    id: int
    forge: str
    hook: str
    delivery: str
    event: str
    signer: str
    content_type: str
    digest: str
    size: int
    state: DeliveryState
    attempts: int
    received: datetime
    next_try: datetime | None = None
    outcome: str = ""
    reason: str = ""
    about: str = ""
    error: str = ""
    finished: datetime | None = None

"""One fact, as stored: the payload in its envelope."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from boatwright.values.events import Payload


@dataclass(frozen=True, slots=True)
class Event:
    """A row of the ledger. ``sequence`` counts from 1 in its stream without gaps; ``position`` is the global order.

    ``hash`` is SHA-256 over the previous hash of the stream and the canonical bytes of this row, in hex.
    """

    event_id: str
    stream: str
    sequence: int
    position: int
    key: str
    time: datetime
    payload: Payload
    causation_id: str | None
    correlation_id: str
    producer: str
    tenant: str
    repository: str
    tags: tuple[str, ...]
    hash: str

    @property
    def type(self) -> str:
        return self.payload.type


def document(event: Event) -> dict[str, object]:
    """The whole envelope with its payload, for machines."""
    return {
        "event_id": event.event_id,
        "stream": event.stream,
        "sequence": event.sequence,
        "position": event.position,
        "type": event.type,
        "time": event.time,
        "causation_id": event.causation_id,
        "correlation_id": event.correlation_id,
        "tenant": event.tenant,
        "repository": event.repository,
        "producer": event.producer,
        "tags": event.tags,
        "hash": event.hash,
        "schema_version": event.payload.schema_version,
        "payload": event.payload,
    }

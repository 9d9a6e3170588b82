"""A row of the events table and the event it holds: there, back, and the hash that chains it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from boatwright import errors
from boatwright.ledger.tables import canonical, from_text
from boatwright.values.event import Event
from boatwright.values.events import REGISTRY, Payload

GENESIS = "0" * 64
"""The hash before the first event of a stream."""

Row = Mapping[Any, Any]
"""Column name → value, as the database gives it or as it will be inserted."""
Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

UPCASTERS: dict[tuple[str, int], Upcaster] = {}
"""(type, schema version) → the payload one version later. A type's old rows are read through these, never
rewritten.
"""


def link(previous: str, row: Row) -> str:
    """The hash of ``row`` in its chain: SHA-256 over the previous hash and the canonical bytes of the row,
    in hex.
    """
    content = {name: value for name, value in row.items() if name != "hash"}
    return hashlib.sha256(previous.encode("ascii") + canonical(content).encode("ascii")).hexdigest()


def payload_text(payload: Payload) -> str:
    """The payload as stored. ``errors.BadInput`` when it could not be read back as the same fact."""
    try:
        text = canonical(payload.model_dump(mode="json"))
        same = type(payload).model_validate_json(text) == payload
    except ValueError as error:
        raise _unstorable(payload) from error
    if not same:
        raise _unstorable(payload)
    return text


def to_event(row: Row) -> Event:
    """The event of a row; ``errors.Refused`` when a newer release wrote it."""
    return Event(
        event_id=row["event_id"],
        stream=row["stream"],
        sequence=row["sequence"],
        position=row["position"],
        key=row["key"],
        time=from_text(row["time"]),
        payload=read_payload(row["type"], row["schema_version"], row["payload"]),
        causation_id=row["causation_id"],
        correlation_id=row["correlation_id"],
        producer=row["producer"],
        tenant=row["tenant"],
        repository=row["repository"],
        tags=tuple(json.loads(row["tags"])),
        hash=row["hash"],
    )


def read_payload(kind: str, version: int, text: str) -> Payload:
    """The payload behind its stored text, brought up to the version of this release."""
    model = REGISTRY.get(kind)
    if model is None or version > model.schema_version:
        raise errors.Refused(
            f"the ledger holds a {kind} event of a newer release (schema {version})",
            subject=kind,
            next_moves=("install that release",),
        )
    if version == model.schema_version:
        return model.model_validate_json(text)
    content = json.loads(text)
    for old in range(version, model.schema_version):
        content = UPCASTERS[kind, old](content)
    return model.model_validate(content)


def _unstorable(payload: Payload) -> errors.BadInput:
    return errors.BadInput(
        f"a {payload.type} event holds a value that cannot be stored exactly: text that is not Unicode, "
        "or a number that is not finite",
        subject=payload.type,
    )

"""Open wires as rows, so that they outlive the proxy, and what they refused."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Row, text

from boatwright import errors
from boatwright.config.paths import StateDir
from boatwright.egress import spec as spec_module
from boatwright.egress.book import stamp
from boatwright.egress.spec import WireSpec
from boatwright.ledger.database import Database

SOCKET = "wire.sock"


@dataclass(frozen=True, slots=True)
class Denial:
    """What a wire refused, and how often: ``kind`` is the code, ``target`` what was asked for."""

    kind: str
    target: str
    reason: str
    count: int
    at: datetime


def directory(state: StateDir, wire: str) -> Path:
    """Where the wire's socket is; the directory is what a bottle binds."""
    return state.run / "wires" / wire


def place(state: StateDir) -> str:
    """The identity of this state directory, made once: several hosts may keep their budgets in one
    database.
    """
    path = state.root / "wire.id"
    try:
        return path.read_text("ascii").strip()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _unusable(path, error) from error
    made = path.with_name(f".wire.id.{secrets.token_hex(8)}")
    try:
        made.write_text(secrets.token_hex(8), "ascii")
        made.chmod(0o600)
        try:
            os.link(made, path)  # the first of several makers wins, whole
        except FileExistsError:
            pass
        finally:
            made.unlink()
    except OSError as error:
        raise _unusable(path, error) from error
    return path.read_text("ascii").strip()


def _unusable(path: Path, error: OSError) -> errors.StoreUnavailable:
    return errors.StoreUnavailable(
        f"{path} cannot be used: {error.strerror}",
        subject=str(path),
        next_moves=("check the state directory's owner and free space",),
    )


class Wires:
    """The rows of one state directory's wires."""

    def __init__(self, database: Database, place: str) -> None:
        self._database = database
        self._place = place

    def save(self, spec: WireSpec, at: datetime) -> None:
        values = {"place": self._place, "id": spec.id, "spec": spec_module.to_json(spec), "at": stamp(at)}
        with self._database.write() as connection:
            connection.execute(text(_SAVE), values)

    def forget(self, wire: str) -> None:
        with self._database.write() as connection:
            connection.execute(text(_FORGET), {"place": self._place, "id": wire})

    def all(self) -> Sequence[WireSpec]:
        with self._database.read() as connection:
            rows = connection.execute(text(_ALL), {"place": self._place}).scalars()
            return [spec_module.from_json(row) for row in rows]

    def denials(self, wire: str) -> list[Denial]:
        with self._database.read() as connection:
            rows = connection.execute(text(_DENIALS), {"place": self._place, "wire": wire})
            return [denial(row) for row in rows]

    def denials_of(self, execution: str) -> list[Denial]:
        """What all wires of an execution refused, those that are closed included."""
        values = {"place": self._place, "execution": execution}
        with self._database.read() as connection:
            return [denial(row) for row in connection.execute(text(_DENIALS_OF), values)]

    def prune_denials(self, before: datetime) -> int:
        """Forget what wires refused that are closed, and refused last before ``before``; returns how many rows."""
        with self._database.write() as connection:
            gone = connection.execute(text(_PRUNE), {"place": self._place, "before": stamp(before)})
            return gone.rowcount


def denial(row: Row[Any]) -> Denial:
    count = row._mapping["count"]  # a tuple has a method of that name
    return Denial(row.kind, row.target, row.reason, int(count), datetime.fromisoformat(row.at))


_SAVE = """
INSERT INTO wires (place, id, spec, at) VALUES (:place, :id, :spec, :at)
ON CONFLICT (place, id) DO UPDATE SET spec = excluded.spec, at = excluded.at"""
_FORGET = "DELETE FROM wires WHERE place = :place AND id = :id"
_ALL = "SELECT spec FROM wires WHERE place = :place ORDER BY id"
_PRUNE = """
DELETE FROM wire_denials WHERE place = :place AND at < :before
AND wire NOT IN (SELECT id FROM wires WHERE place = :place)"""
_DENIALS_OF = """
SELECT kind, target, max(reason) AS reason, sum(count) AS count, max(at) AS at FROM wire_denials
WHERE place = :place AND execution = :execution GROUP BY kind, target ORDER BY max(at), target"""
_DENIALS = "SELECT * FROM wire_denials WHERE place = :place AND wire = :wire ORDER BY at, target"

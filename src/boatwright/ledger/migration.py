"""Alembic, run inside a transaction the caller holds."""

from __future__ import annotations

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from boatwright import errors
from boatwright.ledger.tables import version_table

_SCRIPTS = {"ledger": Path(__file__).parent / "migrations"}

_alembic = threading.Lock()  # its env.py reads a global; two threads of one process take turns


def upgrade(connection: Connection, which: str, place: str) -> None:
    """Run every migration that is missing, on this connection, in its transaction.

    ``errors.Refused`` when the tables stand at a revision this release does not know.
    """
    config = _config(which)
    _refuse_newer(connection, config, which, place)
    config.attributes["connection"] = connection
    config.attributes["version_table"] = version_table(which)
    with _alembic:
        command.upgrade(config, "head")


def head(which: str) -> str | None:
    """The newest revision of this release."""
    return ScriptDirectory.from_config(_config(which)).get_current_head()


def _refuse_newer(connection: Connection, config: Config, which: str, place: str) -> None:
    context = MigrationContext.configure(connection, opts={"version_table": version_table(which)})
    stands = context.get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if stands is not None and stands not in known:
        raise errors.Refused(
            f"{place} was written by a newer release (its {which} tables are at revision {stands})",
            subject=place,
            next_moves=("install that release", "name another BOATWRIGHT_STATE"),
        )


def _config(which: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS[which]).replace("%", "%%"))
    return config

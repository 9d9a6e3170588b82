"""Alembic, run inside a transaction the caller holds: which revision stands, and the way up to ours."""

from __future__ import annotations

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from boatwright import errors

_SCRIPTS = {"ledger": Path(__file__).parent / "migrations"}

_alembic = threading.Lock()  # its env.py reads a global; two threads of one process take turns


def version_table(which: str) -> str:
    """The table that holds the revision; a name of its own, because the database may be shared."""
    return f"{which}_version"


def is_current(connection: Connection, which: str, place: str) -> bool:
    """Whether the tables of ``which`` are those of this release; ``errors.Refused`` when they are newer."""
    script = ScriptDirectory.from_config(_config(which))
    context = MigrationContext.configure(connection, opts={"version_table": version_table(which)})
    stands = context.get_current_revision()
    known = {revision.revision for revision in script.walk_revisions()}
    if stands is not None and stands not in known:
        raise errors.Refused(
            f"{place} was written by a newer release (its {which} tables are at revision {stands})",
            subject=place,
            next_moves=("install that release", "name another BOATWRIGHT_STATE"),
        )
    return stands == script.get_current_head()


def upgrade(connection: Connection, which: str) -> None:
    """Run every migration that is missing, on this connection, in its transaction."""
    config = _config(which)
    config.attributes["connection"] = connection
    config.attributes["version_table"] = version_table(which)
    with _alembic:
        command.upgrade(config, "head")


def _config(which: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS[which]).replace("%", "%%"))
    return config

"""DBOS, and the few rows of its we look at. Every private name of DBOS that we lean on is in this file.

DBOS keeps its rows in the ledger's database (schema ``dbos`` on PostgreSQL). That lets a transaction of ours ask
whether the writer still owns its turn: a worker that was stopped and woke up again cannot write a state change.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer, _dbos
from dbos import error as dbos_error
from dbos._context import get_local_dbos_context
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    MetaData,
    Table,
    Text,
    create_engine,
    event,
    exc,
    select,
    update,
)

from boatwright import errors
from boatwright.ledger.database import Database
from boatwright.ledger.turns import Claimed
from boatwright.rules.turns import Phase

APPLICATION = "boatwright"
WORKFLOW = "turn"
POLL_SECONDS = 0.1
ATTEMPTS = 100
"""So often a turn may be started again before it parks: it takes its worker down with it."""

EngineError = dbos_error.DBOSException

_PHASES = {
    "DELAYED": Phase.WAITING,
    "ENQUEUED": Phase.WAITING,
    "PENDING": Phase.RUNNING,
    "ERROR": Phase.BROKEN,
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": Phase.BROKEN,
}

Tell = Callable[[str, int], Coroutine[Any, Any, str]]


class LeftBehind(BaseException):
    """Leaves a step or a turn without recording an outcome. DBOS records every ``Exception``, not this."""

    def __init__(self, cause: errors.BoatwrightError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _Stage:
    """The story of the one engine this process has launched."""

    tell: Tell | None = None


@DBOS.workflow(name=WORKFLOW, max_recovery_attempts=ATTEMPTS)
async def _turn(execution: str, turn: int) -> str:
    if _Stage.tell is None:
        raise LeftBehind(errors.Stopped("this process is leaving"))
    return await _Stage.tell(execution, turn)


async def step(name: str, body: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run one engine step: its portable JSON result is recorded, a redone turn gets it without running it.

    It is preempted by us: ``Turn`` looks every half second, DBOS's own watcher would look once a second.
    """

    async def run() -> Any:  # DBOS looks for an ``async def``
        return await body()

    return await DBOS.run_step_async({"name": name}, run)


async def patched(change: str) -> bool:
    """True in turns that started with ``change``, False in those recorded before it (DBOS.patch)."""
    return await DBOS.patch_async(change)


def my_token() -> str:
    """What this run of the turn wrote into the engine's row when it claimed it."""
    context = get_local_dbos_context()
    if context is None or context.owner_xid is None:
        raise RuntimeError("not inside a turn")
    return context.owner_xid


class Durable:
    """One connection to the engine: enqueue and look, and, once launched, run turns."""

    def __init__(self, database: Database, *, release: str, log: Path) -> None:
        self._database = database
        self._release = release
        self._log = log
        self._client: DBOSClient | None = None
        self._engine: Engine | None = None
        self._lock = threading.Lock()
        schema = None if database.dialect == "sqlite" else "dbos"
        self._rows = Table(
            "workflow_status",
            MetaData(schema=schema),
            *(Column(name, Text) for name in _COLUMNS),
            Column("started_at_epoch_ms", BigInteger),
        )

    # --- from any process --------------------------------------------------------------------------------

    def enqueue(self, claimed: Claimed) -> None:
        """Tell the engine of a claimed turn; telling it twice is telling it once."""
        self._ready().enqueue(
            {
                "workflow_name": WORKFLOW,
                "queue_name": claimed.queue,
                "workflow_id": claimed.workflow,
                "app_version": claimed.release,
            },
            claimed.execution,
            claimed.turn,
        )

    def phases(self, workflows: Iterable[str]) -> dict[str, tuple[Phase, str | None]]:
        """Where the engine has these turns, and which worker claimed each last."""
        self._ready()
        rows = self._rows.c
        query = select(rows.workflow_uuid, rows.status, rows.executor_id).where(
            rows.workflow_uuid.in_(list(workflows))
        )
        with self._database.read() as reader:
            found = reader.execute(query).all()
        return {id_: (_PHASES.get(status, Phase.OVER), owner) for id_, status, owner in found}

    def queues_of(self, execution: str) -> set[str]:
        """The queues that earlier turns of an execution ran in."""
        self._ready()
        query = select(self._rows.c.queue_name).where(
            self._rows.c.workflow_uuid.startswith(f"{execution}.", autoescape=True)
        )
        with self._database.read() as reader:
            return {name for name in reader.execute(query).scalars() if name}

    def adopt(self, workflow: str, to: str, *, connection: Connection) -> bool:
        """Move a turn that still waits into another queue."""
        waiting = (self._rows.c.workflow_uuid == workflow) & (self._rows.c.status == "ENQUEUED")
        return bool(connection.execute(update(self._rows).where(waiting).values(queue_name=to)).rowcount)

    def give_back(self, *, executor: str, token: str | None = None) -> int:
        """Put this worker's claimed turns back into their queues: all of them, or the run with ``token``."""
        mine = (self._rows.c.executor_id == executor) & (self._rows.c.status == "PENDING")
        if token is not None:
            mine = mine & (self._rows.c.owner_xid == token)
        freed = {"status": "ENQUEUED", "owner_xid": None, "started_at_epoch_ms": None}
        with self._database.write() as writer:
            return writer.execute(update(self._rows).where(mine).values(**freed)).rowcount

    def cancel(self, workflow: str) -> None:
        """Make the engine forget a turn: whoever runs it is stopped at its next step, or within a second."""
        self._ready().cancel_workflow(workflow)

    def check_owner(self, connection: Connection, workflow: str, token: str) -> None:
        """Raise ``errors.Stopped`` unless the run with ``token`` owns the turn until this transaction ends."""
        query = select(self._rows.c.workflow_uuid).where(
            self._rows.c.workflow_uuid == workflow,
            self._rows.c.owner_xid == token,
            self._rows.c.status == "PENDING",
        )
        if connection.execute(query.with_for_update(read=True)).first() is None:
            raise errors.Stopped(f"another worker has taken over turn {workflow}", subject=workflow)

    def owns(self, connection: Connection, workflow: str, token: str) -> bool:
        """The same question in a snapshot."""
        query = select(self._rows.c.status).where(
            self._rows.c.workflow_uuid == workflow, self._rows.c.owner_xid == token
        )
        return connection.execute(query).scalar_one_or_none() == "PENDING"

    def forget(self, before: datetime, *, limit: int = 500) -> int:
        """Delete the engine's rows of turns that finished before ``before``; the ledger keeps the events."""
        client = self._ready()
        old = client.list_workflows(
            status=["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"],
            name=WORKFLOW,
            completed_before=before.isoformat(),
            limit=limit,
            load_input=False,
            load_output=False,
        )
        if old:
            client.delete_workflows([found.workflow_id for found in old])
        return len(old)

    def unfinished(self, before: datetime) -> list[str]:
        """Turns the engine has heard of before ``before`` and not seen the end of."""
        found = self._ready().list_workflows(
            status=["ENQUEUED", "PENDING"],
            name=WORKFLOW,
            end_time=before.isoformat(),
            load_input=False,
            load_output=False,
        )
        return [one.workflow_id for one in found]

    def step_names(self, workflow: str) -> list[str]:
        """The recorded engine calls of a turn, in order."""
        return [step["function_name"] for step in self._ready().list_workflow_steps(workflow)]

    def drop_queue(self, name: str) -> None:
        self._ready().delete_queue(name)

    # --- in a process that runs turns ---------------------------------------------------------------------

    def launch(self, tell: Tell, *, executor: str, queue: str, at_once: int) -> None:
        """Start running turns of ``queue``. Blocking; call it in a thread without an event loop, so that turns
        run in the engine's own loop and stop with it.
        """
        client = self._ready()
        client.register_queue(queue, worker_concurrency=at_once, polling_interval_sec=POLL_SECONDS)
        _Stage.tell = tell
        config: DBOSConfig = {
            "name": APPLICATION,
            "system_database_url": self._url(),
            "system_database_engine": self._system_engine(),
            "application_version": self._release,
            "executor_id": executor,
            "serializer": DBOSPortableJSONSerializer(),
            "notification_listener_polling_interval_sec": 0.25,  # also how long leaving waits for it
            "enable_otlp": False,
        }
        DBOS(config=config)
        DBOS.listen_queues([queue])
        DBOS.launch()

    def recover(self, executors: Sequence[str]) -> None:
        """Put the turns of dead workers back into their queues; only rows still claimed by them move."""
        DBOS._recover_pending_workflows(list(executors))

    def stop_listening(self) -> None:
        """Claim no turn any more; those that run go on."""
        instance = _dbos._dbos_global_instance
        if instance is not None:
            for stop in instance.background_thread_stop_events:
                stop.set()

    def land(self) -> None:
        """Stop the engine's loop: what runs in it is cancelled and leaves no outcome."""
        _Stage.tell = None
        DBOS.destroy()

    def close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.destroy()
                self._client = None
            if self._engine is not None:
                self._engine.dispose()
                self._engine = None

    # --- connections --------------------------------------------------------------------------------------

    def _ready(self) -> DBOSClient:
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _connect(self) -> DBOSClient:
        quiet(self._log)
        try:
            DBOS.migrate(self._url())
            return DBOSClient(
                system_database_engine=self._system_engine(),
                serializer=DBOSPortableJSONSerializer(),
                application_name=APPLICATION,
                retry_connection_errors=False,
            )
        except exc.SQLAlchemyError as error:
            raise errors.StoreUnavailable(
                f"the engine cannot use {self._database.place}: {type(error).__name__}",
                subject=self._database.place,
                next_moves=(f"read {self._log}", "boatwright doctor"),
            ) from error

    def _url(self) -> str:
        return self._database.engine.url.render_as_string(hide_password=False)

    def _system_engine(self) -> Engine:
        if self._engine is None:
            self._engine = (
                _sqlite(self._url()) if self._database.dialect == "sqlite" else _postgres(self._url())
            )
        return self._engine


_COLUMNS = (
    "workflow_uuid",
    "status",
    "executor_id",
    "queue_name",
    "owner_xid",
)


def quiet(log: Path) -> None:
    """Send what the engine says to a file of ours; nothing of it reaches the terminal."""
    logger = logging.getLogger("dbos")
    logger.propagate = False
    if any(getattr(handler, "baseFilename", None) == str(log) for handler in logger.handlers):
        return
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    log.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600))
    kept = _Kept(log, delay=True)
    kept.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(message)s"))
    logger.addHandler(kept)
    logger.setLevel(logging.WARNING)


class _Kept(logging.FileHandler):
    """The engine's log. Where it cannot be written, because its directory is gone say, what is told is lost, and the work is
    not.
    """

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):
            super().emit(record)


def report(message: str, error: BaseException | None = None) -> None:
    """A line, with its traceback, for the operator: it goes where the engine's own lines go."""
    logging.getLogger("dbos").error(message, exc_info=error)


def _sqlite(url: str) -> Engine:
    engine = create_engine(url, pool_size=8, max_overflow=-1, pool_timeout=30)

    @event.listens_for(engine, "connect")
    def prepare(raw: Any, _record: Any) -> None:
        raw.isolation_level = "IMMEDIATE"
        raw.execute("PRAGMA busy_timeout=30000")
        raw.execute("PRAGMA foreign_keys=ON")
        raw.execute("PRAGMA synchronous=FULL")

    return engine


def _postgres(url: str) -> Engine:
    return create_engine(
        url,
        pool_size=8,
        max_overflow=12,
        pool_timeout=30,
        pool_pre_ping=True,
        connect_args={
            "application_name": "boatwright engine",
            "connect_timeout": 10,
            "options": "-c idle_in_transaction_session_timeout=60000",
        },
    )


__all__ = ["Durable", "EngineError", "LeftBehind", "my_token", "patched", "quiet", "report", "step"]

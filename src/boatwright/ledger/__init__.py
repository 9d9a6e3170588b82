"""The ledger: the truth. Events, what they fold to, and the bytes they name.

``Ledger.open(state, …)`` brings the tables up to date and hands out the parts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from boatwright.config.paths import StateDir
from boatwright.ledger.artifacts import ArtifactStore
from boatwright.ledger.asks import Asks
from boatwright.ledger.database import Database
from boatwright.ledger.deliveries import Deliveries
from boatwright.ledger.events import EventLog
from boatwright.ledger.executions import Executions
from boatwright.ledger.notices import Notices
from boatwright.ledger.repositories import Repositories
from boatwright.ledger.request_keys import RequestKeys
from boatwright.ledger.signatures import HeadSigner
from boatwright.ledger.switches import Switches
from boatwright.ledger.tokens import Tokens
from boatwright.ledger.verification import VerifyReport
from boatwright.ledger.watched import Watched
from boatwright.values.clock import Clock, Ids


@dataclass(frozen=True, slots=True)
class Ledger:
    """One ledger and its artifacts. Synchronous: async callers go through ``asyncio.to_thread``."""

    database: Database
    events: EventLog
    executions: Executions
    artifacts: ArtifactStore
    signer: HeadSigner
    asks: Asks
    tokens: Tokens
    switches: Switches
    repositories: Repositories
    deliveries: Deliveries
    watched: Watched
    notices: Notices
    request_keys: RequestKeys

    @classmethod
    def open(cls, state: StateDir, *, clock: Clock, ids: Ids, producer: str, tenant: str = "local") -> Self:
        """Open the ledger of this state directory and migrate it. ``producer`` is who appends, as events
        will say.
        """
        database = Database.open(state.ledger_url)
        database.migrate()
        return cls(
            database,
            EventLog(database, clock=clock, ids=ids, producer=producer, tenant=tenant),
            Executions(database),
            ArtifactStore(state.artifacts),
            HeadSigner(database, state.root, clock),
            Asks(database, clock=clock, ids=ids),
            Tokens(database, clock=clock, ids=ids),
            Switches(database, clock),
            Repositories(database, clock),
            Deliveries(database, clock),
            Watched(database),
            Notices(database, clock),
            RequestKeys(database, clock),
        )

    def verify(self, stream: str | None = None) -> VerifyReport:
        """Every chain, the global order, and the newest head this host signed; one stream has only its
        chain.
        """
        signed, problems = self.signer.newest() if stream is None else ([], [])
        report = self.events.verify(stream, signed=signed)
        return replace(report, problems=(*report.problems, *problems))

    def close(self) -> None:
        self.database.dispose()

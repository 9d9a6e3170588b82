"""Telling one turn: from its commands to its end, whatever the story does on the way."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from sqlalchemy import exc

from boatwright import crash, errors
from boatwright.ledger.inbox import Command
from boatwright.ledger.turns import Claimed
from boatwright.rules import parking
from boatwright.rules.transitions import WORKING
from boatwright.values.events import FeatureParked
from boatwright.values.state import State
from boatwright.workflows.engine.durable import EngineError, LeftBehind, my_token
from boatwright.workflows.engine.turn import Services, Turn, broken

if TYPE_CHECKING:
    from boatwright.workflows.engine.core import Engine
    from boatwright.workflows.engine.shift import Shift


class Teller:
    """Runs in the engine's own loop, several turns at once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def tell(self, shift: Shift, execution: str, number: int) -> str:
        """The body of the engine's workflow. What it calls of the engine, and in which order, is recorded: only
        the story's stages and notes do.
        """
        token = my_token()
        shift.running.add(token)
        try:
            return await self._tell(shift, execution, number, token)
        except LeftBehind as left:
            await shift.leave(token, left.cause)
            raise
        finally:
            shift.running.discard(token)

    async def _tell(self, shift: Shift, execution: str, number: int, token: str) -> str:
        try:
            commands = await asyncio.to_thread(self._take, execution, number)
            if commands is None:
                return "ended"
            turn = Turn(execution, number, commands, token, self._services(shift))
            outcome = await self._outcome(turn)
            await asyncio.to_thread(self._end, turn, shift.only is not None)
        except (errors.Stopped, errors.StoreUnavailable) as undecided:
            raise LeftBehind(undecided) from undecided
        except exc.SQLAlchemyError as error:
            gone = errors.StoreUnavailable(f"the engine's rows cannot be written: {type(error).__name__}")
            raise LeftBehind(gone) from error
        return outcome

    async def _outcome(self, turn: Turn) -> str:
        try:
            return await self._engine.story(turn)
        except errors.Stopped:
            if not await asyncio.to_thread(self._may_end, turn):
                raise
            return "stopped"  # a cancel waits: the next turn takes it
        except (errors.StoreUnavailable, EngineError, exc.SQLAlchemyError):
            raise
        except Exception as bug:  # noqa: BLE001  the edge of a turn: a story that breaks parks
            error = bug if isinstance(bug, errors.BoatwrightError) else broken(f"turn {turn.workflow}", bug)
            await asyncio.to_thread(self._park, turn.execution, turn.turn, error, turn.stage_name)
            return "parked"

    def _take(self, execution: str, number: int) -> list[Command] | None:
        """The commands of a live turn; None when it has ended and only the engine had not heard of it.

        A redone turn that still works also takes the *resume* commands that asked for just that.
        """
        if not self._engine.turns.is_live(execution, number):
            return None
        if self._engine.inbox.of_turn(execution, number):
            view = self._engine.ledger.executions.get(execution)
            if view is not None and view.state in WORKING | {State.PENDING}:
                self._engine.inbox.absorb(execution, number, ("resume",))
        return self._engine.inbox.take(execution, number)

    def _may_end(self, turn: Turn) -> bool:
        """Whether a stopped story was stopped by a command, and the turn is still ours to end."""
        with self._engine.ledger.database.read() as reader:
            told = self._engine.inbox.stop_requested(turn.execution, connection=reader)
            return told is not None and self._engine.durable.owns(reader, turn.workflow, turn.token)

    def _end(self, turn: Turn, private: bool) -> None:
        crash.point("turn.ending")
        more = self._engine.turns.end(turn.execution, turn.turn, guard=turn.guard)
        crash.point("turn.ended")
        if more:
            self._engine.start_turn(turn.execution, private=private)

    def _park(self, execution: str, number: int, error: errors.BoatwrightError, stage: str) -> None:
        moves = parking.next_moves("host", execution, error.next_moves)
        parked = FeatureParked(code="host", reason=str(error), next_moves=moves, stage=stage)
        with suppress(errors.Conflict):  # it was over already
            self._engine.ledger.events.append(execution, parked, key=f"t{number}:engine.parked")

    def give_up(self, claimed: Claimed) -> None:
        """The engine could not bring a turn to its end: ask a person, keep everything."""
        reason = errors.BoatwrightError(
            f"turn {claimed.turn} could not be brought to an end: it took its worker down, or its record does not fit"
            " this release"
        )
        self._park(claimed.execution, claimed.turn, reason, "")
        if self._engine.turns.end(claimed.execution, claimed.turn):
            self._engine.start_turn(claimed.execution)

    def _services(self, shift: Shift) -> Services:
        return Services(
            ledger=self._engine.ledger,
            inbox=self._engine.inbox,
            turns=self._engine.turns,
            durable=self._engine.durable,
            clock=self._engine.clock,
            ids=self._engine.ids,
            lifeline=shift.heartbeat,
            on_line=shift.on_line,
        )

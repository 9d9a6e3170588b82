"""A board that stands still: fixed bottles, and the source of a screen that shows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from boatwright.intake.watching import Frame
from boatwright.rules import board as rule
from boatwright.rules.board import Place
from boatwright.rules.budget import NANO, Account, Amount, Scope
from boatwright.stages.board import Board, Details, Row
from boatwright.values.asking import Ask, AskKind, AskState, Wish

MOMENT = datetime(2026, 1, 2, 15, 4, 5, tzinfo=UTC)
DAY = "2026-01-02"


def account(
    scope: Scope, key: str, usd: float | None = None, tokens: int | None = None, **more: Any
) -> Account:
    """A cap in dollars and tokens; ``used`` and ``held`` are pairs of both."""
    used, held = more.pop("used", (0, 0)), more.pop("held", (0, 0))
    return Account(
        scope,
        key,
        limit_usd=None if usd is None else int(usd * NANO),
        limit_tokens=tokens,
        used=Amount(int(used[0] * NANO), used[1]),
        held=Amount(int(held[0] * NANO), held[1]),
        **more,
    )


def row(slug: str, chain: Sequence[Account] = (), **changes: Any) -> Row:
    """A bottle that works, every field settable."""
    usual: dict[str, Any] = {
        "slug": slug, "account": slug.removesuffix("-agent"), "alone": not slug.startswith("ex-"),
        "agent": "claude", "provider": "claude", "model": "anthropic:claude-sonnet-4-5", "state": "running",
        "stage": "", "place": Place.WORKING, "created": MOMENT - timedelta(minutes=7), "age": 420.0, "calls": 4,
        "tokens": 84_210, "usd": Decimal("0.3124"), "held_usd": Decimal(0), "bindings": rule.bindings(chain),
        "wire": "open", "connections": 1, "refused": 0, "words": "",
    }  # fmt: skip
    return Row(**{**usual, **changes})


def board(*rows: Row, **changes: Any) -> Board:
    """A board of these bottles, every field settable."""
    host = account(Scope.HOST, "*", 50, period=DAY, hard=True, used=(6.4213, 0), held=(0.4110, 0))
    usual: dict[str, Any] = {
        "at": MOMENT, "rows": rows, "resting": 0, "beyond": 0, "host": rule.bindings([host]), "proxy": "runs",
        "notices": (),
    }  # fmt: skip
    return Board(**{**usual, **changes})


def ask(name: str, kind: AskKind, text: str, wanted: str = "", *, bottle: str = "ex-1-agent") -> Ask:
    """Something an agent asks for, and that waits."""
    return Ask(name, bottle.removesuffix("-agent"), bottle, Wish(kind, text, wanted), AskState.OPEN, MOMENT)


class FixedSource:
    """``intake.watching.Source`` over one board. ``output`` and ``proxy`` are told once for each bottle looked at."""

    def __init__(
        self,
        board: Board,
        *,
        details: Details | None = None,
        output: Sequence[str] = (),
        proxy: Sequence[str] = (),
        asks: Sequence[Ask] = (),
    ) -> None:
        self.board = board
        self.asks = asks
        self.beats = 0
        """How often somebody said to be there."""
        self.failure: Exception | None = None
        """Raised by the next looks, for as long as it is set."""
        self._details = details or Details((), ())
        self._output, self._proxy = output, proxy
        self._of = ""

    async def frame(self, account: str, *, everything: bool) -> Frame:
        if self.failure is not None:
            raise self.failure
        found = [each for each in self.board.rows if each.account == account] or list(self.board.rows)
        selected = found[0] if found else None
        begins = selected is None or selected.account != self._of
        proxy = self._proxy if not self._of else ()
        self._of = selected.account if selected else ""
        return Frame(
            self.board, selected, self._details, self._output if begins else (), begins, proxy, self.asks
        )

    async def present(self) -> None:
        self.beats += 1

"""What went wrong with a model call, in our words: the code it parks with, and whether to try again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
from pydantic_ai.exceptions import (
    AgentRunError,
    ModelAPIError,
    ModelConnectionError,
    ModelContextWindowExceededError,
    ModelHTTPError,
    ModelQuotaExceededError,
)

from boatwright import errors
from boatwright.agents import fence
from boatwright.values.usage import ModelRef


class CutError(Exception):
    """A stream ended cleanly without its last event."""


CAUGHT = (AgentRunError, httpx2.HTTPError, CutError, ValueError, TypeError, AttributeError, KeyError)
"""What a call may raise. The last four: the clients read an answer that is not their protocol without
checking it.
"""

BUDGET, CREDENTIAL, UNAVAILABLE, TOO_LONG = "budget", "credential", "model_unavailable", "context_too_long"
PRICE, CUT = "price", "cut"
WIRE = "boatwright_"
"""How the type of an error begins that the wire itself answers; its ``code`` says which."""
_CREDENTIAL_CODES = frozenset({"authentication_error", "invalid_api_key"})
_TURNED_DOWN = frozenset({401, 403})
"""The key is not one, or not for this. Asking again changes nothing."""
_AGAIN = frozenset({408, 409, 425, 429})

NEXT_MOVES = {
    BUDGET: ("boatwright budget raise EXECUTION 10usd", "boatwright resume EXECUTION"),
    CREDENTIAL: (
        "set a valid key in the environment of the process that runs it",
        "boatwright resume EXECUTION",
    ),
    UNAVAILABLE: ("wait for the provider", "boatwright resume EXECUTION"),
    PRICE: ("boatwright resume EXECUTION",),
    TOO_LONG: ("boatwright retry EXECUTION --from build", "ask for a smaller change"),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed call. ``said`` is the other side's own sentence, one line; ``again`` whether a retry may
    help; ``broken`` whether the wire itself seems to be gone.
    """

    code: str
    said: str
    again: bool = False
    retry_after: float | None = None
    broken: bool = False
    moves: tuple[str, ...] = ()
    """The wire's own next moves, when it was the wire that refused."""
    by_wire: bool = False

    def parked(self, attempts: int, model: ModelRef) -> errors.Parked:
        """The error for people, after the last attempt."""
        provider = "scripted model" if model.provider == "scripted" else str(model)
        moves = self.moves or NEXT_MOVES[self.code]
        if self.code == BUDGET:
            return errors.BudgetExhausted(self.said, subject=provider, next_moves=moves)
        sentence = {
            CREDENTIAL: f"the {provider} does not accept the credential: {self.said}",
            PRICE: self.said,
            TOO_LONG: f"the conversation is longer than the {provider} can read: {self.said}",
            UNAVAILABLE: f"the {provider} did not answer in {attempts} attempt(s): {self.said}",
        }[self.code]
        said = self.said if self.by_wire else sentence
        return errors.Parked(said, code=self.code, subject=provider, next_moves=moves)


def read(error: Exception) -> Failure:
    """Sort an exception of the clients: a refusal of the wire by its code, a provider's by its status."""
    if not isinstance(error, ModelAPIError):
        return Failure(UNAVAILABLE, _plainly(error), again=True, broken=isinstance(error, httpx2.HTTPError))
    body = _inner(error)
    status = error.status_code if isinstance(error, ModelHTTPError) else None
    if str(body.get("type", "")).startswith(WIRE):
        return _by_wire(body, status)
    said = fence.line(str(body.get("message") or "") or _without_reason(error, status), 400)
    if (
        status in _TURNED_DOWN
        or _code(body) in _CREDENTIAL_CODES
        or isinstance(error, ModelQuotaExceededError)
    ):
        return Failure(CREDENTIAL, said)
    if isinstance(error, ModelContextWindowExceededError):
        return Failure(TOO_LONG, said)
    again = status is None or status >= 500 or status in _AGAIN
    broken = isinstance(error, ModelConnectionError)
    return Failure(UNAVAILABLE, said, again=again, retry_after=error.retry_after, broken=broken)


def _by_wire(body: Mapping[str, Any], status: int | None) -> Failure:
    """A refusal of our own wire: its sentence is ours and stands as it is. 5xx passes, the rest is a rule."""
    code = str(body.get("code") or "")
    said = fence.line(str(body.get("message") or "the wire refused the call"), 600)
    listed = body.get("next_moves")
    moves = tuple(fence.line(str(move)) for move in listed) if isinstance(listed, list) else ()
    code = BUDGET if code == CUT else code
    known = code if code in {BUDGET, CREDENTIAL, PRICE} else UNAVAILABLE
    forgot = code == CREDENTIAL
    again = status is not None and status >= 500 and not forgot
    return Failure(known, said, again=again, broken=forgot, moves=moves, by_wire=True)


def _plainly(error: Exception) -> str:
    if isinstance(error, CutError):
        return str(error)
    if isinstance(error, httpx2.HTTPError):
        return fence.line(str(error) or type(error).__name__, 400)
    return "its answer is not the protocol it was asked in"


def _without_reason(error: ModelAPIError, status: int | None) -> str:
    return f"status {status}, without a reason" if status else str(error)


def _inner(error: ModelAPIError) -> Mapping[str, Any]:
    """The part of an error body that says what happened, whichever client unwrapped it, how far."""
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, Mapping) else None
    return inner if isinstance(inner, Mapping) else {}


def _code(body: Mapping[str, Any]) -> str:
    values = (str(body.get("code") or ""), str(body.get("type") or ""))
    return next((value for value in values if value in _CREDENTIAL_CODES), "")

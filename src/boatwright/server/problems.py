"""An error as an answer: ``{"error": what happened, "what": to what, "next": what to do}`` and the status that fits."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from boatwright import errors
from boatwright.workflows.engine.durable import report

STATUS: tuple[tuple[type[errors.BoatwrightError], int], ...] = (
    (errors.NotFound, 404),
    (errors.BadInput, 400),
    (errors.MissingPart, 503),
    (errors.Refused, 403),
    (errors.Conflict, 409),
    (errors.Parked, 409),
    (errors.StoreUnavailable, 503),
    (errors.Stopped, 503),
)
"""The first that fits, as the tree of errors is drawn."""
MANUAL = "GET /v1/openapi.json"


def status_of(error: errors.BoatwrightError) -> int:
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def of(error: errors.BoatwrightError) -> JSONResponse:
    return answer(status_of(error), str(error), error.subject, *error.next_moves)


def answer(
    status: int, sentence: str, subject: str = "", *moves: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    body = {"error": sentence, "what": subject, "next": list(moves)}
    return JSONResponse(body, status_code=status, headers=dict(headers or {}))


def install(app: FastAPI) -> None:
    """Every answer of ``app`` that is no success has this shape."""
    app.add_exception_handler(errors.BoatwrightError, _ours)
    app.add_exception_handler(RequestValidationError, _misread)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _bug)


async def _ours(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.BoatwrightError)
    return of(error)


async def _misread(_: Request, error: Exception) -> JSONResponse:
    """The first thing that is wrong, by its name; what was sent is not repeated."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])[:100]
    return answer(400, f"{where}: {first['msg']}", where, MANUAL)


async def _http(request: Request, error: Exception) -> JSONResponse:
    """No such page, no such method."""
    assert isinstance(error, HTTPException)
    asked = f"{request.method} {request.url.path[:100]}"
    return answer(error.status_code, f"{asked}: {error.detail}", asked, MANUAL, headers=error.headers)


async def _bug(request: Request, error: Exception) -> JSONResponse:
    report(f"{request.method} {request.scope.get('route', '')} broke", error)
    sentence = f"a defect of this release ({type(error).__name__}); nothing was lost"
    return answer(500, sentence, "", "the traceback is in logs/engine.log of the state directory")

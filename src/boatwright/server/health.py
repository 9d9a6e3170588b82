"""``GET /health``, on every listener: whether this process answers and its ledger does. It needs no token."""

from __future__ import annotations

from fastapi import FastAPI, Response

from boatwright import errors
from boatwright.stages.house import House

PATH = "/health"


def doors(house: House) -> FastAPI:
    """A public door with nothing but health behind it."""
    app = FastAPI(title="Boatwright", version=house.release, docs_url=None, redoc_url=None, openapi_url=None)
    add(app, house)
    return app


def add(app: FastAPI, house: House) -> None:
    """200 when the ledger answers, 503 when it does not."""

    @app.get(PATH, summary="Whether the ledger answers", tags=["health"])
    def health(response: Response) -> dict[str, str]:
        try:
            house.ledger.events.position()
        except errors.StoreUnavailable as gone:
            response.status_code = 503
            return {"status": "unavailable", "reason": str(gone), "release": house.release}
        return {"status": "ok", "release": house.release}

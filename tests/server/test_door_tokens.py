"""Nobody passes the private doors without a token that stands in the register, and stands."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from boatwright import errors
from boatwright.rules.listening import Place
from boatwright.server import serving
from boatwright.stages.house import House
from boatwright.workflows.assembly import engine_for

Front = Any  # tests/server/conftest.py

PRIVATE = ("/ready", "/metrics", "/v1/executions", "/v1/executions/ex-1", "/v1/openapi.json", "/nothing", "/")


def refused(answer: httpx2.Response) -> bool:
    body = answer.json()
    return (
        answer.status_code == 401
        and set(body) == {"error", "what", "next"}
        and "needs a token" in body["error"]
        and bool(body["next"])
        and answer.headers["www-authenticate"].startswith("Bearer")
    )


async def test_without_a_token_there_is_health_and_nothing_else(front: Front) -> None:
    async with front.stranger() as client:
        health = await client.get("/health")
        assert (health.status_code, health.json()["status"]) == (200, "ok")
        for path in PRIVATE:
            assert refused(await client.get(path)), path
        for path in ("/v1/executions", "/v1/executions/ex-1/cancel", "/health/../v1/executions"):
            assert refused(await client.post(path, json={})), path


@pytest.mark.parametrize(
    "header",
    [
        "Bearer bwt_" + "0" * 64,
        "Bearer",
        "Basic {token}",
        "{token}",
        "Bearer {token}x",
        "Bearer {token} {token}",
        "Bearer {upper}",
        "Bearer " + "a" * 4_000,
    ],
)
async def test_a_wrong_token_opens_nothing(front: Front, header: str) -> None:
    said = header.format(token=front.token, upper=front.token.upper())
    async with front.stranger() as client:
        assert refused(await client.get("/v1/executions", headers={"Authorization": said}))


async def test_two_headers_are_none(front: Front) -> None:
    right = ("Authorization", f"Bearer {front.token}")
    async with front.stranger() as client:
        assert refused(await client.get("/v1/executions", headers=[right, right]))
        assert refused(await client.get("/v1/executions", headers=[("Authorization", "x"), right]))
        assert (await client.get("/v1/executions", headers=[right])).status_code == 200


async def test_the_token_in_an_address_is_none(front: Front) -> None:
    async with front.stranger() as client:
        assert refused(await client.get("/v1/executions", params={"access_token": front.token}))


async def test_a_revoked_token_opens_nothing_from_then_on(front: Front, house: House) -> None:
    other = house.ledger.tokens.create("other", by="me")
    async with front.client(other) as client:
        assert (await client.get("/v1/executions")).status_code == 200
        house.ledger.tokens.revoke("other")
        assert refused(await client.get("/v1/executions"))
    async with front.client() as client:
        assert (await client.get("/v1/executions")).status_code == 200


async def test_its_use_is_written_down(front: Front, house: House) -> None:
    assert house.ledger.tokens.all()[0].used is None
    async with front.client() as client:
        await client.get("/nothing")
    assert house.ledger.tokens.all()[0].used is not None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org"])
def test_beyond_loopback_there_must_be_a_token(house: House, host: str) -> None:
    engine = engine_for(house)
    with pytest.raises(errors.Refused, match="not a loopback address") as refusal:
        serving.private_door(house, engine, Place(host, 0))
    assert "boatwright api-token create NAME" in refusal.value.next_moves
    house.ledger.tokens.create("mine", by="me")
    assert serving.private_door(house, engine, Place(host, 0)).place.host == host
    house.ledger.tokens.revoke("mine")
    with pytest.raises(errors.Refused):
        serving.private_door(house, engine, Place(host, 0))
    assert serving.private_door(house, engine, Place("::1", 0))
    engine.close()


async def test_the_public_door_knows_no_private_page(house: House) -> None:
    from boatwright.server.listener import Listener

    listener = Listener(serving.public_door(house, Place("127.0.0.1", 0)))
    listener.open()
    token = house.ledger.tokens.create("mine", by="me")
    async with httpx2.AsyncClient(base_url=f"http://{listener.place}") as client:
        assert (await client.get("/health")).status_code == 200
        for path in PRIVATE:
            answer = await client.get(path, headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 404, path
    await listener.close()

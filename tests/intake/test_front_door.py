"""The front door: what is kept, what is refused, and what every kind of bad input is answered. On both databases."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

import httpx2
import pytest
import uvicorn

from boatwright import errors
from boatwright.config.forges import ForgeSetting
from boatwright.intake import door as door_module
from boatwright.intake import readers
from boatwright.intake.door import LARGEST, SECRET_SECONDS, Door, Pen
from boatwright.ledger.database import Database
from boatwright.ledger.deliveries import Deliveries
from boatwright.server.front import front
from boatwright.testing.clock import ManualClock
from boatwright.values.delivery import Arrival, Delivery, Stored
from boatwright.values.skipping import Skip, SkipReason

from .conftest import OTHER, SECRET, headers_of, issue

FORGES = ("github", "gitea", "forgejo", "gitlab")
ALL = {kind: ForgeSetting(webhook_secret="env:HOOK") for kind in FORGES}
ALL["github"] = ForgeSetting(webhook_secret="env:HOOK", webhook_secrets={"acme/other": "env:HOOK_OTHER"})
BODY = json.dumps(issue()).encode()


@dataclass
class Gate:
    deliveries: Deliveries
    door: Door
    client: httpx2.AsyncClient
    environment: dict[str, str]
    woken: list[int] = field(default_factory=list)

    async def post(self, forge: str, body: bytes, headers: dict[str, str] | None = None) -> httpx2.Response:
        given = headers_of(forge, "issues", "guid", body) if headers is None else headers
        return await self.client.post(f"/webhooks/{forge}", content=body, headers=given)

    def rows(self) -> list[Delivery]:
        return self.deliveries.list()

    def read(self) -> Any:
        (row,) = self.rows()
        body = self.deliveries.body(row.id)
        assert body is not None
        return readers.read(row.forge, row.event, row.content_type, body)


@pytest.fixture
async def gate(database: Database, clock: ManualClock) -> AsyncIterator[Gate]:
    deliveries = Deliveries(database, clock)
    environment = {"HOOK": SECRET, "HOOK_OTHER": OTHER}
    woken: list[int] = []
    door = Door(deliveries, ALL, environment=environment, clock=clock, stored=lambda: woken.append(1))

    async def healthy() -> str:
        return ""

    transport = httpx2.ASGITransport(app=front(door, release="test", healthy=healthy))
    async with httpx2.AsyncClient(transport=transport, base_url="http://door") as client:
        yield Gate(deliveries, door, client, environment, woken)
    await door.close()


# --- what is kept ---


@pytest.mark.parametrize("forge", FORGES)
async def test_a_signed_delivery_is_kept_before_it_is_answered(gate: Gate, forge: str) -> None:
    answer = await gate.post(forge, BODY)
    assert (answer.status_code, answer.json()) == (202, {"status": "accepted"})
    (row,) = gate.rows()
    assert (row.forge, row.event, row.delivery, row.signer) == (forge, "issues", "guid", "")
    assert gate.deliveries.body(row.id) == BODY and gate.woken == [1]


async def test_one_that_is_known_is_answered_by_what_became_of_it(gate: Gate) -> None:
    codes = [(await gate.post("github", BODY)).status_code for _ in range(2)]
    gate.deliveries.finish(gate.rows()[0].id, "started")
    again = await gate.post("github", BODY)
    assert (codes, again.status_code, again.json()["status"]) == ([202, 202], 200, "already_processed")
    assert len(gate.rows()) == 1 and gate.woken == [1, 1]


async def test_many_at_once_share_transactions_and_each_is_one_row(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    store = gate.deliveries.store

    def counted(batch: Sequence[Arrival]) -> list[Stored]:
        batches.append(len(batch))
        return store(batch)

    monkeypatch.setattr(gate.deliveries, "store", counted)
    bodies = [json.dumps({**issue(), "n": number % 20}).encode() for number in range(60)]
    headers = [headers_of("github", "issues", f"guid-{at % 20}", body) for at, body in enumerate(bodies)]
    answers = await asyncio.gather(
        *(gate.post("github", body, head) for body, head in zip(bodies, headers, strict=True))
    )
    assert {answer.status_code for answer in answers} == {202}
    assert len(gate.rows()) == 20 and sum(batches) == 60 and len(batches) < 30


async def test_without_an_id_a_delivery_is_known_by_its_bytes(gate: Gate) -> None:
    headers = headers_of("gitlab", "Issue Hook", "", BODY)
    del headers["Idempotency-Key"]
    for _ in range(2):
        assert (await gate.post("gitlab", BODY, headers)).status_code == 202
    other = {**headers, "X-Gitlab-Event-UUID": "shared"}
    for body in (BODY, BODY + b" "):
        assert (await gate.post("gitlab", body, other)).status_code == 202
    assert len(gate.rows()) == 3


async def test_a_secret_of_one_repository_is_known_as_its(gate: Gate) -> None:
    headers = headers_of("github", "issues", "guid", BODY, OTHER)
    assert (await gate.post("github", BODY, headers)).status_code == 202
    assert gate.rows()[0].signer == "acme/other"


async def test_a_secret_that_cannot_be_had_stands_in_the_way_of_no_other(gate: Gate) -> None:
    key = gate.environment.pop("HOOK_OTHER")
    assert (await gate.post("github", BODY)).status_code == 202
    other = headers_of("github", "issues", "two", BODY, OTHER)
    assert (await gate.post("github", BODY, other)).status_code == 503
    gate.environment["HOOK_OTHER"] = key
    assert (await gate.post("github", BODY, other)).status_code == 202
    assert sorted(row.signer for row in gate.rows()) == ["", "acme/other"]


# --- what is refused ---


@pytest.mark.parametrize("forge", FORGES)
@pytest.mark.parametrize("signature", [None, "", "sha256=", "0" * 64, "sha256=" + "0" * 64])
async def test_a_forged_one_is_refused_and_leaves_nothing(
    gate: Gate, forge: str, signature: str | None
) -> None:
    headers = headers_of(forge, "issues", "guid", BODY)
    for name in list(headers):
        if "Signature" in name or "Token" in name:
            del headers[name]
            if signature is not None:
                headers[name] = signature
    answer = await gate.post(forge, BODY, headers)
    assert answer.status_code == 401 and gate.rows() == [] and gate.woken == []
    assert SECRET not in answer.text


async def test_a_changed_body_is_refused(gate: Gate) -> None:
    assert (
        await gate.post("github", BODY + b" ", headers_of("github", "issues", "g", BODY))
    ).status_code == 401


async def test_the_signature_of_one_forge_opens_no_other_door(gate: Gate) -> None:
    assert (await gate.post("gitea", BODY, headers_of("github", "issues", "g", BODY))).status_code == 401


async def test_a_forge_nobody_configured_is_refused(database: Database, clock: ManualClock) -> None:
    door = Door(Deliveries(database, clock), {"github": ForgeSetting()}, environment={}, clock=clock)
    for forge in FORGES:
        with pytest.raises(errors.Refused, match="no webhook secret"):
            await door.take(forge, {}, BODY)
    await door.close()


async def test_a_secret_that_is_away_is_no_forgery_and_a_rotated_one_is_heard_of(
    gate: Gate, clock: ManualClock
) -> None:
    key = gate.environment.pop("HOOK")
    answer = await gate.post("github", BODY)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30") and "HOOK" not in answer.text
    gate.environment["HOOK"] = key
    assert (await gate.post("github", BODY)).status_code == 202
    gate.environment["HOOK"] = "another-secret"
    rotated = headers_of("github", "issues", "two", BODY, "another-secret")
    assert (await gate.post("github", BODY, rotated)).status_code == 401
    clock.advance(SECRET_SECONDS)
    assert (await gate.post("github", BODY, rotated)).status_code == 202


async def test_with_the_database_away_the_forge_is_told_to_come_again(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: Sequence[Arrival]) -> list[Stored]:
        raise errors.StoreUnavailable("the database at a-secret-place is away")

    with monkeypatch.context() as patch:
        patch.setattr(gate.deliveries, "store", away)
        answers = await asyncio.gather(*(gate.post("github", BODY) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {503}
    assert all(answer.headers["retry-after"] and "a-secret-place" not in answer.text for answer in answers)
    assert (await gate.post("github", BODY)).status_code == 202, "and then it is heard"


async def test_a_removed_database_file_is_503(tmp_path: Any, clock: ManualClock) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'here.db'}")
    database.migrate()
    door = Door(Deliveries(database, clock), ALL, environment={"HOOK": SECRET}, clock=clock)
    (tmp_path / "here.db").unlink()
    given = {name.lower(): value for name, value in headers_of("gitea", "push", "g", BODY).items()}
    with pytest.raises(errors.StoreUnavailable):
        await door.take("gitea", given, BODY)
    await door.close()
    database.dispose()


async def test_a_defect_while_keeping_is_no_acknowledgement(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Sequence[Arrival]) -> list[Stored]:
        raise ZeroDivisionError

    pen = Pen(gate.deliveries)
    told: list[str] = []
    arrival = Arrival("github", "", "g", "push", "", "", b"")
    with monkeypatch.context() as patch:
        patch.setattr(gate.deliveries, "store", broken)
        patch.setattr(door_module, "report", lambda message, _: told.append(message))
        asked = await asyncio.gather(*(pen.write(arrival) for _ in range(3)), return_exceptions=True)
    assert [str(each) for each in asked] == ["the delivery could not be kept"] * 3
    assert all(isinstance(each, errors.StoreUnavailable) for each in asked) and told
    assert await pen.write(arrival) is Stored.NEW
    await pen.close()


# --- bad input ---


BAD: list[tuple[str, bytes, str, SkipReason]] = [
    ("no bytes", b"", "application/json", SkipReason.NOT_JSON),
    ("no JSON", b"\x00\xff\x00not json", "application/json", SkipReason.NOT_JSON),
    (
        "latin-1",
        '{"action": "ä"}'.encode("latin-1"),
        "application/json; charset=latin-1",
        SkipReason.NOT_JSON,
    ),
    ("gzip", gzip.compress(BODY), "application/json", SkipReason.NOT_JSON),
    ("a form", b"payload=" + quote_plus(BODY).encode(), "application/x-www-form-urlencoded", SkipReason.FORM),
    ("a list", b"[1, 2]", "application/json", SkipReason.NOT_JSON),
    ("a deep list", b"[" * 200_000, "application/json", SkipReason.NOT_JSON),
    ("a long number", b'{"issue": ' + b"9" * 10_000 + b"}", "application/json", SkipReason.NOT_JSON),
    ("an empty object", b"{}", "application/json", SkipReason.UNUSED_ACTION),
    ("no repository", b'{"action": "labeled", "issue": {"number": 1}}', "", SkipReason.OTHER_SHAPE),
    ("texts for parts", b'{"action": "labeled", "issue": "x", "repository": []}', "", SkipReason.OTHER_SHAPE),
    ("a number for a text", b'{"action": 7}', "", SkipReason.UNUSED_ACTION),
    (
        "a number that is none",
        json.dumps({**issue(), "issue": {"number": True}}).encode(),
        "application/json",
        SkipReason.OTHER_SHAPE,
    ),
    (
        "a huge number",
        json.dumps({**issue(), "issue": {"number": 1 << 60}}).encode(),
        "application/json",
        SkipReason.OTHER_SHAPE,
    ),
]


@pytest.mark.parametrize(
    ("body", "content_type", "why"), [row[1:] for row in BAD], ids=[row[0] for row in BAD]
)
async def test_what_cannot_be_read_is_kept_and_ignored_with_a_reason(
    gate: Gate, body: bytes, content_type: str, why: SkipReason
) -> None:
    headers = {**headers_of("github", "issues", "guid", body), "Content-Type": content_type}
    assert (await gate.post("github", body, headers)).status_code == 202
    read = gate.read()
    assert isinstance(read, Skip) and read.reason is why, read


async def test_a_form_of_gitea_is_signed_inside_and_ignored(gate: Gate) -> None:
    form = b"payload=" + quote_plus(BODY).encode()
    headers = {
        **headers_of("gitea", "issues", "guid", BODY),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    assert (await gate.post("gitea", form, headers)).status_code == 202
    assert gate.read().reason is SkipReason.FORM


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
async def test_other_encodings_of_unicode_are_read(gate: Gate, encoding: str) -> None:
    body = BODY.decode().encode(encoding)
    assert (await gate.post("github", body)).status_code == 202
    assert gate.read().number == 7


async def test_a_body_of_a_megabyte_with_control_characters_is_read_and_storable(gate: Gate) -> None:
    text = "\x00\x07\ud800\u202e" + "x" * (1 << 20)
    body = json.dumps(issue(body=text, title="\x1b[31mred\x00")).encode()
    assert (await gate.post("github", body)).status_code == 202
    read = gate.read()
    assert read.body.startswith("\ufffd\x07\ufffd\u202e") and len(read.body) == 1 << 20
    assert "\x00" not in read.title and read.body.encode()


async def test_unknown_events_and_headers_of_all_kinds_are_no_error(gate: Gate) -> None:
    headers = {**headers_of("github", "telepathy", "x" * 5_000, BODY), "X-GitHub-Hook-ID": "\x7f<script>"}
    assert (await gate.post("github", BODY, headers)).status_code == 202
    (row,) = gate.rows()
    assert (row.event, len(row.delivery), row.hook) == ("telepathy", 200, "<script>")
    assert gate.read().reason is SkipReason.UNKNOWN_EVENT
    del headers["X-GitHub-Event"]
    assert (await gate.post("github", b"{}", headers_without_event(b"{}"))).status_code == 202


def headers_without_event(body: bytes) -> dict[str, str]:
    return {name: value for name, value in headers_of("github", "", "other", body).items() if value}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/webhooks/github", 405), ("POST", "/webhooks/bitbucket", 404), ("POST", "/webhooks/", 404),
     ("GET", "/docs", 404), ("GET", "/openapi.json", 404), ("GET", "/health", 200)],
)  # fmt: skip
async def test_nothing_else_is_here(gate: Gate, method: str, path: str, status: int) -> None:
    assert (await gate.client.request(method, path)).status_code == status


# --- sizes, over a real socket ---


@pytest.fixture
async def port(gate: Gate) -> AsyncIterator[int]:
    async def healthy() -> str:
        return "the ledger is away"

    app = front(gate.door, release="test", healthy=healthy)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


async def test_twenty_five_megabytes_are_taken(gate: Gate, port: int) -> None:
    exact = b'{"pad": "' + b"x" * (LARGEST - 11) + b'"}'
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        headers = headers_of("github", "push", "big", exact)
        assert (await client.post("/webhooks/github", content=exact, headers=headers)).status_code == 202
    assert [row.size for row in gate.rows()] == [LARGEST]


@pytest.mark.parametrize("size", [LARGEST + 1, 26 << 20, 10**15])
async def test_a_body_announced_as_too_large_is_refused_unread(port: int, size: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
    await writer.drain()  # and not one byte of it
    answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413") and b"connection: close" in answer.lower()
    writer.close()


async def test_a_body_of_unknown_length_is_read_up_to_the_cap(gate: Gate, port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    sent = 0
    answered = asyncio.create_task(reader.readline())
    try:
        while not answered.done() and sent < 60:
            writer.write(chunk)
            await writer.drain()
            sent += 1
    except ConnectionError:
        pass
    assert (await answered).startswith(b"HTTP/1.1 413")
    assert sent < 60 and gate.rows() == []
    writer.close()


async def test_health_says_that_the_ledger_is_away(port: int) -> None:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        answer = await client.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")

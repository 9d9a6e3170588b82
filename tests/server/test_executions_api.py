"""Executions over HTTP: list them page by page, look at one, tell it what to do; and what is refused."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import httpx2
import pytest

from boatwright.stages.house import House
from boatwright.testing import samples
from boatwright.values.register import EVERYTHING
from boatwright.values.state import State

Front = Any  # tests/server/conftest.py


def is_a_problem(answer: httpx2.Response, status: int, words: str) -> bool:
    body = answer.json()
    assert (answer.status_code, set(body)) == (status, {"error", "what", "next"}), answer.text
    assert words in body["error"] and "\n" not in body["error"] and "Traceback" not in answer.text, body
    return isinstance(body["next"], list)


async def ids(client: httpx2.AsyncClient, **parameters: Any) -> tuple[list[str], str | None]:
    body = (await client.get("/v1/executions", params=parameters)).json()
    return [each["id"] for each in body["executions"]], body["next"]


async def test_pages_go_on_where_the_last_one_ended(front: Front) -> None:
    names = [f"ex-{number:02}" for number in range(7)]
    for name in names:
        front.begin(name)
    newest = names[::-1]
    async with front.client() as client:
        assert await ids(client) == (newest, None)
        first, after = await ids(client, limit=3)
        assert (first, after) == (newest[:3], newest[2])
        front.begin("ex-99")  # what is begun meanwhile shifts no page
        second, after = await ids(client, limit=3, after=after)
        assert (second, after) == (newest[3:6], newest[5])
        assert await ids(client, limit=3, after=after) == (newest[6:], None)
        assert await ids(client, limit=1, after=newest[6]) == ([], None)


async def test_filters(front: Front) -> None:
    front.begin("ex-1", repository="a")
    front.begin("ex-2", repository="b")
    front.append("ex-2", samples.parked(), "parked")
    async with front.client() as client:
        assert (await ids(client, repository="a"))[0] == ["ex-1"]
        assert (await ids(client, state="PARKED"))[0] == ["ex-2"]
        assert (await ids(client, state=["PARKED", "PENDING"]))[0] == ["ex-2", "ex-1"]
        assert (await ids(client, repository="a", state="PARKED"))[0] == []


async def test_one_execution_has_all_of_it_and_a_page_leaves_the_body_out(front: Front) -> None:
    front.begin("ex-1", body="every word")
    async with front.client() as client:
        one = (await client.get("/v1/executions/ex-1")).json()
        assert one["body"] == "every word" and one["state"] == "PENDING" and one["budget"]["usd"] == "5"
        listed = (await client.get("/v1/executions")).json()["executions"][0]
        assert "body" not in listed and listed == {k: v for k, v in one.items() if k != "body"}


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "201"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"limit": "1e9"}, "limit"),
        ({"state": "ASLEEP"}, "state"),
        ({"state": "parked"}, "state"),
    ],
)
async def test_a_bad_page_is_refused(front: Front, parameters: dict[str, str], words: str) -> None:
    async with front.client() as client:
        assert is_a_problem(await client.get("/v1/executions", params=parameters), 400, words)


@pytest.mark.parametrize("name", ["ex-9", "ex-", "x" * 300, "%00", "..", "ex-1%0a", "é"])
async def test_what_is_not_there_is_not_found(front: Front, name: str) -> None:
    front.begin("ex-1")
    async with front.client() as client:
        for path in ("", "/events"):
            answer = await client.get(f"/v1/executions/{name}{path}")
            assert answer.status_code == 404, answer.text
            assert set(answer.json()) == {"error", "what", "next"}
        for action in ("cancel", "resume", "retry"):
            assert (await client.post(f"/v1/executions/{name}/{action}")).status_code == 404
        after = await client.get("/v1/executions", params={"after": "ex-nothing"})
        assert is_a_problem(after, 404, "no execution")


async def test_what_a_person_says_waits_for_a_worker(front: Front) -> None:
    for name in ("ex-1", "ex-2", "ex-3"):
        front.begin(name)
    async with front.client() as client:
        answers = [
            await client.post("/v1/executions/ex-1/cancel", json={"reason": "enough"}),
            await client.post("/v1/executions/ex-2/resume"),
            await client.post("/v1/executions/ex-3/retry", json={"from": "plan"}),
        ]
    assert [(a.status_code, a.json()["told"]) for a in answers] == [
        (202, "cancel"), (202, "resume"), (202, "retry"),
    ]  # fmt: skip
    rows = [front.engine.inbox.waiting(name)[0] for name in ("ex-1", "ex-2", "ex-3")]
    assert [row.kind for row in rows] == ["cancel", "resume", "retry"]
    assert rows[0].payload == {"reason": "enough"} and rows[2].payload == {"from": "plan"}
    assert all(row.author.startswith("api:t-") for row in rows)
    assert [turn.execution for turn in front.engine.turns.live()] == ["ex-1", "ex-2", "ex-3"]


async def test_what_is_over_is_told_nothing(front: Front) -> None:
    front.begin("ex-1")
    front.append("ex-1", samples.events.FeatureCancelled(reason="no", by="me"), "cancelled")
    async with front.client() as client:
        assert is_a_problem(await client.post("/v1/executions/ex-1/cancel"), 409, "cancelled already")
        assert is_a_problem(await client.post("/v1/executions/ex-1/resume"), 409, "nothing to resume")


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/v1/executions", "", "body"),
        ("/v1/executions", "{", "body"),
        ("/v1/executions", "[]", "body"),
        ("/v1/executions", "{}", "repository"),
        ("/v1/executions", '{"repository": ""}', "repository"),
        ("/v1/executions", '{"repository": "/nowhere", "text": "x", "color": "red"}', "color"),
        ("/v1/executions", '{"repository": "/nowhere", "text": "x", "issue": 0}', "issue"),
        ("/v1/executions", '{"repository": "/nowhere", "text": "x", "by": "root"}', "by"),
        ("/v1/executions", '{"repository": "/nowhere", "text": "x"}', "/nowhere"),
        ("/v1/executions", '{"repository": "/", "text": "x", "issue": 1}', "not both"),
        ("/v1/executions", '{"repository": "https://u:p@h/x", "text": "x"}', "password"),
        ("/v1/executions/ex-1/retry", '{"from": "sleep"}', "from"),
        ("/v1/executions/ex-1/cancel", '{"reason": 1}', "reason"),
        ("/v1/executions/ex-1/cancel", '{"reason": "' + "x" * 2_001 + '"}', "reason"),
    ],
)
async def test_a_bad_body_is_refused(front: Front, path: str, body: str, words: str) -> None:
    front.begin("ex-1")
    async with front.client() as client:
        answer = await client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert is_a_problem(answer, 400, words)
    assert front.engine.inbox.waiting("ex-1") == [] and len(front.house.ledger.executions.list()) == 1


async def test_a_body_that_is_too_large_is_not_read(front: Front) -> None:
    async with front.client() as client:
        assert is_a_problem(await client.post("/v1/executions", content=b" " * 262_145), 413, "bytes")


async def test_a_body_without_an_end_is_not_read(front: Front) -> None:
    place = front.listener.place
    reader, writer = await asyncio.open_connection(place.host, place.port)
    head = (
        f"POST /v1/executions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {front.token}\r\n"
        "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"
    )
    writer.write(head.encode())
    assert (await asyncio.wait_for(reader.readline(), 60)).startswith(b"HTTP/1.1 411")
    writer.close()


async def test_a_method_that_is_not_there(front: Front) -> None:
    async with front.client() as client:
        assert is_a_problem(await client.delete("/v1/executions"), 405, "Method Not Allowed")
        assert is_a_problem(await client.get("/v1/nothing"), 404, "Not Found")


async def test_off_nothing_is_begun_and_nothing_goes_on(front: Front, house: House) -> None:
    front.begin("ex-1")
    house.ledger.switches.set(EVERYTHING, off=True, reason="it burns", by="me")
    asked = {"repository": str(house.state.root), "text": "more"}
    async with front.client() as client:
        for path, body in (
            ("/v1/executions", {**asked, "repository": "https://h/x"}),
            ("/v1/executions/ex-1/resume", None),
            ("/v1/executions/ex-1/retry", None),
        ):
            answer = await client.post(path, json=body)
            assert is_a_problem(answer, 403, "switched off by me: it burns")
            assert "boatwright switch on" in answer.json()["next"]
        assert (await client.post("/v1/executions/ex-1/cancel")).status_code == 202
    assert [row.kind for row in front.engine.inbox.waiting("ex-1")] == ["cancel"]


async def test_the_document_names_every_route_and_the_token(front: Front) -> None:
    async with front.client() as client:
        document = (await client.get("/v1/openapi.json")).json()
    assert set(document["paths"]) == {
        "/health", "/ready", "/metrics", "/v1/executions", "/v1/executions/{execution}",
        "/v1/executions/{execution}/events", "/v1/executions/{execution}/cancel",
        "/v1/executions/{execution}/resume", "/v1/executions/{execution}/retry",
    }  # fmt: skip
    assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    for path, methods in document["paths"].items():
        assert all(bool(each.get("security")) is (path != "/health") for each in methods.values()), path


async def test_the_figures(front: Front, house: House) -> None:
    front.begin("ex-1")
    front.begin("ex-2")
    front.append("ex-2", samples.parked(), "parked")
    async with front.client() as client:
        page = (await client.get("/metrics")).text
    lines = page.splitlines()
    assert 'boatwright_executions{state="PENDING"} 1' in lines
    assert 'boatwright_executions{state="PARKED"} 1' in lines
    assert f'boatwright_executions{{state="{State.FAILED.value}"}} 0' in lines
    assert "boatwright_event_position 3" in lines and "boatwright_bottles 0" in lines
    assert "boatwright_switched_off 0" in lines and "deliveries" not in page
    house.ledger.switches.set(EVERYTHING, off=True, reason="", by="me")
    async with front.client() as client:
        assert "boatwright_switched_off 1" in (await client.get("/metrics")).text.splitlines()


async def test_figures_of_budgets(front: Front, house: House) -> None:
    from boatwright.values.usage import Cap

    budgets = house.wire.budgets()
    budgets.set_cap("host", "*", Cap.parse("50usd"), hard=True)
    budgets.set_cap("execution", "ex-1", Cap.parse("5usd"), hard=True)
    budgets.set_cap("repository", "a", Cap.parse("2Mtok"), hard=True)
    async with front.client() as client:
        lines = (await client.get("/metrics")).text.splitlines()
    of_host = [line for line in lines if 'scope="host"' in line]
    assert any(line.endswith('what="cap"} 50') for line in of_host), lines
    assert any('what="used"' in line and line.endswith("} 0") for line in of_host), lines
    assert 'boatwright_budget_tokens{scope="repository",key="a",per="ever",what="cap"} 2000000' in lines
    assert not [line for line in lines if 'scope="execution"' in line]


async def test_ready_says_what_is_missing(front: Front) -> None:
    async with front.client() as client:
        answer = await client.get("/ready")
        assert answer.status_code == 503
        assert answer.json() | {"release": ""} == {
            "status": "not ready", "release": "", "ledger": "ok", "worker": "no worker is alive", "wire": "idle",
        }  # fmt: skip
        lock = front.engine.leases.claim(
            "w", host="elsewhere", pid=1, release=front.house.release, queue=front.engine.queue
        )
        answer = await client.get("/ready")
        lock.release()
    assert (answer.status_code, answer.json()["status"], answer.json()["worker"]) == (200, "ready", "ok")


@pytest.fixture
def asked(tmp_path: Path) -> dict[str, str]:
    """A request that can be taken: a repository, and a model that is a script."""
    repository = tmp_path / "paginate"
    git = ["git", "-C", str(repository), "-c", "user.name=A", "-c", "user.email=a@localhost"]
    with resources.as_file(resources.files("boatwright.cli") / "sample" / "repository") as sample:
        shutil.copytree(sample, repository, ignore=shutil.ignore_patterns("__pycache__"))
    for words in (["init", "-q", "-b", "main"], ["add", "--all"], ["commit", "-q", "-m", "Begin"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    script = tmp_path / "model.yml"
    step = "{id: P1, action: edit, path: paginate.py, acceptance: it counts}"
    script.write_text(f"plan: {{goal: g, steps: [{step}]}}\nreplies: [{{say: Done.}}]\n")
    return {"repository": str(repository), "text": "Count the last page", "model": f"scripted:{script}"}


async def test_a_request_with_a_key_is_one_execution(front: Front, asked: dict[str, str]) -> None:
    key = {"Idempotency-Key": "7d1c2c1e nightly"}
    async with front.client() as client:
        first = await client.post("/v1/executions", json=asked, headers=key)
        again = await client.post("/v1/executions", json={**asked, "only_plan": False}, headers=key)
        assert (first.status_code, again.status_code) == (201, 200), first.text + again.text
        name = first.json()["execution"]
        assert again.json() == {"execution": name, "notices": []}
        assert first.headers["location"] == again.headers["location"] == f"/v1/executions/{name}"
        other = await client.post("/v1/executions", json={**asked, "text": "Something else"}, headers=key)
        assert is_a_problem(other, 409, "another request before") and other.json()["what"] == name
        Path(asked["model"].removeprefix("scripted:")).unlink()  # it could not be asked for today
        front.append(name, samples.events.FeatureCancelled(reason="no", by="me"), "cancelled")
        late = await client.post("/v1/executions", json=asked, headers=key)
        assert (late.status_code, late.json()["execution"]) == (200, name), "over, and known"
    assert len(front.house.ledger.executions.list()) == 1


@pytest.mark.parametrize("key", [b"", b"x" * 201, b"\xc3\xa9", b"a\tb"])
async def test_what_is_no_key_is_refused(front: Front, asked: dict[str, str], key: bytes) -> None:
    async with front.client() as client:
        answer = await client.post("/v1/executions", json=asked, headers=[(b"Idempotency-Key", key)])
    assert is_a_problem(answer, 400, "Idempotency-Key")
    assert front.house.ledger.executions.list() == []

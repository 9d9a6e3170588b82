"""The fake GitHub does what its documentation says: webhooks, roles, restarts, git."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from boatwright.testing import fake_forges
from boatwright.testing.fake_github import FakeGitHub
from boatwright.testing.fake_http import Problem

SECRET = "s3cret"
PATH = "ann/sample"


class Listener:
    """Takes webhooks, and answers what it is told to."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 202
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                listener.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(listener.status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/webhooks/github"

    def told(self) -> list[tuple[str, str]]:
        return [(headers["x-github-event"], json.loads(body).get("action", "")) for headers, body in self.got]


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeGitHub]:
    with FakeGitHub(tmp_path) as made:
        made.make(PATH, files={"a.txt": "one\n"}, people={"ann": "admin", "rea": "read"})
        yield made


def call(server: FakeGitHub, token: str, method: str, path: str, **said: Any) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx2.Client(base_url=f"{server.url}/api/v3", headers=headers) as client:
        return client.request(method, path, json=said or None)


def test_what_people_do_is_told_signed_and_in_order(server: FakeGitHub, listener: Listener) -> None:
    server.hook(listener.url, SECRET)
    issue = server.do(lambda act: act.open_issue(PATH, by="ann", title="one", labels=("agent",)))
    server.do(lambda act: act.assign(PATH, issue.number, "bot", by="ann"))
    server.do(lambda act: act.comment(PATH, issue.number, by="ann", body="/boatwright plan"))
    server.do(lambda act: act.close(PATH, issue.number, by="ann"))
    server.postman.drain()
    assert listener.told() == [
        ("issues", "opened"), ("issues", "labeled"), ("issues", "assigned"), ("issue_comment", "created"),
        ("issues", "closed"),
    ]  # fmt: skip
    for headers, body in listener.got:
        signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        assert headers["x-hub-signature-256"] == f"sha256={signature}"
        assert json.loads(body)["repository"]["full_name"] == PATH
    assert len({headers["x-github-delivery"] for headers, _ in listener.got}) == len(listener.got)
    assert json.loads(listener.got[1][1])["label"]["name"] == "agent"


def test_a_push_tells_of_the_branch_and_of_its_pull_request(
    server: FakeGitHub, listener: Listener, tmp_path: Path
) -> None:
    url = server.url.replace("://", f"://ann:{server.token('ann')}@") + f"/{PATH}.git"
    work = tmp_path / "work"
    git("clone", "-q", url, str(work), at=tmp_path)
    push(work, "one")
    pull = server.do(
        lambda act: act.open_pull(PATH, by="ann", title="t", body="", branch="work", base="main", draft=True)
    )
    server.hook(listener.url, SECRET)
    head = push(work, "two")
    server.postman.drain()
    assert listener.told() == [("push", ""), ("pull_request", "synchronize")]
    said = json.loads(listener.got[1][1])
    assert (said["number"], said["after"], said["pull_request"]["head"]["sha"]) == (pull.number, head, head)


def push(work: Path, text: str) -> str:
    (work / "b.txt").write_text(text)
    git("add", "-A", at=work)
    git("-c", "user.name=Ann", "-c", "user.email=a@example.org", "commit", "-q", "-m", text, at=work)
    git("push", "-q", "--force", "origin", "HEAD:refs/heads/work", at=work)
    return git("rev-parse", "HEAD", at=work).strip()


def git(*arguments: str, at: Path) -> str:
    return subprocess.run(["git", *arguments], cwd=at, check=True, capture_output=True, text=True).stdout


def test_git_wants_a_token_to_write_and_a_role(server: FakeGitHub, tmp_path: Path) -> None:
    work = tmp_path / "work"
    git("clone", "-q", f"{server.url}/{PATH}.git", str(work), at=tmp_path)
    for who in ("", f"x:{server.token('rea')}@", "x:nonsense@"):
        git("remote", "set-url", "origin", server.url.replace("://", f"://{who}") + f"/{PATH}.git", at=work)
        with pytest.raises(subprocess.CalledProcessError):
            push(work, "no")
    assert "work" not in server.act.bare(server.state.depots[PATH]).heads()


def test_a_failed_delivery_can_be_sent_again_under_its_id(server: FakeGitHub, listener: Listener) -> None:
    listener.status = 503
    server.hook(listener.url, SECRET)
    server.do(lambda act: act.open_issue(PATH, by="ann", title="one"))
    server.postman.drain()
    (failed,) = server.postman.made
    assert failed.status == 503
    listener.status = 202
    again = server.postman.again(failed.id)
    server.postman.drain()
    assert (again.status, again.guid, again.redelivery) == (202, failed.guid, True)
    assert listener.got[0][1] == listener.got[1][1]


def test_nobody_there_is_no_delivery_and_no_harm(server: FakeGitHub) -> None:
    server.hook("http://127.0.0.1:1/nobody", SECRET)
    server.do(lambda act: act.open_issue(PATH, by="ann", title="one"))
    server.postman.drain()
    assert [each.status for each in server.postman.made] == [0]


@pytest.mark.parametrize(
    ("token", "method", "path", "said", "status"),
    [
        ("nonsense", "GET", f"/repos/{PATH}", {}, 401),
        ("ann", "GET", "/repos/ann/nothing", {}, 404),
        ("ann", "GET", "/nothing/at/all", {}, 404),
        ("ann", "POST", f"/repos/{PATH}/issues", {"title": ""}, 422),
        ("ann", "POST", f"/repos/{PATH}/issues", {"title": "t", "body": "x" * 65_537}, 422),
        ("rea", "POST", f"/repos/{PATH}/issues", {"title": "t"}, 201),
        ("rea", "POST", f"/repos/{PATH}/pulls", {"title": "t", "head": "main", "base": "main"}, 403),
        ("ann", "POST", f"/repos/{PATH}/pulls", {"title": "t", "head": "none", "base": "main"}, 422),
        ("ann", "PATCH", f"/repos/{PATH}/pulls/1", {"draft": False}, 422),
        ("ann", "POST", f"/repos/{PATH}/check-runs", {"name": "n", "head_sha": "main"}, 403),
        ("ann", "POST", f"/repos/{PATH}/statuses/main", {"state": "running"}, 422),
        ("ann", "GET", f"/repos/{PATH}/commits/{'0' * 40}/statuses", {}, 422),
    ],
)
def test_what_is_refused_is_refused_as_it_does(
    server: FakeGitHub, token: str, method: str, path: str, said: dict[str, Any], status: int
) -> None:
    token = server.token(token) if token != "nonsense" else token
    assert call(server, token, method, path, **said).status_code == status


def test_a_check_run_takes_fifty_remarks_a_call(server: FakeGitHub) -> None:
    server.install("boatwright", "no key is needed here")
    token = server.token("boatwright[bot]")
    for count, status in ((50, 201), (51, 422)):
        notes = [
            {"path": "a", "start_line": 1, "end_line": 1, "annotation_level": "notice", "message": "m"}
        ] * count
        said = {
            "name": "n",
            "head_sha": "main",
            "output": {"title": "t", "summary": "s", "annotations": notes},
        }
        assert call(server, token, "POST", f"/repos/{PATH}/check-runs", **said).status_code == status


def test_what_is_merged_stays_merged_and_two_of_a_branch_are_one_too_many(server: FakeGitHub) -> None:
    bare = server.act.bare(server.state.depots[PATH])
    bare.run("update-ref", "refs/heads/work", bare.head("main") or "")

    def open_one(act: Any) -> Any:
        return act.open_pull(PATH, by="ann", title="t", body="", branch="work", base="main", draft=False)

    pull = server.do(open_one)
    with pytest.raises(Problem):
        server.do(open_one)
    server.do(lambda act: act.merge(PATH, pull.number, by="ann"))
    with pytest.raises(Problem):
        server.do(lambda act: act.reopen(PATH, pull.number, by="ann"))


def test_the_program_says_what_somebody_needs(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "boatwright.testing.fake_forges", "github", str(tmp_path / "state")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = dict(line.split(maxsplit=1) for line in (process.stdout.readline() for _ in range(2)))
        token = process.stdout.readline().split()[-1]
        answer = httpx2.get(
            f"{said['address'].strip()}/api/v3/user", headers={"Authorization": f"Bearer {token}"}
        )
        assert answer.json()["login"] == "ann"
        process.terminate()
        assert process.wait() == 0


def test_the_program_keeps_its_tokens(tmp_path: Path) -> None:
    with FakeGitHub(tmp_path) as first:
        first.make(fake_forges.SAMPLE, files={"a": "b"}, people=fake_forges.PEOPLE)
        tokens = fake_forges.told(first)[2:]
    with FakeGitHub(tmp_path) as second:
        assert fake_forges.told(second)[2:] == tokens

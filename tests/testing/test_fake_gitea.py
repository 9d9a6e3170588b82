"""The imitation of Gitea and Forgejo keeps the quirks that the real ones are documented with."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from boatwright.testing.fake_gitea import FakeForgejo, FakeGitea

REPO = "/repos/ann/sample"
SECRET = "hook secret"


@pytest.fixture(params=[FakeGitea, FakeForgejo])
def forge(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FakeGitea]:
    with request.param(tmp_path) as made:
        made.make(
            "ann/sample", files={"a.txt": "one\n"}, people={"ann": "admin", "bot": "write"}, private=True
        )
        yield made


class Client:
    """Plain HTTP, as somebody."""

    def __init__(self, forge: FakeGitea, login: str) -> None:
        self.token = forge.token(login)
        self._base, self._headers = f"{forge.url}/api/v1", {"Authorization": f"token {self.token}"}

    def __call__(self, method: str, path: str, **body: Any) -> httpx2.Response:
        content = body or None
        return httpx2.request(method, f"{self._base}{path}", headers=self._headers, json=content)


def deliveries(forge: FakeGitea) -> list[tuple[str, str, dict[str, Any]]]:
    made = forge.postman.made
    return [(d.headers["X-Gitea-Event"], d.headers["X-Gitea-Event-Type"], json.loads(d.body)) for d in made]


def branch(forge: FakeGitea, name: str) -> None:
    bare = forge.act.bare(forge.state.depots["ann/sample"])
    bare.run("branch", name, "main")


def test_a_delivery_is_signed_bare_and_bears_every_name(forge: FakeGitea) -> None:
    forge.hook("http://127.0.0.1:9/hook", SECRET)
    forge.do(lambda act: act.open_issue("ann/sample", by="ann", title="one"))
    (delivery,) = forge.postman.made
    right = hmac.new(SECRET.encode(), delivery.body, hashlib.sha256).hexdigest()
    headers = delivery.headers
    assert headers["X-Gitea-Signature"] == headers["X-Gogs-Signature"] == right
    assert headers["X-Hub-Signature-256"] == f"sha256={right}"
    assert headers["X-GitHub-Event"] == headers["X-Gitea-Event"] == "issues"
    assert headers.get("X-Forgejo-Signature") == (right if isinstance(forge, FakeForgejo) else None)
    assert headers["X-Gitea-Delivery"] == delivery.guid


def test_without_a_secret_the_signature_is_there_and_empty(forge: FakeGitea) -> None:
    forge.hook("http://127.0.0.1:9/hook", "")
    forge.do(lambda act: act.open_issue("ann/sample", by="ann", title="one"))
    assert forge.postman.made[0].headers["X-Gitea-Signature"] == ""


def test_a_label_is_told_by_its_result_alone(forge: FakeGitea) -> None:
    number = forge.do(lambda act: act.open_issue("ann/sample", by="ann", title="one")).number
    forge.hook("http://127.0.0.1:9/hook", SECRET)
    forge.do(lambda act: act.label("ann/sample", number, "agent", by="ann"))
    ((event, kind, said),) = deliveries(forge)
    assert (event, kind, said["action"]) == ("issues", "issue_label", "label_updated")
    assert "label" not in said
    assert [label["name"] for label in said["issue"]["labels"]] == ["agent"]


def test_an_issue_made_with_labels_is_told_once(forge: FakeGitea) -> None:
    bot = Client(forge, "bot")
    label = bot("POST", f"{REPO}/labels", name="agent", color="#fff").json()["id"]
    forge.hook("http://127.0.0.1:9/hook", SECRET)
    assert bot("POST", f"{REPO}/issues", title="one", labels=["agent"]).status_code == 422  # ids, not names
    assert bot("POST", f"{REPO}/issues", title="one", labels=[label]).status_code == 201
    ((_, kind, said),) = deliveries(forge)
    assert (kind, said["action"]) == ("issues", "opened")
    assert [each["name"] for each in said["issue"]["labels"]] == ["agent"]


def test_events_of_a_pull_request(forge: FakeGitea) -> None:
    branch(forge, "work")
    bot = Client(forge, "bot")
    forge.hook("http://127.0.0.1:9/hook", SECRET)
    made = bot("POST", f"{REPO}/pulls", title="WIP: Fix", head="work", base="main").json()
    assert made["draft"]
    number = made["number"]
    assert not bot("PATCH", f"{REPO}/pulls/{number}", title="Fix").json()["draft"]
    bot("POST", f"{REPO}/issues/{number}/comments", body="hello")
    forge.do(lambda act: act.remark("ann/sample", number, by="ann", body="why?", file="a.txt", line=1))
    forge.do(lambda act: act.close("ann/sample", number, by="ann"))
    told = [(event, kind, said["action"]) for event, kind, said in deliveries(forge)]
    assert told == [
        ("pull_request", "pull_request", "opened"),
        ("pull_request", "pull_request", "edited"),
        ("issue_comment", "pull_request_comment", "created"),
        ("pull_request_comment", "pull_request_review_comment", "reviewed"),
        ("pull_request", "pull_request", "closed"),
    ]
    assert deliveries(forge)[1][2]["changes"] == {"title": {"from": "WIP: Fix"}}
    assert deliveries(forge)[2][2]["is_pull"]


def test_refusals_are_the_documented_ones(forge: FakeGitea) -> None:
    branch(forge, "work")
    ann, bot, out = Client(forge, "ann"), Client(forge, "bot"), Client(forge, "out")
    made = {"title": "WIP: Fix", "head": "work", "base": "main"}
    number = bot("POST", f"{REPO}/pulls", **made).json()["number"]
    assert bot("POST", f"{REPO}/pulls", **made).status_code == 409
    assert bot("POST", f"{REPO}/pulls", **(made | {"head": "nowhere"})).status_code == 404
    assert bot("POST", f"{REPO}/pulls/{number}/merge", Do="merge").status_code == 405
    bot("PATCH", f"{REPO}/pulls/{number}", state="closed")
    assert bot("POST", f"{REPO}/pulls/{number}/merge", Do="merge").status_code == 404
    assert bot("GET", f"{REPO}/collaborators/ann/permission").status_code == 403
    assert bot("GET", f"{REPO}/collaborators/bot/permission").json()["permission"] == "write"
    assert ann("GET", f"{REPO}/collaborators/bot/permission").status_code == 200
    assert out("GET", f"{REPO}/issues").status_code == 404
    forge.do(lambda act: setattr(act.depot("ann/sample"), "archived", True))
    assert bot("POST", f"{REPO}/issues", title="one").status_code == 423


def test_a_stranger_is_sent_to_the_public_members(forge: FakeGitea) -> None:
    forge.organisation("house", {"ann": True, "wim": False})
    answer = Client(forge, "bot")("GET", "/orgs/house/members/ann")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/api/v1/orgs/house/public_members/ann")
    assert Client(forge, "ann")("GET", "/orgs/house/members/wim").status_code == 204


def test_a_token_does_no_more_than_its_scopes(forge: FakeGitea) -> None:
    bot = Client(forge, "bot")
    forge.scopes(bot.token, "read:repository", "write:issue")
    assert bot("GET", REPO).status_code == 200
    assert bot("POST", f"{REPO}/issues", title="one").status_code == 201
    refused = bot("GET", "/user")
    assert refused.status_code == 403
    assert "read:user" in refused.json()["message"]
    assert bot("PATCH", f"{REPO}/pulls/0").status_code == 403


def test_a_page_has_fifty_at_most_and_names_the_next(forge: FakeGitea) -> None:
    def many(act: Any) -> None:
        for count in range(60):
            act.open_issue("ann/sample", by="ann", title=f"issue {count}")

    forge.do(many)
    answer = Client(forge, "bot")("GET", f"{REPO}/issues?limit=100")
    assert (len(answer.json()), answer.headers["X-Total-Count"]) == (50, "60")
    assert 'page=2>; rel="next"' in answer.headers["Link"]


def test_a_renamed_repository_says_where_it_went(forge: FakeGitea) -> None:
    forge.do(lambda act: act.rename("ann/sample", "ann/other"))
    answer = Client(forge, "bot")("GET", f"{REPO}/issues")
    assert answer.status_code == 307
    assert answer.headers["Location"] == f"{forge.url}/api/v1/repos/ann/other/issues"


def test_a_hook_is_made_and_tried_with_a_push(forge: FakeGitea) -> None:
    ann = Client(forge, "ann")
    wanted = {"type": "gitea", "active": True, "events": ["issues", "push"]}
    form = {"url": "http://127.0.0.1:9/hook", "content_type": "form", "secret": SECRET}
    assert ann("POST", f"{REPO}/hooks", **wanted, config=form).status_code == 422
    made = ann("POST", f"{REPO}/hooks", **wanted, config=form | {"content_type": "json"}).json()
    assert SECRET not in json.dumps(made)
    assert ann("POST", f"{REPO}/hooks/{made['id']}/tests").status_code == 204
    ((event, _, said),) = deliveries(forge)
    assert event == "push"
    assert said["before"] == said["after"]

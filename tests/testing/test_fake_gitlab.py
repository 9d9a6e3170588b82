"""The imitation of GitLab keeps the quirks that the real one is documented with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from boatwright.testing.fake_gitlab import FakeGitLab

PROJECT = "/projects/ann%2Fsample"
SECRET = "hook secret"


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[FakeGitLab]:
    with FakeGitLab(tmp_path) as made:
        people = {"ann": "admin", "bot": "write", "rea": "read"}
        made.make("ann/sample", files={"a.txt": "one\n"}, people=people, private=True)
        made.act.bare(made.state.depots["ann/sample"]).run("branch", "work", "main")
        yield made


class Client:
    """Plain HTTP, as somebody."""

    def __init__(self, forge: FakeGitLab, login: str) -> None:
        self._base, self._headers = f"{forge.url}/api/v4", {"PRIVATE-TOKEN": forge.token(login)}

    def __call__(self, method: str, path: str, **body: Any) -> httpx2.Response:
        content = body or None
        return httpx2.request(method, f"{self._base}{path}", headers=self._headers, json=content)


def opened(bot: Client) -> Any:
    return bot(
        "POST", f"{PROJECT}/merge_requests", title="Draft: Fix", source_branch="work", target_branch="main"
    )


def deliveries(forge: FakeGitLab) -> list[tuple[str, dict[str, Any]]]:
    return [(each.headers["X-Gitlab-Event"], json.loads(each.body)) for each in forge.postman.made]


def head(forge: FakeGitLab, name: str = "work") -> str:
    return forge.act.bare(forge.state.depots["ann/sample"]).head(name) or ""


def test_the_secret_itself_goes_along(forge: FakeGitLab) -> None:
    forge.hook("http://127.0.0.1:9/hook", SECRET)
    forge.do(lambda act: act.open_issue("ann/sample", by="ann", title="one"))
    (delivery,) = forge.postman.made
    assert delivery.headers["X-Gitlab-Token"] == SECRET
    assert delivery.headers["Idempotency-Key"] == delivery.headers["X-Gitlab-Event-UUID"] == delivery.guid
    assert delivery.headers["X-Gitlab-Event"] == "Issue Hook"


def test_a_label_is_told_by_what_was_and_what_is(forge: FakeGitLab) -> None:
    number = forge.do(lambda act: act.open_issue("ann/sample", by="ann", title="one")).number
    forge.do(lambda act: act.label("ann/sample", number, "bug", by="ann"))
    forge.hook("http://127.0.0.1:9/hook", SECRET)
    forge.do(lambda act: act.label("ann/sample", number, "agent", by="ann"))
    ((_, said),) = deliveries(forge)
    assert said["object_attributes"]["action"] == "update"
    labels = said["changes"]["labels"]
    assert [each["title"] for each in labels["previous"]] == ["bug"]
    assert [each["title"] for each in labels["current"]] == ["bug", "agent"]


def test_issues_and_merge_requests_are_counted_apart(forge: FakeGitLab) -> None:
    bot = Client(forge, "bot")
    assert bot("POST", f"{PROJECT}/issues", title="one").json()["iid"] == 1
    assert opened(bot).json()["iid"] == 1
    bot("POST", f"{PROJECT}/issues/1/notes", body="of the issue")
    note = bot("POST", f"{PROJECT}/merge_requests/1/notes", body="of the merge request").json()["id"]
    assert bot("GET", f"{PROJECT}/issues/1/notes/{note}").status_code == 404
    assert bot("GET", f"{PROJECT}/merge_requests/1/notes/{note}").json()["body"] == "of the merge request"


def test_one_event_tells_of_both_kinds_of_notes(forge: FakeGitLab) -> None:
    bot = Client(forge, "bot")
    bot("POST", f"{PROJECT}/issues", title="one")
    opened(bot)
    forge.hook("http://127.0.0.1:9/hook", SECRET)
    bot("POST", f"{PROJECT}/issues/1/notes", body="hello")
    place = {
        "position_type": "text",
        "base_sha": "a",
        "start_sha": "a",
        "head_sha": "a",
        "new_path": "a.txt",
        "new_line": 1,
    }
    bot("POST", f"{PROJECT}/merge_requests/1/discussions", body="why?", position=place)
    (_, of_issue), (_, of_pull) = deliveries(forge)
    assert of_issue["object_attributes"]["noteable_type"] == "Issue"
    assert of_issue["issue"]["iid"] == 1
    assert of_pull["object_attributes"]["noteable_type"] == "MergeRequest"
    assert of_pull["object_attributes"]["position"]["new_line"] == 1
    assert of_pull["merge_request"]["iid"] == 1


def test_quick_actions_are_carried_out_and_not_kept(forge: FakeGitLab) -> None:
    bot = Client(forge, "bot")
    bot("POST", f"{PROJECT}/issues", title="one")
    said = bot("POST", f"{PROJECT}/issues/1/notes", body="done\n/close")
    assert (said.status_code, said.json()["body"]) == (201, "done\n")
    assert bot("GET", f"{PROJECT}/issues/1").json()["state"] == "closed"
    assert bot("POST", f"{PROJECT}/issues/1/notes", body="/reopen").status_code == 202
    assert bot("GET", f"{PROJECT}/issues/1").json()["state"] == "opened"
    assert (
        bot("POST", f"{PROJECT}/issues/1/notes", body="/boatwright stop").json()["body"] == "/boatwright stop"
    )


def test_a_status_in_the_same_state_is_refused_and_one_that_ended_is_followed(forge: FakeGitLab) -> None:
    bot, path = Client(forge, "bot"), f"{PROJECT}/statuses/{head(forge)}"
    assert bot("POST", path, name="verify", state="running").status_code == 201
    refused = bot("POST", path, name="verify", state="running")
    assert refused.status_code == 400
    assert "Cannot transition status" in refused.json()["message"]
    first = bot("POST", path, name="verify", state="success").json()["id"]
    assert bot("POST", path, name="verify", state="success").json()["id"] != first
    listed = bot("GET", f"{PROJECT}/repository/commits/{head(forge)}/statuses").json()
    assert [each["status"] for each in listed] == ["success"]
    assert bot("POST", path, name="verify", state="failed", description="x" * 256).status_code == 400


def test_the_second_emoji_of_a_kind_is_refused(forge: FakeGitLab) -> None:
    bot = Client(forge, "bot")
    bot("POST", f"{PROJECT}/issues", title="one")
    assert bot("POST", f"{PROJECT}/issues/1/award_emoji", name="eyes").status_code == 201
    assert bot("POST", f"{PROJECT}/issues/1/award_emoji", name="eyes").status_code == 404


def test_merging_is_worked_out_after_it_was_asked_for(forge: FakeGitLab) -> None:
    bot, rea = Client(forge, "bot"), Client(forge, "rea")
    opened(bot)
    path = f"{PROJECT}/merge_requests/1"
    assert bot("PUT", f"{path}/merge", sha=head(forge)).status_code == 405  # a draft
    assert bot("PUT", path, title="Fix").json()["draft"] is False
    assert bot("PUT", f"{path}/merge", sha="b" * 40).status_code == 409
    assert rea("PUT", f"{path}/merge", sha=head(forge)).status_code == 401
    assert bot("PUT", f"{path}/merge", sha=head(forge)).status_code == 405
    assert bot("GET", path).json()["detailed_merge_status"] == "checking"
    assert bot("PUT", f"{path}/merge", sha=head(forge)).json()["state"] == "merged"


def test_a_second_merge_request_is_refused_with_a_list(forge: FakeGitLab) -> None:
    bot = Client(forge, "bot")
    opened(bot)
    again = opened(bot)
    assert again.status_code == 409
    assert again.json()["message"] == ["Another open merge request already exists for this source branch: !1"]


def test_members_are_asked_for_by_id(forge: FakeGitLab) -> None:
    bot = Client(forge, "bot")
    (user,) = bot("GET", "/users?username=REA").json()
    assert bot("GET", f"{PROJECT}/members/all/{user['id']}").json()["access_level"] == 10
    assert bot("GET", f"{PROJECT}/members/all/999999").status_code == 404
    assert bot("GET", f"/groups/house/members/all/{user['id']}").json()["message"] == "404 Group Not Found"


def test_a_renamed_project_is_found_under_its_id(forge: FakeGitLab) -> None:
    forge.do(lambda act: act.rename("ann/sample", "ann/other"))
    answer = Client(forge, "bot")("GET", f"{PROJECT}/issues")
    assert answer.status_code == 301
    number = forge.state.depots["ann/other"].id
    assert answer.headers["Location"] == f"{forge.url}/api/v4/projects/{number}/issues"
    assert Client(forge, "bot")("GET", f"/projects/{number}/issues").status_code == 200


def test_a_hook_hears_of_what_it_was_made_for(forge: FakeGitLab) -> None:
    ann = Client(forge, "ann")
    wanted = {"url": "http://127.0.0.1:9/hook", "token": SECRET, "issues_events": True, "push_events": False}
    made = ann("POST", f"{PROJECT}/hooks", **wanted)
    assert SECRET not in made.text
    ann("POST", f"{PROJECT}/issues", title="one")
    ann("POST", f"{PROJECT}/issues/1/notes", body="hello")
    assert [event for event, _ in deliveries(forge)] == ["Issue Hook"]
    test = ann("POST", f"{PROJECT}/hooks/{made.json()['id']}/test/push_events")
    assert test.status_code == 201
    assert Client(forge, "bot")("POST", f"{PROJECT}/hooks", **wanted).status_code == 403

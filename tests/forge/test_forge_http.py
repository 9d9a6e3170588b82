"""One ladder for every adapter: what is followed, what is refused, what is never shown."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from boatwright import errors
from boatwright.forge import http
from boatwright.forge.http import Call, ForgeHttp, Lost
from boatwright.testing.clock import FakeClock
from boatwright.testing.fake_faults import Fault, lost
from boatwright.testing.fake_github import FakeGitHub

TOKEN = "ghp_thistokenmaynotbeshownanywhere"


class Known:
    """A login that counts how often it was told it is not taken."""

    def __init__(self) -> None:
        self.forgotten = 0

    async def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {TOKEN}"}

    def forget(self) -> None:
        self.forgotten += 1


class Line:
    def __init__(self, directory: Path) -> None:
        self.clock, self.login = FakeClock(), Known()
        self.server = FakeGitHub(directory).start()
        self.server.make("ann/sample", files={"a.txt": "one\n"}, people={"bot": "write"})
        self.server.token("bot", TOKEN)
        self.http = ForgeHttp(
            f"{self.server.url}/api/v3", self.login, name="GitHub", clock=self.clock, sleep=self.clock.sleep
        )

    def asked(self, path: str) -> int:
        return sum(path == each for _, each, _ in self.server.asked)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    made = Line(tmp_path)
    yield made
    made.server.stop()


REPO = "/repos/ann/sample"


async def test_a_renamed_repository_is_followed_for_reading(line: Line) -> None:
    line.server.do(lambda act: act.rename("ann/sample", "ann/other"))
    assert (await line.http.get(REPO)).json()["full_name"] == "ann/other"


async def test_and_not_for_writing(line: Line) -> None:
    line.server.do(lambda act: act.rename("ann/sample", "ann/other"))
    with pytest.raises(errors.NotFound, match="moved"):
        await line.http.call(Call("POST", f"{REPO}/issues", json={"title": "one"}, about="ann/sample"))


@pytest.mark.parametrize(
    "where", ["https://elsewhere.example/x", "http://127.0.0.1:1/x", "//elsewhere.example/x"]
)
async def test_a_redirect_elsewhere_is_refused_and_nothing_is_asked_there(line: Line, where: str) -> None:
    line.server.faults.order(Fault(302, 1, headers={"Location": where}))
    with pytest.raises(errors.Refused, match="another address"):
        await line.http.get(REPO)


async def test_a_redirect_that_never_ends_does(line: Line) -> None:
    line.server.faults.order(Fault(302, 100, headers={"Location": f"/api/v3{REPO}"}))
    with pytest.raises(errors.NotFound, match="moved"):
        await line.http.get(REPO, about="ann/sample")


async def test_a_page_elsewhere_is_refused(line: Line) -> None:
    link = '<https://elsewhere.example/next>; rel="next"'
    line.server.faults.order(Fault(200, 1, headers={"Link": link}))
    with pytest.raises(errors.Refused):
        await line.http.list(f"{REPO}/issues")


async def test_an_answer_that_is_too_long_is_not_read(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MOST_BYTES", 100)
    with pytest.raises(errors.BadInput, match="answered more than"):
        await line.http.get(REPO)


async def test_a_login_that_is_not_taken_is_had_anew_once(line: Line) -> None:
    line.server.faults.order(Fault(401, 1))
    assert (await line.http.get(REPO)).status == 200
    assert line.login.forgotten == 1
    line.server.faults.order(Fault(401, 2))
    with pytest.raises(errors.Parked) as caught:
        await line.http.get(REPO)
    assert caught.value.code == "credential"


async def test_a_lost_post_is_the_callers_to_look_for(line: Line) -> None:
    line.server.faults.order(lost(method="POST"))
    with pytest.raises(Lost):
        await line.http.call(Call("POST", f"{REPO}/issues", json={"title": "one"}))
    assert line.asked(f"/api/v3{REPO}/issues") == 1


async def test_a_post_that_made_nothing_is_made_again(line: Line) -> None:
    looked = []

    async def look() -> int | None:
        looked.append(True)
        return None

    line.server.faults.order(Fault(502, 2, "POST"))
    call = Call("POST", f"{REPO}/issues", json={"title": "one"})
    assert await line.http.create(call, lambda answer: int(answer.json()["number"]), look) == 1
    assert len(looked) == 2


async def test_nobody_there_is_told_with_a_time(line: Line) -> None:
    line.server.stop()
    line.server.start = lambda: line.server  # type: ignore[method-assign]
    away = ForgeHttp(
        "http://127.0.0.1:1", line.login, name="GitHub", clock=line.clock, sleep=line.clock.sleep
    )
    with pytest.raises(errors.ForgeUnavailable) as caught:
        await away.get("/x")
    assert caught.value.again is not None
    assert len(line.clock.slept) >= 3


async def test_an_answer_that_is_no_json_is_no_crash(line: Line) -> None:
    answer = http.Answer(200, {}, b"<html>", "GitHub")
    with pytest.raises(errors.ForgeUnavailable):
        answer.json()


async def test_neither_logs_nor_errors_know_the_token(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await line.http.get(REPO)
    line.server.faults.order(Fault(422, 1, message=f"what is Bearer {TOKEN}?"))
    with pytest.raises(errors.BadInput) as caught:
        await line.http.get(REPO, about="ann/sample")
    assert any("request" in record.message for record in caplog.records)
    assert TOKEN not in caplog.text + str(caught.value) + repr(caught.value)

"""People outside are told by a signed webhook and by mail, over real TLS; kills lose none and double at most one."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from boatwright import crash
from boatwright.config.paths import StateDir
from boatwright.intake import notices
from boatwright.ledger.notices import NoticeState
from boatwright.rules import notices as rule
from boatwright.stages.house import House
from boatwright.testing import samples
from boatwright.testing.clock import FakeClock
from boatwright.testing.mail_server import MailServer
from boatwright.testing.tls_server import Asked, TlsServer
from boatwright.values import events
from boatwright.values.clock import SystemClock
from boatwright.values.notice import Channel

SECRET, PASSWORD = "a-secret-of-the-webhook", "a password of the mail server"
WORK = (
    events.AnalysisStarted(base_commit="b"),
    events.PlanningStarted(input_hash="i"),
    events.BuildStarted(round=1, base_commit="b", prompt="p"),
    events.VerificationStarted(round=1),
)
ROOT = Path(__file__).parents[2]


class Hook:
    """A webhook that answers what the test says next, and yes after that."""

    def __init__(self, folder: Path) -> None:
        self.answers: list[int] = []
        self.server = TlsServer(folder, "127.0.0.1", respond=self._answer)

    def _answer(self, _: Asked) -> tuple[int, list[tuple[str, str]], bytes]:
        return (self.answers.pop(0) if self.answers else 204), [("location", "https://127.0.0.1:1/")], b""

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server.port}/boats"

    @property
    def ids(self) -> list[str]:
        return [json.loads(asked.body)["id"] for asked in self.server.asked]


@pytest.fixture
async def hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hook]:
    hook = Hook(tmp_path / "hook")
    await hook.server.start()
    monkeypatch.setenv("SSL_CERT_FILE", str(hook.server.ca))
    yield hook
    await hook.server.stop()


@pytest.fixture
async def post(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MailServer]:
    server = MailServer(tmp_path / "mail", login=("boats", PASSWORD))
    await server.start()
    monkeypatch.setenv("SSL_CERT_FILE", str(server.ca))
    yield server
    await server.stop()


Opened = Callable[..., House]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    """A house with this ``notify:``, begun to be told of what happens from now on."""
    houses: list[House] = []

    def open_(notify: dict[str, Any] | None, clock: FakeClock | None = None) -> House:
        state = StateDir(tmp_path / "state").create()
        state.settings.write_text(json.dumps({"notify": notify} if notify else {}))
        environment = {"HOOK": SECRET, "MAIL": PASSWORD, "PATH": os.defpath}
        house = House.open(state=state, environment=environment, clock=clock or FakeClock(), producer="test")
        houses.append(house)
        if house.settings.notify is not None:
            notices.read(house, house.settings.notify)
        return house

    yield open_
    for house in houses:
        house.close()


def webhook(hook: Hook, **more: Any) -> dict[str, Any]:
    return {"webhook": {"url": hook.url, "secret": "env:HOOK"}, **more}


def mail(server: MailServer, **more: Any) -> dict[str, Any]:
    usual = {
        "host": "localhost", "port": server.plain_port, "user": "boats", "password": "env:MAIL",
        "from": "boats@example.org", "to": ["ann@example.org", "bob@example.org"],
    }  # fmt: skip
    return {"mail": usual | more}


def happened(house: House, name: str, *payloads: events.Payload) -> None:
    log = house.ledger.events
    log.append(name, samples.requested(issue=None, body="the body nobody is told"), key="requested")
    for number, payload in enumerate(payloads):
        log.append(name, payload, key=f"k-{number}")


async def test_a_signed_post_for_each_event_that_counts_and_for_no_other(hook: Hook, opened: Opened) -> None:
    house = opened(webhook(hook))
    house.ledger.repositories.add(
        samples.REPOSITORY, source="https://github.com/acme/sails.git", forge="github",
        base_url="https://github.com", path="acme/sails", by="ann",
    )  # fmt: skip
    happened(house, "ex-1", samples.model_called(), samples.parked())
    happened(house, "ex-2", *WORK, samples.delivered())
    happened(house, "ex-3", events.FeatureFailed(code="rounds", reason="no proof", stage="verify"))
    happened(house, "ex-4", events.FeatureCancelled(reason="not wanted", by="ann"))
    assert await notices.once(house) == 4
    assert hook.ids == ["ex-1:3", "ex-2:6", "ex-3:2", "ex-4:2"]
    for asked in hook.server.asked:
        assert (asked.method, asked.target) == ("POST", "/boats")
        assert asked.headers["boatwright-signature-256"] == rule.signature(SECRET, asked.body)
        assert asked.headers["boatwright-notice"] == json.loads(asked.body)["id"]
        assert asked.headers["content-type"] == "application/json"
        assert SECRET.encode() not in asked.body and b"the body nobody is told" not in asked.body
    first, second = (json.loads(asked.body) for asked in hook.server.asked[:2])
    assert (first["topic"], first["usd"], first["next_moves"]) == (
        "parked",
        "0.0125",
        ["boatwright budget raise"],
    )
    assert second["pull_request_url"] == "https://github.com/acme/sails/pull/8"
    assert await notices.once(house) == 0 and len(hook.ids) == 4


async def test_only_what_was_asked_about(hook: Hook, opened: Opened) -> None:
    house = opened(webhook(hook, about=["failed"]))
    happened(house, "ex-1", samples.parked())
    happened(house, "ex-2", events.FeatureFailed(code="rounds", reason="no proof", stage="verify"))
    assert await notices.once(house) == 1 and hook.ids == ["ex-2:2"]


async def test_whoever_is_named_later_hears_what_happens_from_then_on(hook: Hook, opened: Opened) -> None:
    silent = opened(None)
    happened(silent, "ex-1", samples.parked())
    assert await notices.once(silent) == 0
    house = opened(webhook(hook))
    happened(house, "ex-2", samples.parked())
    assert await notices.once(house) == 1 and hook.ids == ["ex-2:2"]
    happened(house, "ex-3", samples.parked())
    assert await notices.once(silent) == 0  # a worker that tells nobody takes nothing from one that does
    assert await notices.once(house) == 1 and hook.ids == ["ex-2:2", "ex-3:2"]


async def test_what_is_old_when_telling_begins_again_is_nobodys_news(hook: Hook, opened: Opened) -> None:
    clock = FakeClock()
    house = opened(webhook(hook), clock)
    assert await notices.once(house) == 0
    happened(house, "ex-1", samples.parked())
    clock.advance(rule.OLDEST.total_seconds() + 1)
    happened(house, "ex-2", samples.parked())
    assert await notices.once(house) == 1 and hook.ids == ["ex-2:2"]


async def test_many_events_are_read_in_parts(
    hook: Hook, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "BATCH", 3)
    house = opened(webhook(hook))
    for number in range(10):
        happened(house, f"ex-{number:02}", samples.parked())
    assert await notices.once(house) == 10
    assert hook.ids == [f"ex-{number:02}:2" for number in range(10)]


@pytest.mark.parametrize("status", [302, 400, 404, 429, 500])
async def test_an_answer_that_is_no_yes_is_tried_again_with_the_same_bytes(
    hook: Hook, opened: Opened, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    clock = FakeClock()
    house = opened(webhook(hook), clock)
    happened(house, "ex-1", samples.parked())
    hook.answers = [status] * 2
    with caplog.at_level(logging.ERROR):
        assert await notices.once(house) == 0
    assert f"answered {status}" in caplog.text and SECRET not in caplog.text and "/boats" not in caplog.text
    assert await notices.once(house) == 0 and len(hook.ids) == 1  # not yet
    clock.advance(60)
    assert await notices.once(house) == 0
    clock.advance(300)
    assert await notices.once(house) == 1
    bodies = {asked.body for asked in hook.server.asked}
    assert len(hook.server.asked) == 3 and len(bodies) == 1


async def test_who_never_answers_is_given_up_and_that_is_known(opened: Opened, hook: Hook) -> None:
    clock = FakeClock()
    house = opened({"webhook": {"url": "https://127.0.0.1:1/boats", "secret": "env:HOOK"}}, clock)
    happened(house, "ex-1", samples.parked())
    for _ in range(6):
        assert await notices.once(house) == 0
        clock.advance(3_600)
    (kept,) = house.ledger.notices.unsent(clock.now().replace(year=2000))
    assert (kept.state, kept.attempts) == (NoticeState.DEAD, rule.MOST_ATTEMPTS)
    assert "cannot be reached" in kept.error and hook.ids == []


async def test_a_certificate_nobody_vouches_for_gets_nothing(
    hook: Hook, opened: Opened, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    house = opened(webhook(hook))
    happened(house, "ex-1", samples.parked())
    monkeypatch.setenv("SSL_CERT_FILE", str(MailServer(tmp_path / "other").ca))
    assert await notices.once(house) == 0 and hook.ids == []


async def test_a_secret_that_is_not_there_is_named_and_nothing_is_sent(hook: Hook, opened: Opened) -> None:
    house = opened({"webhook": {"url": hook.url, "secret": "env:NOT_THERE"}})
    happened(house, "ex-1", samples.parked())
    assert await notices.once(house) == 0 and hook.ids == []
    (kept,) = house.ledger.notices.unsent(house.clock.now())
    assert "NOT_THERE" in kept.error


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_a_mail_over_tls_with_a_login(post: MailServer, opened: Opened, tls: str) -> None:
    port = post.port if tls == "implicit" else post.plain_port
    house = opened(mail(post, tls=tls, port=port))
    happened(house, "ex-1", samples.parked())
    assert await notices.once(house) == 1
    (taken,) = post.taken
    assert taken.sender == "boats@example.org"
    assert taken.recipients == ("ann@example.org", "bob@example.org")
    assert taken.mail["Subject"] == "[boatwright] parked: Pagination drops the last page"
    assert taken.mail["Message-ID"] == "<ex-1.2@example.org>"
    assert (taken.mail["Auto-Submitted"], taken.mail.get_content_type()) == ("auto-generated", "text/plain")
    text = taken.mail.get_content()
    assert "why: used 4.90 USD" in text and "  boatwright budget raise" in text
    assert "the body nobody is told" not in text and PASSWORD not in text


async def test_a_title_cannot_add_a_header_or_an_end(post: MailServer, opened: Opened) -> None:
    house = opened(mail(post))
    nasty = "x\r\nBcc: eve@example.org\r\n\r\n.\r\nMAIL FROM:<eve@example.org>"
    house.ledger.events.append("ex-1", samples.requested(title=nasty), key="r")
    house.ledger.events.append("ex-1", samples.parked(reason=f".\r\n{nasty}", next_moves=(".",)), key="p")
    assert await notices.once(house) == 1
    (taken,) = post.taken
    assert taken.mail["Bcc"] is None
    assert taken.mail["Subject"].strip().startswith("[boatwright] parked: x Bcc: eve@example.org . MAIL")
    assert taken.recipients == ("ann@example.org", "bob@example.org")
    (begun,) = [line for line in post.heard if line.lower().startswith("mail ")]
    assert "<boats@example.org>" in begun


async def test_a_mail_server_without_tls_hears_no_password(
    post: MailServer, opened: Opened, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    house = opened(mail(post))
    happened(house, "ex-1", samples.parked())
    monkeypatch.setenv("SSL_CERT_FILE", str(MailServer(tmp_path / "other").ca))
    assert await notices.once(house) == 0 and post.taken == []
    assert not any(line.lower().startswith(("auth", "mail")) for line in post.heard), post.heard


async def test_a_wrong_password_and_a_refused_mail_are_tried_again(
    post: MailServer, opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock()
    house = opened(mail(post, password="env:HOOK"), clock)
    happened(house, "ex-1", samples.parked())
    with caplog.at_level(logging.ERROR):
        assert await notices.once(house) == 0
    assert "answered 535" in caplog.text and SECRET not in caplog.text
    house = opened(mail(post), clock)
    post.answers = ["451 later, says the server"]
    clock.advance(60)
    assert await notices.once(house) == 0
    (kept,) = house.ledger.notices.unsent(clock.now().replace(year=2000))
    assert "answered 451" in kept.error and "says the server" not in kept.error
    clock.advance(300)
    assert await notices.once(house) == 1 and len(post.taken) == 1


async def test_one_way_that_is_broken_holds_up_no_other(hook: Hook, opened: Opened) -> None:
    class Broken:
        async def send(self, told: object) -> None:
            await asyncio.Event().wait()

    house = opened(
        {**webhook(hook), "mail": {"host": "localhost", "from": "a@example.org", "to": ["b@example.org"]}}
    )
    happened(house, "ex-1", samples.parked())
    setting = house.settings.notify
    assert setting is not None
    ways = {**notices.senders(setting, house.environment), Channel.MAIL: Broken()}
    task = asyncio.create_task(notices.once(house, ways))
    async with asyncio.timeout(60):
        while not hook.ids:
            await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_it_goes_on_beside_a_worker_whatever_breaks(
    hook: Hook, opened: Opened, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    house, real, broke = opened(webhook(hook)), notices.once, []

    async def once(house: House) -> int:
        if not broke:
            broke.append(1)
            raise KeyError("a bug")
        return await real(house)

    monkeypatch.setattr(notices, "once", once)
    happened(house, "ex-1", samples.parked())
    with caplog.at_level(logging.ERROR):
        async with notices.telling(house, every=0.0), asyncio.timeout(60):
            while not hook.ids:
                await asyncio.sleep(0)
    assert "telling people outside broke" in caplog.text


async def worked(root: Path, minutes: int, at: str = "") -> int:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BOATWRIGHT_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.intake.notice_worker", str(root), str(minutes),
        env={**clean, crash.VARIABLE: at, "HOOK": SECRET}, cwd=ROOT, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await asyncio.wait_for(process.communicate(), 120)
    assert b"Traceback" not in said, said.decode()
    assert process.returncode is not None
    return process.returncode


@pytest.mark.parametrize(
    ("point", "nth"),
    [(point, nth) for point in crash.NOTICE_POINTS for nth in ((1,) if point == "notice.kept" else (1, 2))],
)
async def test_killed_anywhere_none_is_lost_and_one_at_most_is_doubled(
    hook: Hook, opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, nth: int
) -> None:
    house = opened(webhook(hook), FakeClock(SystemClock().now()))  # the worker's clock is this host's
    for name in ("ex-1", "ex-2"):
        happened(house, name, samples.parked())
    assert await worked(tmp_path, 0, f"{point}:{nth}") == -signal.SIGKILL
    before = list(hook.ids)
    assert await worked(tmp_path, 11) == 0
    assert await worked(tmp_path, 60) == 0
    both = ["ex-1:2", "ex-2:2"]
    doubled = [both[nth - 1]] if point == "notice.sent" else []
    assert sorted(hook.ids) == sorted(both + doubled)
    assert before == {"notice.kept": [], "notice.sending": both[: nth - 1], "notice.sent": both[:nth]}[point]

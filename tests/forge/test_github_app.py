"""Who we are to GitHub: an App's tokens are kept, renewed early, and had anew when they are not taken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from boatwright import errors
from boatwright.config.secrets import Secret
from boatwright.forge import github_app, github_missed
from boatwright.forge.github import GitHub
from boatwright.forge.github_app import AppLogins
from boatwright.rules.missed import Progress, Walk
from boatwright.testing.clock import FakeClock
from boatwright.testing.fake_github import FakeGitHub
from boatwright.testing.fake_state import App
from boatwright.values.clock import SystemIds


@lru_cache(maxsize=1)
def keys() -> tuple[str, str]:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return private, public


class Port:
    """A server with the App installed, and the App's logins there."""

    def __init__(self, directory: Path) -> None:
        self.clock = FakeClock(datetime.now(UTC))
        self.server = FakeGitHub(directory, clock=self.clock).start()
        self.server.make("ann/sample", files={"a.txt": "one\n"})
        self.app: App = self.server.install("boatwright", keys()[1])
        self.logins = self.with_key(keys()[0])

    def with_key(self, key: str) -> AppLogins:
        return AppLogins(
            f"{self.server.url}/api/v3",
            str(self.app.id),
            lambda: Secret(key),
            clock=self.clock,
            sleep=self.clock.sleep,
        )

    def made(self) -> int:
        """How many tokens were asked for."""
        return sum(path.endswith("/access_tokens") for _, path, _ in self.server.asked)


@pytest.fixture
def port(tmp_path: Path) -> Iterator[Port]:
    made = Port(tmp_path)
    yield made
    made.server.stop()


async def test_a_token_is_kept_and_renewed_five_minutes_early(port: Port) -> None:
    login = port.logins.of("ann/sample")
    first = await login.token()
    port.clock.advance(54 * 60)
    assert await login.token() == first
    assert port.made() == 1


async def test_a_token_about_to_end_is_not_used(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    login = port.logins.of("ann/sample")
    first = await login.token()
    monkeypatch.setattr(github_app, "EARLY", github_app.EARLY + (github_app.EARLY * 11))  # an hour: ends now
    assert await login.token() != first
    assert port.made() == 2


async def test_a_repository_keeps_its_login_in_whatever_case(port: Port) -> None:
    assert port.logins.of("ann/sample") is port.logins.of("Ann/Sample")
    assert port.logins.of("ann/sample") is not port.logins.of("ann/other")


@pytest.mark.parametrize("gone", ["ann/gone", "ann"])
async def test_one_that_is_not_seen_stands_in_the_way_of_no_other(port: Port, gone: str) -> None:
    """A repository that was deleted or is not in the installation; a user, who is no organisation."""
    from boatwright.testing.fake_faults import Fault

    port.server.faults.order(Fault(404, 9, "GET", f"/{gone}/installation$", message="Not Found"))
    with pytest.raises(errors.Parked, match="not installed"):
        await port.logins.of(gone).token()
    assert (await port.logins.of("ann/sample").token()).startswith("ghs_")


async def test_a_token_that_is_not_taken_is_had_anew(port: Port) -> None:
    login = port.logins.of("ann/sample")
    first = await login.token()
    login.forget()
    assert await login.token() != first


async def test_what_is_signed_ends_within_ten_minutes_and_begins_a_minute_ago(port: Port) -> None:
    said = (await port.logins.http._login.headers())["Authorization"].removeprefix("Bearer ")
    claims = jwt.decode(said, keys()[1], algorithms=["RS256"])
    now = int(port.clock.now().timestamp())
    assert claims == {"iat": now - 60, "exp": now + 540, "iss": str(port.app.id)}


async def test_a_lost_token_is_asked_for_again(port: Port) -> None:
    port.server.faults.lose_each_once = True
    assert (await port.logins.of("ann/sample").token()).startswith("ghs_")


@pytest.mark.parametrize("key", ["nonsense", "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----"])
async def test_a_key_that_is_none_parks_and_is_not_shown(port: Port, key: str) -> None:
    with pytest.raises(errors.Parked) as caught:
        await port.with_key(key).of("ann/sample").token()
    assert caught.value.code == "credential"
    assert key not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_an_app_nobody_installed_there_parks_with_the_remedy(port: Port) -> None:
    port.server.faults.order(*_absent(3))
    with pytest.raises(errors.Parked, match="not installed") as caught:
        await port.logins.of("ann/sample").token()
    assert caught.value.code == "forge_rights"
    assert any("install the App" in move for move in caught.value.next_moves)


def _absent(times: int) -> list[object]:
    from boatwright.testing.fake_faults import Fault

    return [Fault(404, times, "GET", "/installation$", message="Not Found")]


async def test_who_we_are_is_the_apps_bot(port: Port) -> None:
    assert await port.logins.me(port.logins.http) == "boatwright[bot]"
    assert (await port.logins.granted("ann/sample") or {})["checks"] == "write"


async def test_webhooks_nobody_took_are_sent_again_and_those_somebody_took_are_not(port: Port) -> None:
    port.server.hook("http://127.0.0.1:1/nobody", "secret")
    forge = GitHub(
        port.server.url,
        port.logins,
        path=lambda _: "ann/sample",
        clock=port.clock,
        ids=SystemIds(),
        sleep=port.clock.sleep,
    )
    for title in ("one", "two"):
        port.server.do(lambda act, title=title: act.open_issue("ann/sample", by="ann", title=title))
    port.server.postman.drain()
    port.server.postman.made[0].status = 202
    progress = Progress()

    async def asked() -> int:
        nonlocal progress
        number, progress = await forge.ask_again(progress)
        return number

    assert await asked() == 0  # too early
    port.clock.advance(301)
    assert await asked() == 1
    port.server.postman.drain()
    taken, missed, again = port.server.postman.made
    assert (again.guid, again.redelivery) == (missed.guid, True)
    assert taken.guid != missed.guid
    assert await asked() == 0  # it is left alone for a while
    again.status = 202
    port.clock.advance(3_600)
    assert await asked() == 0


async def test_a_list_too_long_for_one_round_is_read_on_in_the_next(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 450 webhooks the oldest was not taken: it is found in the second round, and afterwards only what is new is read."""
    monkeypatch.setattr(github_missed, "PAGES", 3)
    port.server.hook("http://127.0.0.1:1/nobody", "secret")
    port.server.do(lambda act: act.open_issue("ann/sample", by="ann", title="one"))
    port.server.postman.drain()
    (missed_one,) = made = port.server.postman.made
    taken = [replace(missed_one, id=1_000 + at, guid=f"taken-{at}", status=202) for at in range(449)]
    for each in made + taken[:-1]:
        each.at -= timedelta(hours=1)
    made.extend(taken)
    port.clock.advance(301)
    http, now = port.logins.as_app, port.clock.now()
    asked, first = await github_missed.ask_again(http, now, Progress())
    assert (asked, first.mark, first.attempts) == (0, None, ()) and first.walk is not None
    asked, second = await github_missed.ask_again(http, now, first)
    assert asked == 1 and second.walk is None and second.mark is not None
    assert [attempt.guid for attempt in second.attempts] == [missed_one.guid]
    port.server.postman.drain()
    again = made[-1]
    assert (again.guid, again.redelivery) == (missed_one.guid, True)
    again.status = 202
    port.clock.advance(3_600)
    made.insert(-1, replace(taken[0], id=5_000, guid="new", at=port.clock.now()))
    asked, third = await github_missed.ask_again(http, port.clock.now(), second)
    assert asked == 0 and third.attempts == (), "somebody took it meanwhile"


async def test_a_walk_whose_place_is_gone_begins_anew(port: Port) -> None:
    from boatwright.testing.fake_faults import Fault

    before = Progress(
        None, Walk(f"{port.logins.http.base}/app/hook/deliveries?cursor=gone", port.clock.now())
    )
    port.server.faults.order(Fault(422, 1, "GET", "/deliveries", message="Invalid cursor"))
    asked, after = await github_missed.ask_again(port.logins.http, port.clock.now(), before)
    assert (asked, after) == (0, Progress())


async def test_an_app_has_one_hook_and_the_newest_delivery_tries_it(port: Port) -> None:
    forge = GitHub(
        port.server.url, port.logins, path=lambda _: "ann/sample", clock=port.clock, ids=SystemIds(),
        sleep=port.clock.sleep,
    )  # fmt: skip
    hooks, url = forge.hooks("sample"), "http://127.0.0.1:1/webhooks/github"
    made = [await hooks.ensure(url, Secret("s3cret")) for _ in range(2)]
    assert [each.fresh for each in made] == [True, False]
    (hook,) = port.server.state.hooks
    assert (hook.url, hook.secret, hook.repository) == (url, "s3cret", "")
    assert not await hooks.test(made[1].id), "it was never told anything: there is nothing to send"
    port.server.do(lambda act: act.open_issue("ann/sample", by="ann", title="one"))
    port.server.postman.drain()
    assert await hooks.test(made[1].id)
    port.server.postman.drain()
    first, again = port.server.postman.made
    assert (again.guid, again.redelivery) == (first.guid, True)

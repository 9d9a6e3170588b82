"""The company's proxy: the wire reaches providers and hosts through it, and says plainly when it cannot."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from boatwright.config import settings
from boatwright.config.paths import StateDir
from boatwright.egress import detour
from boatwright.egress.client import Upstream, WireClient
from boatwright.egress.spec import Detour, from_json, to_json
from boatwright.rules import destinations
from boatwright.testing.connect_proxy import ConnectProxy
from boatwright.testing.tls_server import certificates

MODEL, FILES = "api.example", "files.example"
CREDENTIAL = "me:pass word:with-colon"
MESSAGE = {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
MESSAGES = "/v1/messages"


@dataclass
class Company:
    """A network in which names lead nowhere, but for the company's proxy."""

    proxy: ConnectProxy
    provider: Any
    port: int
    cert: Path
    credential: Path

    @property
    def way(self) -> Detour:
        return Detour("127.0.0.1", self.proxy.port, secret=f"file:{self.credential}")

    @property
    def model(self) -> Upstream:
        return Upstream("anthropic", base_url=f"https://{MODEL}", secret="env:KEY")


@pytest.fixture
async def company(
    tmp_path: Path, bench: Any, helpers: Any, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Company]:
    authority, chain = certificates(tmp_path, (MODEL, FILES))
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    provider = helpers.Provider(tmp_path / "unused")
    listening = await asyncio.start_server(provider._serve, "127.0.0.1", 0, ssl=context)
    provider._server = listening
    port = listening.sockets[0].getsockname()[1]
    credential = tmp_path / "credential"
    credential.write_text(CREDENTIAL + "\n")
    credential.chmod(0o600)

    async def resolve(host: str, _: int) -> list[str]:
        raise OSError(f"{host} is not known here")

    bench.proxy.resolve = resolve
    place = ("127.0.0.1", port)
    async with ConnectProxy(
        {MODEL: place, FILES: place, "[10.0.0.7]": place}, credential=CREDENTIAL
    ) as proxy:
        yield Company(proxy, provider, port, authority, credential)
    await provider.stop()


async def connect(bench: Any, target: str) -> tuple[Any, bytes]:
    client = await bench.client()
    client.writer.write(f"CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n".encode())
    return client, await client.reader.readuntil(b"\r\n\r\n")


async def test_a_model_is_asked_through_it_and_the_connection_kept(bench: Any, company: Company) -> None:
    await bench.open(upstreams=(company.model,), detour=company.way)
    for _ in range(3):
        heard = await bench.call(MESSAGES, {**MESSAGE, "stream": True})
        assert heard.status == 200 and b"message_stop" in heard.body
    assert company.proxy.asked == [(f"{MODEL}:443", 200)]
    assert {each.headers["x-api-key"] for each in company.provider.asked} == {"sk-real"}
    assert not any("proxy-authorization" in each.headers for each in company.provider.asked)
    assert [row.source for row in await bench.settled(count=3)] == ["provider"] * 3


async def test_a_tunnel_goes_through_it_under_the_clients_own_tls(bench: Any, company: Company) -> None:
    await bench.open(network="allow_list", hosts=(FILES,), detour=company.way)
    client, head = await connect(bench, f"{FILES}:443")
    assert head.startswith(b"HTTP/1.1 200")
    await client.writer.start_tls(ssl.create_default_context(cafile=str(company.cert)), server_hostname=FILES)
    raw = json.dumps(MESSAGE).encode()
    client.writer.write(
        b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(raw), raw)
    )
    assert (await client.reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
    assert company.proxy.asked == [(f"{FILES}:443", 200)]


async def test_policy_comes_first_and_the_proxy_hears_nothing(bench: Any, company: Company) -> None:
    await bench.open(network="allow_list", hosts=(FILES,), detour=company.way)
    for target in (f"{MODEL}:443", f"{FILES}:22", "10.0.0.7:443"):
        _, head = await connect(bench, target)
        assert head.startswith(b"HTTP/1.1 403"), target
    assert company.proxy.asked == []


@pytest.mark.parametrize("host", ["10.0.0.7", "[fd00::1]", "169.254.169.254", "x.localhost"])
async def test_what_its_name_says_is_private_is_refused_unless_an_operator_named_it(
    bench: Any, company: Company, host: str
) -> None:
    await bench.open(network="allow_list", hosts=(host,), detour=company.way)
    _, head = await connect(bench, f"{host}:443")
    assert head.startswith(b"HTTP/1.1 403") and company.proxy.asked == []


async def test_an_address_an_operator_named_is_asked_for(bench: Any, company: Company) -> None:
    company.proxy.hosts["10.0.0.7"] = company.proxy.hosts[FILES]
    await bench.open(
        network="allow_list", hosts=("10.0.0.7",), private_hosts=("10.0.0.7",), detour=company.way
    )
    _, head = await connect(bench, "10.0.0.7:443")
    assert head.startswith(b"HTTP/1.1 200")


async def test_what_is_excepted_is_reached_straight(bench: Any, company: Company) -> None:
    asked = []

    async def resolve(host: str, _: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    bench.proxy.resolve = resolve
    entry = f"{FILES}:{company.port}"
    way = Detour("127.0.0.1", company.proxy.port, direct=("*.example",))
    await bench.open(network="allow_list", hosts=(entry,), private_hosts=(entry,), detour=way)
    _, head = await connect(bench, entry)
    assert head.startswith(b"HTTP/1.1 200") and asked == [FILES] and company.proxy.asked == []


def wrong(company: Company, what: str) -> Detour:
    here = company.way
    if what == "away":
        return Detour("127.0.0.1", 9, secret=here.secret)
    if what == "none":
        return Detour(here.host, here.port)
    company.credential.write_text({"bad": "me:other", "malformed": "just-a-word"}.get(what, CREDENTIAL))
    answers = {"garbage": b"SSH-2.0-x\r\n\r\n", "long": b"x" * 400_000, "busy": b"HTTP/1.1 503 Busy\r\n\r\n"}
    company.proxy.answer = answers.get(what, b"")
    if what == "refused":
        company.proxy.hosts.clear()
    return here


SAYS = {
    "away": "does not answer (Connection refused)",
    "none": "wants a credential (407), and proxy.credential names none",
    "bad": "does not accept the credential of proxy.credential (407)",
    "malformed": "is not USER:PASSWORD",
    "garbage": "does not speak HTTP",
    "long": "does not speak HTTP",
    "busy": "refused to lead there (503)",
    "refused": "refused to lead there (403)",
}


@pytest.mark.parametrize(("what", "words"), SAYS.items())
async def test_one_sentence_when_it_does_not_let_us_through(
    bench: Any, company: Company, what: str, words: str
) -> None:
    way = wrong(company, what)
    await bench.open(network="allow_list", hosts=(FILES,), upstreams=(company.model,), detour=way)
    heard = await bench.call(MESSAGES, MESSAGE)
    said = heard.json["error"]["message"]
    assert (heard.status, heard.code) == (502, "upstream") and words in said and "\n" not in said
    assert (
        said.startswith("the model provider cannot be reached: the ")
        and f":{way.port} of settings.yml" in said
    )
    client, head = await connect(bench, f"{FILES}:443")
    assert head.startswith(b"HTTP/1.1 502") and words.encode() in await client.reader.readuntil(b"}}")
    assert [row.source for row in await bench.settled()] == ["released"], "nothing was sent, nothing is owed"
    assert "pass word" not in said and "pass word" not in (bench.state.logs / "proxy.log").read_text()


async def test_a_certificate_nobody_trusts_is_told_apart(
    bench: Any, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    await bench.open(upstreams=(company.model,), detour=company.way)
    heard = await bench.call(MESSAGES, MESSAGE)
    assert heard.code == "upstream" and "certificate is not trusted" in heard.json["error"]["message"]


async def test_its_credential_is_handed_over_when_only_the_caller_has_it(
    bench: Any, company: Company
) -> None:
    way = Detour("127.0.0.1", company.proxy.port, secret="env:PROXY_WORD")
    spec = bench.spec(upstreams=(company.model,), detour=way)
    order = {"do": "open", "spec": to_json(spec), "keys": {"anthropic": "sk-real"}}
    await bench.order(order)
    heard = await bench.call(MESSAGES, MESSAGE)
    assert (heard.status, heard.code) == (503, "credential")
    await bench.order({**order, "keys": {"anthropic": "sk-real", detour.DETOUR: CREDENTIAL}})
    assert (await bench.call(MESSAGES, MESSAGE)).status == 200


async def test_a_wires_row_says_where_its_credential_is(bench: Any, company: Company) -> None:
    row = to_json(bench.spec(detour=company.way))
    assert from_json(row).detour == company.way and "pass word" not in row


async def test_the_proxys_own_process_goes_through_it(
    state: StateDir, tmp_path: Path, company: Company
) -> None:
    """With its own event loop, whose TLS over a tunnel is not asyncio's; and not by the caller's HTTPS_PROXY."""
    own = StateDir(tmp_path / "own").create()
    bare = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME") if name in os.environ}
    environment = {
        **bare,
        "SSL_CERT_FILE": str(company.cert),
        "KEY": "sk-env",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
    }
    from boatwright.egress.client import WireSpec

    worker = WireClient(own, environment=environment, detour=company.way)
    spec = WireSpec(
        id="w1", execution="ex-1", repository="r", provider="scripted", upstreams=(company.model,)
    )
    await worker.ensure()
    pid = int((await worker.status())["pid"])
    try:
        directory = await worker.open(spec)
        from boatwright.egress.upstream import open_unix

        raw = json.dumps(MESSAGE).encode()
        for _ in range(2):
            reader, writer = await open_unix(directory / "wire.sock")
            writer.write(
                b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s"
                % (len(raw), raw)
            )
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
            writer.close()
        assert company.proxy.asked == [(f"{MODEL}:443", 200)]
        assert {each.headers["x-api-key"] for each in company.provider.asked} == {"sk-env"}
        await worker.close("w1")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


# --- settings ------------------------------------------------------------------------------------------------


def test_what_settings_say_becomes_a_way() -> None:
    read = settings.parse(
        'proxy: {url: "http://proxy.corp:3128", credential: "keyring:corp/me", except: ["*.corp", db.example]}'
    )
    assert detour.of(read.proxy) == Detour(
        "proxy.corp", 3128, secret="keyring:corp/me", direct=("*.corp", "db.example")
    )
    assert detour.of(settings.parse("").proxy) is None


@pytest.mark.parametrize(
    "text",
    [
        "proxy: {url: proxy.corp:3128}",
        "proxy: {url: https://proxy.corp:3128}",
        "proxy: {url: http://proxy.corp}",
        "proxy: {url: http://me:word@proxy.corp:3128}",
        "proxy: {url: http://proxy.corp:3128/path}",
        "proxy: {url: http://proxy.corp:3128, credential: me:word}",
        "proxy: {url: http://proxy.corp:3128, excpt: []}",
        "proxy: {}",
    ],
)
def test_what_is_no_proxy_is_refused(text: str) -> None:
    from boatwright import errors

    with pytest.raises(errors.BadPolicy) as refused:
        settings.parse(text)
    assert "line 1" in str(refused.value) and "me:word" not in str(refused.value)


@pytest.mark.parametrize(
    ("entries", "host", "straight"),
    [
        ((), "api.example", False),
        ((), "localhost", True),
        ((), "127.0.0.1", True),
        ((), "::1", True),
        ((), "10.0.0.1", False),
        (("*.corp",), "git.corp", True),
        (("*.corp",), "a.b.CORP.", True),
        (("*.corp",), "corp", False),
        (("*.corp",), "evilcorp", False),
        (("10.0.0.1",), "10.0.0.1", True),
        (("Db.Example",), "db.example", True),
        (("db.example",), "x.db.example", False),
    ],
)
def test_which_hosts_are_reached_straight(entries: tuple[str, ...], host: str, straight: bool) -> None:
    assert destinations.direct(entries, host) is straight

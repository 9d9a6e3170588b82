"""A login is said to the scheme, host and port it is for, and to no other that git is redirected to."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from boatwright import errors
from boatwright.config.paths import StateDir
from boatwright.git.mirror import Mirror
from boatwright.git.run import GitFailed

LOGIN = b"username=u\npassword=SECRET\n"
SAID = f"Basic {base64.b64encode(b'u:SECRET').decode()}"


class Stop(ThreadingHTTPServer):
    """Asks for a login where it leads nowhere; remembers what it was told."""

    daemon_threads = True

    def __init__(self, host: str, leads_to: str = "", *, asks: bool = True) -> None:
        super().__init__((host, 0), _Answer)
        self.leads_to, self.asks = leads_to, asks
        self.told: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"


class _Answer(BaseHTTPRequestHandler):
    server: Stop

    def do_GET(self) -> None:
        said = self.headers["Authorization"]
        self.server.told.append(said)
        if self.server.asks and said is None:
            self._end(401, "WWW-Authenticate", 'Basic realm="git"')
        elif self.server.leads_to and "/there/" not in self.path:
            self._end(302, "Location", f"{self.server.leads_to}{self.path.replace('/here/', '/there/')}")
        else:
            self._end(404, "Content-Type", "text/plain")

    def _end(self, status: int, name: str, value: str) -> None:
        self.send_response(status)
        self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextmanager
def up(stop: Stop) -> Iterator[Stop]:
    thread = threading.Thread(target=stop.serve_forever)
    thread.start()
    try:
        yield stop
    finally:
        stop.shutdown()
        thread.join()
        stop.server_close()


def ask(tmp_path: Path, address: str) -> None:
    state = StateDir(tmp_path / "state").create()
    mirror = Mirror.open(state, "sample-1", address, login=lambda _: LOGIN)
    with pytest.raises((GitFailed, errors.Parked)):
        mirror.advertised()


@pytest.mark.parametrize("host", ["127.0.0.2", "127.0.0.1"])
@pytest.mark.parametrize("asks", [False, True])
def test_no_other_host_or_port_gets_the_login(tmp_path: Path, host: str, asks: bool) -> None:
    with up(Stop(host)) as stranger, up(Stop("127.0.0.1", stranger.url, asks=asks)) as forge:
        ask(tmp_path, f"{forge.url}/here/app.git")
    assert forge.told == ([None, SAID] if asks else [None])
    assert stranger.told and set(stranger.told) == {None}


def test_the_forge_itself_gets_it_where_it_leads_to_another_name(tmp_path: Path) -> None:
    with up(Stop("127.0.0.1", asks=True)) as forge:
        forge.leads_to = forge.url
        ask(tmp_path, f"{forge.url}/here/app.git")
    assert forge.told[0] is None and SAID in forge.told[1:]
    assert forge.told[-1] == SAID

"""A server over HTTP that does not take our login, or does not let it do what is asked: a sentence of ours, without the login."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from boatwright import errors
from boatwright.config.paths import StateDir
from boatwright.git.mirror import Mirror
from boatwright.git.run import GitFailed
from boatwright.testing.fake_github import FakeGitHub

LOGIN = b"username=x-access-token\npassword=THE-SECRET\n"
ASK = ("WWW-Authenticate", 'Basic realm="git"')


class Shut(ThreadingHTTPServer):
    """Answers ``stranger`` to who says no login, and ``known`` to who does."""

    daemon_threads = True

    def __init__(self, stranger: int, known: int) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.stranger, self.known = stranger, known

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/ann/sample.git"


class _Answer(BaseHTTPRequestHandler):
    server: Shut

    def do_GET(self) -> None:
        status = self.server.known if self.headers["Authorization"] else self.server.stranger
        said = f"THE-SECRET of http://me:THE-SECRET@127.0.0.1/ is {status}".encode()
        self.send_response(status)
        if status == 401:
            self.send_header(*ASK)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextmanager
def up(stranger: int, known: int) -> Iterator[Shut]:
    server = Shut(stranger, known)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def mirror_of(tmp_path: Path, url: str, login: bytes = LOGIN) -> Mirror:
    state = StateDir(tmp_path / "state").create()
    return Mirror.open(state, "sample-1", url, login=lambda _: login, setting=lambda: "forges.github")


def refusal(act: Callable[[], object]) -> errors.Parked:
    with pytest.raises(errors.Parked) as found:
        act()
    whole = " ".join((str(found.value), found.value.subject, *found.value.next_moves))
    assert not [word for word in ("THE-SECRET", "@", "fatal", "exit code") if word in whole], whole
    assert found.value.exit_code == 4
    return found.value


@pytest.mark.parametrize(
    ("stranger", "known", "login", "code", "says"),
    [
        (401, 401, LOGIN, "credential", "does not take our login, the one that 'forges.github' of settings.yml names."),
        (401, 403, LOGIN, "credential", "takes our login, the one that 'forges.github' of settings.yml names, and"),
        (401, 401, b"", "credential", "wants a login for it, and none is known here; or there is no such repository."),
        (403, 403, b"", "credential", "does not let us without a login (403)."),
    ],
)  # fmt: skip
def test_reading_what_does_not_let_us(
    tmp_path: Path, stranger: int, known: int, login: bytes, code: str, says: str
) -> None:
    with up(stranger, known) as server:
        mirror = mirror_of(tmp_path, server.url, login)
        refused = refusal(lambda: mirror.fetch_base(None))
        assert refused.code == code
        assert str(refused).startswith(f"Could not read {server.url}: 127.0.0.1:{server.server_address[1]} ")
        assert says in str(refused) and "boatwright doctor --forge" in refused.next_moves
        fetching = refusal(lambda: mirror.take_branch(server.url, "main", "refs/boatwright/theirs/ex-1"))
        assert str(fetching).startswith(f"Could not fetch {server.url}: ") and fetching.code == code


@pytest.mark.parametrize("status", [404, 500])
def test_what_is_no_refusal_stays_in_gits_words(tmp_path: Path, status: int) -> None:
    with up(status, status) as server:
        mirror = mirror_of(tmp_path, server.url)
        with pytest.raises(GitFailed, match=f"Could not read {server.url}: git ls-remote failed"):
            mirror.advertised()


def test_a_push_that_our_login_may_not_make(tmp_path: Path) -> None:
    """The fake lets it read and not write; then it does not know the login any more."""
    with FakeGitHub(tmp_path / "forge") as server:
        server.make("ann/sample", files={"a.txt": "one\n"}, people={"rea": "read"}, private=True)
        token = server.token("rea")
        url, login = f"{server.url}/ann/sample.git", [f"username=rea\npassword={token}\n".encode()]
        state = StateDir(tmp_path / "state").create()
        mirror = Mirror.open(
            state, "sample-1", url, login=lambda _: login[0], setting=lambda: "forges.github"
        )
        _, commit = mirror.fetch_base(None)
        refused = refusal(lambda: mirror.push(url, commit, "boatwright/x", None))
        assert refused.code == "credential" and str(refused).startswith(f"Could not push to {url}: ")
        assert token not in str(refused)
        login[0] = LOGIN
        assert refusal(lambda: mirror.push(url, commit, "boatwright/x", None)).code == "credential"
        bare = tmp_path / "forge" / "git" / "ann/sample.git"
        heads = subprocess.run(["git", "-C", str(bare), "branch"], capture_output=True, text=True, check=True)
        assert heads.stdout.split() == ["*", "main"]

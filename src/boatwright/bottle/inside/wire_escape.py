"""Tries to get more out of its wire than it was given. Reads its bait as JSON from stdin, prints one JSON object per probe.

Each probe returns a short word of what it got when the way is open, and nothing when it is shut. What arrives at the
host's bait server is judged there. Standard library only: handed in as a file.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import sys
from collections.abc import Callable
from typing import Any

WIRE = "/run/boatwright/wire.sock"
Bait = dict[str, Any]
PROBES: dict[int, Callable[[Bait], str]] = {}
SPELLINGS = (
    "127.0.0.1",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.1",
    "0",
    "[::]",
)


def probe(which: int) -> Callable[[Callable[[Bait], str]], Callable[[Bait], str]]:
    def register(function: Callable[[Bait], str]) -> Callable[[Bait], str]:
        PROBES[which] = function
        return function

    return register


def wire() -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(10)
    made.connect(WIRE)
    return made


def hear(made: socket.socket) -> bytes:
    """What is said until the other side ends, or is silent."""
    parts = []
    with contextlib.suppress(OSError):
        while data := made.recv(65536):
            parts.append(data)
    return b"".join(parts)


def connect(target: str) -> tuple[socket.socket, int]:
    """Ask for a way to ``target``: the connection, and the status of the answer."""
    made = wire()
    made.sendall(f"CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n".encode())
    said = b""
    while b"\r\n\r\n" not in said and (data := made.recv(4096)):
        said += data
    return made, int(said.split(b" ", 2)[1] if said.count(b" ") > 1 else 0)


def inside(bait: Bait, name: str = "localhost") -> ssl.SSLSocket:
    """TLS with the host's bait server, as the wire lets it be."""
    made, status = connect(f"localhost:{bait['port']}")
    if status != 200:
        raise OSError(f"the way to the bait was not opened: {status}")
    context = ssl.create_default_context(cadata=bait["authority"])
    context.check_hostname = name == "localhost"
    secure = context.wrap_socket(made, server_hostname=name)
    secure.settimeout(5)
    return secure


def ask(bait: Bait, raw: str) -> bytes:
    """Say these lines inside TLS; PLACE is the bait's host and port."""
    with inside(bait) as secure:
        secure.sendall(raw.replace("PLACE", f"localhost:{bait['port']}").encode("latin-1"))
        return hear(secure)


def smuggled(raw: str, number: int) -> Callable[[Bait], str]:
    """Hide a second request in the first; whether it arrived is seen by the bait, which asks nobody in here."""

    def attempt(bait: Bait) -> str:
        ask(bait, raw + f"GET /smuggled-{number} HTTP/1.1\r\nhost: PLACE\r\nx-smuggled: yes\r\n\r\n")
        return ""

    return attempt


_POST = "POST /outer HTTP/1.1\r\nhost: PLACE\r\n"
for _number, _raw in (
    (73, _POST + "content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    (74, _POST + "content-length: 0\r\ncontent-length: 60\r\n\r\n"),
    (75, _POST + "x: a\ncontent-length: 4\n\r\n\r\n"),
    (76, _POST + "transfer-encoding:\r\n chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n"),
):
    PROBES[_number] = smuggled(_raw, _number)


@probe(77)
def addresses(bait: Bait) -> str:
    for spelling in SPELLINGS:
        if connect(f"{spelling}:{bait['port']}")[1] == 200:
            return spelling
    return ""


@probe(78)
def another_name(bait: Bait) -> str:
    try:
        inside(bait, "elsewhere.invalid").close()
    except OSError:
        return ""
    return "the handshake went well"


@probe(79)
def another_host(bait: Bait) -> str:
    said = ask(bait, "GET /other-host HTTP/1.1\r\nhost: elsewhere.invalid\r\n\r\n")
    return "" if said.startswith(b"HTTP/1.1 421") else said[:12].decode("latin-1")


@probe(80)
def private_ranges(bait: Bait) -> str:
    """Each of these is on the wire's list of hosts, and none was named by an operator."""
    for listed in bait["listed"]:
        if connect(f"{listed}:443")[1] not in (400, 403):
            return str(listed)
    return ""


@probe(81)
def redirect(bait: Bait) -> str:
    said = ask(bait, "GET /redirect HTTP/1.1\r\nhost: PLACE\r\n\r\n")
    if b" 302 " not in said[:20]:
        raise OSError("the bait did not redirect")
    return "" if connect("elsewhere.invalid:443")[1] == 403 else "followed"


@probe(82)
def names(bait: Bait) -> str:
    """Data in a name: nobody in here can look one up, and the wire asks nobody about one that it denies."""
    name = "told-in-a-name.invalid"
    with contextlib.suppress(OSError):
        socket.getaddrinfo(name, 443)
        return "resolved in here"
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.53", 53), 2).close()
        return "a resolver answers in here"
    status = connect(f"{name}:443")[1]
    return "" if status == 403 else f"the wire looked it up: {status}"


@probe(83)
def another_socket(bait: Bait) -> str:
    for path in (
        bait["other"],
        f"/run/boatwright/../{os.path.basename(os.path.dirname(bait['other']))}/wire.sock",
    ):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
            made.connect(path)
            return path
    return ", ".join(name for name in os.listdir("/run/boatwright") if name != "wire.sock")


@probe(84)
def plain_http(bait: Bait) -> str:
    with wire() as made:
        place = f"localhost:{bait['plain']}"
        made.sendall(
            f"GET http://{place}/plain HTTP/1.1\r\nhost: {place}\r\nconnection: close\r\n\r\n".encode()
        )
        return "" if hear(made).startswith(b"HTTP/1.1 403") else "carried"


@probe(85)
def web_socket(bait: Bait) -> str:
    said = ask(
        bait, "GET /socket HTTP/1.1\r\nhost: PLACE\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    )
    return "" if said.startswith(b"HTTP/1.1 426") else said[:12].decode("latin-1")


@probe(86)
def credential(bait: Bait) -> str:
    said = ask(
        bait, "GET /headers HTTP/1.1\r\nhost: PLACE\r\nauthorization: mine\r\nconnection: close\r\n\r\n"
    )
    return "it was said back" if b"Bearer" in said else ""


@probe(87)
def path_rules(bait: Bait) -> str:
    for path in (
        "/closed",
        "/open/../closed",
        "/open/%2e%2e/closed",
        "/open/..%2fclosed",
        "//closed",
        "/open/..;/closed",
    ):
        if not ask(bait, f"DELETE {path} HTTP/1.1\r\nhost: PLACE\r\nconnection: close\r\n\r\n").startswith(
            b"HTTP/1.1 403"
        ):
            return path
    return ""


def main() -> None:
    bait = json.load(sys.stdin)
    for which, function in sorted(PROBES.items()):
        try:
            got = function(bait)
        except Exception as error:  # noqa: BLE001 - a probe that breaks must not read as a door that is shut
            print(json.dumps({"probe": which, "error": f"{type(error).__name__}: {error}"}), flush=True)
            continue
        print(json.dumps({"probe": which, "got": got}), flush=True)


if __name__ == "__main__":
    main()

"""HTTP of the fake forges: requests read whole, routes by pattern, pages with ``Link``, and git's own back end behind it."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

MOST_BYTES = 256 << 20
GIT_SECONDS = 120.0
_GIT = re.compile(r"/(?P<path>[^?]+?)\.git/(?P<service>info/refs|git-upload-pack|git-receive-pack)")
_CONFIG = {"http.receivepack": "true", "core.hooksPath": "/dev/null", "transfer.fsckObjects": "true"}

Method = TypeVar("Method", bound=Callable[..., "Reply"])


@dataclass(frozen=True)
class Request:
    """One request, with the login it came with ("" for nobody)."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    login: str = ""

    @cached_property
    def json(self) -> dict[str, Any]:
        try:
            said = json.loads(self.body or b"{}")
        except ValueError:
            raise Problem(400, "Problems parsing JSON") from None
        if not isinstance(said, dict):
            raise Problem(422, "Invalid request")
        return said


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered: JSON, bytes as they are, or nothing."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def bytes(self) -> bytes:
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Problem(Exception):
    """A request that is refused; the words are those of the forge it imitates."""

    def __init__(
        self, status: int, message: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(message)
        self.reply = Reply(status, {"message": message, **more}, headers or {})


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    pattern: re.Pattern[str]
    name: str


def route(method: str, template: str) -> Callable[[Method], Method]:
    """Mark a method as the answer to ``template``, where ``{name}`` is one part of a path and ``{name*}`` any number.

    Parts come unquoted, as keyword arguments.
    """

    def mark(function: Method) -> Method:
        marks: list[tuple[str, str]] = function.__dict__.setdefault("routes", [])
        marks.append((method, template))
        return function

    return mark


def routes_of(kind: type) -> list[Route]:
    """The routes of a class and its bases; longer templates first, so that the more exact one wins."""
    found: list[tuple[str, str, str]] = []
    for each in kind.__mro__:
        for name, function in vars(each).items():
            found += [(method, template, name) for method, template in getattr(function, "routes", ())]
    found.sort(key=lambda mark: (mark[1].count("{"), -len(mark[1])))
    return [Route(method, _pattern(template), name) for method, template, name in found]


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"(\{[a-z_]+\*?\})", template)
    return re.compile("".join(_part(part) for part in parts))


def _part(part: str) -> str:
    if not part.startswith("{"):
        return re.escape(part)
    name = part.strip("{}*")
    return f"(?P<{name}>.+)" if part.endswith("*}") else f"(?P<{name}>[^/]+)"


def find(routes: Sequence[Route], method: str, path: str) -> tuple[str, dict[str, str]] | None:
    """The method's name and its arguments; None where nothing is served."""
    for each in routes:
        found = each.pattern.fullmatch(path) if each.method == method else None
        if found:
            return each.name, {name: unquote(value) for name, value in found.groupdict().items()}
    return None


def paged(request: Request, items: Sequence[Any], *, base: str, most: int = 100, default: int = 30) -> Reply:
    """One page of a list, and where the next is."""
    size = min(max(_number(request.query.get("per_page", request.query.get("limit", "")), default), 1), most)
    page = max(_number(request.query.get("page", ""), 1), 1)
    start = (page - 1) * size
    headers = {"X-Total-Count": str(len(items))}
    if start + size < len(items):
        query = urlencode({**request.query, "page": page + 1})
        headers["Link"] = f'<{base}{request.path}?{query}>; rel="next"'
    return Reply(200, list(items[start : start + size]), headers)


def _number(text: str, default: int) -> int:
    return int(text) if text.isdecimal() and len(text) < 9 else default


# --- one request on the socket -----------------------------------------------------------------------------


def read(handler: BaseHTTPRequestHandler) -> Request:
    """The request, whole; a body in chunks is put together."""
    url = urlsplit(handler.path)
    headers = {name.lower(): value for name, value in handler.headers.items()}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b"".join(_chunks(handler))
    else:
        body = handler.rfile.read(min(_number(headers.get("content-length", ""), 0), MOST_BYTES))
    query = {name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
    return Request(handler.command, url.path, query, headers, body)


def _chunks(handler: BaseHTTPRequestHandler) -> list[bytes]:
    found = []
    while size := int(handler.rfile.readline().split(b";")[0] or b"0", 16):
        found.append(handler.rfile.read(size))
        handler.rfile.readline()
    while handler.rfile.readline() not in {b"\r\n", b"\n", b""}:
        continue
    return found


def write(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    body = reply.bytes()
    handler.send_response(reply.status)
    headers = {"Content-Type": "application/json; charset=utf-8", **reply.headers}
    for name, value in headers.items():
        handler.send_header(name, value)
    if reply.status not in {204, 304}:
        handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if reply.status not in {204, 304} and handler.command != "HEAD":
        handler.wfile.write(body)


def basic(headers: Mapping[str, str]) -> str:
    """The password of Basic authorisation: git sends the token so; "" where there is none."""
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


# --- git ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GitAsked:
    """What git wants of which repository."""

    path: str
    service: str
    writes: bool


def git_asked(request: Request) -> GitAsked | None:
    """Whether this is git that speaks; None: it is not."""
    found = _GIT.fullmatch(request.path)
    if found is None:
        return None
    wants = request.query.get("service", found["service"])
    return GitAsked(unquote(found["path"]), found["service"], wants == "git-receive-pack")


def git_backend(root: Path, asked: GitAsked, request: Request) -> Reply:
    """What ``git http-backend`` answers; no hook runs, every object that comes in is checked."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_PROJECT_ROOT": str(root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "REQUEST_METHOD": request.method,
        "PATH_INFO": f"/{asked.path}.git/{asked.service}",
        "QUERY_STRING": urlencode(request.query),
        "CONTENT_TYPE": request.headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(request.body)),
        "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
        "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
        "REMOTE_USER": request.login,
        "GIT_CONFIG_COUNT": str(len(_CONFIG)),
    }
    for number, (key, value) in enumerate(_CONFIG.items()):
        environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    ran = subprocess.run(
        ["git", "http-backend"], input=request.body, env=environment, capture_output=True, check=False,
        timeout=GIT_SECONDS,
    )  # fmt: skip
    head, _, body = ran.stdout.partition(b"\r\n\r\n")
    lines = (line.partition(": ") for line in head.decode("latin-1").split("\r\n"))
    headers = {name.title(): value for name, _, value in lines if name}
    status = headers.pop("Status", "200 OK" if ran.returncode == 0 else "500 git failed")
    return Reply(int(status.split()[0]), body, headers)

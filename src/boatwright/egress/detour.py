"""The proxy of a company's network: how connections get through it, and what it says when they do not.

It is one that settings.yml names. What a caller's HTTPS_PROXY says is never used: the wire of every bottle would go
where somebody's shell happened to point.
"""

from __future__ import annotations

import asyncio
import base64
import os
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from boatwright.config.ceiling import ProxySetting
from boatwright.config.secrets import Secret
from boatwright.egress import http1
from boatwright.egress.spec import Detour

DETOUR = "proxy"
"""What its credential is called among the keys that are handed over."""
READ_BYTES = 256 * 1024


class NoWay(Exception):
    """The company's proxy did not let a connection through: one sentence."""


@dataclass(frozen=True, slots=True)
class Via:
    """The proxy as a connection is opened through it; ``credential`` is USER:PASSWORD."""

    host: str
    port: int
    credential: Secret | None = None

    def __str__(self) -> str:
        return f"the proxy {_authority(self.host, self.port)} of settings.yml"


def of(setting: ProxySetting | None) -> Detour | None:
    """What settings.yml says, as a wire carries it."""
    if setting is None:
        return None
    parts = urlsplit(setting.url)
    return Detour(parts.hostname or "", parts.port or 80, setting.credential, setting.except_)


def via(plan: Detour, credential: str | None) -> Via:
    return Via(plan.host, plan.port, None if credential is None else Secret(credential))


async def through(way: Via, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to ``host`` by CONNECT, nothing of it read yet; :class:`NoWay` says why there is none."""
    request = _request(way, host, port)
    try:
        reader, writer = await asyncio.open_connection(way.host, way.port, limit=READ_BYTES)
    except OSError as error:
        raise NoWay(f"{way} does not answer ({_why(error)})") from error
    try:
        writer.write(request)
        await writer.drain()
        status = http1.head((await reader.readuntil(b"\r\n\r\n"))[:-4]).status
    except (OSError, EOFError, asyncio.LimitOverrunError, http1.Malformed) as error:
        writer.transport.abort()
        raise NoWay(f"{way} broke off, or does not speak HTTP") from error
    except BaseException:
        writer.transport.abort()
        raise
    if not 200 <= status < 300:
        writer.transport.abort()
        raise NoWay(_refusal(way, status))
    return reader, writer


def _why(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "its name has no address"
    return os.strerror(error.errno) if error.errno else "none of its addresses answers"


def _request(way: Via, host: str, port: int) -> bytes:
    target = _authority(host, port)
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if way.credential is not None:
        user, colon, _ = way.credential.reveal().partition(":")
        if not user or not colon:
            raise NoWay(f"the credential of {way} is not USER:PASSWORD")
        basic = base64.b64encode(way.credential.reveal().encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {basic}")
    return "\r\n".join([*lines, "", ""]).encode()


def _refusal(way: Via, status: int) -> str:
    if status == 407 and way.credential is None:
        return f"{way} wants a credential (407), and proxy.credential names none"
    if status == 407:
        return f"{way} does not accept the credential of proxy.credential (407)"
    return f"{way} refused to lead there ({status})"


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

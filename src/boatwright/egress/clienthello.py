"""The server name a TLS client asks for, read from its first message without decrypting anything.

RFC 8446 §4.1.2 (ClientHello) and RFC 6066 §3 (server_name); a hello may be spread over several records.
"""

from __future__ import annotations

MOST_BYTES = 64 * 1024
_HANDSHAKE = 22
_CLIENT_HELLO = 1
_SERVER_NAME = 0


class NotTls(Exception):
    """The first bytes are no ClientHello."""


def server_name(data: bytes) -> str | None:
    """The name asked for, empty when none is; None while the message is incomplete. ``NotTls`` for
    anything else.
    """
    hello = _handshake(data)
    if hello is None:
        return None
    try:
        return _name(_extensions(hello))
    except (IndexError, UnicodeDecodeError) as error:
        raise NotTls from error


def _handshake(data: bytes) -> bytes | None:
    """The body of the ClientHello, put together from its records."""
    message = b""
    at = 0
    while len(message) < 4 or len(message) < 4 + int.from_bytes(message[1:4], "big"):
        if len(data) > at and data[at] != _HANDSHAKE:
            raise NotTls
        if len(data) < at + 5:
            return None
        length = int.from_bytes(data[at + 3 : at + 5], "big")
        if data[at + 1] != 3 or not 0 < length <= 1 << 14:
            raise NotTls
        if len(data) < at + 5 + length:
            return None
        message += data[at + 5 : at + 5 + length]
        at += 5 + length
        if message[0] != _CLIENT_HELLO:
            raise NotTls
    return message[4 : 4 + int.from_bytes(message[1:4], "big")]


def _extensions(hello: bytes) -> bytes:
    at = 2 + 32  # version, random
    at += 1 + hello[at]  # session id
    at += 2 + int.from_bytes(hello[at : at + 2], "big")  # cipher suites
    at += 1 + hello[at]  # compression methods
    return hello[at + 2 :]


def _name(extensions: bytes) -> str:
    found: list[str] = []
    at = 0
    while at + 4 <= len(extensions):
        kind = int.from_bytes(extensions[at : at + 2], "big")
        length = int.from_bytes(extensions[at + 2 : at + 4], "big")
        if kind == _SERVER_NAME:
            found.append(_first_name(extensions[at + 4 : at + 4 + length]))
        at += 4 + length
    if len(found) > 1:
        raise NotTls  # two names: which one a server would read is anybody's guess
    return found[0] if found else ""


def _first_name(value: bytes) -> str:
    if not value:
        return ""
    length = int.from_bytes(value[3:5], "big")
    if value[2] != 0 or len(value) != 5 + length:
        raise NotTls
    return value[5:].decode("ascii").lower()

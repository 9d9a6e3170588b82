"""A small mail server with an authority of its own, for trying ``notify:``: it keeps what it is given.

Speaks TLS from the start (``port``) and after STARTTLS (``plain_port``); takes mail only under TLS and, where it has a
``login``, only after AUTH PLAIN with it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from boatwright.testing.tls_server import certificates


@dataclass(slots=True)
class Taken:
    """One mail: its envelope and itself."""

    sender: str
    recipients: tuple[str, ...]
    mail: EmailMessage


@dataclass(slots=True)
class _Talk:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    secure: bool
    known: bool = False
    sender: str = ""
    recipients: list[str] = field(default_factory=list)

    async def say(self, *lines: str) -> None:
        self.writer.write("".join(f"{line}\r\n" for line in lines).encode())
        await self.writer.drain()


class MailServer:
    """Listens on loopback. ``ca`` is the file to trust; ``answers`` are said to the next mails in place of yes."""

    def __init__(self, folder: Path, *, login: tuple[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.ca, chain = certificates(folder, ("localhost",))
        self.taken: list[Taken] = []
        self.heard: list[str] = []
        """Every command as it came, what AUTH says left out."""
        self.answers: list[str] = []
        self.port = self.plain_port = 0
        self._login = login
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(chain)
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        for context in (self._context, None):
            self._servers.append(await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=context))
        self.port, self.plain_port = (each.sockets[0].getsockname()[1] for each in self._servers)

    async def stop(self) -> None:
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        talk = _Talk(reader, writer, writer.get_extra_info("sslcontext") is not None)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await talk.say("220 localhost")
            while line := await talk.reader.readline():
                if not await self._heard(talk, line.decode("utf-8", "replace").strip()):
                    break
        talk.writer.close()

    async def _heard(self, talk: _Talk, line: str) -> bool:
        verb, _, rest = line.partition(" ")
        self.heard.append(verb.upper() if verb.upper() == "AUTH" else line)
        match verb.upper():
            case "EHLO":
                more = "AUTH PLAIN" if talk.secure else "STARTTLS"
                await talk.say("250-localhost", f"250 {more}")
            case "STARTTLS":
                await talk.say("220 go on")
                await talk.writer.start_tls(self._context)
                talk.secure = True
            case "AUTH":
                await self._known(talk, rest)
            case "MAIL" | "RCPT" if not talk.secure or not (talk.known or self._login is None):
                await talk.say("530 say who you are, under TLS")
            case "MAIL":
                talk.sender, talk.recipients = _address(rest), []
                await talk.say("250 yes")
            case "RCPT":
                talk.recipients.append(_address(rest))
                await talk.say("250 yes")
            case "DATA":
                await self._take(talk)
            case "QUIT":
                await talk.say("221 bye")
                return False
            case _:
                await talk.say("250 yes")
        return True

    async def _known(self, talk: _Talk, rest: str) -> None:
        _, user, password = base64.b64decode(rest.partition(" ")[2]).decode().split("\0")
        talk.known = (user, password) == self._login
        await talk.say("235 hello" if talk.known else "535 you are not")

    async def _take(self, talk: _Talk) -> None:
        await talk.say("354 go on")
        lines = []
        while (line := await talk.reader.readline()) not in {b".\r\n", b""}:
            lines.append(line[1:] if line.startswith(b"..") else line)
        answer = self.answers.pop(0) if self.answers else "250 taken"
        if answer.startswith("250"):
            mail = message_from_bytes(b"".join(lines), policy=policy.default)
            assert isinstance(mail, EmailMessage)
            self.taken.append(Taken(talk.sender, tuple(talk.recipients), mail))
        await talk.say(answer)


def _address(rest: str) -> str:
    return rest.partition("<")[2].partition(">")[0]

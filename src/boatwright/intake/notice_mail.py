"""A notice as a mail, handed to the operator's mail server over TLS."""

from __future__ import annotations

import asyncio
import logging
import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import format_datetime

from boatwright import errors
from boatwright.config import secrets
from boatwright.config.notify import NotifyMail
from boatwright.rules import notices
from boatwright.values.notice import Notice

LOG = logging.getLogger("boatwright.notices")
SECONDS = 20.0
"""For each answer of the server."""


class MailSender:
    """Sends over one server. The password is said only after TLS has begun and the server's certificate holds."""

    def __init__(self, setting: NotifyMail, environment: Mapping[str, str]) -> None:
        self._setting, self._environment = setting, environment

    async def send(self, told: Notice) -> None:
        """Returns when the server has taken it for somebody; ``errors.BoatwrightError``, which quotes nothing of it."""
        await asyncio.to_thread(self._send, told)

    def _send(self, told: Notice) -> None:
        password = self._password()
        try:
            with self._connected() as server:
                if self._setting.user is not None:
                    server.login(self._setting.user, password)
                refused = server.send_message(message(told, self._setting))
        except smtplib.SMTPResponseException as error:
            raise self._not_taken(f"it answered {error.smtp_code}") from error
        except (smtplib.SMTPException, OSError, UnicodeError) as error:
            raise self._not_taken(type(error).__name__) from error
        if refused:  # the others have it: to try again would send it to them once more
            LOG.warning("a mail server refused %d of %d addresses", len(refused), len(self._setting.to))

    def _connected(self) -> smtplib.SMTP:
        where, context = (self._setting.host, self._setting.at), ssl.create_default_context()
        if self._setting.tls == "implicit":
            return smtplib.SMTP_SSL(*where, timeout=SECONDS, context=context)
        server = smtplib.SMTP(*where, timeout=SECONDS)
        try:
            server.starttls(context=context)
        except BaseException:
            server.close()
            raise
        return server

    def _password(self) -> str:
        if self._setting.password is None:
            return ""
        return secrets.resolve(self._setting.password, environment=self._environment, blanks=True).reveal()

    def _not_taken(self, why: str) -> errors.BoatwrightError:
        sentence = f"the mail server {self._setting.host} did not take the notice: {why}"
        return errors.BoatwrightError(sentence, subject="notify.mail")


def message(told: Notice, setting: NotifyMail) -> EmailMessage:
    """The mail: plain text, and the same Message-ID however often it is sent."""
    mail = EmailMessage()
    mail["Subject"] = notices.subject(told)
    mail["From"] = setting.from_
    mail["To"] = ", ".join(setting.to)
    mail["Date"] = format_datetime(told.at)
    mail["Message-ID"] = f"<{told.id.replace(':', '.')}@{setting.from_.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(notices.text(told), charset="utf-8")
    return mail

"""A notice as a signed POST of JSON to an address of the operator's."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping

import httpx2

from boatwright import errors
from boatwright.config import secrets
from boatwright.config.notify import NotifyWebhook
from boatwright.rules import notices
from boatwright.values.notice import Notice

SIGNATURE, ID = "Boatwright-Signature-256", "Boatwright-Notice"
SECONDS = 20.0


class WebhookSender:
    """Sends to one address. No redirect is followed, and of the answer only its status is read."""

    def __init__(self, setting: NotifyWebhook, environment: Mapping[str, str]) -> None:
        self._setting, self._environment = setting, environment

    async def send(self, told: Notice) -> None:
        """Returns when the other side said 2xx. ``errors.BoatwrightError``, naming no address, when it did not."""
        secret = await asyncio.to_thread(
            secrets.resolve, self._setting.secret, environment=self._environment, blanks=True
        )
        body = notices.document(told)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "boatwright",
            ID: told.id,
            SIGNATURE: notices.signature(secret.reveal(), body),
        }
        status = await self._post(body, headers)
        if not 200 <= status < 300:
            raise errors.BoatwrightError(f"the webhook of notify answered {status}", subject="notify.webhook")

    async def _post(self, body: bytes, headers: Mapping[str, str]) -> int:
        trust = await asyncio.to_thread(
            ssl.create_default_context
        )  # SSL_CERT_FILE and SSL_CERT_DIR are heeded
        try:
            async with (
                httpx2.AsyncClient(verify=trust, timeout=SECONDS, follow_redirects=False) as client,
                client.stream("POST", self._setting.url, content=body, headers=headers) as response,
            ):
                return response.status_code
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise errors.BoatwrightError(
                f"the webhook of notify cannot be reached ({type(error).__name__})", subject="notify.webhook"
            ) from error

"""The door for forges: whose signature holds is kept, durably, and told so. What it says is read later, by the pump."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from boatwright import crash, errors
from boatwright.config import secrets
from boatwright.config.forges import KINDS, ForgeSetting
from boatwright.config.secrets import Secret
from boatwright.ledger.deliveries import Deliveries
from boatwright.rules import signatures
from boatwright.values.clock import Clock
from boatwright.values.delivery import Arrival, Stored
from boatwright.workflows.engine.durable import report

LARGEST = 25 << 20
"""Bytes of one delivery: GitHub's own limit."""
SECRET_SECONDS = 60.0
"""How long a resolved secret is held before its source is asked again: a rotated one is known after that."""
_MOST_AT_ONCE = 200
_INLINE = 256 << 10
"""Bytes whose signature is computed on the loop; more than that is a thread's work."""
_NAME = 200

EVENT = {
    "github": ("x-github-event",),
    "gitea": ("x-gitea-event",),
    "forgejo": ("x-forgejo-event", "x-gitea-event"),
    "gitlab": ("x-gitlab-event",),
}
DELIVERY = {
    "github": ("x-github-delivery",),
    "gitea": ("x-gitea-delivery",),
    "forgejo": ("x-forgejo-delivery", "x-gitea-delivery"),
    "gitlab": ("idempotency-key", "x-gitlab-webhook-id"),
}
HOOK = {
    "github": ("x-github-hook-id",),
    "gitea": (),
    "forgejo": (),
    "gitlab": ("x-gitlab-webhook-uuid",),
}
_SHARED_ID = "x-gitlab-event-uuid"
"""Shared by everything one event set off: with the bytes it is one delivery."""


class Forged(errors.Refused):
    """No secret of ours signed this."""


class Door:
    """Checks and keeps deliveries. Used on one event loop; ``close`` it there."""

    def __init__(
        self,
        deliveries: Deliveries,
        settings: Mapping[str, ForgeSetting],
        *,
        environment: Mapping[str, str],
        clock: Clock,
        stored: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._keyring = _Keyring(environment, clock)
        self._pen = Pen(deliveries)
        self._stored = stored

    async def take(self, forge: str, headers: Mapping[str, str], body: bytes) -> Stored:
        """Keep a delivery whose signature holds; it is durable when this returns. Header names are lower case.

        :class:`Forged` when no secret of ours signed it, ``errors.Parked`` when a secret cannot be had,
        ``errors.StoreUnavailable`` when it cannot be kept: the forge has to send it again.
        """
        content_type = headers.get("content-type", "")
        signer = await self._signer(forge, signatures.given(forge, headers), content_type, body)
        found = await self._pen.write(arrival(forge, headers, body, signer=signer))
        crash.point("door.stored")
        if found is not Stored.PROCESSED:
            self._stored()
        return found

    async def close(self) -> None:
        await self._pen.close()

    async def _signer(self, forge: str, signature: str, content_type: str, body: bytes) -> str:
        setting = self._settings.get(forge)
        if forge not in KINDS or setting is None or not setting.listens:
            raise Forged(f"no webhook secret of {forge} is configured here", subject=forge)
        if not signature:
            raise Forged("the request bears no signature", subject=forge)
        keys, missing = await self._keyring.of(setting)
        try:
            if len(body) <= _INLINE:
                return _signer(forge, keys, signature, content_type, body)
            return await asyncio.to_thread(_signer, forge, keys, signature, content_type, body)
        except Forged:
            if missing is None:
                raise
        raise missing  # it may be signed with the one we cannot read


def _signer(
    forge: str, keys: Sequence[tuple[str, Secret]], signature: str, content_type: str, body: bytes
) -> str:
    """The repository whose secret it is; empty for the forge's own."""
    signed = signatures.signed(forge, content_type, body)
    for path, secret in keys:
        if signatures.holds(forge, secret.reveal(), signature, signed):
            return path
    raise Forged("the signature does not hold", subject=forge)


def arrival(forge: str, headers: Mapping[str, str], body: bytes, *, signer: str) -> Arrival:
    """The delivery as it is kept. One without an id is known by its bytes."""
    name = _first(headers, DELIVERY[forge])
    if not name:
        digest = hashlib.sha256(body).hexdigest()[:32]
        shared = _first(headers, (_SHARED_ID,)) if forge == "gitlab" else ""
        name = f"{shared or 'bytes'}:{digest}"
    return Arrival(
        forge=forge,
        hook=_first(headers, HOOK[forge]),
        delivery=name,
        event=_first(headers, EVENT[forge]),
        signer=signer,
        content_type=_plain(headers.get("content-type", "")),
        body=body,
    )


def _first(headers: Mapping[str, str], names: Sequence[str]) -> str:
    return next((_plain(headers[name]) for name in names if headers.get(name)), "")


def _plain(text: str) -> str:
    return "".join(char for char in text[:_NAME] if " " <= char <= "~")


class _Keyring:
    """The secrets of each forge, asked for again after a while."""

    def __init__(self, environment: Mapping[str, str], clock: Clock) -> None:
        self._environment, self._clock = environment, clock
        self._held: dict[str, tuple[float, Secret]] = {}

    async def of(self, setting: ForgeSetting) -> tuple[list[tuple[str, Secret]], errors.Parked | None]:
        """(repository, secret), the forge's own first under an empty name; and why the first of those that cannot be
        had is missing.
        """
        named = [("", setting.webhook_secret)] if setting.webhook_secret else []
        found: list[tuple[str, Secret]] = []
        missing: errors.Parked | None = None
        for path, reference in [*named, *setting.webhook_secrets.items()]:
            try:
                found.append((path, await self._secret(reference)))
            except errors.Parked as away:
                missing = missing or away
        return found, missing

    async def _secret(self, reference: str) -> Secret:
        since, secret = self._held.get(reference, (float("-inf"), None))
        if secret is not None and self._clock.monotonic() < since + SECRET_SECONDS:
            return secret
        found = await asyncio.to_thread(
            secrets.resolve, reference, environment=self._environment, blanks=True
        )
        self._held[reference] = (self._clock.monotonic(), found)
        return found


class Pen:
    """Writes deliveries to the ledger, all that wait in one transaction: one sync of the disk is shared by many."""

    def __init__(self, deliveries: Deliveries) -> None:
        self._deliveries = deliveries
        self._waiting: list[tuple[Arrival, asyncio.Future[Stored]]] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="door")
        self._task: asyncio.Task[None] | None = None

    async def write(self, each: Arrival) -> Stored:
        """Durable when this returns."""
        kept: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        self._waiting.append((each, kept))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write())
        return await kept

    async def close(self) -> None:
        if self._task is not None:
            with suppress(asyncio.CancelledError):
                await self._task
        self._thread.shutdown()

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
            await self._commit(batch)

    async def _commit(self, batch: Sequence[tuple[Arrival, asyncio.Future[Stored]]]) -> None:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(
                self._thread, self._deliveries.store, [each for each, _ in batch]
            )
        except errors.BoatwrightError as away:
            return _tell(batch, away)
        except Exception as bug:  # noqa: BLE001  the edge of a batch: every request in it must hear of it
            report("deliveries could not be kept", bug)
            return _tell(batch, errors.StoreUnavailable("the delivery could not be kept"))
        for (_, kept), stored in zip(batch, found, strict=True):
            if not kept.done():
                kept.set_result(stored)
        return None


def _tell(batch: Sequence[tuple[Arrival, asyncio.Future[Stored]]], error: errors.BoatwrightError) -> None:
    for _, kept in batch:
        if not kept.done():
            kept.set_exception(error)

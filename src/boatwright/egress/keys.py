"""The keys of one proxy: handed over by a worker, or resolved here; in memory only, and there for a short time.

A key that any process of this user can resolve is resolved when it is needed and kept for :data:`KEPT_SECONDS`, so
that one that was renewed at its source is the one in use a minute later. One from a caller's environment exists
nowhere else, and stays with its wire.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from boatwright import errors
from boatwright.config import secrets
from boatwright.config.secrets import Secret
from boatwright.egress.answer import Refused
from boatwright.values.clock import Clock

KEPT_SECONDS = 60.0
Around = tuple[tuple[str, str], ...]
"""The surroundings of a reference, as a wire's row keeps them."""


@dataclass(frozen=True, slots=True)
class _Kept:
    secret: Secret
    until: float


class Keys:
    """Safe to share by the tasks of one event loop; of several that want one key, one asks its source."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[tuple[str, Around], _Kept] = {}
        self._asking: dict[tuple[str, Around], asyncio.Task[Secret]] = {}

    async def get(
        self, reference: str, around: Around, handed: Secret | None, *, blanks: bool = False
    ) -> str:
        """The key: what was handed over, else what its source says. ``Refused`` (credential) says why not."""
        if handed is not None:
            return handed.reveal()
        if not secrets.is_standalone(reference, {}) or (reference.startswith("vault:") and not around):
            raise Refused(
                "credential",
                "the proxy was restarted and waits until a worker hands over the key again",
                next_moves=("boatwright resume EXECUTION, with the key in the environment",),
            )
        self.sweep()
        kept = self._kept.get((reference, around))
        secret = kept.secret if kept else await asyncio.shield(self._asked(reference, around, blanks))
        return secret.reveal()

    def forget(self, reference: str | None) -> None:
        """A provider turned this key down: the next call asks its source again."""
        for kept in [each for each in self._kept if each[0] == reference]:
            del self._kept[kept]

    def sweep(self) -> None:
        """Let go of what was kept long enough."""
        now = self._clock.monotonic()
        for kept in [each for each, held in self._kept.items() if held.until <= now]:
            del self._kept[kept]

    def _asked(self, reference: str, around: Around, blanks: bool) -> asyncio.Task[Secret]:
        """The one question to the source that is under way, begun now if there is none."""
        name = (reference, around)
        if name not in self._asking:
            self._asking[name] = asyncio.create_task(self._ask(reference, around, blanks))
            self._asking[name].add_done_callback(lambda done: self._answered(name, done))
        return self._asking[name]

    def _answered(self, name: tuple[str, Around], done: asyncio.Task[Secret]) -> None:
        del self._asking[name]
        if not done.cancelled():
            done.exception()  # who asked may have gone; it was told to whoever waited

    async def _ask(self, reference: str, around: Around, blanks: bool) -> Secret:
        try:
            secret = await asyncio.to_thread(
                secrets.resolve, reference, environment=dict(around), blanks=blanks
            )
        except errors.BoatwrightError as error:
            raise Refused("credential", str(error), next_moves=error.next_moves) from error
        self._kept[reference, around] = _Kept(secret, self._clock.monotonic() + KEPT_SECONDS)
        return secret


def around(reference: str | None, environment: Mapping[str, str]) -> Around:
    """What a wire's row says beside a reference; nothing when only its caller can resolve it."""
    if reference is None or not secrets.is_standalone(reference, environment):
        return ()
    return tuple(sorted(secrets.surroundings(reference, environment).items()))


def handed(reference: str, environment: Mapping[str, str], *, blanks: bool = False) -> str | None:
    """The key itself where the proxy cannot resolve it, and None where it can.

    It is resolved here in either case, so that a missing one parks before a token is spent.
    """
    secret = secrets.resolve(reference, environment=environment, blanks=blanks)
    return None if secrets.is_standalone(reference, environment) else secret.reveal()

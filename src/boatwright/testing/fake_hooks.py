"""Webhooks of a fake forge: signed, delivered in order by a thread of their own, and remembered with what came back.

Like the real ones it does not try again by itself; ``again`` does, under the same delivery id.
"""

from __future__ import annotations

import http.client
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from boatwright.values.clock import Clock

SECONDS = 10.0


@dataclass(slots=True)
class Delivery:
    """One attempt to tell one address of one event. ``status`` is 0 until something came back, and when nothing did."""

    id: int
    guid: str
    event: str
    action: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    at: datetime
    status: int = 0
    redelivery: bool = False


class Postman:
    """Delivers. ``made`` has every attempt in its order."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.made: list[Delivery] = []
        self._queue: queue.Queue[Delivery | None] = queue.Queue()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def send(self, delivery: Delivery) -> Delivery:
        with self._lock:
            self.made.append(delivery)
        self._queue.put(delivery)
        return delivery

    def again(self, number: int) -> Delivery:
        """The attempt ``number`` once more; ``KeyError`` where there was none."""
        with self._lock:
            found = next((each for each in self.made if each.id == number), None)
            if found is None:
                raise KeyError(number)
            last = self.made[-1].id
        return self.send(
            Delivery(
                last + 1,
                found.guid,
                found.event,
                found.action,
                found.url,
                found.headers,
                found.body,
                self._clock.now(),
                0,
                True,
            )
        )

    def next_id(self) -> int:
        with self._lock:
            return self.made[-1].id + 1 if self.made else 1

    def drain(self) -> None:
        """Return when everything that happened so far has been told."""
        self._queue.join()

    def _work(self) -> None:
        while (delivery := self._queue.get()) is not None:
            delivery.status = _post(delivery)
            self._queue.task_done()
        self._queue.task_done()


def _post(delivery: Delivery) -> int:
    request = urllib.request.Request(  # noqa: S310 - the address is the operator's own
        delivery.url, data=delivery.body, headers=dict(delivery.headers), method="POST"
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, http.client.HTTPException):
        return 0

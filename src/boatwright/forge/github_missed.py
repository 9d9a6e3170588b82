"""An App's webhooks that nobody took: GitHub tells an App which those are, and sends one again when asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from boatwright import errors
from boatwright.forge import github_reading
from boatwright.forge.http import PAGE, Answer, Call, ForgeHttp
from boatwright.rules import missed
from boatwright.rules.missed import Attempt, Progress

PAGES = 100
"""So many are read in one round; the walk goes on in the next."""
ASKED = 200
"""So many are asked for in one round."""
_PATH = "/app/hook/deliveries"


async def ask_again(http: ForgeHttp, now: datetime, before: Progress) -> tuple[int, Progress]:
    """Have everything sent again that ``rules.missed`` says. ``http`` speaks as the App itself. Returns how many, and how
    far the list is read now.

    Asking twice is fine: a delivery is known by its id, whoever gets it first.
    """
    progress = await _walked(http, now, before)
    asked = 0
    for number in missed.again(progress.attempts, now)[:ASKED]:
        path = f"{_PATH}/{number}/attempts"
        # One that GitHub has no longer, or will not send, holds up no other.
        answer = await http.call(Call("POST", path, again=True, ok=(202, 404, 422), about="a webhook"))
        asked += answer.status == 202
    return asked, progress


async def _walked(http: ForgeHttp, now: datetime, progress: Progress) -> Progress:
    """From the newest, or from where the last round ended, to what was read before."""
    floor, walk = missed.floor(progress, now), progress.walk
    newest, address = (walk.newest, walk.next) if walk else (None, _PATH)
    for _ in range(PAGES):
        try:
            answer = await _page(http, address)
        except (errors.BadInput, errors.NotFound):
            if address == _PATH:
                raise
            return replace(progress, walk=None)  # GitHub knows the place no longer: begin at the newest again
        page = [_attempt(said) for said in answer.json()]
        progress = missed.seen(progress, page)
        newest = newest or max((attempt.at for attempt in page), default=None)
        if answer.next is None or any(attempt.at < floor for attempt in page):
            return missed.arrived(progress, newest, now)
        address = answer.next
    return missed.paused(progress, address, newest or now, now)


async def _page(http: ForgeHttp, address: str) -> Answer:
    return await http.get(address, {"per_page": PAGE} if address == _PATH else None, about="its webhooks")


def _attempt(said: Any) -> Attempt:
    """The newest first, GitHub lists every attempt by itself."""
    taken = 200 <= int(said.get("status_code") or 0) < 300
    at = github_reading.moment(said["delivered_at"])
    return Attempt(int(said["id"]), str(said["guid"]), taken, at, bool(said.get("redelivery", True)))

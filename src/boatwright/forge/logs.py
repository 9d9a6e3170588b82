"""The end of a job's log, wherever a forge keeps it. A log that cannot be read is no error: there is less to show."""

from __future__ import annotations

from urllib.parse import urljoin

from boatwright import errors
from boatwright.forge.http import Answer, Call, ForgeHttp, Lost

MOST_LOG = 64 << 10
"""Bytes of its end that are kept."""
_ELSEWHERE = frozenset({301, 302, 303, 307, 308})


async def tail(http: ForgeHttp, path: str, *, about: str) -> str:
    """The last bytes of the log at ``path`` as text; empty where there is none, or we may not read it.

    A redirect is followed once, without our login. ``errors.ForgeUnavailable`` where the forge itself is away.
    """
    try:
        answer = await http.call(Call("GET", path, ok=(200, 204, *_ELSEWHERE, 404, 410), about=about))
        if answer.status in _ELSEWHERE:
            answer = await http.stranger(urljoin(f"{http.base}/", answer.headers.get("location", "")))
    except errors.ForgeUnavailable:
        raise
    except (errors.BadInput, errors.Refused, errors.Parked, Lost):
        return ""
    return _end(answer) if answer.status == 200 else ""


def _end(answer: Answer) -> str:
    end = answer.body[-MOST_LOG:]
    whole = end if len(end) == len(answer.body) else end.partition(b"\n")[2] or end
    return whole.decode("utf-8", "replace")

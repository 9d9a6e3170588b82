"""Names we give: branches, repositories. And which names of others we take."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from urllib.parse import urlsplit

SLUG_MAX = 40
_PREFIX = "boatwright/"
_TAIL = 6
_ID_MAX = 40
_SCP = re.compile(r"(?:[^@/\s]+@)?(?P<host>[^:/\s]+):(?P<path>[^/].*)")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|//|@\{")


def slug(text: str, *, longest: int = SLUG_MAX) -> str:
    """``text`` as lower-case words joined by hyphens, safe in a branch, a path and a shell; "change" if
    nothing is left.

    Cut at a word where that keeps at least half of the room.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
    if len(words) > longest:
        cut = words[: longest + 1].rfind("-")
        words = words[: cut if cut >= longest // 2 else longest].strip("-")
    return words or "change"


def branch(issue: int | None, title: str, execution: str) -> str:
    """``boatwright/issue-N-<slug>``, or ``boatwright/text-<tail of the execution>-<slug>`` for a request
    without issue."""
    if issue is not None:
        return f"{_PREFIX}issue-{issue}-{slug(title)}"
    tail = re.sub(r"[^a-z0-9]", "", execution.lower())[-_TAIL:]
    return f"{_PREFIX}text-{tail}-{slug(title)}"


def is_branch(name: str) -> bool:
    """Whether a branch of that name may be one of ours."""
    return name.startswith(_PREFIX)


def repository_id(source: str) -> str:
    """One readable, stable name for a repository, safe as a file name: ``name-<8 hex>``.

    ``source`` is an absolute path with its links resolved, or a URL. Credentials, a default port, a trailing
    ``.git`` or ``/`` and the case of the host make no difference.
    """
    place = _place(source)
    name = slug(place.rsplit("/", 1)[-1].removesuffix(".git"), longest=_ID_MAX)
    return f"{name}-{hashlib.sha256(place.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


def valid_repository_id(name: str) -> bool:
    return re.fullmatch(r"[a-z0-9][a-z0-9-]{0,79}", name) is not None


def valid_ref(name: str) -> bool:
    """The rules of ``git check-ref-format``, and no part that starts with a hyphen."""
    if _FORBIDDEN.search(name) or name.startswith("/") or name.endswith(("/", ".")):
        return False
    return all(part and part[0] not in ".-" and not part.endswith(".lock") for part in name.split("/"))


def valid_branch(name: str) -> bool:
    return name not in {"", "@", "HEAD"} and len(name) <= 200 and valid_ref(name)


def _place(source: str) -> str:
    """Host and path, or path: what makes two sources the same repository."""
    if source.startswith("/"):
        return source.rstrip("/") or "/"
    if "://" not in source:
        scp = _SCP.fullmatch(source)
        if scp is None:
            return source
        return f"{scp['host'].lower()}/{scp['path'].rstrip('/').removesuffix('.git')}"
    url = urlsplit(source)
    if url.scheme == "file":
        return url.path.rstrip("/") or "/"
    default = {"https": 443, "http": 80, "ssh": 22, "git": 9418}.get(url.scheme)
    port = f":{url.port}" if url.port not in {None, default} else ""
    return f"{(url.hostname or '').lower()}{port}/{url.path.strip('/').removesuffix('.git')}"

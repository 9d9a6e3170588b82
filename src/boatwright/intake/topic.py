"""Where a kept delivery is from, for people who look at a list: the repository, and the issue or pull request.

Read leniently from the bytes, whatever became of the delivery; nothing is decided by it, and nothing makes it fail.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from boatwright import errors
from boatwright.intake import pick
from boatwright.intake.pick import NAME_CAP, Part
from boatwright.ledger.deliveries import Deliveries
from boatwright.rules import gitlab_numbers
from boatwright.values.delivery import Delivery

LARGEST = 256 << 10
"""Bytes of a body that are read for this; a larger one is a push of many commits, which is about no number."""
_BEARERS = ("issue", "pull_request", "merge_request", "work_item", "object_attributes")


@dataclass(frozen=True, slots=True)
class Topic:
    """What its forge calls the repository, and our number of the issue or pull request; empty and None where it is
    about none, or its bytes are gone.
    """

    repository: str = ""
    number: int | None = None

    def __str__(self) -> str:
        number = "" if self.number is None else gitlab_numbers.shown(self.number)
        return f"{self.repository}{number}"


def of(deliveries: Deliveries, rows: Iterable[Delivery]) -> dict[int, Topic]:
    """The topic of each of these, by its number. Blocks."""
    known = {row.id: row for row in rows}
    found = {number: Topic(row.signer) for number, row in known.items()}
    for number, body in deliveries.bodies(tuple(known), largest=LARGEST):
        found[number] = about(known[number], body)
    return found


def about(delivery: Delivery, body: bytes | None) -> Topic:
    """The topic of one whose bytes are at hand; None where they were dropped."""
    if body is None or len(body) > LARGEST:
        return Topic(delivery.signer)
    return read(delivery.forge, body, signer=delivery.signer)


def read(forge: str, body: bytes, *, signer: str = "") -> Topic:
    """``signer``: the repository whose own secret signed it, where the bytes name none."""
    try:
        data = pick.document(body)
    except errors.BadInput:
        return Topic(signer)
    path = (
        data.part("repository").text("full_name", cap=NAME_CAP)
        or data.part("project").text("path_with_namespace", cap=NAME_CAP)
        or data.text("path", cap=NAME_CAP)
    )
    return Topic(path or signer, _number(forge, data))


def _number(forge: str, data: Part) -> int | None:
    """A note of GitLab has the thread it is in beside it, and itself under ``object_attributes``: that one is the last."""
    for bearer in _BEARERS:
        found = data.part(bearer)
        for name in ("number", "iid"):
            number = _whole(found, name)
            if number is not None:
                merge = bearer == "merge_request" or _is_merge_request(bearer, data)
                return gitlab_numbers.pull_number(number) if forge == "gitlab" and merge else number
    return _whole(data, "number")


def _is_merge_request(bearer: str, data: Part) -> bool:
    return bearer == "object_attributes" and data.text("object_kind", cap=NAME_CAP) == "merge_request"


def _whole(part: Part, name: str) -> int | None:
    try:
        return part.number(name)
    except pick.Shape:
        return None

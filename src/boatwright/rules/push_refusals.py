"""What a forge's git says where it refuses a push for want of a right. GitHub guards workflows by one of their own."""

from __future__ import annotations

import re
from dataclasses import dataclass

from boatwright.rules import plain

_WORKFLOW = re.compile(
    r"refusing to allow (?:an?|the) (?P<who>[\w ]{3,40}?) to create or update workflow "
    r"[`'\"]?(?P<path>[^`'\"\n]{1,300}?)[`'\"]? without [`'\"]?(?P<right>workflows?)[`'\"]? (?:scope|permission)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Refusal:
    why: str
    remedy: str


def read(complaint: str) -> Refusal | None:
    """The right that is missing, and what to do; None where git complains of something else."""
    found = _WORKFLOW.search(complaint)
    if found is None:
        return None
    path = plain.short(" ".join(plain.printable(found["path"]).split()), 200)
    if found["right"].lower() == "workflows":
        remedy = "give the App 'workflows: write' and accept it where it is installed"
    else:
        remedy = "give the token the scope 'workflow' (classic), or 'Workflows: write' (fine-grained)"
    return Refusal(f"our login lacks the right '{found['right'].lower()}' to change {path}", remedy)

"""Whose name a bottle runs under. Never root: bwrap as root is an open door, whatever its flags say.

Started by a user, a bottle runs as that user. Started by root, each live bottle has a uid of its own from a
range nobody else uses, so that signals, quotas and files of two bottles never meet.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from boatwright import errors

DEFAULT = range(1_900_000_000, 1_900_065_536)
"""Above everything distributions, systemd and subordinate ids hand out, below the signed limit of 32 bits."""
FALLBACK = range(40_000, 60_000)
"""Where only 65,536 uids are mapped (root of a container), below nobody."""
UID_MAP = Path("/proc/self/uid_map")


def refuse_root(uid: int) -> int:
    """The uid, unless it is 0. The one gate before every start of bwrap."""
    if uid == 0:
        raise errors.Refused(
            "a bottle is never run as root: bwrap as uid 0 can write to the host",
            subject="uid 0",
            next_moves=("give the backend a range of uids above 0", "start boatwright as an ordinary user"),
        )
    return uid


def choose(wanted: range | None) -> range:
    """The range to take uids from when we are root: the configured one, else the first default that is mapped here.

    Raises ``errors.MissingPart`` when the kernel maps none of them for us.
    """
    if wanted is not None:
        refuse_root(0 if 0 in wanted else 1)
    for each in (wanted,) if wanted is not None else (DEFAULT, FALLBACK):
        if each and mapped(each[0]) and mapped(each[-1]):
            return each
    raise errors.MissingPart(
        "this root may not take on other uids, so it cannot drop to one for a bottle",
        subject=str(UID_MAP),
        next_moves=("start boatwright as an ordinary user", "map more uids into this container"),
    )


def mapped(uid: int) -> bool:
    for line in UID_MAP.read_text().splitlines():
        first, _, count = map(int, line.split())
        if first <= uid < first + count:
            return True
    return False


def free(among: range, taken: Iterable[int]) -> int:
    """The lowest uid of the range that no live bottle has. Call it with the allocation lock held."""
    used = set(taken)
    for uid in among:
        if uid not in used:
            return refuse_root(uid)
    raise errors.Conflict(
        f"all {len(among):,} uids for bottles are in use",
        subject=f"uids {among.start}-{among.stop - 1}",
        next_moves=("boatwright gc", "configure a larger range of uids"),
    )


def taken(bottles: Path) -> list[int]:
    """The uids that the bottles of this state directory hold, from what each wrote down about itself."""
    found = []
    for meta in bottles.glob("*/meta.json"):
        try:
            found.append(int(json.loads(meta.read_bytes())["uid"]))
        except (OSError, ValueError, KeyError):
            continue  # destroyed under our eyes, or never finished: it holds nothing
    return found


def own() -> int:
    return os.geteuid()

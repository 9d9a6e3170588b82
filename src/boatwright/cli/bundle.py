"""Everything of one execution in one archive, to send to somebody: events, calls and every artifact they name."""

from __future__ import annotations

import io
import json
import re
import tarfile
from pathlib import Path

from boatwright import errors
from boatwright.cli import common
from boatwright.stages.house import House
from boatwright.values.event import document
from boatwright.values.execution import ExecutionView

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def write(house: House, view: ExecutionView, target: Path) -> int:
    """Write ``target`` (.tar.gz); returns the number of files. Secrets are in none of the sources: the wire holds them."""
    stream = [document(event) for event in house.ledger.events.stream(view.id)]
    files: dict[str, bytes] = {
        "execution.json": _bytes(view),
        "events.json": _bytes(stream),
        "calls.json": _bytes(house.wire.budgets().usage(view.id)),
    }
    for digest in sorted(set(DIGEST.findall(files["events.json"].decode()))):
        if (
            house.ledger.artifacts.exists(digest)
            and "freeze" not in house.ledger.artifacts.path(digest).parts
        ):
            files[f"artifacts/{digest.removeprefix('sha256:')}"] = house.ledger.artifacts.get(digest)
    if view.head:
        files["change.diff"] = house.mirror(view).diff_text(view.base_commit, view.head, 4 << 20).encode()
    try:
        with tarfile.open(target, "x:gz") as archive:
            for name, data in files.items():
                entry = tarfile.TarInfo(f"{view.id}/{name}")
                entry.size, entry.mtime = len(data), int(view.updated.timestamp())
                archive.addfile(entry, io.BytesIO(data))
    except FileExistsError as error:
        raise errors.BadInput(
            f"{target} exists already", subject=str(target), next_moves=("--bundle with a new name",)
        ) from error
    except OSError as error:
        raise errors.BadInput(
            f"{target} cannot be written: {error.strerror}",
            subject=str(target),
            next_moves=("--bundle FILE in a directory you may write in",),
        ) from error
    return len(files)


def _bytes(value: object) -> bytes:
    return json.dumps(common.plain(value), indent=2, sort_keys=True).encode()

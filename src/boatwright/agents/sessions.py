"""What a program keeps in HOME to go on from: packed inside the bottle, kept outside, laid out again anywhere.

The host opens no file of HOME: tar runs in the bottle, and the host holds bytes it does not look into.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import zstandard

from boatwright import errors
from boatwright.bottle.protocol import HOME, Bottle
from boatwright.values.process import ExecResult, Limits

CAP = 64 << 20
"""Bytes of a session before it is packed. A larger one is left out: its program begins a new one."""
_LIMITS = Limits(wall_seconds=120.0, output_bytes=CAP)

_PACK = r"""
cd "$HOME" || exit 1
set -- $(for each do [ -e "$each" ] && echo "$each"; done)
[ $# -eq 0 ] || tar --create --file=- --warning=no-file-changed -- "$@" || [ $? -eq 1 ]
"""
_LAY = r"""
cd "$HOME" || exit 1
rm -rf -- "$@"
tar --extract --file=- --no-same-owner
"""
_WRITE = r"""
cd "$HOME" && mkdir -p -- "$(dirname -- "$1")" && rm -rf -- "$1" && cat > "$1"
"""


@dataclass(frozen=True, slots=True)
class Session:
    """A program's name for its session, and the paths it keeps, as a tar. No tar: there is none to go on from."""

    name: str
    tar: bytes

    def dump(self) -> bytes:
        if not self.tar:
            return b""
        packed = zstandard.ZstdCompressor().compress(self.tar)
        return json.dumps({"session": self.name}).encode() + b"\n" + packed

    @classmethod
    def load(cls, raw: bytes) -> Session:
        """Raises ``errors.BadInput`` when the bytes are no session of ours."""
        head, _, packed = raw.partition(b"\n")
        try:
            tar = zstandard.ZstdDecompressor().decompress(packed, max_output_size=2 * CAP)
            return cls(str(json.loads(head)["session"]), tar)
        except (ValueError, KeyError, zstandard.ZstdError) as error:
            raise errors.BadInput(
                "the saved session cannot be read", next_moves=("boatwright retry EXECUTION --from build",)
            ) from error


async def pack(bottle: Bottle, keeps: Sequence[str], name: str) -> Session:
    """What the program keeps now. Nothing of it, or too much: a session without a tar."""
    ran = await bottle.exec(
        ["sh", "-c", _PACK, "pack", *keeps], separate_stdout=True, limits=_LIMITS, cwd=HOME
    )
    whole = ran.ok and not ran.truncated and len(ran.stdout) < CAP
    return Session(name, ran.stdout if whole else b"")


async def restore(bottle: Bottle, keeps: Sequence[str], session: Session | None) -> None:
    """HOME as the session has it: what came after it is gone."""
    tar = session.tar if session else b""
    argv = (
        ["sh", "-c", _LAY, "lay", *keeps]
        if tar
        else ["rm", "-rf", "--", *(str(HOME / each) for each in keeps)]
    )
    _must(await bottle.exec(argv, stdin=tar, cwd=HOME), bottle)


async def lay(bottle: Bottle, folder: str, files: Mapping[str, tuple[bytes, bool]]) -> None:
    """A folder below HOME with exactly these files: bytes by path, and whether each may be run."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, (data, runs) in sorted(files.items()):
            entry = tarfile.TarInfo(f"{folder}/{path}")
            entry.size, entry.mode = len(data), 0o755 if runs else 0o644
            tar.addfile(entry, io.BytesIO(data))
    argv = ["sh", "-c", _LAY, "lay", folder]
    _must(await bottle.exec(argv, stdin=packed.getvalue(), cwd=HOME), bottle)


async def write(bottle: Bottle, files: Mapping[str, str]) -> None:
    """Files of ours below HOME, in place of what is there."""
    for path, text in files.items():
        argv = ["sh", "-c", _WRITE, "write", path]
        _must(await bottle.exec(argv, stdin=text.encode(), cwd=HOME), bottle)


def _must(ran: ExecResult, bottle: Bottle) -> None:
    if not ran.ok:
        said = ran.limit or ran.text().strip()[-200:]
        raise errors.Parked(
            f"the agent's HOME could not be laid out: {said}", code="save_failed", subject=bottle.slug
        )

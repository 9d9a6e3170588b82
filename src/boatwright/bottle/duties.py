"""What a bottle cannot shut by itself: its files reach the host's own code, which must not fall for them.

Each duty plants its bait through the bottle, lets the code that every run uses (the step saver, the mirror, checkout,
thaw, the log) do its work on it, and says what the bait got. An empty word: nothing.
"""

from __future__ import annotations

import asyncio
import io
import json
import platform
import struct
import tarfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import zstandard

from boatwright import errors
from boatwright.bottle import archive
from boatwright.bottle.checkout import checkout
from boatwright.bottle.protocol import Backend, Bottle, BottleSpec
from boatwright.bottle.snapshot import Saved, SaveFailed, StepSaver
from boatwright.config.paths import StateDir
from boatwright.egress.log import Log
from boatwright.git import names
from boatwright.git.gitdir import Author
from boatwright.git.mirror import Mirror
from boatwright.git.run import Call
from boatwright.rules.tree import means_git
from boatwright.values.clock import SystemClock

Show = Callable[[str], str]
Duty = Callable[["Desk"], Awaitable[str]]
DUTIES: dict[int, Duty] = {}
_WHEN = datetime(2026, 1, 2, tzinfo=UTC)
_NOBODY = Author("Boatwright", "boatwright@localhost")


@dataclass(frozen=True)
class Desk:
    """Where the duties are done: a bottle of their own, a mirror of their own, bait on the host.

    ``place`` is a directory of the host, ``secret`` what a file in it holds, ``show`` how words of a bottle get onto
    a terminal.
    """

    backend: Backend
    bottle: Bottle
    place: Path
    secret: str
    show: Show

    @property
    def key(self) -> Path:
        return self.place / "home" / "key"

    @property
    def sprung(self) -> Path:
        """A file that only a trap makes."""
        return self.place / "sprung"

    @cached_property
    def mirror(self) -> Mirror:
        return Mirror.open(StateDir(self.place / "state").create(), "verify")

    @cached_property
    def base(self) -> str:
        """A commit with one file in the mirror."""
        blob = self.mirror.line("hash-object", "-w", "--stdin", call=Call(stdin=b"one\n"))
        tree = self.mirror.line("mktree", call=Call(stdin=f"100644 blob {blob}\tone\n".encode()))
        return self.mirror.commit_tree(tree, [], "base", _NOBODY, _WHEN)

    def trap(self) -> Path:
        """A program of the host's that says it was run."""
        path = self.place / "trap"
        path.write_text(f"#!/bin/sh\n: > '{self.sprung}'\ncat\n")
        path.chmod(0o755)
        return path

    async def plant(self, script: str, *arguments: str) -> None:
        """Have the agent of this bottle do its worst; ``arguments`` are the script's own."""
        argv = ("python3", "-I", "-S", "-c", f"import os, sys\nos.umask(0)\n{script}", *arguments)
        done = await self.bottle.exec(argv)
        if not done.ok:
            raise errors.Conflict(f"the bait could not be laid out: {names.shown(done.text()[-200:])}")

    async def save(self) -> Saved:
        """What the workspace holds, saved as a step is."""
        return await StepSaver(self.backend).save(
            self.bottle, self.mirror, parent=self.base, base=self.base, message="step", when=_WHEN
        )

    def everything(self) -> bytes:
        """Every object that the mirror holds."""
        return self.mirror.run("cat-file", "--batch", "--batch-all-objects", "--unordered").out


def duty(number: int) -> Callable[[Duty], Duty]:
    def register(function: Duty) -> Duty:
        DUTIES[number] = function
        return function

    return register


async def run(desk: Desk) -> dict[int, str | None]:
    """What each duty's bait got, by number; None where it could not be tried."""
    found: dict[int, str | None] = {}
    try:
        for number, each in DUTIES.items():
            await checkout(desk.backend, desk.bottle, desk.mirror, commit=desk.base)
            try:
                found[number] = await each(desk)
            except (errors.BoatwrightError, OSError):
                found[number] = None
    finally:
        await StepSaver(desk.backend).discard(desk.bottle.slug)
    return found


@duty(49)
async def objects_are_the_hosts_alone(desk: Desk) -> str:
    """Every object a bottle was given is overwritten in it; the mirror must not notice."""
    await desk.plant(
        "for top, _, files in os.walk('.git/objects'):\n"
        "    for name in files:\n"
        "        os.chmod(os.path.join(top, name), 0o666); open(os.path.join(top, name), 'w').write('x')"
    )
    checked = desk.mirror.run("fsck", "--strict", "--no-dangling", call=Call(ok=range(128)))
    return "the mirror is corrupt" if checked.code else ""


@duty(50)
async def links_are_not_followed(desk: Desk) -> str:
    """Links in the workspace to a file and a directory of the host."""
    await desk.plant(
        "key, home = sys.argv[1:]\n"
        "os.symlink(key, 'leak'); os.symlink(home, 'dir'); os.symlink('../' * 40 + key[1:], 'up')\n"
        "os.remove('one'); os.symlink(key, 'one')",
        str(desk.key),
        str(desk.key.parent),
    )
    saved = await desk.save()
    if desk.secret.encode() in desk.everything():
        return "the host's file was saved"
    unsaid = {"leak", "dir", "up"} - {finding.path for finding in saved.findings}
    return f"nobody was told of {', '.join(sorted(unsaid))}" if unsaid else ""


_PLANT_GIT = """\
trap = sys.argv[1]
os.makedirs('.git/hooks', exist_ok=True)
for name in ('post-checkout', 'pre-commit', 'post-index-change', 'reference-transaction', 'post-commit'):
    open('.git/hooks/' + name, 'w').write('#!/bin/sh\\n' + trap)
    os.chmod('.git/hooks/' + name, 0o755)
with open('.git/config', 'a') as config:
    config.write('[core]\\n\\tfsmonitor = %s\\n\\thooksPath = .git/hooks\\n\\tpager = %s\\n' % (trap, trap))
    config.write('[diff]\\n\\texternal = %s\\n' % trap)
    config.write('[filter "evil"]\\n\\tclean = %s\\n\\tsmudge = %s\\n\\tprocess = %s\\n' % (trap, trap, trap))
open('.gitattributes', 'w').write('* filter=evil diff=evil merge=evil text eol=crlf ident\\n')
open('two', 'w').write('two\\r\\n')
"""


@duty(51)
async def planted_git_runs_nothing(desk: Desk) -> str:
    """Hooks, a file system monitor, a pager, filters and a diff program in the workspace's own repository."""
    await desk.plant(_PLANT_GIT, str(desk.trap()))
    saved = await desk.save()
    desk.mirror.changed(desk.base, saved.commit)
    desk.mirror.diff_text(desk.base, saved.commit)
    desk.mirror.merge(desk.base, saved.commit)
    if desk.sprung.exists():
        return "a program of the workspace ran on the host"
    return "" if desk.mirror.read(saved.commit, "two") == b"two\r\n" else "a filter changed what was saved"


@duty(66)
async def no_name_is_too_wild(desk: Desk) -> str:
    """Names of 255 bytes, with line breaks, escapes and no encoding; a tree as deep as a path can be; absurd dates."""
    await desk.plant(
        "wild = [b'n' * 255, b'a\\nb', b'\\x1b[2J', b'\\xff\\xfe', b'-rf', b' ', '\\u202etxt.exe'.encode()]\n"
        "for name in wild: open(name, 'w').write('x')\n"
        "os.utime(b'-rf', (2**33, 2**33)); os.utime(b' ', (-2**31, -2**31))\n"
        "for _ in range(60): os.mkdir('d' * 60); os.chdir('d' * 60)\n"
        "open('end', 'w').write('x')"
    )
    saved = await desk.save()
    shown = " ".join((*saved.paths, *(f"{one.path} {one.observed}" for one in saved.findings)))
    if not all(character.isprintable() for character in shown):
        return "a name reached people raw"
    return "" if len(saved.paths) >= 7 else f"only {len(saved.paths)} of the files were saved"


@duty(67)
async def no_other_spelling_of_git(desk: Desk) -> str:
    """Directories that some file system takes for ``.git``."""
    spellings = (
        ".GIT",
        ".Git",
        "git~1",
        ".git ",
        ".git.",
        ".g\u200cit",
        ".git::$INDEX_ALLOCATION",
        "sub/.GIT",
    )
    await desk.plant(
        "for name in sys.argv[1:]:\n"
        "    os.makedirs(name, exist_ok=True); open(os.path.join(name, 'config'), 'w').write('[core]')",
        *spellings,
    )
    try:
        saved = await desk.save()
    except SaveFailed:
        return ""
    told = {finding.path for finding in saved.findings if finding.rule == "tree.git_entry"}
    kept = {entry.path for entry in desk.mirror.entries(saved.commit)}
    unsaid = [path for path in kept if any(map(means_git, path.split("/"))) and names.shown(path) not in told]
    return f"nobody was told of {names.shown(unsaid[0])}" if unsaid else ""


@duty(68)
async def an_archive_stays_inside(desk: Desk) -> str:
    """A forged archive whose names climb, are absolute, or pass through a link of their own to the host."""
    target, file = desk.place / "home", desk.place / "forged.tar.zst"
    await asyncio.to_thread(_forge, file, target, desk.backend.name)
    slug = f"{desk.bottle.slug}-thawed"
    try:
        await desk.backend.thaw(BottleSpec(slug, "verify"), file)
    except errors.BoatwrightError:
        pass  # refused, or tar gave up: both are fine
    finally:
        await desk.backend.destroy(slug)
    return "a file of the archive lies outside" if any(desk.place.rglob("escaped*")) else ""


def _forge(file: Path, target: Path, backend: str) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, link in (("workspace", ""), ("home/agent", ""), ("workspace/door", str(target))):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.mode = (
                (tarfile.SYMTYPE if link else tarfile.DIRTYPE),
                link,
                0o777,
            )
            tar.addfile(entry)
        climbing = f"workspace/{'../' * 30}{str(target)[1:]}/escaped-1"
        for name in (climbing, f"{target}/escaped-2", "workspace/door/escaped-3"):
            entry = tarfile.TarInfo(name)
            entry.size = 1
            tar.addfile(entry, io.BytesIO(b"x"))
    raw = content.getvalue()
    packed = zstandard.ZstdCompressor().compress(raw)
    manifest = archive.Manifest(
        slug="forged", backend=backend, architecture=platform.machine(), toolchain={}, created="",
        tar_bytes=len(raw),
    )  # fmt: skip
    digest = manifest.digest()
    digest.update(packed)
    told = json.loads(manifest.packed()) | {"sha256": digest.hexdigest()}
    head = struct.pack("<II", archive.SKIPPED, archive.HEADER - 8)
    file.write_bytes(head + json.dumps(told, sort_keys=True).encode().ljust(archive.HEADER - 8) + packed)


@duty(71)
async def escapes_are_shown(desk: Desk) -> str:
    """Words that would move a cursor, rename a window, paste, or turn the reading direction."""
    wild = "\x1b[2J\x1b]0;owned\x07\x1b]52;c;b3duZWQ=\x07\x9b31m\r\b\u202e\u2028 done"
    done = await desk.bottle.exec(("printf", "%s", wild))
    said = done.text()
    if "\x1b" not in said:
        raise errors.Conflict("the bottle's words did not arrive")
    if not all(character.isprintable() or character in "\n\t" for character in desk.show(said)):
        return "a terminal would obey"
    path = desk.place / "proxy.log"
    Log(path, SystemClock()).line("denied", target=said)
    logged = path.read_bytes()
    return (
        ""
        if logged.count(b"\n") == 1 and logged.strip().isascii() and b"\x1b" not in logged
        else "a log would"
    )


@duty(72)
async def submodules_are_not_visited(desk: Desk) -> str:
    """A submodule whose address is a command, and one whose address is an option."""
    await desk.plant(
        "trap = sys.argv[1]\n"
        "open('.gitmodules', 'w').write('[submodule \"x\"]\\n\\tpath = x\\n\\turl = ext::%s\\n\\tupdate = !%s\\n'"
        "    '[submodule \"y\"]\\n\\tpath = y\\n\\turl = --upload-pack=%s\\n' % (trap, trap, trap))\n"
        "os.makedirs('x/.git'); open('x/.git/HEAD', 'w').write('ref: refs/heads/main\\n'); open('x/f', 'w').write('x')",
        str(desk.trap()),
    )
    try:
        saved = await desk.save()
    except SaveFailed:
        return "a program of the workspace ran on the host" if desk.sprung.exists() else ""
    await checkout(desk.backend, desk.bottle, desk.mirror, commit=saved.commit)
    if desk.sprung.exists():
        return "a program of the workspace ran on the host"
    told = {finding.rule for finding in saved.findings}
    return "" if "tree.gitmodules" in told else "nobody was told of .gitmodules"

"""The git gate, with git itself at the other end: what may be fetched, what may be pushed, and every way it is refused."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from boatwright.config.paths import StateDir
from boatwright.egress.upstream import open_unix
from boatwright.git import names
from boatwright.git.mirror import Mirror
from boatwright.scan.protocol import Blob, CouldNotCheck, Leak
from boatwright.sidecar import beside
from boatwright.sidecar.gate import Gate
from boatwright.sidecar.gate_repository import GateRepository, Source

TOKEN = "f" * 32
CANARY = "canary-4f1d9c-secret"
CLEAN = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
}
WHO = ("-c", "user.name=Someone", "-c", "user.email=someone@localhost", "-c", "protocol.version=2")


@dataclass
class Finder:
    """A scanner that knows one secret, and remembers what it was shown."""

    name: str = "finder"
    seen: list[Blob] = field(default_factory=list)
    broken: bool = False

    def scan(self, blobs: Sequence[Blob]) -> tuple[Leak, ...]:
        if self.broken:
            raise CouldNotCheck("the scanner is away")
        self.seen += blobs
        return tuple(
            Leak(each.name, 1, "canary", "[20 characters, redacted]")
            for each in blobs
            if CANARY.encode() in each.data
        )


@dataclass
class World:
    """A repository of the host's, its mirror, a gate before it, and a clone inside."""

    root: Path
    mirror: Mirror
    base: str
    hidden: str
    finder: Finder
    repository: GateRepository
    port: int = 0

    def url(self, token: str = TOKEN) -> str:
        return f"http://127.0.0.1:{self.port}/{token}/repository.git"

    async def git(self, *arguments: str, ok: bool = True, at: str = "clone") -> str:
        process = await asyncio.create_subprocess_exec(
            "git", *WHO, "-C", str(self.root / at), *arguments, env={**CLEAN, "HOME": str(self.root)},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate()
        assert (process.returncode == 0) is ok, said.decode()
        return said.decode()

    async def cloned(self) -> None:
        await self.git("clone", "--quiet", self.url(), str(self.root / "clone"), at=".")

    async def commit(self, path: str, text: str, message: str = "More") -> str:
        (self.root / "clone" / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / "clone" / path).write_text(text)
        await self.git("add", "--all")
        await self.git("commit", "--quiet", "-m", message)
        return (await self.git("rev-parse", "HEAD")).strip()

    async def refused(self, *what: str) -> str:
        """A push that must be refused and leave nothing."""
        before = self.pushed()
        said = await self.git("push", self.url(), *what, ok=False)
        assert self.pushed() == before
        return said

    def pushed(self) -> dict[str, str]:
        return self.mirror.refs(names.pushed("alone"))


@contextlib.asynccontextmanager
async def listening(socket: str) -> AsyncIterator[int]:
    """What the forwarder and the wire do together: a port of loopback that leads to the service."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await open_unix(Path(socket))
        head = await reader.readuntil(b"\r\n\r\n")
        back.write(head[:-2] + b"x-boatwright-wire: w1\r\nconnection: close\r\n\r\n")

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while data := await source.read(65536):
                    target.write(data)
                    await target.drain()

        up = asyncio.create_task(copy(reader, back))
        await copy(there, writer)
        writer.close()
        back.close()
        up.cancel()

    server = await asyncio.start_server(carry, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def run(at: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *WHO, "-C", str(at), *arguments], env=CLEAN, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    origin = tmp_path / "origin"
    origin.mkdir()
    run(origin, "init", "--quiet", "--initial-branch=main")
    (origin / "a.txt").write_text("one\n")
    run(origin, "add", "--all")
    run(origin, "commit", "--quiet", "-m", "First")
    base = run(origin, "rev-parse", "HEAD")
    (origin / "later.txt").write_text("what no agent may see\n")
    run(origin, "add", "--all")
    run(origin, "commit", "--quiet", "-m", "Later")
    hidden = run(origin, "rev-parse", "HEAD")
    state = StateDir(tmp_path / "state").create()
    mirror = Mirror.open(state, "r-00000000", origin)
    mirror.fetch(hidden)
    finder = Finder()
    async with beside.folder(state, "w1") as place:
        repository = GateRepository(
            place / "repository.git", Source(mirror, base, "alone"), finder, most_bytes=1 << 20
        )
        gate = Gate(repository, TOKEN, place)
        async with (
            beside.serving(place, "w1", [gate.offer(1 << 20)]) as told,
            listening(told["git"].socket) as port,
        ):
            made = World(tmp_path, mirror, base, hidden, finder, repository, port)
            await made.cloned()
            yield made


async def test_a_clone_has_the_history_of_the_base_and_nothing_later(world: World) -> None:
    assert (await world.git("rev-parse", "HEAD")).strip() == world.base
    assert "refs/heads/base" in await world.git("ls-remote", world.url())
    said = await world.git("fetch", world.url(), world.hidden, ok=False)
    assert "not our ref" in said
    await world.git("cat-file", "-e", world.hidden, ok=False)


async def test_a_push_is_kept_for_a_person_and_seen_by_the_next_fetch(world: World) -> None:
    tip = await world.commit("b.txt", "two\n")
    said = await world.git("push", world.url(), "HEAD:refs/heads/agent/work")
    assert "boatwright: agent/work is kept for a person to look at" in said
    assert world.pushed() == {names.pushed("alone", "work"): tip}
    assert world.mirror.read(tip, "b.txt") == b"two\n"
    assert {each.name for each in world.finder.seen} == {"b.txt", f"message of commit {tip[:12]}"}
    assert "agent/work" in await world.git("ls-remote", world.url())
    more = await world.commit("c.txt", "three\n")
    await world.git("push", world.url(), "HEAD:refs/heads/agent/work")
    assert world.pushed() == {names.pushed("alone", "work"): more}


async def test_a_branch_of_its_own_may_be_forced_and_removed(world: World) -> None:
    await world.commit("b.txt", "two\n")
    await world.git("push", world.url(), "HEAD:refs/heads/agent/work")
    await world.git("reset", "--quiet", "--hard", world.base)
    other = await world.commit("c.txt", "other\n")
    assert "rejected" in await world.refused(
        "HEAD:refs/heads/agent/work"
    )  # git itself says it is no fast-forward
    await world.git("push", "--force", world.url(), "HEAD:refs/heads/agent/work")
    assert list(world.pushed().values()) == [other]
    await world.git("push", world.url(), ":refs/heads/agent/work")
    assert world.pushed() == {}


async def test_a_gate_made_anew_knows_what_was_pushed(world: World, tmp_path: Path) -> None:
    tip = await world.commit("b.txt", "two\n")
    await world.git("push", world.url(), "HEAD:refs/heads/agent/work")
    again = GateRepository(
        tmp_path / "again.git", Source(world.mirror, world.base, "alone"), Finder(), most_bytes=1 << 20
    )
    assert again.refs()["refs/heads/agent/work"] == tip and again.ready().has(tip)
    assert not again.ready().has(world.hidden)
    other = GateRepository(
        tmp_path / "other.git", Source(world.mirror, world.base, "other"), Finder(), most_bytes=1 << 20
    )
    assert list(other.refs()) == ["refs/heads/base"] and not other.ready().has(tip)


@pytest.mark.parametrize(
    "ref",
    [
        "refs/heads/main",
        "refs/heads/base",
        "refs/heads/agentx",
        "refs/tags/agent/v1",
        "refs/boatwright/work/x",
        "refs/heads/agent/a..b",
    ],
)
async def test_no_other_ref_is_pushed_to(world: World, ref: str) -> None:
    await world.commit("b.txt", "two\n")
    if ".." in ref:
        await world.git("push", world.url(), f"HEAD:{ref}", ok=False)
        return
    assert "only branches below agent/" in await world.refused("--force", f"HEAD:{ref}")


async def test_half_a_push_is_none(world: World) -> None:
    await world.commit("b.txt", "two\n")
    await world.refused("HEAD:refs/heads/agent/work", "HEAD:refs/heads/main")


@pytest.mark.parametrize("where", ["file", "deleted again", "message"])
async def test_a_secret_in_any_commit_refuses_the_push(world: World, where: str) -> None:
    if where == "message":
        await world.commit("b.txt", "two\n", CANARY)
    else:
        await world.commit("keys/b.txt", f"{CANARY}\n")
    if where == "deleted again":
        await world.commit("keys/b.txt", "nothing\n")
    said = await world.refused("HEAD:refs/heads/agent/work")
    assert "canary [20 characters, redacted]" in said and CANARY not in said.replace("-m", "")
    assert ("message of commit" if where == "message" else "keys/b.txt:1") in said


async def test_what_cannot_be_scanned_is_not_taken(world: World) -> None:
    world.finder.broken = True
    await world.commit("b.txt", "two\n")
    assert "could not be checked for secrets: the scanner is away" in await world.refused(
        "HEAD:refs/heads/agent/work"
    )


async def test_a_push_that_is_too_large_is_refused(world: World) -> None:
    (world.root / "clone" / "big").write_bytes(os.urandom(2 << 20))
    await world.git("add", "--all")
    await world.git("commit", "--quiet", "-m", "Big")
    await world.git(
        "-c", "http.postBuffer=8388608", "push", world.url(), "HEAD:refs/heads/agent/work", ok=False
    )
    assert world.pushed() == {}


@pytest.mark.parametrize(
    ("target", "said"),
    [("/etc/passwd", "leaves the tree"), ("../../x", "leaves the tree"), (".git/config", "leaves the tree")],
)
async def test_a_link_that_leaves_the_tree_is_refused(world: World, target: str, said: str) -> None:
    (world.root / "clone" / "link").symlink_to(target)
    await world.git("add", "--all")
    await world.git("commit", "--quiet", "-m", "Link")
    assert said in await world.refused("HEAD:refs/heads/agent/work")


async def tree(world: World, *entries: bytes) -> str:
    """A commit on the base of a tree that git itself would not make."""
    blob = (await world.git("hash-object", "-w", "a.txt")).strip()
    raw = b"".join(entry + b"\0" + bytes.fromhex(blob) for entry in entries)
    (world.root / "raw").write_bytes(raw)
    oid = (await world.git("hash-object", "-t", "tree", "-w", "--literally", str(world.root / "raw"))).strip()
    return (await world.git("commit-tree", oid, "-p", world.base, "-m", "Odd")).strip()


@pytest.mark.parametrize(
    "entry",
    [b"100644 .git", b"100644 .GIT", b"100644 git~1", b"100644 ..", b"100664 a/b", b"100644 .gitmodules"],
)
async def test_a_tree_that_would_harm_whoever_lays_it_out_is_refused(world: World, entry: bytes) -> None:
    commit = await tree(world, entry)
    await world.refused(f"{commit}:refs/heads/agent/work")


async def test_a_broken_commit_is_refused(world: World) -> None:
    (world.root / "raw").write_bytes(b"tree " + b"0" * 40 + b"\nauthor nobody\n\nx\n")
    oid = (
        await world.git("hash-object", "-t", "commit", "-w", "--literally", str(world.root / "raw"))
    ).strip()
    await world.git("push", world.url(), f"{oid}:refs/heads/agent/work", ok=False)
    assert world.pushed() == {}


async def test_a_history_that_does_not_begin_at_the_base_is_refused(world: World) -> None:
    await world.git("checkout", "--quiet", "--orphan", "alone")
    await world.commit("b.txt", "two\n")
    assert "does not build on the base" in await world.refused("HEAD:refs/heads/agent/work")


async def test_a_tag_is_no_branch(world: World) -> None:
    await world.git("tag", "-a", "-m", "x", "v1")
    assert "only commits are pushed" in await world.refused("refs/tags/v1:refs/heads/agent/work")


@pytest.mark.parametrize("token", ["0" * 32, "", "f" * 31, "%66" * 33])
async def test_another_bottles_token_opens_nothing(world: World, token: str) -> None:
    for verb in (("ls-remote",), ("push",)):
        said = await world.git(
            *verb,
            world.url(token or "x"),
            *(["HEAD:refs/heads/agent/work"] if verb == ("push",) else []),
            ok=False,
        )
        assert "not found" in said.lower() or "404" in said


async def raw(world: World, path: str, body: bytes) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(
        f"POST /{TOKEN}/repository.git/{path} HTTP/1.1\r\nhost: h\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        + body
    )
    said = await reader.read()
    writer.close()
    return int(said.split()[1]), said.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    "body",
    [b"junk", b"0004", b"zzzz", b"fffffff", b"0014push-cert\0x y z\n0000", b"0035shallow " + b"0" * 40 + b"\n0000",
     b"0005" + b"x" + b"0000"],
)  # fmt: skip
async def test_what_git_would_not_send_is_no_push(world: World, body: bytes) -> None:
    assert (await raw(world, "git-receive-pack", body))[0] == 400
    assert world.pushed() == {}


async def test_a_client_that_asks_first_is_told_it_may(world: World) -> None:
    assert await raw(world, "git-receive-pack", b"0000") == (200, b"")


async def test_a_ref_that_is_not_where_the_client_believes_stays(world: World) -> None:
    tip = await world.commit("b.txt", "two\n")
    await world.git("push", world.url(), "HEAD:refs/heads/agent/work")
    command = f"{'1' * 40} {tip} refs/heads/agent/work\0report-status".encode()
    status, said = await raw(world, "git-receive-pack", b"%04x%s0000" % (len(command) + 4, command))
    assert status == 200 and b"ng refs/heads/agent/work it has moved meanwhile" in said


async def test_an_object_that_never_came_cannot_be_named(world: World) -> None:
    """The mirror has the later commit, and the bottle knows its id: that is no way to it."""
    command = f"{'0' * 40} {world.hidden} refs/heads/agent/work\0report-status".encode()
    for tail in (
        b"",
        b"PACK\0\0\0\2\0\0\0\0\x02\x9d\x08\x82;\xd8\xa8\xea\xb5\x10\xadj\xc7\\\x82<\xfd>\xd3\x1e",
    ):
        status, said = await raw(
            world, "git-receive-pack", b"%04x%s0000%s" % (len(command) + 4, command, tail)
        )
        assert status == 200 and b"ng refs/heads/agent/work" in said
    assert world.pushed() == {}

"""System packages under a bottle's /usr: from a package source on this disk, by the host's own apt, into a real bottle."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from boatwright import errors
from boatwright.bottle import archive, binary
from boatwright.bottle.backends.bubblewrap import Bubblewrap
from boatwright.bottle.backends.container import Container
from boatwright.bottle.backends.host import Task
from boatwright.bottle.packages import host, providing, trees
from boatwright.bottle.packages.trees import Tree
from boatwright.bottle.protocol import BottleSpec
from boatwright.config.paths import StateDir
from boatwright.testing.debian import Member, Source, link
from boatwright.values.clock import SystemClock, SystemIds
from boatwright.values.process import Limits

GREETING = b"#!/bin/sh\necho hello\n"


@pytest.fixture
def source(state: StateDir) -> Source:
    """A package ``greeting`` that needs ``words``, and a host that has ``base``."""
    made = Source(state.root / "source")
    made.add("greeting", {"usr/bin/greeting": GREETING, "etc/greeting.conf": b"x"}, depends="words")
    made.add("words", {"lib/words.txt": b"words\n"})
    made.installed("base")
    return made


@pytest.fixture
async def laying(source: Source, state: StateDir) -> AsyncIterator[Bubblewrap]:
    made = Bubblewrap(
        state, clock=SystemClock(), ids=SystemIds(), environment={**os.environ, **source.publish()}
    )
    assert host.missing(made) is None, "these tests need apt and a bwrap with overlays"
    yield made
    for slug in await made.list():
        await made.destroy(slug)


async def provide(backend: Bubblewrap, *names: str, **more: Any) -> Tree:
    found = await providing.provide(backend, names or ("greeting",), limits=Limits(), **more)
    assert found is not None
    return found


async def inside(backend: Bubblewrap, tree: Tree, script: str, **more: Any) -> str:
    bottle = await backend.create(BottleSpec("looks", "test", packages=tree.key))
    return (await bottle.exec(["sh", "-c", script], **more)).text()


def below(state: StateDir) -> list[str]:
    return sorted(path.name for path in state.packages.iterdir() if not path.name.startswith(trees.LOCK))


async def test_a_package_and_what_it_needs_are_there_read_only(laying: Bubblewrap, state: StateDir) -> None:
    said: list[str] = []
    tree = await provide(laying, say=said.append)
    assert tree.pins == ("greeting=1.0", "words=1.0") and tree.left_out == ("/etc",)
    assert (
        said[-1]
        == "system packages: greeting=1.0, words=1.0; of theirs only what is below /usr, without /etc"
    )
    told = await inside(
        laying,
        tree,
        "greeting; cat /lib/words.txt; ls /etc/greeting.conf 2>/dev/null; touch /usr/bin/x || echo shut",
    )
    assert told.splitlines()[:2] == ["hello", "words"] and told.endswith("shut\n"), told
    assert sorted(below(state)) == sorted([tree.key, *(n for n in below(state) if n.startswith("for-"))])
    assert await laying.list() == ["looks"]


async def test_what_was_laid_is_used_again_without_asking_anybody(
    laying: Bubblewrap, source: Source, state: StateDir
) -> None:
    tree = await provide(laying)
    source.add("greeting", {"usr/bin/greeting": b"#!/bin/sh\necho newer\n"}, version="2.0")
    source.publish()
    again = Bubblewrap(state, clock=SystemClock(), ids=SystemIds(), environment=laying.host_environment)
    assert await provide(again) == tree
    newer = await provide(again, afresh=True)
    assert newer.pins == ("greeting=2.0",) and newer.key != tree.key
    assert await provide(again) == newer
    shutil.rmtree(source.root / "pool")
    assert await provide(again) == newer


async def test_what_this_host_has_is_not_fetched(laying: Bubblewrap) -> None:
    assert await providing.provide(laying, ("base",), limits=Limits()) is None


async def test_the_hosts_own_files_win(laying: Bubblewrap, source: Source) -> None:
    shell = Path("/usr/bin/env").read_bytes()
    source.add("greedy", {"usr/bin/env": b"no", "bin/greedy": GREETING})
    source.publish()
    tree = await provide(laying, "greedy")
    bottle = await laying.create(BottleSpec("looks", "test", packages=tree.key))
    assert (await bottle.exec(["cat", "/usr/bin/env"])).output[:64] == shell[:64]
    assert (await bottle.exec(["greedy"])).text() == "hello\n"


async def test_work_of_ours_runs_without_them(laying: Bubblewrap) -> None:
    assert (
        await inside(laying, await provide(laying), "command -v greeting || echo none", tools=True)
        == "none\n"
    )


async def test_no_package_makes_anybody_another_user(laying: Bubblewrap, source: Source) -> None:
    source.add("rooted", [Member("usr/bin/rooted", GREETING, 0o6755), Member("usr/bin/shut", b"x", 0o111)])
    source.publish()
    tree = await provide(laying, "rooted")
    for name in ("rooted", "shut"):
        found = (tree.path / "bin" / name).stat()
        assert stat.S_IMODE(found.st_mode) == 0o755 and found.st_uid == os.geteuid()
    assert await inside(laying, tree, "find /usr/bin/rooted -perm /6000; id -u") == "1000\n"


@pytest.mark.parametrize(
    "members",
    [
        [link("usr", "/")],
        [link("usr", "/"), Member("usr/evil", b"x")],
        [link("bin", "OUTSIDE")],
        [
            Member("usr/", kind=tarfile.DIRTYPE, mode=0o755),
            link("usr/out", "OUTSIDE"),
            Member("usr/out/evil", b"x"),
        ],
        [Member("../../../../../../OUTSIDE/evil", b"x")],
        [Member("usr/../../../../../OUTSIDE/evil", b"x")],
        [Member("usr/pipe", kind=tarfile.FIFOTYPE)],
        [Member("usr/bin", b"a file"), Member("bin/x", b"x")],
    ],
    ids=["link", "through-link", "bin-link", "through-inner-link", "dots", "inner-dots", "pipe", "twice"],
)
async def test_a_hostile_archive_writes_nowhere_else_and_is_refused(
    laying: Bubblewrap, source: Source, state: StateDir, members: list[Member]
) -> None:
    outside = state.root / "outside"
    outside.mkdir(mode=0o777)
    outside.chmod(0o777)
    at = str(outside)
    source.add(
        "hostile",
        [
            Member(
                m.name.replace("OUTSIDE", at[1:]), m.content, m.mode, m.kind, m.target.replace("OUTSIDE", at)
            )
            for m in members
        ],
    )
    source.publish()
    with pytest.raises(errors.Parked) as parked:
        await provide(laying, "hostile")
    assert parked.value.code == "packages"
    assert not list(outside.iterdir()) and not Path("/evil").exists()
    assert below(state) == [] and await laying.list() == []


async def test_a_link_of_one_package_is_no_way_for_the_next(
    laying: Bubblewrap, source: Source, state: StateDir
) -> None:
    outside = state.root / "outside"
    outside.mkdir()
    outside.chmod(0o777)
    source.add("first", [link("usr/share/way", str(outside))])
    source.add("second", {"usr/share/way/evil": b"x"}, depends="first")
    source.publish()
    with pytest.raises(errors.Parked, match="disagree about /usr/share/way"):
        await provide(laying, "second")
    assert not list(outside.iterdir())


async def test_links_lead_nowhere_a_bottle_could_not_go(
    laying: Bubblewrap, source: Source, state: StateDir
) -> None:
    secret = state.root / "secret"
    secret.write_text("the host's own")
    secret.chmod(0o644)
    source.add(
        "links",
        [link("usr/share/a", str(secret)), link("usr/share/b", "../../../../../../" + str(secret)[1:]),
         link("usr/share/c", "/etc/shadow"), link("usr/share/d", "/oldroot" + str(secret)), link("usr/share/e", "/")],
    )  # fmt: skip
    source.publish()
    tree = await provide(laying, "links")
    assert (tree.path / "share" / "a").is_symlink()
    told = await inside(
        laying,
        tree,
        f"cd /usr/share; cat a b c d e{secret} 2>/dev/null; cat /usr/share/e/etc/passwd | head -n1",
    )
    assert told == "root:x:0:0:root:/:/usr/sbin/nologin\n"


@pytest.mark.parametrize("how", ["removed", "changed", "added", "emptied", "unwritten", "replaced"])
async def test_a_tree_that_is_not_what_was_kept_is_made_again(laying: Bubblewrap, how: str) -> None:
    tree = await provide(laying)
    file = tree.path / "bin" / "greeting"
    before = file.stat()
    if how == "removed":
        file.unlink()
    elif how == "changed":
        file.write_bytes(GREETING.replace(b"hello", b"howdy"))
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif how == "added":
        (tree.path / "lib" / "more").write_text("x")
    elif how == "emptied":
        shutil.rmtree(tree.path.parent)
    elif how == "unwritten":
        (tree.path.parent / trees.RECORD).write_text("{")
    else:
        tree.path.rename(tree.path.with_name("away"))
        tree.path.symlink_to("/")
    assert trees.find(laying.state, tree.key) is None
    assert await provide(laying) == tree
    assert await inside(laying, tree, "greeting") == "hello\n"


async def test_a_bottle_whose_tree_is_gone_starts_nothing(laying: Bubblewrap) -> None:
    tree = await provide(laying)
    bottle = await laying.create(BottleSpec("looks", "test", packages=tree.key))
    trees.discard(laying.state, tree.key)
    with pytest.raises(errors.MissingPart, match="system packages of the bottle looks are not on this host"):
        await bottle.exec(["true"])
    (laying.state.packages / tree.key).mkdir()
    (laying.state.packages / tree.key / "usr").symlink_to("/")
    with pytest.raises(errors.MissingPart):
        await bottle.exec(["true"])


async def test_what_is_gone_comes_from_the_same_archives_or_not_at_all(
    laying: Bubblewrap, source: Source
) -> None:
    tree = await provide(laying)
    trees.discard(laying.state, tree.key)
    source.add("greeting", {"usr/bin/greeting": b"#!/bin/sh\necho other\n"}, depends="words")
    source.publish()
    with pytest.raises(errors.Parked, match="now give other archives"):
        await provide(laying)
    source.add("greeting", {"usr/bin/greeting": b"#!/bin/sh\necho newer\n"}, version="2.0")
    source.publish()
    with pytest.raises(
        errors.Parked, match="could not be fetched: Version '1.0' for 'greeting' was not found"
    ):
        await provide(laying)
    assert (await provide(laying, afresh=True)).pins == ("greeting=2.0",)


async def test_an_archive_that_is_not_what_the_list_says_is_refused(
    laying: Bubblewrap, source: Source
) -> None:
    archive_file = source.root / "pool" / "words_1.0_amd64.deb"
    content = bytearray(archive_file.read_bytes())
    content[-1] ^= 1
    archive_file.write_bytes(content)
    with pytest.raises(errors.Parked):
        await provide(laying)
    assert below(laying.state) == []


async def test_what_needs_another_version_of_what_is_there_is_refused(
    laying: Bubblewrap, source: Source
) -> None:
    source.add("base", {"usr/share/base": b"2"}, version="2.0")
    source.add("modern", {"usr/share/modern": b"x"}, depends="base (>= 2.0)")
    source.publish()
    with pytest.raises(errors.Parked, match="would need base 2.0, and this host has 1.0"):
        await provide(laying, "modern")


@pytest.mark.parametrize("name", ["nobody-knows", "greetin.", "virtual"])
async def test_a_name_that_is_no_package_is_refused(laying: Bubblewrap, name: str) -> None:
    with pytest.raises(errors.Parked) as parked:
        await provide(laying, name)
    assert name in str(parked.value) and "apt-get update" in str(parked.value.next_moves)


async def test_two_at_once_make_one(laying: Bubblewrap, state: StateDir) -> None:
    other = Bubblewrap(state, clock=SystemClock(), ids=SystemIds(), environment=laying.host_environment)
    said: list[str] = []
    made = await asyncio.gather(*(provide(each, say=said.append) for each in (laying, other, laying)))
    assert made[0] == made[1] == made[2]
    assert len([line for line in said if line == "system packages: greeting"]) == 1


async def test_what_a_killed_one_left_is_swept(laying: Bubblewrap, state: StateDir) -> None:
    tree = await provide(laying)
    wish = next(name for name in below(state) if name.startswith("for-")).removeprefix("for-")
    trees.discard(state, tree.key)
    left = state.packages / f".making-{wish}-0" / "tree" / "usr"
    left.mkdir(parents=True)
    await laying.create(BottleSpec(providing.slug(wish), "packages"))
    assert await provide(laying) == tree
    assert not left.exists() and await laying.list() == []


async def test_frozen_and_thawed_it_has_them_again(laying: Bubblewrap, state: StateDir) -> None:
    tree = await provide(laying)
    spec = BottleSpec("looks", "test", packages=tree.key)
    bottle = await laying.create(spec)
    await bottle.exec(["sh", "-c", "greeting > said"])
    frozen = state.root / "frozen"
    await laying.freeze("looks", frozen)
    await laying.destroy("looks")
    assert archive.check(frozen, backend="bubblewrap")
    thawed = await laying.thaw(spec, frozen)
    assert (await thawed.exec(["sh", "-c", "cat said; greeting"])).text() == "hello\nhello\n"
    later = Bubblewrap(state, clock=SystemClock(), ids=SystemIds(), environment=laying.host_environment)
    opened = await later.open("looks")
    assert opened is not None and opened.spec.packages == tree.key
    assert (await opened.exec(["greeting"])).text() == "hello\n"


async def test_a_bottle_written_down_before_there_were_packages_has_none(laying: Bubblewrap) -> None:
    bottle = await laying.create(BottleSpec("old", "test"))
    meta = bottle.place.root / "meta.json"
    meta.write_text(meta.read_text().replace('"packages": "", ', ""))
    assert '"packages"' not in meta.read_text()
    later = Bubblewrap(laying.state, clock=SystemClock(), ids=SystemIds())
    opened = await later.open("old")
    assert opened is not None and opened.spec.packages == ""


async def test_a_container_never_leaves_them_out_in_silence(state: StateDir) -> None:
    containers = Container(state, clock=SystemClock(), ids=SystemIds())
    bottle = await containers.create(BottleSpec("looks", "test", packages="a" * 24))
    with pytest.raises(errors.MissingPart, match="a container cannot lay them"):
        containers.line(bottle.place, Task(("true",)))
    await containers.destroy("looks")


class TestAHostThatCannot:
    """Each reason by its name, before anything is fetched."""

    async def refused(self, backend: Bubblewrap) -> tuple[str, str]:
        with pytest.raises(errors.MissingPart) as missing:
            await providing.refuse_impossible(backend, ("greeting",))
        with pytest.raises(errors.Parked) as parked:
            await provide(backend)
        assert str(parked.value) == str(missing.value) and parked.value.code == "packages"
        assert "install them on this host: apt-get install greeting" in missing.value.next_moves
        assert host.told(backend).startswith("missing: ")
        return str(missing.value), " ".join(missing.value.next_moves)

    async def test_no_apt(self, state: StateDir, tmp_path: Path) -> None:
        backend = Bubblewrap(state, clock=SystemClock(), ids=SystemIds(), environment={"PATH": str(tmp_path)})
        said, _ = await self.refused(backend)
        assert "not all of apt-get, apt-config, dpkg-deb are on this host" in said

    async def test_a_bwrap_without_overlays(self, laying: Bubblewrap) -> None:
        old = laying.bwrap
        laying.__dict__["bwrap"] = binary.Bwrap(old.path, old.flags - {"--ro-overlay"}, old.digest)
        said, moves = await self.refused(laying)
        assert "has no --ro-overlay" in said and "BOATWRIGHT_BWRAP" in moves

    async def test_a_kernel_without_overlays(
        self, laying: Bubblewrap, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(host.doctor, "trial", lambda backend, lower: "Can't make overlay mount: EPERM")
        said, moves = await self.refused(laying)
        assert "a trial bottle with an overlay on /usr did not start: Can't make overlay" in said
        assert "5.11" in moves

    async def test_but_what_it_has_it_has(self, laying: Bubblewrap) -> None:
        laying.__dict__["bwrap"] = binary.Bwrap(laying.bwrap.path, frozenset(), "")
        await providing.refuse_impossible(laying, ("base",))
        assert await providing.provide(laying, ("base",), limits=Limits()) is None


async def test_the_trial_is_remembered(laying: Bubblewrap) -> None:
    assert host.told(laying) == "laid under a bottle's /usr"
    assert [path for path in laying.state.run.iterdir() if path.name.startswith("bwrap-works-")]

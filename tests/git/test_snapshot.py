"""Saving steps from a real bottle: what is kept, what is left out, what is never believed."""

from __future__ import annotations

import asyncio
import os
import re
from datetime import UTC, datetime

import pytest

from boatwright.bottle.checkout import checkout
from boatwright.bottle.snapshot import SaveFailed, StepCaps, StepSaver, saver_slug

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Desk:
    """An agent at work: shell in, steps out."""

    def __init__(self, backend, bottle, mirror, base) -> None:
        self.backend, self.bottle, self.mirror, self.base = backend, bottle, mirror, base
        self.saver = StepSaver(backend)
        self.parent = base

    async def sh(self, script: str, **more) -> str:
        ran = await self.bottle.exec(["bash", "-c", "set -e\n" + script], **more)
        assert ran.ok, ran.text()
        return ran.text()

    async def save(self, *, step: bool = True, **more):
        saved = await self.saver.save(
            self.bottle, self.mirror, parent=self.parent, base=self.base, message="step", when=WHEN, **more
        )
        if step:
            self.parent = saved.commit
        return saved

    def files(self, commit: str) -> dict[str, bytes | None]:
        return {path: self.mirror.read(commit, path, 1 << 30) for path in self.mirror.paths(commit)}

    def rules(self, saved) -> list[tuple[str, str]]:
        return sorted((finding.rule, finding.path) for finding in saved.findings)


START = {"README": b"hello\n", "src/a.py": b"a = 1\n", "tests/test_a.py": b"assert True\n"}


@pytest.fixture
async def desk(backend, bottle, mirror):
    base = mirror.fetch()
    await checkout(backend, bottle, mirror, commit=base)
    return Desk(backend, bottle, mirror, base)


async def test_steps_follow_each_other_and_redo_gives_the_same_id(desk):
    nothing = await desk.save()
    assert (nothing.commit, nothing.changed, nothing.findings) == (desk.base, False, ())
    await desk.sh(
        "echo 'a = 2' > src/a.py; mkdir -p deep/er; echo n > deep/er/new; rm README; chmod +x tests/test_a.py"
    )
    one = await desk.save(step=False)
    again = await desk.save()
    assert one.commit == again.commit
    assert one.changed and one.findings == ()
    assert one.paths == ("README", "deep/er/new", "src/a.py", "tests/test_a.py")
    assert desk.files(one.commit) == {
        "src/a.py": b"a = 2\n",
        "deep/er/new": b"n\n",
        "tests/test_a.py": b"assert True\n",
    }
    assert desk.mirror.parents(one.commit) == (desk.base,)
    assert desk.mirror.entry(one.commit, "tests/test_a.py").mode == "100755"
    await desk.sh("rm -r deep; echo file > deep; rm -r src; ln -s tests src")
    two = await desk.save()
    assert desk.files(two.commit) == {"deep": b"file\n", "src": b"tests", "tests/test_a.py": b"assert True\n"}
    assert desk.mirror.parents(two.commit) == (one.commit,)
    await desk.sh("rm deep src; mkdir -p deep/er src; echo n > deep/er/new; echo 'a = 2' > src/a.py")
    three = await desk.save()
    assert three.tree == one.tree
    assert not (await desk.save()).changed


async def test_an_edit_of_the_same_size_in_the_same_second_is_seen(desk):
    for number in range(12):
        await desk.sh(f"printf {number:03d} > src/a.py; printf {number:03d} > other{number % 2}")
        saved = await desk.save()
        assert desk.mirror.read(saved.commit, "src/a.py") == f"{number:03d}".encode()
        assert "src/a.py" in saved.paths


async def test_what_git_was_told_inside_is_not_believed(desk):
    await desk.sh("""
        echo 'src/
*.py
/deep' > .gitignore
        cp .gitignore .git/info/exclude
        printf '*.txt filter=evil eol=crlf ident\\n*.u16 working-tree-encoding=UTF-16\\n' > .gitattributes
        git config filter.evil.clean 'touch /tmp/evil; cat'
        git config core.fsmonitor 'touch /tmp/evil'
        printf 'a\\nb\\r\\n$Id$\\n' > x.txt; echo plain > y.u16
        mkdir deep; echo d > deep/d.py; echo 'a = 5' > src/a.py; echo b > src/b.py
        git update-index --assume-unchanged README; echo changed > README
        git update-index --skip-worktree tests/test_a.py; echo changed > tests/test_a.py
    """)
    files = desk.files((await desk.save()).commit)
    assert files["x.txt"] == b"a\nb\r\n$Id$\n"
    assert files["y.u16"] == b"plain\n"
    assert {files[path] for path in ("README", "tests/test_a.py")} == {b"changed\n"}
    assert {"deep/d.py", "src/a.py", "src/b.py", ".gitignore", ".gitattributes"} < set(files)


async def test_ignore_rules_come_from_the_base_and_the_host(backend, bottle, mirror, repo):
    base = repo.commit({
        ".gitignore": "*.log\n!keep.log\n/build/\n", "sub/.gitignore": "/gen\n*.tmp\r\n!keep.tmp\n", "sub/x": "x", "kept.log": "",
    })  # fmt: skip
    repo.git("add", "-f", "kept.log")
    base = repo.commit(message="tracked although ignored")
    mirror.fetch()
    await checkout(backend, bottle, mirror, commit=base)
    desk = Desk(backend, bottle, mirror, base)
    await desk.sh("""
        echo '!*.log' > .gitignore
        for f in a.log keep.log kept.log build/o sub/build/o sub/gen sub/deep/gen sub/y.tmp \
                 sub/deep/y.tmp sub/keep.tmp y.tmp node_modules/m/i.js .venv/bin/python \
                 src/__pycache__/a.pyc sub/new; do
            mkdir -p $(dirname $f); echo content > $f
        done
    """)
    saved = await desk.save()
    new = set(mirror.paths(saved.commit)) - set(mirror.paths(base))
    assert new == {"keep.log", "sub/build/o", "sub/deep/gen", "sub/keep.tmp", "y.tmp", "sub/new"}
    assert mirror.read(saved.commit, "kept.log") == b"content\n"
    await desk.sh("echo more > other.log")
    assert "other.log" in mirror.paths((await desk.save(ignore=b"")).commit)


async def test_repositories_inside_keep_their_files(desk):
    await desk.sh("""
        git init -q lib/one; echo 1 > lib/one/f; mkdir -p lib/one/node_modules lib/one/deep
        echo 2 > lib/one/deep/g; echo i > lib/one/node_modules/i
        git init -q lib/one/inner; echo 3 > lib/one/inner/h
        git -C lib/one -c user.name=a -c user.email=a@b commit -q --allow-empty -m x
        mkdir linked; echo 'gitdir: ../lib/one/.git' > linked/.git; echo 4 > linked/f
        git init -q --bare bare.git
        mkdir plain plain/.git; echo 5 > plain/f
        echo '*' > lib/one/.gitignore
    """)
    saved = await desk.save()
    files = desk.files(saved.commit)
    assert {p: files[p] for p in files if not p.startswith("bare.git/") and p not in START} == {
        "lib/one/.gitignore": b"*\n", "lib/one/f": b"1\n", "lib/one/deep/g": b"2\n", "lib/one/inner/h": b"3\n",
        "linked/f": b"4\n", "plain/f": b"5\n",
    }  # fmt: skip
    assert "bare.git/HEAD" in files
    assert {rule for rule, _ in desk.rules(saved)} == {"save.repository"}
    assert not any(finding.blocking for finding in saved.findings)
    await desk.sh("echo 6 > lib/one/late; echo 1b > lib/one/f; rm -r lib/one/inner")
    files = desk.files((await desk.save()).commit)
    assert (files["lib/one/late"], files["lib/one/f"]) == (b"6\n", b"1b\n")
    assert "lib/one/inner/h" not in files


async def test_odd_names(desk):
    await desk.sh(r"""
        echo 1 > $'new\nline'; echo 2 > $'bad\xff\xfename'; echo 3 > ' lead'; echo 4 > 'trail '; echo 5 > '"quoted"'
        echo 6 > -x; echo 7 > ':(top)x'; echo 8 > 'a*?[b]'; echo 9 > $'tab\t'; mkdir 'd d'; echo 10 > 'd d/ä'; echo 11 > 'back\slash'
    """)
    saved = await desk.save()
    names = set(desk.mirror.paths(saved.commit)) - set(START)
    assert names == {
        "new\nline", os.fsdecode(b"bad\xff\xfename"), " lead", "trail ", '"quoted"', "-x", ":(top)x", "a*?[b]", "tab\t",
        "d d/ä", "back\\slash",
    }  # fmt: skip
    for path in saved.paths:
        path.encode("utf-8")
        assert path.isprintable()
    await desk.sh(r"""rm $'new\nline' $'bad\xff\xfename' ./-x""")
    gone = set(desk.mirror.paths((await desk.save()).commit))
    assert names - gone == {"new\nline", os.fsdecode(b"bad\xff\xfename"), "-x"}


async def test_what_no_tree_can_hold_is_named(desk):
    await desk.sh("""
        mkfifo pipe; mkdir -p empty/er sock
        python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("sock/s")'
        rm README; mkfifo README
        echo x > shut; chmod 000 shut; mkdir closed; echo y > closed/in; chmod 000 closed
        chmod 000 src/a.py
        mkdir -p .GIT/x; echo z > .GIT/x/y; mkdir git~1; echo z > git~1/f
    """)
    saved = await desk.save()
    assert set(desk.mirror.paths(saved.commit)) == {"src/a.py", "tests/test_a.py"}
    assert desk.rules(saved) == [
        ("save.git_entry", ".GIT/x/y"), ("save.git_entry", "git~1/f"), ("save.special", "README"), ("save.special", "pipe"),
        ("save.special", "sock/s"), ("save.unreadable", "closed"), ("save.unreadable", "shut"), ("save.unreadable", "src/a.py"),
    ]  # fmt: skip
    assert desk.mirror.read(saved.commit, "src/a.py") == b"a = 1\n"
    await desk.sh("chmod 600 src/a.py; echo changed > src/a.py; chmod 000 src/a.py")
    again = await desk.save()
    assert ("save.unreadable", "src/a.py") in desk.rules(again)
    assert desk.mirror.read(again.commit, "src/a.py") == b"a = 1\n"
    await desk.sh("chmod 600 src/a.py; chmod 700 closed")
    files = desk.files((await desk.save()).commit)
    assert files["src/a.py"] == b"changed\n"
    assert files["closed/in"] == b"y\n"


async def test_files_only_their_owner_can_read(desk):
    await desk.sh("umask 077; mkdir private; echo p > private/p; chmod 600 src/a.py; echo q > src/a.py")
    files = desk.files((await desk.save()).commit)
    assert (files["private/p"], files["src/a.py"]) == (b"p\n", b"q\n")


async def test_a_file_over_the_cap_is_a_finding_and_the_rest_is_saved(desk):
    await desk.sh("truncate -s 100M big; truncate -s 60M README; echo small > small")
    saved = await desk.save()
    assert desk.files(saved.commit) == {**START, "small": b"small\n"}
    assert desk.rules(saved) == [("save.too_large", "README"), ("save.too_large", "big")]
    assert all(finding.blocking for finding in saved.findings)
    assert "104857600 bytes" in saved.findings[1].observed
    await desk.sh("rm big; echo hello > README")
    assert (await desk.save()).findings == ()


async def test_a_step_over_the_cap_fails_and_the_last_one_stands(desk):
    desk.saver = StepSaver(desk.backend, caps=StepCaps(pack_bytes=100_000))
    await desk.sh("echo a > a")
    one = await desk.save()
    await desk.sh("head -c 300000 /dev/urandom > noise")
    with pytest.raises(SaveFailed, match="the limit is 100000"):
        await desk.save()
    await desk.sh("rm noise; echo b > b")
    two = await desk.save()
    assert desk.mirror.parents(two.commit) == (one.commit,)


async def test_links_are_links_and_leaving_the_tree_is_a_finding(desk):
    await desk.sh(
        "ln -s /etc/passwd out; ln -s ../../x up; ln -s src in; ln -s nowhere dangling; ln -s loop loop; ln -s /etc etc"
    )
    saved = await desk.save()
    assert desk.mirror.entry(saved.commit, "out").mode == "120000"
    assert desk.mirror.read(saved.commit, "out") == b"/etc/passwd"
    assert desk.rules(saved) == [("tree.link_leaves", path) for path in ("etc", "out", "up")]
    await desk.sh("rm out up etc; rm -r tests; ln -s /etc tests")
    after = await desk.save()
    assert desk.mirror.read(after.commit, "tests") == b"/etc"
    assert "tests/test_a.py" not in desk.mirror.paths(after.commit)


async def test_submodules_of_the_base_stay_as_they_are(backend, bottle, mirror, repo):
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},vendored")
    repo.git("commit", "-q", "-m", "submodule")
    base = mirror.fetch()
    await checkout(backend, bottle, mirror, commit=base)
    desk = Desk(backend, bottle, mirror, base)
    assert not (await desk.save()).changed
    await desk.sh(
        "git init -q vendored; git -C vendored -c user.name=a -c user.email=a@b commit -q --allow-empty -m x; echo x > vendored/x; echo y > y"
    )
    saved = await desk.save()
    assert mirror.entry(saved.commit, "vendored").oid == "1" * 40
    assert set(saved.paths) == {"y"}


async def test_a_new_saver_after_a_crash_goes_on(desk):
    await desk.sh("echo 1 > one")
    await desk.save()
    await desk.sh("echo 2 > two")
    lost = await desk.save(step=False)  # saved, but its event was never written
    await desk.backend.destroy(saver_slug("agent"))
    await checkout(desk.backend, desk.bottle, desk.mirror, commit=desk.parent, base=desk.base)
    desk.saver = StepSaver(desk.backend)
    await desk.sh("echo 2 > two")
    assert (await desk.save()).commit == lost.commit


async def test_restoring_under_a_saver_that_knows_a_later_state(desk):
    await desk.sh("echo 1 > one; echo x > src/a.py")
    first = await desk.save()
    await desk.sh("echo 2 > two; echo y > src/a.py; rm one")
    await desk.save(step=False)
    await checkout(desk.backend, desk.bottle, desk.mirror, commit=first.commit, base=desk.base)
    assert not (await desk.save()).changed
    await desk.sh("echo 3 > three")
    assert desk.files((await desk.save()).commit) == {
        **START,
        "src/a.py": b"x\n",
        "one": b"1\n",
        "three": b"3\n",
    }


async def test_what_the_saver_kept_can_be_broken_or_gone(desk):
    await desk.sh("echo 1 > one")
    await desk.save()
    saver = await desk.backend.open(saver_slug("agent"))
    for damage in (
        "> saver.git/index",
        "rm -rf saver.git/objects/??",
        "rm -rf saver.git",
        "touch saver.git/index.lock",
    ):
        ran = await saver.exec(["sh", "-c", damage])
        assert ran.ok, ran.text()
        await desk.sh(f"echo '{damage}' > two")
        saved = await desk.save()
        assert saved.paths == ("two",), damage


async def test_the_saver_sees_nothing_of_the_host_or_the_mirror(desk):
    await desk.save()
    saver = await desk.backend.open(saver_slug("agent"))
    assert saver.spec.wire is None
    assert saver.spec.binds == ()
    seen = (await saver.exec(["sh", "-c", "ls -a / /home/agent /workspace; cat /proc/self/mountinfo"])).text()
    assert desk.mirror.path.name not in seen
    assert "/tree" not in seen


async def test_the_step_is_consistent_while_the_agent_goes_on_writing(desk):
    """A pair of files is always written together; a step never holds one half of it."""
    await desk.sh("mkdir pair; echo 0 > pair/a; echo 0 > pair/b")
    started = asyncio.Event()
    writing = asyncio.create_task(
        desk.bottle.exec(
            [
                "bash",
                "-c",
                "for i in {1..100000}; do read -r x < pair/a; echo $i > pair/a; echo $i > pair/b; [ $i = 5 ] && echo go; done",
            ],
            on_output=lambda _: started.set(),
        )
    )
    await started.wait()
    for _ in range(5):
        saved = await desk.save()
        a, b = (int(desk.mirror.read(saved.commit, f"pair/{name}") or b"-1") for name in "ab")
        assert a - b in (0, 1) or -1 in (a, b)
        assert not writing.done()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing


@pytest.mark.parametrize("directories", [50, pytest.param(500, marks=pytest.mark.chaos)])
async def test_many_files(desk, directories):
    """5,000 files here, 50,000 in the long form."""
    await desk.sh(f"""python3 - <<'P'
import os
for d in range({directories}):
    os.makedirs(f"many/{{d}}")
    for f in range(100):
        with open(f"many/{{d}}/{{f}}", "w") as file: file.write(f"{{d}} {{f}}")
P""")
    saved = await desk.save()
    assert len(desk.mirror.paths(saved.commit)) == directories * 100 + 3
    await desk.sh("echo x > many/1/1")
    assert (await desk.save()).paths == ("many/1/1",)


def test_errors_of_saving_are_one_sentence():
    assert re.fullmatch(r"[^\n]+", str(SaveFailed("The step was not saved: x")))

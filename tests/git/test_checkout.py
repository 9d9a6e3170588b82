"""A commit laid out in a real bottle."""

from __future__ import annotations

import os

import pytest

from boatwright import errors
from boatwright.bottle.checkout import checkout
from boatwright.git.mirror import Mirror


async def inside(bottle, *argv: str) -> str:
    ran = await bottle.exec(argv)
    assert ran.ok, ran.text()
    return ran.text().strip()


async def test_the_files_and_a_history_that_ends_at_the_base(backend, bottle, mirror, repo):
    root = repo.git("rev-parse", "HEAD")
    base = repo.commit({"src/a.py": "a = 2\n"}, "second")
    repo.git("tag", "-a", "secret", "-m", "secret")
    later = repo.commit({"later": "secret\n"}, "later")
    mirror.fetch()
    await checkout(backend, bottle, mirror, commit=base)
    assert await inside(bottle, "git", "log", "--all", "--format=%H") == f"{base}\n{root}"
    assert await inside(bottle, "git", "status", "--porcelain", "--ignored") == ""
    assert await inside(bottle, "git", "tag") == ""
    assert await inside(bottle, "git", "fsck", "--strict", "--no-progress") == ""
    assert (await bottle.exec(["git", "cat-file", "-e", later])).exit_code != 0
    assert await inside(bottle, "cat", "src/a.py") == "a = 2"


async def test_restoring_shows_the_work_as_a_diff_and_forgets_the_rest(backend, bottle, mirror, repo):
    base = mirror.fetch()
    repo.write({"new file": "n\n", "src/a.py": "a = 3\n", "run": "#!/bin/sh\n"})
    (repo.path / "run").chmod(0o755)
    os.symlink("README", repo.path / "link")
    work = repo.commit({"README": None})
    mirror.fetch()
    await checkout(backend, bottle, mirror, commit=base)
    mess = (
        "mkdir -p locked/deep .cache; echo x > locked/deep/f; chmod 000 locked/deep/f locked/deep locked; "
        "echo 'exit 1' > .git/hooks-x; git config core.hooksPath /workspace/.git; mkfifo pipe; git checkout -q -b other; "
        "printf '[core]\\n\\tfsmonitor = touch /tmp/x\\n' >> .git/config; chmod 555 ."
    )
    await inside(bottle, "sh", "-c", mess)
    await checkout(backend, bottle, mirror, commit=work, base=base)
    assert await inside(bottle, "git", "rev-parse", "HEAD") == base
    status = await inside(bottle, "git", "status", "--porcelain", "-uall")
    assert sorted(status.splitlines()) == [
        '?? "new file"',
        "?? link",
        "?? run",
        "D README",
        "M src/a.py",
    ] or sorted(line.strip() for line in status.splitlines()) == [
        '?? "new file"',
        "?? link",
        "?? run",
        "D README",
        "M src/a.py",
    ]
    assert (
        await inside(bottle, "sh", "-c", "ls -A | tr '\\n' ' '; readlink link; test -x run")
        == ".git link new file run src tests README"
    )
    assert (await bottle.exec(["git", "cat-file", "-e", work])).exit_code != 0


async def test_without_history(backend, bottle, mirror, repo):
    repo.commit({"old": "past\n"})
    head = repo.commit({"old": None})
    mirror.fetch()
    await checkout(backend, bottle, mirror, commit=head, with_history=False)
    assert await inside(bottle, "git", "log", "--format=%H") == head
    assert await inside(bottle, "git", "status", "--porcelain") == ""


async def test_attributes_do_not_change_bytes_and_start_nothing(backend, bottle, mirror, repo):
    files = {
        ".gitattributes": "*.crlf text eol=crlf\n*.evil filter=evil ident\n*.u16 working-tree-encoding=UTF-16\n*.lfs filter=lfs\n",
        "a.crlf": b"one\ntwo\n",
        "b.evil": b"$Id$\n",
        "d.lfs": b"version https://git-lfs.example/spec/v1\noid sha256:00\n",
        "mixed": b"a\r\nb\n",
    }
    head = repo.commit(files)
    mirror.fetch()
    await checkout(backend, bottle, mirror, commit=head)
    for name in ("a.crlf", "b.evil", "d.lfs", "mixed"):
        ran = await bottle.exec(["cat", name], separate_stdout=True)
        assert ran.stdout == files[name]
    assert await inside(bottle, "git", "status", "--porcelain") == ""


async def test_a_shallow_source(backend, bottle, open_state, repo, tmp_path):
    repo.commit({"x": "1"})
    head = repo.commit({"x": "2"})
    repo.git("clone", "-q", "--depth", "1", f"file://{repo.path}", str(tmp_path / "shallow"))
    mirror = Mirror.open(open_state, "shallow", tmp_path / "shallow")
    mirror.fetch()
    await checkout(backend, bottle, mirror, commit=head)
    assert await inside(bottle, "git", "log", "--format=%H") == head


async def test_an_unknown_commit_gets_a_sentence(backend, bottle, mirror):
    with pytest.raises(errors.NotFound):
        await checkout(backend, bottle, mirror, commit="1" * 40)

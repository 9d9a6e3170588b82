"""The host's side of probes 49, 50 and 51: nothing a repository or an agent plants is run, followed or
corrupted.

Each trap is a command that makes a marker file; each test drives everything the host does with git and then
asserts that the marker is not there.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import os
import stat
import subprocess
import threading
from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path

import pytest

from boatwright.bottle.checkout import checkout
from boatwright.bottle.snapshot import SaveFailed, StepSaver, _pack
from boatwright.git.gitdir import Author
from boatwright.git.mirror import Mirror
from boatwright.git.run import GitFailed

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ANN = Author("Ann", "ann@example.org")
HOOKS = [
    "applypatch-msg",
    "commit-msg",
    "fsmonitor-watchman",
    "post-applypatch",
    "post-checkout",
    "post-commit",
    "post-index-change",
    "post-merge",
    "post-receive",
    "post-rewrite",
    "post-update",
    "pre-applypatch",
    "pre-auto-gc",
    "pre-commit",
    "pre-merge-commit",
    "pre-push",
    "pre-rebase",
    "pre-receive",
    "prepare-commit-msg",
    "proc-receive",
    "push-to-checkout",
    "reference-transaction",
    "update",
]
SETTINGS = [
    "core.fsmonitor",
    "core.pager",
    "core.editor",
    "core.sshCommand",
    "core.askPass",
    "core.alternateRefsCommand",
    "core.gitProxy",
    "diff.external",
    "diff.evil.command",
    "diff.evil.textconv",
    "merge.evil.driver",
    "filter.evil.clean",
    "filter.evil.smudge",
    "filter.evil.process",
    "gpg.program",
    "credential.helper",
    "uploadpack.packObjectsHook",
    "sequence.editor",
    "pager.diff",
    "pager.log",
    "remote.origin.uploadpack",
    "remote.origin.receivepack",
]
ATTRIBUTES = "* filter=evil diff=evil merge=evil text eol=crlf ident\n"


def plant(repo, trap: Path) -> None:
    """Every way to have a command run that a repository's own directory offers."""
    for hook in HOOKS:
        (repo.path / ".git" / "hooks").mkdir(exist_ok=True)
        (repo.path / ".git" / "hooks" / hook).write_bytes(trap.read_bytes())
        (repo.path / ".git" / "hooks" / hook).chmod(0o755)
    lines = [f'[core]\n\thooksPath = {repo.path}/.git/hooks\n[protocol "ext"]\n\tallow = always\n']
    lines.append(f'[url "ext::{trap} "]\n\tinsteadOf = /\n\tpushInsteadOf = /\n\tinsteadOf = http\n')
    lines.append(
        "[commit]\n\tgpgSign = true\n[log]\n\tshowSignature = true\n[receive]\n\tdenyCurrentBranch = ignore\n"
    )
    for setting in SETTINGS:
        section, _, name = setting.rpartition(".")
        first, _, rest = section.partition(".")
        head = f'[{first} "{rest}"]' if rest else f"[{first}]"
        lines.append(f"{head}\n\t{name} = {trap}\n")
    with (repo.path / ".git" / "config").open("a") as config:
        config.writelines(lines)


def drive(mirror: Mirror, source: Path, base: str, head: str) -> None:
    """Everything the host does with a mirror."""
    mirror.changed(base, head)
    assert "changed" in mirror.diff_text(base, head)
    mirror.merge(base, head)
    mirror.read(head, "src/a.py")
    mirror.compose(base, {"src/a.py": head})
    commit = mirror.commit_tree(mirror.tree_of(head), [base], "work", ANN, WHEN)
    mirror.set_work("ex-1", commit)
    mirror.push(source, commit, "boatwright/issue-1-x", None)
    assert mirror.remote_head(source, "boatwright/issue-1-x") == commit
    mirror.maintain()
    mirror.unpack(mirror.pack_of([commit], [base]))


def test_probe_51_a_source_full_of_traps(mirror, repo, trap, marker):
    base = repo.commit({".gitattributes": ATTRIBUTES})
    head = repo.commit({"src/a.py": "changed\n"})
    plant(repo, trap)
    assert mirror.fetch() == head
    assert mirror.fetch(base) == base
    drive(mirror, repo.path, base, head)
    assert not marker.exists()
    repo.git("status", check=False)
    assert marker.exists(), "the traps are live: git in the repository itself springs them"


def test_probe_51_what_the_machine_and_the_environment_say_is_not_read(
    state, repo, trap, marker, monkeypatch, tmp_path
):
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        f"[core]\n\tfsmonitor = {trap}\n\thooksPath = {tmp_path}\n[diff]\n\texternal = {trap}\n"
        f'[url "ext::{trap} "]\n\tinsteadOf = /\n[protocol "ext"]\n\tallow = always\n[alias]\n\tfetch = !{trap}\n'
        f"[uploadpack]\n\tpackObjectsHook = {trap}\n[init]\n\ttemplateDir = {tmp_path}\n"
    )
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks" / "reference-transaction").write_bytes(trap.read_bytes())
    (tmp_path / "hooks" / "reference-transaction").chmod(0o755)
    said = {
        "HOME": str(home), "XDG_CONFIG_HOME": str(home), "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"), "GIT_DIR": "/nowhere",
        "GIT_EXTERNAL_DIFF": str(trap), "GIT_SSH_COMMAND": str(trap), "GIT_PAGER": str(trap), "GIT_TEMPLATE_DIR": str(tmp_path),
        "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.fsmonitor", "GIT_CONFIG_VALUE_0": str(trap), "GIT_EXEC_PATH": "/x",
        "GIT_OBJECT_DIRECTORY": "/nowhere", "GIT_ALTERNATE_OBJECT_DIRECTORIES": "/nowhere", "GIT_ALLOW_PROTOCOL": "ext",
    }  # fmt: skip
    base = repo.git("rev-parse", "HEAD")
    head = repo.commit({"src/a.py": "changed\n"})
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    mirror = Mirror.open(state, "fresh", repo.path)
    assert mirror.fetch() == head
    drive(mirror, repo.path, base, head)
    assert not (mirror.path / "hooks").exists()
    assert not marker.exists()


def test_probe_51_a_bare_repository_in_the_tree_and_a_git_file(state, repo, trap, marker):
    """The tree itself may hold a whole gitdir with a trap in it; to the host it is files like any other."""
    inner = repo.path / "sub"
    subprocess.run(["git", "init", "-q", "--bare", str(inner)], check=True)
    with (inner / "config").open("a") as config:
        config.write(f"[core]\n\tfsmonitor = {trap}\n\tworktree = .\n")
    base = repo.git("rev-parse", "HEAD")
    head = repo.commit({"src/a.py": "changed\n"})
    (repo.path / ".git").rename(repo.path.parent / "elsewhere")
    (repo.path / ".git").write_text(f"gitdir: {repo.path.parent / 'elsewhere'}\n")
    mirror = Mirror.open(state, "inner", repo.path)
    assert mirror.fetch() == head
    assert "sub/HEAD" in mirror.paths(head)
    drive(mirror, repo.path, base, head)
    assert not marker.exists()


def test_probe_51_submodules_are_not_visited(mirror, repo, trap, marker):
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},x")
    repo.write({"y": "y"})
    repo.git("add", "y")
    repo.git("config", "-f", ".gitmodules", "submodule.x.path", "x")
    repo.git("config", "-f", ".gitmodules", "submodule.x.url", f"ext::{trap}")
    repo.git("add", ".gitmodules")
    repo.git("commit", "-q", "-m", "submodule")
    assert mirror.fetch()
    assert not marker.exists()


@pytest.mark.parametrize("name", [".git", ".GIT", "git~1"])
def test_a_source_with_a_git_entry_in_a_tree_is_refused(mirror, repo, name):
    blob = repo.git("hash-object", "-w", "--stdin", stdin=b"evil")
    tree = repo.git("mktree", stdin=f"100644 blob {blob}\t{name}\n".encode())
    commit = repo.git("commit-tree", tree, "-m", "evil")
    repo.git("update-ref", "refs/heads/evil", commit)
    with pytest.raises(GitFailed):
        mirror.fetch("evil")
    assert not mirror.has(blob)


def test_probe_49_the_mirror_shares_no_file_with_its_source(mirror, repo):
    mirror.fetch()
    theirs = {entry.stat().st_ino for entry in (repo.path / ".git").rglob("*") if entry.is_file()}
    ours = [entry.stat() for entry in mirror.path.rglob("*") if entry.is_file()]
    assert not [found for found in ours if found.st_ino in theirs or found.st_nlink > 1]


async def test_probe_49_an_agent_cannot_corrupt_the_mirror(backend, bottle, mirror):
    base = mirror.fetch()
    await checkout(backend, bottle, mirror, commit=base)
    ran = await bottle.exec(
        [
            "sh",
            "-c",
            "chmod -R u+w .git; find .git/objects -type f -exec sh -c 'echo garbage > \"$1\"' sh {} ';'; echo x > new",
        ]
    )
    assert ran.ok
    saved = await StepSaver(backend).save(bottle, mirror, parent=base, base=base, message="m", when=WHEN)
    assert saved.paths == ("new",)
    mirror.run("fsck", "--strict", "--no-dangling")


class Restless:
    """A bottle whose pause does nothing: the agent goes on while its step is saved."""

    def __init__(self, bottle) -> None:
        self._bottle = bottle

    def __getattr__(self, name: str):
        return getattr(self._bottle, name)

    async def pause(self) -> None: ...

    async def unpause(self) -> None: ...


SWAP = """
import os, sys
secret, stop = sys.argv[1], "stop"
os.makedirs("real", exist_ok=True)
for name in ("key", "sub"):
    open("real/" + name, "w").write("harmless\\n")
n = 0
while not os.path.exists(stop):
    for target in (secret, "/proc/1", "../../../../../../../..", "/workspace", "/etc"):
        n += 1
        os.symlink(target, "link")
        os.rename("real", "aside"); os.rename("link", "real")
        os.unlink("real"); os.rename("aside", "real")
        # and the file itself
        os.symlink(secret + "/key", "link"); os.rename("link", "real/key")
        open("fresh", "w").write("harmless %d\\n" % n); os.rename("fresh", "real/key")
    if n == 5:
        print("swapping", flush=True)
"""


@pytest.mark.parametrize("tries", [40, pytest.param(200, marks=pytest.mark.chaos)])
async def test_probe_50_links_swapped_while_steps_are_saved_show_nothing_of_the_host(
    backend, bottle, mirror, open_state, tries
):
    """A process swaps a directory and a file for links to a secret of the host while step after step is saved.

    The race is live when both forms were seen; the secret must be in no object of the mirror. 200 tries in the long form.
    """
    secrets = open_state.root / "secrets"
    secrets.mkdir()
    secrets.chmod(0o755)
    for name in ("key", "sub"):
        (secrets / name).write_text("SECRET-OF-THE-HOST\n")
        (secrets / name).chmod(0o644)
    base = mirror.fetch()
    await checkout(backend, bottle, mirror, commit=base)
    started = asyncio.Event()
    swapping = asyncio.create_task(
        bottle.exec(["python3", "-c", SWAP, str(secrets)], on_output=lambda _: started.set())
    )
    await started.wait()
    saver, modes, parent = StepSaver(backend), [], base
    for _ in range(tries):
        with contextlib.suppress(SaveFailed):
            saved = await saver.save(
                Restless(bottle), mirror, parent=parent, base=base, message="m", when=WHEN
            )
            parent = saved.commit
            modes.extend(entry.mode for entry in mirror.entries(parent) if entry.path.startswith("real"))
    assert not swapping.done()
    await bottle.exec(["touch", "stop"])
    await swapping
    assert {"100644", "120000"} <= set(modes)
    everything = mirror.run("cat-file", "--batch", "--batch-all-objects", "--unordered").out
    assert b"harmless" in everything
    for private in (b"SECRET-OF-THE-HOST", b"root:x:0:0:root:/root"):
        assert private not in everything


def test_the_saver_could_not_be_made_to_hand_over_a_link_as_its_pack(tmp_path):
    (tmp_path / "host").write_text("SECRET")
    (tmp_path / "step.pack").symlink_to("host")
    with pytest.raises(SaveFailed), _pack(tmp_path, 1_000):
        pass
    (tmp_path / "step.pack").unlink()
    os.mkfifo(tmp_path / "step.pack")
    with pytest.raises(SaveFailed, match="no plain file"), _pack(tmp_path, 1_000):
        pass


class Served(http.server.SimpleHTTPRequestHandler):
    """A plain repository behind a password."""

    seen: list[str]

    def do_GET(self) -> None:
        given = self.headers.get("Authorization", "")
        if b64decode(given.removeprefix("Basic ")) != b"ann:s3cr3t/word":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        super().do_GET()

    def log_message(self, *_: object) -> None: ...


def test_a_password_in_a_url_is_used_and_is_on_no_command_line(state, repo, monkeypatch):
    repo.git("update-server-info")
    seen: list[bytes] = []
    start = subprocess.Popen.__init__

    def watched(self, argv, **more):
        seen.append(repr((argv, more.get("env"))).encode())
        start(self, argv, **more)

    monkeypatch.setattr(subprocess.Popen, "__init__", watched)
    handler = lambda *a: Served(*a, directory=str(repo.path / ".git"))  # noqa: E731
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://ann:s3cr3t%2Fword@127.0.0.1:{server.server_port}/"
        mirror = Mirror.open(state, "served", url)
        assert mirror.find().branch == "main"
        assert mirror.fetch() == repo.git("rev-parse", "HEAD")
        server.shutdown()
    assert seen
    assert not [call for call in seen if b"s3cr3t" in call]
    assert not [file for file in mirror.path.rglob("*") if file.is_file() and b"s3cr3t" in file.read_bytes()]


def test_a_mirror_is_shut_to_other_users(mirror):
    mirror.fetch()
    assert stat.S_IMODE(mirror.path.stat().st_mode) == 0o700

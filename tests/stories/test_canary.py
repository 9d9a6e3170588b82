"""A secret planted in every source, real runs over all of them, and a search of everything that is left and was seen.

Each secret is looked for as it is, in base64 at every offset, quoted for a URL, and escaped for JSON: in each file that
the runs leave (archives unpacked, git objects read, tapes joined, databases as bytes and row by row), in what commands
print, in the arguments and variables of every process, and in what a program inside a bottle can read: files,
descriptors, memory of the others, and what the wire answers it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import os
import secrets
import shutil
import sqlite3
import ssl
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import yaml
import zstandard

from boatwright.egress import tape
from boatwright.testing.connect_proxy import ConnectProxy
from boatwright.testing.keyring_file import BACKEND
from boatwright.testing.scripted_process import serving
from boatwright.testing.tls_server import certificates
from boatwright.testing.vault import Vault

pytestmark = pytest.mark.timeout(900)

MODELS, REGISTRY, NPM, ROUTED = "api.example", "registry.example", "npm.example", "routed.example"
SOURCES = ("env", "file", "keyring", "vault", "vault token", "proxy", "registry", "npm", "route", "login")
FETCH = """import sys, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=60).read())
except OSError as error:
    print(error, getattr(error, "headers", ""), error.read() if hasattr(error, "read") else "")
"""
MEMORY = """import os, sys
for pid in set(filter(str.isdigit, os.listdir("/proc"))) - {str(os.getpid())}:
    try:
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
            for line in maps:
                start, end = (int(at, 16) for at in line.split()[0].split("-"))
                if line.split()[1].startswith("rw") and end - start < 8 << 20:
                    memory.seek(start)
                    sys.stdout.buffer.write(memory.read(end - start))
    except (OSError, ValueError):
        continue
"""
SPY = f"""
cat > "$HOME/fetch.py" <<'END'
{FETCH}END
cat > "$HOME/memory.py" <<'END'
{MEMORY}END
(env; tr '\\0' '\\n' < /proc/self/environ; cat /proc/[0-9]*/cmdline | tr '\\0' '\\n') | head -c 20000
for path in take say; do python3 "$HOME/fetch.py" https://{ROUTED}/$path; done
{{ env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline /proc/net/unix; ls -l /proc/[0-9]*/fd
  find -L /proc/[0-9]*/fd -maxdepth 1 -type f -size -300k ! -samefile "$HOME/spy.bin" -print0 | xargs -0 cat
  find / -maxdepth 3 -path /proc -prune -o -path /sys -prune -o -print
  find /home /workspace /tmp /run /etc /var /dev/shm /opt /env /srv /root -type f -size -300k ! -name spy.bin \\
    -print0 | xargs -0 cat
  }} 2>/dev/null < /dev/null | head -c 20000000 > "$HOME/spy.bin"
python3 "$HOME/memory.py" 2>/dev/null < /dev/null | head -c 20000000 >> "$HOME/spy.bin"
touch "$HOME/spy-ready"
n=0; while [ ! -e "$HOME/spy-go" ] && [ $n -lt 900 ]; do sleep 0.1; n=$((n+1)); done
echo looked
"""
AGENT = '---\nprovider: command\nbottles: [net]\ncommand:\n  run: [tiny, "{model}"]\n---\n'
BOTTLE = "---\nnetwork: {policy: deny_all}\nroutes: [house]\n---\n"
# A library of the engine (croniter) asks Python for its architecture while it is imported, and Python asks file(1): a
# child of the caller, for a moment, with the caller's own variables.
LOOKS_AT_ITSELF = b"\0".join((b"file", b"-b", os.fsencode(os.path.realpath(sys.executable)), b""))
SET_UP = "; ".join(
    f"python3 -c '{FETCH}' https://{place}" for place in (f"{REGISTRY}/simple/", f"{NPM}/sail")
)


# --- the search ----------------------------------------------------------------------------------------------


def forms(secret: str) -> dict[str, bytes]:
    """Every way a secret may be written down."""
    found = {
        "plain": secret.encode(),
        "url": quote(secret, safe="").encode(),
        "url plus": quote_plus(secret).encode(),
        "json": json.dumps(secret)[1:-1].encode(),
        "json in json": json.dumps(json.dumps(secret)[1:-1])[1:-1].encode(),
    }
    for offset in range(3):
        for name, encode in (("base64", base64.b64encode), ("base64 url", base64.urlsafe_b64encode)):
            coded = encode(b"\0" * offset + secret.encode())
            found[f"{name} {offset}"] = coded[(0, 2, 3)[offset] : -4]  # without what neighbours would change
    return found


def rows(path: Path) -> Iterator[bytes]:
    """What a database holds, where a page ends in the middle of a value too."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        database.text_factory = bytes
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            name = table.decode().replace('"', '""')
            for row in database.execute(f'SELECT * FROM "{name}"'):
                yield b"\n".join(each if isinstance(each, bytes) else str(each).encode() for each in row)


def unpacked(data: bytes) -> Iterator[bytes]:
    """The bytes, and what is in them where they are compressed."""
    yield data
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        with contextlib.suppress(zstandard.ZstdError):
            yield zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()


def files(root: Path) -> Iterator[Path]:
    """What is below, while others come and go."""
    for folder, _, names in os.walk(root):
        yield from (Path(folder, name) for name in names)


def haystacks(root: Path, sources: frozenset[Path]) -> Iterator[tuple[str, bytes]]:
    for path in files(root):
        yield "the name of a file", os.fsencode(path)
        if path.is_symlink() or not path.is_file() or path in sources:
            continue
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            continue
        for each in unpacked(data):
            yield str(path), each
        if data.startswith(b"SQLite format 3\0"):
            yield str(path), b"\n".join(rows(path))
        if path.suffix == tape.SUFFIX:
            for one in tape.read(path).exchanges:
                yield str(path), b"".join(data for _, data in one.chunks)
        if path.name == "HEAD" and (path.parent / "objects").is_dir():
            argv = ["git", "--git-dir", str(path.parent), "cat-file", "--batch-all-objects", "--batch"]
            yield str(path.parent), subprocess.run(argv, check=True, capture_output=True).stdout


@dataclass
class Search:
    planted: dict[str, str]
    sources: frozenset[Path] = frozenset()
    found: list[str] = field(default_factory=list)
    looked: int = 0

    def __post_init__(self) -> None:
        self._needles = {
            needle: f"{name} ({form})"
            for name, secret in self.planted.items()
            for form, needle in forms(secret).items()
        }

    def look(self, where: str, data: bytes) -> None:
        self.looked += 1
        self.found += [f"{what} in {where}" for needle, what in self._needles.items() if needle in data]

    def look_below(self, root: Path) -> None:
        for where, data in haystacks(root, self.sources):
            self.look(where, data)


def test_the_search_finds_what_is_planted(tmp_path: Path) -> None:
    """It can fail: each form of each secret is found, in a plain file, an archive, a git object and a database."""
    planted = {name: canary(name) for name in SOURCES}
    for name, secret in planted.items():
        for form, needle in forms(secret).items():
            search = Search(planted)
            search.look("here", b"before" + needle + b"after")
            assert any(each.startswith(f"{name} (") for each in search.found), (name, form)
    for at in range(6):  # whatever stands before it in what was encoded
        search = Search(planted)
        search.look("here", base64.b64encode(b"x" * at + planted["env"].encode() + b"tail"))
        assert search.found
    with contextlib.closing(sqlite3.connect(tmp_path / "d.db")) as database:
        database.execute("CREATE TABLE t (a, b)")  # a value longer than a page, with the secret over its end
        values = [("x" * at + planted["login"],) for at in range(3900, 4200)]
        database.executemany("INSERT INTO t (a) VALUES (?)", values)
        database.commit()
    assert sum(planted["login"].encode() in row for row in rows(tmp_path / "d.db")) == len(values)
    (tmp_path / "a.zst").write_bytes(zstandard.compress(b"x" * 500 + planted["vault"].encode()))
    repository = tmp_path / "r"
    repository.mkdir()
    (repository / "f").write_text(planted["proxy"])
    for argv in (["init", "-q", "--bare", "b.git"], ["--git-dir", "b.git", "hash-object", "-w", "r/f"]):
        subprocess.run(["git", *argv], cwd=tmp_path, check=True, capture_output=True)
    (repository / "f").unlink()
    search = Search(planted)
    search.look_below(tmp_path)
    assert {each.split(" (")[0] for each in search.found} == {"vault", "proxy", "login"}


def canary(name: str) -> str:
    """Distinct, and different in every form: with what URLs quote and JSON escapes."""
    return f'CANARY-{name.replace(" ", "-")}-{secrets.token_hex(12)}"\\/+%&end'


# --- the world -----------------------------------------------------------------------------------------------


class Provider:
    """All of the world, behind TLS: the scripted model, or one that turns the key down and says it back; a registry; a
    server that says what it was asked.
    """

    def __init__(self, model: Path) -> None:
        self.model = model
        self.heads: list[str] = []
        self.expired = False
        self._open: set[asyncio.StreamWriter] = set()

    def expire(self) -> None:
        """From now on no key is one, also not on connections that are kept."""
        self.expired = True
        for writer in self._open:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with contextlib.suppress(OSError, EOFError):
            head = await reader.readuntil(b"\r\n\r\n")
            text = head.decode("latin-1")
            self.heads.append(text)
            if f"host: {MODELS}" not in text.lower():
                body = head if text.startswith("GET /say") else b"taken"
                await _answer(writer, b"200 OK", body)
            elif self.expired:
                await self._turn_down(text, writer)
            else:
                await self._pass_on(head, reader, writer)
        writer.close()

    async def _turn_down(self, head: str, writer: asyncio.StreamWriter) -> None:
        """As providers do it, in JSON; and in a header that a client may see."""
        names = ("authorization:", "x-api-key:", "x-goog-api-key:")
        key = next(line for line in head.split("\r\n") if line.lower().startswith(names)).split(" ")[-1]
        told = {"error": {"code": "invalid_api_key", "message": f"Incorrect API key provided: {key}"}}
        await _answer(writer, b"401 No", json.dumps(told).encode(), b"request-id: r-%s\r\n" % key.encode())

    async def _pass_on(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far, near = await asyncio.open_unix_connection(str(self.model))
        near.write(head)

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while data := await source.read(65_536):
                    target.write(data)
                    await target.drain()
                target.write_eof() if target.can_write_eof() else target.close()

        await asyncio.gather(copy(reader, near), copy(far, writer))
        near.close()


async def _answer(writer: asyncio.StreamWriter, status: bytes, body: bytes, headers: bytes = b"") -> None:
    head = (
        b"HTTP/1.1 %s\r\ncontent-type: application/json\r\nconnection: close\r\n%scontent-length: %d\r\n\r\n"
    )
    writer.write(head % (status, headers, len(body)) + body)
    await writer.drain()


@dataclass
class World:
    root: Path
    environment: dict[str, str]
    planted: dict[str, str]
    search: Search
    provider: Provider
    proxy: ConnectProxy
    _looked_at: set[tuple[str, bytes]] = field(default_factory=set)

    @property
    def state(self) -> Path:
        return self.root / "state"

    def settings(self, **changes: str) -> None:
        keys = {"openai": "vault:secret/openai#key", "gemini": f"file:{self.root}/home/key", **changes}
        said = {
            "keys": keys,
            "logins": {"claude": f"file:{self.root}/home/login"},
            "proxy": {"url": self.proxy.url, "credential": f"file:{self.root}/home/proxy"},
            "routes": {
                "house": {
                    "host": ROUTED,
                    "ca": self.environment["SSL_CERT_FILE"],
                    "credential": f"file:{self.root}/home/route",
                }
            },
            "tapes": True,
        }
        (self.state / "settings.yml").write_text(yaml.safe_dump(said))

    async def do(self, *arguments: str) -> tuple[int, str]:
        """One command; what it prints, and every process beside it, is searched."""
        argv = [sys.executable, "-c", "from boatwright.cli import main; main()", *arguments]
        process = await asyncio.create_subprocess_exec(
            *argv, env=self.environment, cwd=self.root, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        watching = asyncio.create_task(self._watch("\0".join([*argv, ""]).encode()))
        said, _ = await process.communicate()
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        self.search.look(f"what {arguments[0]} printed", said)
        return process.returncode or 0, said.decode("utf-8", "replace")

    async def _watch(self, caller: bytes) -> None:
        """Look at every process that comes; a spy in a bottle goes on when those beside it have been looked at."""
        while True:
            ready = [path for path in files(self.state / "bottles") if path.name == "spy-ready"]
            self._look_at_processes(caller)
            for each in ready:
                (each.parent / "spy-go").touch()
                each.unlink()
            await asyncio.sleep(0.05)

    def _look_at_processes(self, caller: bytes) -> None:
        """Arguments and variables of all of ours, but those of the caller, whose environment is a source."""
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes()
                if (entry.name, words) in self._looked_at:
                    continue
                self._looked_at.add((entry.name, words))
                variables = (entry / "environ").read_bytes()
                started_by_us = (
                    b"bwrap" in words or b"boatwright." in words
                )  # a module's name, not a directory's
                if not started_by_us:
                    # This host's own package clients are asked for their settings, and this is one.
                    kept = (one for one in variables.split(b"\0") if not one.startswith(b"PIP_INDEX_URL="))
                    variables = b"\0".join(kept)
                if started_by_us or os.fsencode(self.root) in words + variables:
                    self.search.look(f"arguments of {entry.name}", words)
                    if words not in {caller, b"", LOOKS_AT_ITSELF}:
                        self.search.look(f"variables of {words[:200]!r}", variables)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    root = Path(tempfile.mkdtemp(prefix="bw-canary-"))
    root.chmod(0o711)
    planted = {name: canary(name) for name in SOURCES}
    for name in ("state", "home", "bin", "tmp"):
        (root / name).mkdir()
        (root / name).chmod(0o1777 if name == "tmp" else 0o711)
    home = root / "home"
    for name, text in (
        ("key", planted["file"]),
        ("login", planted["login"]),
        ("route", planted["route"]),
        ("proxy", f"me:{planted['proxy']}"),
        (".npmrc", f"//{NPM}/:_authToken={json.dumps(planted['npm'])}\n"),
        ("keyring.json", json.dumps({"boatwright/openai": planted["keyring"]})),
    ):
        (home / name).write_text(text)
        (home / name).chmod(0o600)
    (root / "bin" / "tiny").write_text(tiny())
    (root / "bin" / "npm").write_text(f"#!/bin/sh\nexec cat {home}/npm.json\n")
    (home / "npm.json").write_text(
        json.dumps({"registry": f"https://{NPM}/", "userconfig": f"{home}/.npmrc"})
    )
    for name in ("tiny", "npm"):
        (root / "bin" / name).chmod(0o755)
    for folder, name, text in (("agents", "spy", AGENT), ("bottles", "net", BOTTLE)):
        (root / "state" / folder).mkdir()
        (root / "state" / folder / f"{name}.md").write_text(text)
    authority, chain = certificates(home, (MODELS, REGISTRY, NPM, ROUTED))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    vault = Vault({"secret/openai": {"key": planted["vault"]}}, token=planted["vault token"])
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        model = await stack.enter_async_context(serving(script(), home))
        provider = Provider(model.socket)
        listening = await asyncio.start_server(provider.serve, "127.0.0.1", 0, ssl=context)
        stack.callback(listening.close)
        place = ("127.0.0.1", listening.sockets[0].getsockname()[1])
        proxy = await stack.enter_async_context(
            ConnectProxy(
                dict.fromkeys((MODELS, REGISTRY, NPM, ROUTED), place), credential=f"me:{planted['proxy']}"
            )
        )
        stack.enter_context(vault)
        environment = {
            "PATH": f"{root / 'bin'}:{os.environ['PATH']}",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "BOATWRIGHT_STATE": str(root / "state"),
            "ANTHROPIC_API_KEY": planted["env"],
            "ANTHROPIC_BASE_URL": f"https://{MODELS}",
            "OPENAI_BASE_URL": f"https://{MODELS}/v1",
            "GOOGLE_GEMINI_BASE_URL": f"https://{MODELS}",
            "VAULT_ADDR": vault.address,
            "VAULT_TOKEN": planted["vault token"],
            "PYTHON_KEYRING_BACKEND": BACKEND,
            "XDG_DATA_HOME": str(home),
            "PIP_INDEX_URL": f"https://me:{quote(planted['registry'], safe='')}@{REGISTRY}/simple",
            "SSL_CERT_FILE": str(authority),
            "PIP_CERT": str(authority),
            "PIP_CONFIG_FILE": os.devnull,
            "TMPDIR": str(root / "tmp"),
            **{name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ},
        }
        sources = frozenset(
            home / name for name in ("key", "login", "route", "proxy", ".npmrc", "keyring.json")
        )
        made = World(root, environment, planted, Search(planted, sources), provider, proxy)
        made.settings()
        yield made


def tiny() -> str:
    """The agent of the examples, which also says what it was refused with."""
    text = (Path(__file__).resolve().parents[2] / "examples" / "providers" / "tiny").read_text()
    said = "try:\n    main()\nexcept urllib.error.HTTPError as no:\n    sys.exit(f'{no.headers} {no.read().decode()}')\n"
    assert text.endswith("\n\nmain()\n")
    return text.removesuffix("main()\n") + said


def script() -> str:
    plan = {
        "goal": "Count the last, partly filled page",
        "proof": "behaviour",
        "steps": [
            {"id": "P1", "action": "edit", "path": "tests/test_paginate.py", "acceptance": "a test"},
            {"id": "P2", "action": "edit", "path": "paginate.py", "acceptance": "it passes"},
        ],
    }
    mend = "sed -i 's|return len(items) // size|return -(-len(items) // size)|' paginate.py"
    test = (
        "printf '\\n\\nclass Last(unittest.TestCase):\\n    def test_it(self):\\n"
        "        self.assertEqual(pages(list(range(21)), 5), 5)\\n' >> tests/test_paginate.py"
    )
    replies = [{"say": "Looking.", "tools": [{"bash": line}]} for line in (SPY, test, mend)]
    said: dict[str, Any] = {
        "plan": plan,
        "review": {"verdict": "approve"},
        "replies": [*replies, {"say": "Done."}],
    }
    return yaml.safe_dump(said)


def sample(root: Path) -> Path:
    repository = root / "paginate"
    with resources.as_file(resources.files("boatwright.cli") / "sample" / "repository") as found:
        shutil.copytree(found, repository, ignore=shutil.ignore_patterns("__pycache__"))
    who = ("-c", "user.name=Someone", "-c", "user.email=someone@localhost")
    for argv in (["init", "-q", "-b", "main"], ["add", "-A"], [*who, "commit", "-qm", "Begin"]):
        subprocess.run(["git", "-C", str(repository), *argv], check=True, capture_output=True)
    return repository


async def test_no_secret_of_any_source_is_left_or_seen_anywhere(world: World) -> None:
    repository = sample(world.root)
    code, said = await world.do("doctor")
    assert "secret logins.claude" in said and "secret keys.gemini" in said, said
    # A whole story on the key of the environment, its agent thinking on the host.
    ask = ("run", "--repo", str(repository), "--text", "Pagination drops the last page", "--setup", SET_UP)
    code, said = await world.do(*ask, "--model", "anthropic:claude-sonnet-4-5")
    assert code == 0 and "proven" in said, said
    execution = next(word for word in said.split() if word.startswith("ex-"))
    # A program in a bottle on the key of Vault, its wire leading inside, with a route; kept as an archive after.
    start = ("bottle", "start", "spy", "--headless", "--prompt", "Look around", "--model", "openai:gpt-5")
    code, said = await world.do(*start, "--label", "spy")
    assert code == 0, said
    (spied,) = (path for path in files(world.state / "bottles") if path.name == "spy.bin")
    assert b"OPENAI_BASE_URL" in spied.read_bytes(), "the spy saw nothing"
    world.search.look_below(world.state / "bottles")
    code, said = await world.do("bottle", "freeze", "spy")
    assert code == 0, said
    # A provider that turns the keys of the keyring and of the file down, and says them back.
    world.settings(openai="keyring:boatwright/openai")
    world.provider.expire()
    for command in ((*start, "--label", "late"), (*ask, "--model", "gemini:gemini-2.5-pro")):
        code, said = await world.do(*command)
        assert code == 4 and "does not accept the credential" in said and "provided: ****" in said, said
    for command in (("show", execution, "--json"), ("events", execution), ("bottle", "logs", "late")):
        await world.do(*command)
    world.search.look_below(world.root)
    heads = "".join(world.provider.heads)
    pair = base64.b64encode(f"me:{world.planted['registry']}".encode()).decode()
    for name in ("env", "vault", "keyring", "file", "npm", "route"):
        assert world.planted[name] in heads, f"the secret of {name} was never used: nothing was tried"
    assert pair in heads, "the registry was never asked"
    assert world.proxy.asked and {status for _, status in world.proxy.asked} == {200}
    assert list(world.state.glob("artifacts/freeze/*/*"))
    assert world.search.looked > 100
    assert not (found := sorted(set(world.search.found))), "\n".join(found)

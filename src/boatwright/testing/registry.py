"""A small private package registry, to try routes with: it answers pip and npm, and nobody without its credential.

It holds one package, ``sail``, as a wheel and as a tarball. Use it as what a ``tls_server.TlsServer`` responds with.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import zipfile

from boatwright.testing.tls_server import Answer, Asked

PACKAGE, VERSION = "sail", "1.0.0"
WHEEL = f"{PACKAGE}-{VERSION}-py3-none-any.whl"
TARBALL = f"{PACKAGE}-{VERSION}.tgz"
REVISION = "5" * 40
SAYS = "hoisted"


class Registry:
    """Give it the one ``authorization`` it takes. ``refused`` are requests that came without."""

    def __init__(self, authorization: str) -> None:
        self._authorization = authorization
        self._wheel, self._tarball = wheel(), tarball()
        self.refused: list[Asked] = []

    def __call__(self, asked: Asked) -> Answer:
        if asked.headers.get("authorization") != self._authorization:
            self.refused.append(asked)
            return 401, [("www-authenticate", 'Basic realm="registry"')], b"who are you?"
        path = asked.target.partition("?")[0]
        found = {
            f"/simple/{PACKAGE}/": ("text/html", self._index),
            f"/files/{WHEEL}": ("application/octet-stream", lambda _: self._wheel),
            f"/{PACKAGE}": ("application/json", self._packument),
            f"/{PACKAGE}/-/{TARBALL}": ("application/octet-stream", lambda _: self._tarball),
            f"/{PACKAGE}.git/info/refs": ("text/plain", lambda _: f"{REVISION}\trefs/heads/main\n".encode()),
        }.get(path)
        if found is None:
            return 404, [], b"no such package"
        kind, content = found
        return 200, [("content-type", kind)], content(asked)

    def _index(self, _: Asked) -> bytes:
        digest = hashlib.sha256(self._wheel).hexdigest()
        return f'<!doctype html><a href="/files/{WHEEL}#sha256={digest}">{WHEEL}</a>'.encode()

    def _packument(self, asked: Asked) -> bytes:
        integrity = f"sha512-{base64.b64encode(hashlib.sha512(self._tarball).digest()).decode()}"
        place = f"https://{asked.headers['host']}/{PACKAGE}/-/{TARBALL}"
        version = {"name": PACKAGE, "version": VERSION, "dist": {"tarball": place, "integrity": integrity}}
        return json.dumps(
            {"name": PACKAGE, "dist-tags": {"latest": VERSION}, "versions": {VERSION: version}}
        ).encode()


def wheel() -> bytes:
    """The package for pip."""
    info = f"{PACKAGE}-{VERSION}.dist-info"
    files = {
        f"{PACKAGE}.py": f"SAYS = {SAYS!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: {VERSION}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: boatwright\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return held.getvalue()


def tarball() -> bytes:
    """The package for npm."""
    files = {
        "package/package.json": json.dumps({"name": PACKAGE, "version": VERSION, "main": "index.js"}),
        "package/index.js": f"module.exports = {SAYS!r};\n",
    }
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            member.mode = 0o644
            archive.addfile(member, io.BytesIO(text.encode()))
    return held.getvalue()

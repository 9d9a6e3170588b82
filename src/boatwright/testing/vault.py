"""A Vault for tests: the key-value part of its HTTP API, on a real socket of loopback.

Mounts of both versions, tokens, a namespace, sealing and expiry. It holds what it is given in memory and encrypts
nothing: it is not a place for a secret.

    with Vault({"secret/model": {"key": "sk-…"}}, token="t") as vault:
        environment = {"VAULT_ADDR": vault.address, "VAULT_TOKEN": "t"}
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

_MOUNTS = "sys/internal/ui/mounts/"


class Vault:
    """``secrets`` by path, mount first. ``versions`` says which mounts are of version 1; the others are of 2."""

    def __init__(
        self,
        secrets: Mapping[str, Mapping[str, Any]],
        *,
        token: str,
        versions: Mapping[str, str] | None = None,
        namespace: str = "",
    ) -> None:
        self.secrets = {path: dict(fields) for path, fields in secrets.items()}
        self.token = token
        self.versions = dict(versions or {})
        self.namespace = namespace
        self.sealed = False
        self.redirects_to = ""
        """Where a standby would send its clients."""
        self.asked: list[str] = []
        """The paths that were asked for, in their order."""
        vault = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                vault._serve(self)

            def log_message(self, *_: Any) -> None:
                """Nothing: what was asked stands in ``asked``."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.removeprefix("/v1/").partition("?")[0]
        self.asked.append(path)
        status, said = self._answer(path, request.headers)
        body = json.dumps(said).encode()
        request.send_response(status)
        if status == 307:
            request.send_header("Location", self.redirects_to + request.path)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def _answer(self, path: str, headers: Message) -> tuple[int, dict[str, Any]]:
        if self.sealed:
            return 503, {"errors": ["Vault is sealed"]}
        if self.redirects_to:
            return 307, {}
        if (
            headers.get("X-Vault-Token") != self.token
            or headers.get("X-Vault-Namespace", "") != self.namespace
        ):
            return 403, {"errors": ["permission denied"]}
        if path.startswith(_MOUNTS):
            return self._mount(path.removeprefix(_MOUNTS))
        mount, _, inner = path.partition("/")
        if self._version(mount) == "2":
            fields = self.secrets.get(f"{mount}/{inner.removeprefix('data/')}")
            said: dict[str, Any] = {"data": {"data": fields, "metadata": {"version": 1}}}
        else:
            fields = self.secrets.get(path)
            said = {"data": fields}
        return (200, said) if fields is not None else (404, {"errors": []})

    def _mount(self, path: str) -> tuple[int, dict[str, Any]]:
        mount = path.partition("/")[0]
        if not any(known.startswith(f"{mount}/") for known in self.secrets):
            return 403, {"errors": ["preflight capability check returned 403"]}
        options = {"version": self._version(mount)}
        return 200, {"data": {"path": f"{mount}/", "type": "kv", "options": options}}

    def _version(self, mount: str) -> str:
        return self.versions.get(mount, "2")

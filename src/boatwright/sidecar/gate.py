"""The git gate: fetch and push over smart HTTP, for one bottle, from a repository of ours that holds what it may see.

``/boatwright/git/TOKEN/repository.git`` is the remote. The wire says who asks; the token, new with each wire, is asked for
besides, so that a program inside that is talked into a request must know it. git's own ``receive-pack`` is not run: what
is pushed is read, judged and taken by us, and no hook is anybody's.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import re
import tempfile
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING

from boatwright import errors
from boatwright.git.run import Call, GitFailed
from boatwright.sidecar import pktline
from boatwright.sidecar.beside import Application, Offer
from boatwright.sidecar.gate_repository import GIT_SECONDS, GateRepository, NotTaken

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

NAME = "git"
MOST_ASKED = 16 << 20
"""Of what a client that fetches says, unpacked."""
_VERSION = re.compile(r"version=[0-2]")


def remote(token: str) -> str:
    """The path of the remote, as the bottle names it."""
    return f"/boatwright/{NAME}/{token}/repository.git"


def configuration(url: str) -> dict[str, str]:
    """Variables that give git a remote called gate, without a file of ours in the workspace. A clone has its own origin."""
    said = {"remote.gate.url": url, "remote.gate.fetch": "+refs/heads/*:refs/remotes/gate/*"}
    numbered: dict[str, str] = {}
    for number, (key, value) in enumerate(said.items()):
        numbered |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return {"GIT_CONFIG_COUNT": str(len(said)), **numbered}


class Gate:
    """The service. ``scratch`` is a directory of ours that goes with the wire."""

    def __init__(self, repository: GateRepository, token: str, scratch: Path) -> None:
        self._repository, self._token, self._scratch = repository, token, scratch

    def offer(self, most_bytes: int) -> Offer:
        return Offer(NAME, self.application(), ("GET", "POST"), most_bytes)

    def application(self) -> Application:
        from starlette.applications import Starlette  # noqa: PLC0415 - slow to import, and most runs have no gate
        from starlette.routing import Route  # noqa: PLC0415

        at = "/{token}/repository.git"
        return Starlette(
            routes=[
                Route(f"{at}/info/refs", self._refs, methods=["GET"]),
                Route(f"{at}/git-upload-pack", self._fetch, methods=["POST"]),
                Route(f"{at}/git-receive-pack", self._push, methods=["POST"]),
            ]
        )

    def _known(self, request: Request) -> bool:
        return hmac.compare_digest(str(request.path_params["token"]).encode(), self._token.encode())

    async def _refs(self, request: Request) -> Response:
        service = request.query_params.get("service", "")
        if not self._known(request) or service not in {"git-upload-pack", "git-receive-pack"}:
            return _text(404, "there is no such repository")
        if service == "git-receive-pack":
            refs = await asyncio.to_thread(self._repository.refs)
            return _git(service, "advertisement", pktline.advertised(refs))
        repository = await asyncio.to_thread(self._repository.ready)
        call = Call(environment=_protocol(request.headers), timeout=GIT_SECONDS)
        told = await asyncio.to_thread(
            repository.run, "upload-pack", "--http-backend-info-refs", str(repository.path), call=call
        )
        banner = b"" if call.environment else pktline.line(b"# service=git-upload-pack\n") + pktline.FLUSH
        return _git(service, "advertisement", banner + told.out)

    async def _fetch(self, request: Request) -> Response:
        """What git's own ``upload-pack`` answers, in our repository: nothing in it is to be hidden from this bottle."""
        if not self._known(request):
            return _text(404, "there is no such repository")
        try:
            asked = await _unpacked(request)
        except ValueError:
            return _text(413, "a client that fetches says less than that")
        repository = await asyncio.to_thread(self._repository.ready)
        with tempfile.NamedTemporaryFile(dir=self._scratch, prefix="fetch-") as answer:
            call = Call(
                stdin=asked, stdout=Path(answer.name), environment=_protocol(request.headers),
                timeout=GIT_SECONDS, ok=(0, 128),  # what it refuses it says in its answer
            )  # fmt: skip
            try:
                await asyncio.to_thread(
                    repository.run, "upload-pack", "--stateless-rpc", str(repository.path), call=call
                )
            except GitFailed as failed:
                return _text(422, f"git upload-pack failed: {failed.complaint[:300] or failed}")
            return _streamed("git-upload-pack", await asyncio.to_thread(Path(answer.name).open, "rb"))

    async def _push(self, request: Request) -> Response:
        if not self._known(request):
            return _text(404, "there is no such repository")
        with tempfile.NamedTemporaryFile(dir=self._scratch, prefix="push-") as spool:
            async for part in request.stream():
                await asyncio.to_thread(spool.write, part)
            spool.flush()
            spool.seek(0)
            try:
                push = pktline.read(spool)
            except pktline.Malformed as error:
                return _text(400, str(error))
            if not push.updates:  # a client that asks first whether it may
                return _git("git-receive-pack", "result", b"")
            told = await asyncio.to_thread(self._taken, push, spool)
            return _git("git-receive-pack", "result", told)

    def _taken(self, push: pktline.Push, spool: IO[bytes]) -> bytes:
        """Take the push, or say why not: to git by ref, and to whoever reads its stderr."""
        try:
            with self._pack(spool) as pack:
                refused = self._repository.take(push.updates, pack)
        except NotTaken as error:
            every = {each.ref: "refused" for each in push.updates}
            return pktline.report(push, "refused", every, error.lines)
        except errors.BoatwrightError as error:
            every = {each.ref: "not taken" for each in push.updates}
            return pktline.report(push, "not taken", every, [str(error)])
        if refused:
            words = dict.fromkeys(refused.values())
            return pktline.report(push, "", refused, words)
        kept = [
            f"{each.ref.removeprefix('refs/heads/')} is kept for a person to look at" for each in push.updates
        ]
        return pktline.report(push, "", {}, kept)

    @contextlib.contextmanager
    def _pack(self, spool: IO[bytes]) -> Iterator[Path | None]:
        """What follows the commands, as a file of its own; None where nothing does."""
        with tempfile.NamedTemporaryFile(dir=self._scratch, prefix="pack-") as pack:
            size = 0
            while part := spool.read(1 << 20):
                size += pack.write(part)
            pack.flush()
            yield Path(pack.name) if size else None


def _protocol(headers: Mapping[str, str]) -> dict[str, str]:
    said = headers.get("git-protocol", "")
    return {"GIT_PROTOCOL": said} if _VERSION.fullmatch(said) else {}


async def _unpacked(request: Request) -> bytes:
    """The body, plain or gzip; ``ValueError`` past the bound."""
    raw = b"".join([part async for part in request.stream()])
    if request.headers.get("content-encoding") in {"gzip", "x-gzip"}:
        unpacker = zlib.decompressobj(wbits=31)
        try:
            raw = unpacker.decompress(raw, MOST_ASKED)
        except zlib.error as error:
            raise ValueError("no gzip") from error
        if unpacker.unconsumed_tail:
            raise ValueError("too much")
    if len(raw) > MOST_ASKED:
        raise ValueError("too much")
    return raw


def _git(service: str, kind: str, body: bytes) -> Response:
    from starlette.responses import Response  # noqa: PLC0415

    return Response(body, media_type=f"application/x-{service}-{kind}", headers={"cache-control": "no-cache"})


def _streamed(service: str, answer: IO[bytes]) -> Response:
    from starlette.responses import StreamingResponse  # noqa: PLC0415

    async def parts() -> AsyncIterator[bytes]:
        with answer:
            while part := await asyncio.to_thread(answer.read, 1 << 18):
                yield part

    return StreamingResponse(
        parts(), media_type=f"application/x-{service}-result", headers={"cache-control": "no-cache"}
    )


def _text(status: int, sentence: str) -> Response:
    from starlette.responses import PlainTextResponse  # noqa: PLC0415

    return PlainTextResponse(f"{sentence}\n", status_code=status)

"""A service of tools: as an MCP server (streamable HTTP, no session, JSON answers), and by one plain request beside it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boatwright.sidecar.beside import Offer

if TYPE_CHECKING:
    from mcp.server.lowlevel.server import Server


@dataclass(frozen=True, slots=True)
class Described:
    """One tool as clients are told of it; ``schema`` of its fields is JSON Schema."""

    name: str
    about: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Tooling:
    """``title`` is what the server calls itself; ``called`` answers a tool's call by its name and fields, ``plainly``
    the body of a POST to the path ``plain``. Neither raises for what an agent says.
    """

    name: str
    title: str
    instructions: str
    tools: Sequence[Described]
    called: Callable[[str, Mapping[str, Any]], Awaitable[Answer]]
    plain: str
    plainly: Callable[[bytes], Awaitable[Answer]]
    most_bytes: int


def unknown(name: str) -> Answer:
    return Answer(f"There is no tool {name[:80]} with these fields.", failed=True)


@contextlib.asynccontextmanager
async def offered(service: Tooling, version: str) -> AsyncIterator[Offer]:
    """The service of one wire, ready to be served."""
    # Slow to import, and most runs ask nobody.
    from mcp.server.transport_security import TransportSecuritySettings  # noqa: PLC0415
    from starlette.requests import Request  # noqa: PLC0415
    from starlette.responses import PlainTextResponse  # noqa: PLC0415
    from starlette.routing import Route  # noqa: PLC0415

    async def plainly(request: Request) -> PlainTextResponse:
        answer = await service.plainly(await request.body())
        return PlainTextResponse(answer.text, status_code=400 if answer.failed else 200)

    server = _server(service, version)
    application = server.streamable_http_app(
        json_response=True,
        stateless_http=True,
        max_request_body_size=service.most_bytes,
        # There is no name to rebind: the socket is the wire's own.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        custom_starlette_routes=[Route(service.plain, plainly, methods=["POST"])],
    )
    async with server.session_manager.run():
        # No GET: there is no stream to open, and a client is told so at once by a 405.
        yield Offer(service.name, application, ("POST",), service.most_bytes)


def _server(service: Tooling, version: str) -> Server[Any]:
    """The low-level server: the other one sets up this process's logging as if it were its own."""
    import mcp.types as mcp  # noqa: PLC0415
    from mcp.server.lowlevel.server import Server  # noqa: PLC0415

    async def listed(_: Any, __: Any) -> mcp.ListToolsResult:
        tools = [
            mcp.Tool(name=one.name, description=one.about, input_schema=dict(one.schema))
            for one in service.tools
        ]
        return mcp.ListToolsResult(tools=tools)

    async def called(_: Any, call: mcp.CallToolRequestParams) -> mcp.CallToolResult:
        answer = await service.called(call.name, call.arguments or {})
        return mcp.CallToolResult(
            content=[mcp.TextContent(type="text", text=answer.text)], is_error=answer.failed
        )

    return Server(
        service.title,
        version=version,
        instructions=service.instructions,
        on_list_tools=listed,
        on_call_tool=called,
    )

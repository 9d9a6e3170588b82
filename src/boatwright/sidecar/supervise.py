"""How an agent asks a person: as tools of an MCP server, or by one plain request; both at the wire's desk.

MCP: ``/boatwright/supervise/mcp`` (streamable HTTP, no session, JSON answers). Plain: ``POST /boatwright/supervise/ask``
with a JSON object: ``{"question": …}``, ``{"budget": "2usd", "reason": …}`` or ``{"route": "host:port", "reason": …}``; the
answer is text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from boatwright.rules import asking
from boatwright.sidecar import tooling
from boatwright.sidecar.beside import Offer
from boatwright.sidecar.desk import Desk
from boatwright.sidecar.tooling import Answer, Described, Tooling
from boatwright.values.asking import Wish

NAME = "supervise"
MCP, PLAIN = f"/boatwright/{NAME}/mcp", f"/boatwright/{NAME}/ask"
"""The paths a bottle uses."""
MOST_BYTES = 64 << 10
INSTRUCTIONS = (
    "Ask the person who watches this run, if anybody does. Every call may come back with no answer: then go on without. "
    "Asking the same again, word for word, is no new request; it looks for the answer."
)
FORMS = (
    'POST a JSON object here: {"question": "…"}, {"budget": "2usd", "reason": "…"} or '
    '{"route": "host:port", "reason": "…"}. The answer is text.\n'
)


@dataclass(frozen=True, slots=True)
class Tool:
    """One thing to ask for: what it is called, its fields with what each is, and how they make a wish.

    ``plain`` is what the first field is called in the plain form; the others keep their names.
    """

    name: str
    about: str
    fields: Mapping[str, str]
    plain: str
    wish: Callable[..., Wish]

    @property
    def schema(self) -> dict[str, Any]:
        """The fields as JSON Schema."""
        said = {name: {"type": "string", "description": about} for name, about in self.fields.items()}
        return {
            "type": "object",
            "properties": said,
            "required": list(self.fields),
            "additionalProperties": False,
        }


TOOLS = (
    Tool(
        "ask_operator",
        "Ask the operator a question you cannot settle yourself. The answer is text.",
        {"question": "the question, with what is needed to answer it"},
        "question",
        asking.question,
    ),
    Tool(
        "request_budget",
        "Ask the operator for more budget, on top of what you have.",
        {"amount": "such as 2usd or 500ktok", "reason": "what it is for"},
        "budget",
        asking.budget,
    ),
    Tool(
        "request_route",
        "Ask the operator to let you reach one more host, by TLS.",
        {"host": "a name (port 443) or name:port", "reason": "what it is for"},
        "route",
        asking.route,
    ),
)


def offered(desk: Desk, version: str) -> AbstractAsyncContextManager[Offer]:
    """The service of one wire, ready to be served."""

    async def called(name: str, fields: Mapping[str, Any]) -> Answer:
        wish = asked(name, fields)
        return Answer(await desk.ask(wish)) if wish else tooling.unknown(name)

    async def plainly(body: bytes) -> Answer:
        said = read(body)
        if said is None:
            return Answer(f"This is none of the forms there are. {FORMS}", failed=True)
        return Answer(f"{await desk.ask(said)}\n")

    tools = [Described(one.name, one.about, one.schema) for one in TOOLS]
    service = Tooling(NAME, "boatwright", INSTRUCTIONS, tools, called, "/ask", plainly, MOST_BYTES)
    return tooling.offered(service, version)


def asked(name: str, fields: Mapping[str, Any]) -> Callable[[], Wish] | None:
    """What a tool's call asks for; None where there is no such tool, or its fields are others."""
    for tool in TOOLS:
        if tool.name == name and fields.keys() == tool.fields.keys():
            values = list(map(fields.__getitem__, tool.fields))
            return _made(tool, values)
    return None


def read(body: bytes) -> Callable[[], Wish] | None:
    """What one of the plain forms asks for; None for anything else."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    for tool in TOOLS:
        names = [tool.plain, *list(tool.fields)[1:]]
        if isinstance(said, dict) and said.keys() == set(names):
            return _made(tool, [said[name] for name in names])
    return None


def _made(tool: Tool, values: list[Any]) -> Callable[[], Wish] | None:
    return (lambda: tool.wish(*values)) if all(isinstance(each, str) for each in values) else None

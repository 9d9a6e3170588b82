"""What a model call can take at most, told from its request; what it took, told from its answer.

One module per protocol: :mod:`anthropic` (Messages) and :mod:`openai` (Chat Completions). Each offers a
:class:`~boatwright.egress.meter.protocol.Protocol`.
"""

from __future__ import annotations

from boatwright.egress.meter import anthropic, openai
from boatwright.egress.meter.protocol import Protocol

PROTOCOLS: dict[str, Protocol] = {
    anthropic.PROTOCOL.name: anthropic.PROTOCOL,
    openai.PROTOCOL.name: openai.PROTOCOL,
}


def by_path(path: str) -> Protocol | None:
    """The protocol a path on the gateway speaks."""
    return next((one for one in PROTOCOLS.values() if one.path == path), None)

"""The conversation of the built-in agent: stored as canonical bytes, read back, made whole before it goes on.

Bytes are pydantic-ai's own JSON of its messages with sorted keys and without times, so that the same
conversation is always the same artifact. The system prompt is not part of it: each call gets the one of its
task.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from boatwright import errors

INTERRUPTED = (
    "interrupted, state unknown: it may have run wholly, in part, or not at all; look before you go on"
)
NOTE = "[note from the harness] "
"""Begins every user message that is not a task: what was wrong with the last reply."""

_VOLATILE = frozenset({"timestamp", "run_id", "conversation_id", "provider_url"})


def dump(messages: Sequence[ModelMessage]) -> bytes:
    """Canonical bytes."""
    plain = ModelMessagesTypeAdapter.dump_python(list(messages), mode="json")
    steady = [_steady(message) for message in plain]
    return json.dumps(steady, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "replace"
    )


def load(raw: bytes) -> list[ModelMessage]:
    """The messages again. Raises ``errors.BadInput`` when the bytes are not a transcript of ours."""
    try:
        return ModelMessagesTypeAdapter.validate_json(raw)
    except ValidationError as error:
        raise errors.BadInput(
            "the saved conversation cannot be read", next_moves=("boatwright retry EXECUTION --from build",)
        ) from error


def _steady(message: dict[str, Any]) -> dict[str, Any]:
    """Without what differs from run to run; only at the two levels where pydantic-ai puts it, never in
    arguments.
    """
    kept = {key: value for key, value in message.items() if key not in _VOLATILE}
    kept["parts"] = [{k: v for k, v in part.items() if k != "timestamp"} for part in message["parts"]]
    details = kept.get("provider_details")
    if isinstance(details, dict):
        kept["provider_details"] = {k: v for k, v in details.items() if k != "timestamp"} or None
    return kept


def task(prompt: str) -> ModelRequest:
    """A gate round's prompt."""
    return ModelRequest(parts=[UserPromptPart(prompt)])


def note(text: str) -> ModelRequest:
    """Something the harness tells the model that is not a task."""
    return ModelRequest(parts=[UserPromptPart(NOTE + text)])


def calls_of(response: ModelResponse) -> list[ToolCallPart]:
    return [part for part in response.parts if isinstance(part, ToolCallPart)]


def text_of(response: ModelResponse) -> str:
    return "\n".join(part.content for part in response.parts if isinstance(part, TextPart)).strip()


def whole(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """The messages with every open tool call answered: a call without a result gets :data:`INTERRUPTED`."""
    made = list(messages)
    if not made or not isinstance(made[-1], ModelResponse):
        return made
    open_calls = calls_of(made[-1])
    if open_calls:
        parts = [ToolReturnPart(call.tool_name, INTERRUPTED, call.tool_call_id) for call in open_calls]
        made.append(ModelRequest(parts=parts))
    return made


def round_of(messages: Sequence[ModelMessage]) -> Sequence[ModelMessage]:
    """What came since the newest task, the task included: the gate round under way."""
    for index in range(len(messages) - 1, -1, -1):
        if _is_task(messages[index]):
            return messages[index:]
    return messages


def replies_of(messages: Sequence[ModelMessage]) -> list[ModelResponse]:
    return [message for message in messages if isinstance(message, ModelResponse)]


def tokens_of(messages: Sequence[ModelMessage]) -> int:
    """All tokens the providers reported for these messages, in and out, cached or not."""
    return sum(reply.usage.total_tokens for reply in replies_of(messages))


def _is_task(message: ModelMessage) -> bool:
    if not isinstance(message, ModelRequest):
        return False
    prompts = [part for part in message.parts if isinstance(part, UserPromptPart)]
    return any(not str(part.content).startswith(NOTE) for part in prompts)

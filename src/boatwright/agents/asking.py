"""Ask a model for one typed answer: a tool it has to call, checked, told what was wrong, a few times."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, ToolCallPart, ToolReturnPart
from pydantic_ai.tools import ToolDefinition

from boatwright import errors
from boatwright.agents import tools, transcript
from boatwright.agents.model import ModelClient, Patience, Request
from boatwright.agents.protocol import ModelWire

ATTEMPTS = 3
ANSWER_SECONDS = 1_800.0
"""For one answer with all its attempts: a model that drips is not waited for without end."""

T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """What is asked for: the tool's name, what it is for, the shape of the answer, and a word for people."""

    tool: str
    description: str
    shape: type[T]
    noun: str

    def definition(self) -> ToolDefinition:
        schema = self.shape.model_json_schema()
        return ToolDefinition(
            name=self.tool,
            description=self.description,
            parameters_json_schema=schema,
            strict=False,
            kind="output",
        )


async def ask(
    wire: ModelWire,
    question: Question[T],
    *,
    system: str,
    prompt: str,
    max_output: int,
    patience: Patience | None = None,
) -> tuple[T, bytes]:
    """The answer and the whole conversation that led to it.

    Raises ``errors.Parked`` with code ``model_garbage`` after :data:`ATTEMPTS` answers that do not fit, with
    ``model_unavailable`` when the time for it is used up, and what ``ModelClient.reply`` raises.
    """
    until = asyncio.get_running_loop().time() + ANSWER_SECONDS
    messages: list[ModelMessage] = [transcript.task(prompt)]
    wrong = ""
    async with ModelClient(wire, patience) as model:
        for _ in range(ATTEMPTS):
            asked = Request(messages, system, [question.definition()], max_output, must_call=True)
            reply = await _in_time(model, asked, until, question.noun)
            messages.append(reply)
            try:
                return _read(question, reply), transcript.dump(messages)
            except tools.Failed as failed:
                wrong = str(failed)
                messages.append(_told(reply, wrong))
    raise errors.Parked(
        f"the model gave no {question.noun} that can be used in {ATTEMPTS} attempts; the last one: {wrong}",
        code="model_garbage", subject=str(wire.model),
        next_moves=("boatwright retry EXECUTION --from plan",),
    )  # fmt: skip


async def _in_time(model: ModelClient, asked: Request, until: float, noun: str) -> ModelResponse:
    clock = asyncio.get_running_loop().time
    try:
        return await model.reply(asked, remaining=lambda: until - clock())
    except TimeoutError as late:
        raise errors.Parked(
            f"the model did not finish its {noun} in {ANSWER_SECONDS:.0f} s", code="model_unavailable"
        ) from late


def _read(question: Question[T], reply: ModelResponse) -> T:
    call = _call(question, reply)
    if call is None:
        cut = "your reply was cut off at the output limit; " if reply.finish_reason == "length" else ""
        raise tools.Failed(f"{cut}answer by calling {question.tool}")
    try:
        if isinstance(call.args, str):
            return question.shape.model_validate_json(call.args)
        return question.shape.model_validate(call.args or {})
    except ValidationError as error:
        raise tools.Failed(f"the {question.noun} is not valid: {tools.complaint(error)}") from error


def _call(question: Question[T], reply: ModelResponse) -> ToolCallPart | None:
    return next((call for call in transcript.calls_of(reply) if call.tool_name == question.tool), None)


def _told(reply: ModelResponse, wrong: str) -> ModelRequest:
    """Every call of the reply answered with what was wrong; a note where there was none."""
    calls = transcript.calls_of(reply)
    if not calls:
        return transcript.note(wrong)
    return ModelRequest(
        parts=[ToolReturnPart(c.tool_name, wrong, c.tool_call_id, outcome="failed") for c in calls]
    )

from __future__ import annotations

import datetime
import json

import pytest
from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, ToolCallPart, ToolReturnPart

from boatwright import errors
from boatwright.agents import transcript

CALL = ToolCallPart("bash", {"command": "ls", "timestamp": 1}, "c1")


def conversation(when: datetime.datetime) -> list[object]:
    return [
        transcript.task("mend it"),
        ModelResponse([TextPart("look"), CALL], timestamp=when, provider_details={"timestamp": when}),
        ModelRequest([ToolReturnPart("bash", "a.py", "c1", timestamp=when)]),
        ModelResponse([TextPart("done ü \ud800")], timestamp=when),
    ]


def test_the_same_conversation_is_the_same_bytes() -> None:
    one, two = (datetime.datetime(2026, 1, day, tzinfo=datetime.UTC) for day in (1, 2))
    raw = transcript.dump(conversation(one)[:3])  # type: ignore[arg-type]
    assert raw == transcript.dump(conversation(two)[:3])  # type: ignore[arg-type]
    assert raw == transcript.dump(transcript.load(raw))
    assert b'"timestamp":1' in raw, "arguments are not touched"
    assert json.loads(raw)[1]["parts"][1]["args"] == {"command": "ls", "timestamp": 1}


def test_text_that_is_no_text_does_not_stop_the_saving() -> None:
    raw = transcript.dump(conversation(datetime.datetime.now(datetime.UTC)))  # type: ignore[arg-type]
    assert len(transcript.load(raw)) == 4


@pytest.mark.parametrize("raw", [b"", b"{}", b"[1]", b"\xff", b'[{"kind": "request"}]'])
def test_what_is_no_transcript_is_refused(raw: bytes) -> None:
    with pytest.raises(errors.BadInput, match="cannot be read"):
        transcript.load(raw)


def test_open_calls_are_answered_once() -> None:
    open_ended = [transcript.task("x"), ModelResponse([CALL, ToolCallPart("bash", "{}", "c2")])]
    made = transcript.whole(open_ended)
    answers = [part for part in made[-1].parts if isinstance(part, ToolReturnPart)]
    assert [(part.tool_call_id, part.content) for part in answers] == [
        ("c1", transcript.INTERRUPTED), ("c2", transcript.INTERRUPTED),
    ]  # fmt: skip
    assert transcript.whole(made) == made
    assert transcript.whole([]) == []
    finished = [transcript.task("x"), ModelResponse([TextPart("done")])]
    assert transcript.whole(finished) == finished


def test_a_round_begins_at_its_task_and_notes_begin_none() -> None:
    first = [transcript.task("one"), ModelResponse([TextPart("a")])]
    second = [transcript.task("two"), ModelResponse([TextPart("")]), transcript.note("say something")]
    assert list(transcript.round_of([*first, *second])) == second
    assert list(transcript.round_of(first)) == first

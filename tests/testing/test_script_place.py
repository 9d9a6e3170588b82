"""Where a conversation stands: the scripted model knows nothing but what it is sent."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatwright.testing.conversation import (
    Asked,
    BadRequestError,
    Offer,
    Place,
    Purpose,
    Said,
    check_pairs,
    folded,
    place_of,
)

TASK, MORE = Said("user", "please mend it"), Said("user", "also this")
CALL, DONE = Said("assistant", calls=("c1",)), Said("assistant", "done")
RESULT = Said("user", answers=("c1",))
GARBAGE = Said("assistant", calls=("c1",), garbage=True)


def marked(number: int) -> Said:
    return Said("user", f"[boatwright round {number}]\nmend it")


def asked(*messages: Said, tools: tuple[str, ...] = ("bash",)) -> Asked:
    return Asked("m", messages, tuple(Offer(name) for name in tools), False, 100, True, 10, "f")


@pytest.mark.parametrize(
    ("messages", "place"),
    [
        ((TASK,), (1, 1)),
        ((TASK, CALL, RESULT), (1, 2)),
        ((TASK, CALL, RESULT, CALL, RESULT), (1, 3)),
        ((TASK, CALL, RESULT, DONE, TASK), (2, 1)),
        ((TASK, DONE, TASK, CALL, RESULT), (2, 2)),
        ((TASK, MORE, CALL, RESULT), (1, 2)),  # two user messages in a row are one task
        ((marked(3),), (3, 1)),
        ((marked(1), CALL, RESULT, DONE, marked(2), CALL, RESULT), (2, 2)),
        ((marked(2), CALL, RESULT, Said("user", "go on")), (2, 2)),  # an unmarked note begins no round
        ((marked(1), GARBAGE, RESULT), (1, 1)),  # what the fault made is not one of the script's replies
        ((marked(1), CALL, RESULT, GARBAGE, RESULT, GARBAGE, RESULT), (1, 2)),
        (
            (marked(1), CALL, RESULT, Said("assistant", "API Error: 402"), MORE),
            (1, 2),
        ),  # not the model's words
        ((marked(1), Said("assistant", "No response requested."), MORE), (1, 1)),
        ((TASK, Said("assistant", "first half"), CALL, RESULT), (1, 2)),  # several in a row are one reply
        ((Said("user", "[boatwright round 1] … [boatwright round 4]"),), (4, 1)),
        ((Said("system", "[boatwright round 9]"), TASK), (1, 1)),
        ((TASK, Said("developer", "be quick"), MORE, CALL, RESULT), (1, 2)),  # such roles take no turn
        ((TASK, CALL, RESULT, Said("system", "by the way"), CALL, RESULT), (1, 3)),
    ],
)
def test_round_and_reply(messages: tuple[Said, ...], place: tuple[int, int]) -> None:
    assert place_of(asked(*messages)) == Place(Purpose.BUILD, *place)


@pytest.mark.parametrize(
    ("tools", "purpose"),
    [
        (("submit_plan",), Purpose.PLAN),
        (("bash", "submit_review"), Purpose.REVIEW),
        (("bash",), Purpose.BUILD),
        ((), Purpose.CHAT),
    ],
)
def test_the_tools_tell_who_asks(tools: tuple[str, ...], purpose: Purpose) -> None:
    assert place_of(asked(TASK, tools=tools)).purpose is purpose


@pytest.mark.parametrize(
    ("instructions", "schema", "tools", "purpose"),
    [
        ("Generate a title.", None, (), Purpose.ASIDE),
        ("Write a commit message.", None, (), Purpose.ASIDE),
        ("You are a coding agent. Answer with edits.", None, (), Purpose.CHAT),
        ("x" * 5_000 + " title", None, (), Purpose.CHAT),
        ("", {"type": "object"}, (), Purpose.ASIDE),
        ("Generate a title.", None, ("bash",), Purpose.BUILD),
    ],
)
def test_what_is_asked_on_the_side(
    instructions: str, schema: dict[str, str] | None, tools: tuple[str, ...], purpose: Purpose
) -> None:
    one = replace(asked(TASK, tools=tools), instructions=instructions, answer_schema=schema)
    assert place_of(one).purpose is purpose


def test_messages_of_one_role_in_a_row_are_folded() -> None:
    other = Said("assistant", "and", calls=("c2",), garbage=True)
    assert folded((TASK, DONE, CALL, other, RESULT, MORE)) == (
        TASK,
        Said("assistant", "done\nand", ("c1", "c2"), (), True),
        Said("user", "also this", (), ("c1",)),
    )


@given(rounds=st.lists(st.integers(0, 5), min_size=1, max_size=5))
def test_any_conversation_that_followed_the_script_gives_the_next_place(rounds: list[int]) -> None:
    """Rounds of n calls and a last word each: the place is the last round's next reply, marked or not."""
    for marks in (True, False):
        messages: list[Said] = []
        for number, calls in enumerate(rounds, 1):
            messages += [marked(number) if marks else TASK, *[CALL, RESULT] * calls]
            if number < len(rounds):
                messages.append(DONE)
        assert place_of(asked(*messages)) == Place(Purpose.BUILD, len(rounds), rounds[-1] + 1)


@pytest.mark.parametrize(
    "messages",
    [
        (TASK, CALL),
        (TASK, CALL, MORE),
        (TASK, CALL, DONE),
        (TASK, RESULT),
        (TASK, CALL, Said("user", answers=("other",))),
        (TASK, CALL, RESULT, RESULT),
    ],
)
def test_tool_calls_and_results_must_pair(messages: tuple[Said, ...]) -> None:
    with pytest.raises(BadRequestError):
        check_pairs(messages)


def test_paired_conversations_pass() -> None:
    two = Said("assistant", calls=("a", "b"))
    check_pairs((TASK, CALL, RESULT, two, Said("user", answers=("a",)), Said("user", answers=("b",)), DONE))

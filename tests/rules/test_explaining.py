"""What ``/boatwright explain`` says of the head of a pull request, and of who made it."""

from __future__ import annotations

import pytest
from tests.rules.test_taking_in_rules import merged, pushed, story

from boatwright.rules import explaining
from boatwright.rules.fold import fold
from boatwright.testing import samples
from boatwright.values import events
from boatwright.values.execution import ExecutionView

OURS, THEIRS, NEXT = (samples.commit(name) for name in ("ours", "theirs", "next"))


def view_of(commit: str) -> ExecutionView:
    facts = (
        samples.requested(),
        events.AnalysisStarted(base_commit=samples.commit("base")),
        events.VerificationStarted(round=1),
        samples.delivered(commit=commit),
    )
    view: ExecutionView | None = None
    for event in story(*facts):
        view = fold(view, event)
    assert view is not None
    return view


@pytest.mark.parametrize(
    ("delivered", "head", "told", "said"),
    [
        (OURS, OURS, (pushed(OURS),), "Pull request #8: ready."),
        (OURS, THEIRS, (pushed(OURS),), f"is at `{THEIRS[:12]}`, which others pushed: not proven."),
        (
            OURS,
            THEIRS,
            (pushed(OURS), merged(THEIRS)),
            f"is at `{THEIRS[:12]}`, which others pushed, and which was taken in: not proven.",
        ),
        (OURS, NEXT, (pushed(OURS), pushed(NEXT)), f"is at `{NEXT[:12]}`: not proven."),
        (
            THEIRS,
            THEIRS,
            (pushed(OURS), merged(THEIRS), pushed(THEIRS)),
            f"Pull request #8: ready.\n\nIts head `{THEIRS[:12]}` is as others pushed it.",
        ),
    ],
)
def test_whose_head_it_is(delivered: str, head: str, told: tuple[events.Payload, ...], said: str) -> None:
    text = explaining.text(view_of(delivered), head, story(*told))
    assert said in text
    assert ("others pushed" in text) is (head == THEIRS)

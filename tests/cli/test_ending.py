"""What a run exits with: a table of how it ended and what its proof said."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from boatwright.cli import ending
from boatwright.values.proof import HowRead, ProofVerdict, Word
from boatwright.values.state import State

ROWS = [
    ("ready", State.DELIVERED, True, "", Word.PROVEN, 0),
    ("ready, and new", State.DELIVERED, True, "", Word.NEW_BEHAVIOUR, 0),
    ("a draft that another gate held back", State.DELIVERED, False, "", Word.PROVEN, 5),
    ("unproven", State.DELIVERED, False, "", Word.UNPROVEN, 10),
    ("regression", State.DELIVERED, False, "", Word.REGRESSION, 11),
    ("could not check", State.DELIVERED, False, "", Word.COULD_NOT_CHECK, 13),
    ("refused by the proof", State.PARKED, False, "refused", Word.REFUSED, 12),
    ("refused before a proof", State.PARKED, False, "refused", None, 5),
    ("nothing was changed", State.PARKED, False, "no_change", None, 4),
    ("parked after an earlier word", State.PARKED, False, "budget", Word.UNPROVEN, 4),
    ("failed", State.FAILED, False, "", None, 1),
    ("cancelled", State.CANCELLED, False, "", Word.UNPROVEN, 130),
    ("merged", State.COMPLETED, False, "", Word.UNPROVEN, 0),
]


@pytest.mark.parametrize(
    ("state", "ready", "code", "word", "exit_code"), [row[1:] for row in ROWS], ids=[r[0] for r in ROWS]
)
def test_exit_code(state: State, ready: bool, code: str, word: Word | None, exit_code: int) -> None:
    view = cast("Any", SimpleNamespace(state=state, ready=ready, parked_code=code or None))
    proof = word and ProofVerdict(word=word, commit="c" * 40, sentence="So it is.", how_read=HowRead.JUNIT)
    assert ending.exit_code(view, proof or None) == exit_code

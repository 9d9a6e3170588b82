"""In which order a person is told what to do about a run that is parked."""

from __future__ import annotations

import pytest

from boatwright.rules import parking

GO_ON = "boatwright resume EXECUTION"


@pytest.mark.parametrize("code", parking.NEXT_MOVES)
def test_to_go_on_comes_after_what_has_to_be_mended(code: str) -> None:
    last = parking.next_moves(code, "ex-1")[-1]
    moves = parking.next_moves(code, "ex-1", ("mend it", GO_ON))
    assert moves[0] == "mend it" and moves[-1] == last and len(set(moves)) == len(moves)


def test_a_key_that_is_missing_is_set_first() -> None:
    moves = parking.next_moves("credential", "ex-1", ("export FORGE_TOKEN=…", GO_ON))
    assert moves[0] == "export FORGE_TOKEN=…" and moves[-1] == "boatwright resume ex-1"

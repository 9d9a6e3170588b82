"""What a program is told by an exit code: one number for each way an execution can stand."""

from __future__ import annotations

from boatwright import errors
from boatwright.rules.proof import EXIT_CODES
from boatwright.values.execution import ExecutionView
from boatwright.values.proof import Word
from boatwright.values.state import State

AT_WORK = 8
"""It works, or waits for a worker; for those who only ask."""
OF_STATE = {
    State.PARKED: errors.Parked.exit_code,
    State.FAILED: errors.BoatwrightError.exit_code,
    State.CANCELLED: errors.Stopped.exit_code,
}
_ENDED = frozenset({*OF_STATE, State.DELIVERED, State.COMPLETED})


def ended(view: ExecutionView, word: Word | None) -> int:
    """That of a run which stands like this, with the newest word of its proof; 0 for what is still at work.

    A proven change that is still a draft was held by another gate.
    """
    if view.state is State.PARKED and view.parked_code == "refused":
        return EXIT_CODES[Word.REFUSED] if word is Word.REFUSED else errors.Refused.exit_code
    if view.state in OF_STATE:
        return OF_STATE[view.state]
    if view.state is not State.DELIVERED or view.ready:
        return 0
    return (EXIT_CODES[word] if word is not None else 0) or errors.Refused.exit_code


def asked(view: ExecutionView) -> int:
    """The same for somebody who asks how it stands: :data:`AT_WORK` until it ends or waits for people."""
    if view.state not in _ENDED:
        return AT_WORK
    return ended(view, Word(view.word) if view.word else None)

"""The errors people see, one tree.

    BoatwrightError                 exit 1   anything that went wrong and has a sentence for it
    ├── BadInput                    exit 2   what was asked cannot be done as asked (flags, files, ids)
    │   ├── BadPolicy                        .boatwright.yml: unknown key, wrong type
    │   ├── AboveCeiling                     a repository asks for more than settings.yml allows
    │   └── NotFound                         unknown execution, issue, pull request
    ├── MissingPart                 exit 3   this host lacks something (a sandbox, a program)
    ├── Parked                      exit 4   the work stopped, is safe, and waits for a person
    │   ├── BudgetExhausted                  the cap is reached; raise it and resume
    │   └── ForgeUnavailable                 a forge does not answer, or asks us to wait for longer than we do
    ├── Refused                     exit 5   a rule of ours says no (unproven merge, wrong head)
    ├── Conflict                    exit 6   somebody else holds it (issue already running, stale expectation)
    │   └── KeyTaken                         the key was sent with another request before
    ├── StoreUnavailable            exit 7   database or disk cannot take the write; nothing was lost
    └── Stopped                     exit 130 told to stop (Ctrl-C, cancel, lease lost); resumable

Every error says what happened, to what, and the next move. ``str(error)`` is the sentence; ``next_moves`` are
commands or settings, ready to copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime


class BoatwrightError(Exception):
    """Root of the tree: one sentence, what it is about, and what to do next. ``public``: the sentence as everybody at the
    repository may read it, where people there can mend it; else it is empty.
    """

    exit_code = 1

    def __init__(
        self, sentence: str, *, subject: str = "", next_moves: Sequence[str] = (), public: str = ""
    ) -> None:
        super().__init__(sentence)
        self.subject = subject
        self.public = public
        self.next_moves = tuple(next_moves)


class BadInput(BoatwrightError):
    exit_code = 2


class BadPolicy(BadInput):
    pass


class AboveCeiling(BadInput):
    pass


class NotFound(BadInput):
    pass


class MissingPart(BoatwrightError):
    exit_code = 3


class Parked(BoatwrightError):
    """The run stops here on purpose. ``code`` is the machine-readable reason, from rules/parking.py."""

    exit_code = 4

    def __init__(
        self, sentence: str, *, code: str, subject: str = "", next_moves: Sequence[str] = ()
    ) -> None:
        super().__init__(sentence, subject=subject, next_moves=next_moves)
        self.code = code


class BudgetExhausted(Parked):
    def __init__(self, sentence: str, *, subject: str = "", next_moves: Sequence[str] = ()) -> None:
        super().__init__(sentence, code="budget", subject=subject, next_moves=next_moves)


class ForgeUnavailable(Parked):
    """A forge is away or has had enough of us. ``again`` is when it said, or we guess, that asking makes sense."""

    def __init__(
        self,
        sentence: str,
        *,
        again: datetime | None = None,
        subject: str = "",
        next_moves: Sequence[str] = (),
    ) -> None:
        super().__init__(sentence, code="forge", subject=subject, next_moves=next_moves)
        self.again = again


class Refused(BoatwrightError):
    exit_code = 5


class Conflict(BoatwrightError):
    exit_code = 6


class KeyTaken(Conflict):
    pass


class StoreUnavailable(BoatwrightError):
    exit_code = 7


class Stopped(BoatwrightError):
    exit_code = 130

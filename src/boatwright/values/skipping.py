"""Why a delivery was ignored: the whole vocabulary. ``docs/webhooks.md`` explains each word, and a test holds it to that."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SkipReason(StrEnum):
    # it cannot be read
    FORM = "form"  # sent as a form: the hook is to send JSON
    NOT_JSON = "not_json"  # no JSON object in an encoding of Unicode
    OTHER_SHAPE = "other_shape"  # what we need of it is missing or of another type
    UNKNOWN_EVENT = "unknown_event"  # a kind of event nothing here uses
    UNUSED_ACTION = "unused_action"  # a kind of event that is used, and an action that is not
    # it is not for us
    UNKNOWN_REPOSITORY = "unknown_repository"  # this host does not serve it, or not under that name any more
    WRONG_REPOSITORY = "wrong_repository"  # signed with the secret of another repository
    SWITCHED_OFF = "switched_off"  # the kill switch, of everything or of the repository
    FROM_OURSELVES = "from_ourselves"  # our own account did it
    FROM_BOT = "from_bot"  # another bot did it: nobody obeys those
    FROM_FORK = "from_fork"  # a pull request from a fork: it never gets what is secret
    NOT_OURS = "not_ours"  # no execution of ours belongs to the issue or pull request
    NO_TRIGGER = "no_trigger"  # the issue does not ask for work
    NOT_ADDRESSED = "not_addressed"  # a comment that is no word for us
    # it asks, and nothing is done
    NOT_ALLOWED = "not_allowed"  # whoever asks may not
    ALREADY_ASKED = "already_asked"  # the same request was heard before
    ALREADY_RUNNING = "already_running"  # the issue has a live execution
    STALE = "stale"  # newer news of the same issue was heard before
    WORDS_CHANGED = "words_changed"  # a look cannot tell whether its words are older than the trigger
    OVERLONG = "overlong"  # a look at a thread found more than is read at once
    UNKNOWN_COMMAND = "unknown_command"  # /boatwright with a word that is none, or without what it needs
    NOTHING_TO_DO = "nothing_to_do"  # what is asked changes nothing in the present state
    POLICY = "policy"  # what the base branch, or a label, says of how to work here cannot be followed
    CEILING = "ceiling"  # the base branch asks for more than the host allows


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with what the base branch, or a label, asks for, and how to mend it: as everybody may read it. Both
    quote what others wrote.
    """

    sentence: str
    moves: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Skip:
    """Nothing is done, and why. ``detail`` is a sentence of ours; what it quotes of others is cut short.

    ``instead``: what whoever asked may do in its place, where that is more than the manual says. ``fault``: why a request
    for work was not begun, where people at the repository can mend that.
    """

    reason: SkipReason
    detail: str = ""
    instead: str = ""
    fault: Fault | None = None

"""What something that happened on a forge asks of us: the routing table. Whether the asker may is ``rules.authorisation``.

| what happened | what is asked |
|---|---|
| an issue opened, labelled or assigned that bears a trigger | start |
| a comment that begins with ``/boatwright`` | that command; one that is none is answered |
| another comment, or a review, on a pull request | say it to its execution |
| a pull request closed or merged | tell its execution |
| a check that is not ours ended on a commit | look at the checks of that commit |
| a branch pushed to, by whomever | look at the pull request of that branch |
| a repository renamed or transferred | remember its new path |
| everything else | nothing, with a reason |
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from boatwright.rules import machines, their_checks
from boatwright.values.checks import Standing
from boatwright.values.incoming import (
    Checked,
    Commented,
    Happening,
    Installed,
    IssueAction,
    IssueChanged,
    Moved,
    Origin,
    Pinged,
    PullAction,
    PullChanged,
    Pushed,
    Reviewed,
)
from boatwright.values.order import (
    Command,
    Decide,
    Look,
    Misspoken,
    Move,
    Note,
    Order,
    Revisit,
    Say,
    Start,
    Verb,
)
from boatwright.values.skipping import Skip, SkipReason

AGENT_PREFIX = "boatwright:"
BOTTLE_PREFIX = "boatwright-bottle:"
ASKING = frozenset({IssueAction.OPENED, IssueAction.LABELLED, IssueAction.ASSIGNED, IssueAction.LISTED})
"""Changes of an issue that may ask for work, and a look at it. Editing, closing and reopening never do."""
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_COMMAND = re.compile(r"/boatwright(?:\s+(?P<words>.*))?", re.IGNORECASE)
_OUR_MARK = re.compile(r"<!-- boatwright[: ][^>]{1,200} -->\s*\Z")
_NEEDS_ARGUMENT = frozenset({Verb.BUDGET})
_QUOTED = 60
_BRANCHES = "refs/heads/"


@dataclass(frozen=True, slots=True)
class Terms:
    """How a host wants to be asked. ``bots``: accounts nobody obeys, beside those the forge itself calls bots."""

    label: str = "agent"
    bots: frozenset[str] = frozenset()


def order(event: Happening, terms: Terms) -> Order | Skip:
    """What is asked, or why nothing is."""
    plain = _without_a_person(event, terms)
    return plain or _loop(event.at, terms) or _of_a_person(event, terms)


def _without_a_person(event: Happening, terms: Terms) -> Order | Skip | None:
    """What the forge says by itself, or has let somebody do: who did it makes no difference."""
    if isinstance(event, Pinged):
        return Note("the forge reaches this door")
    if isinstance(event, Installed):
        return Note(f"{event.action} {' '.join(event.paths[:5])}".strip())
    if isinstance(event, Moved):
        return Move(event.old, event.at.path)
    if isinstance(event, Checked):
        return _checked(event)
    if isinstance(event, Pushed):
        return _pushed(event)
    return _pull(event) if isinstance(event, PullChanged) else None


def _checked(event: Checked) -> Look | Skip:
    """Checks are set by machines, often in the name of whoever pushed, and that may be us: who it was decides nothing."""
    what = f"{event.kind} {event.conclusion}"
    if their_checks.is_ours(event.name):
        return Skip(SkipReason.FROM_OURSELVES, "a check of ours")
    if their_checks.standing(event.conclusion) in {Standing.PASSED, Standing.FAILED}:
        return Look(event.commit, what[:_QUOTED])
    return Skip(SkipReason.NOTHING_TO_DO, f"nothing hangs on {what}"[:_QUOTED])


def _pushed(event: Pushed) -> Revisit | Skip:
    """Whoever it was, for a repository's CI pushes in the name of a bot: its head says whether it is the one we made."""
    branch = event.ref.removeprefix(_BRANCHES)
    if branch == event.ref or not event.after.strip("0"):
        return Skip(SkipReason.NOTHING_TO_DO, "nothing hangs on a tag, nor on a branch that is gone")
    return Revisit(branch)


def _of_a_person(event: Happening, terms: Terms) -> Order | Skip:
    if isinstance(event, IssueChanged):
        return start(event, terms.label)
    if isinstance(event, Commented):
        return _comment(event)
    if isinstance(event, Reviewed):
        return _review(event)
    return Skip(SkipReason.NOTHING_TO_DO, "nothing hangs on it")


def _loop(at: Origin, terms: Terms) -> Skip | None:
    """The loop guard: what machines say is never obeyed. Our own account is known by its forge (``authorisation``)."""
    if at.is_bot or machines.is_machine(at.forge, at.sender, terms.bots):
        return Skip(SkipReason.FROM_BOT, f"{at.sender[:_QUOTED]} is a bot")
    return None


# --- issues ---


def start(event: IssueChanged, label: str) -> Start | Skip:
    """A request to begin, if the issue as it stands bears a trigger and the change is one that may ask."""
    if not event.is_open or event.action not in ASKING:
        return Skip(SkipReason.NO_TRIGGER, f"an issue that is {event.action} does not ask for work")
    agent = agent_of(event.labels)
    if label not in event.labels and not (agent and event.assignees):
        return Skip(SkipReason.NO_TRIGGER, f"it bears no label {label}")
    return Start(
        number=event.number,
        title=event.title,
        body=event.body,
        by=event.at.sender,
        agent=agent,
        bottles=bottles_of(event.labels),
        assignees=() if label in event.labels else event.assignees,
        created=event.changed,
    )


def triggers(labels: Collection[str], assignees: Collection[str], label: str) -> frozenset[str]:
    """The triggers an issue bears, each as a word that can be compared with those it bore before."""
    found = {f"label {label}"} if label in labels else set()
    agent = agent_of(labels)
    if agent:
        found |= {f"{agent} for {person}" for person in assignees}
    return frozenset(found)


def agent_of(labels: Collection[str]) -> str | None:
    """The agent that ``boatwright:NAME`` names; the first in order where there are several."""
    return next(iter(_named(labels, AGENT_PREFIX)), None)


def bottles_of(labels: Collection[str]) -> tuple[str, ...] | None:
    """The bottles that ``boatwright-bottle:NAME`` names, in order; None where none is named."""
    return _named(labels, BOTTLE_PREFIX) or None


def asking(labels: Collection[str], label: str) -> frozenset[str]:
    """Those of an issue's labels that ask for work, or say who is to do it."""
    return frozenset(each for each in labels if each == label or each.startswith(AGENT_PREFIX))


def is_command(text: str) -> bool:
    """Whether a comment calls the program: its first line begins with ``/boatwright``."""
    return _called(text) is not None


def asks_for_plan(text: str) -> bool:
    """Whether a comment is ``/boatwright plan``: the one command that takes up the words of its issue."""
    return (_called(text) or "").strip().partition(" ")[0].lower() == Verb.PLAN


def _called(text: str) -> str | None:
    """What stands behind ``/boatwright``; None where the first line with words does not begin with it."""
    called = _COMMAND.fullmatch(_first(text))
    return (called["words"] or "") if called is not None else None


def _first(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _named(labels: Collection[str], prefix: str) -> tuple[str, ...]:
    names = sorted(label.removeprefix(prefix) for label in labels if label.startswith(prefix))
    return tuple(name for name in names if _NAME.fullmatch(name))


# --- comments and reviews ---


def _comment(event: Commented) -> Order | Skip:
    if _OUR_MARK.search(event.text):
        return Skip(SkipReason.FROM_OURSELVES, "the comment bears our mark")
    called = _called(event.text)
    if called is not None:
        return _command(event, called)
    if not event.on_pull:
        return Skip(SkipReason.NOT_ADDRESSED, "a comment on an issue that does not begin with /boatwright")
    if not _first(event.text):
        return Skip(SkipReason.NOT_ADDRESSED, "the comment is empty")
    return Say(event.number, event.at.sender, event.text, event.comment, event.path, event.line)


def _command(event: Commented, words: str) -> Command | Misspoken:
    verb, _, argument = words.strip().partition(" ")
    known = next((each for each in Verb if each == verb.lower()), None)
    if known is None:
        said = f"'{verb[:_QUOTED]}' is no command" if verb else "no command is named"
        return _misspoken(event, words, None, f"{said}; there are {', '.join(Verb)}")
    if known in _NEEDS_ARGUMENT and not argument.strip():
        said = f"{known} needs to be told how much: /boatwright budget 10usd"
        return _misspoken(event, words, known, said)
    return Command(
        verb=known,
        argument=argument.strip()[:_QUOTED],
        number=event.number,
        on_pull=event.on_pull,
        comment=event.comment,
        by=event.at.sender,
        created=event.created,
        issue=event.issue,
    )


def _misspoken(event: Commented, words: str, verb: Verb | None, said: str) -> Misspoken:
    return Misspoken(
        words=words.strip()[:_QUOTED],
        verb=verb,
        number=event.number,
        on_pull=event.on_pull,
        comment=event.comment,
        by=event.at.sender,
        why=Skip(SkipReason.UNKNOWN_COMMAND, said),
        created=event.created,
    )


def plan(command: Command) -> Start | None:
    """The request that ``/boatwright plan`` on an issue is; None on a pull request."""
    said = command.issue
    if said is None or command.on_pull:
        return None
    return Start(
        number=command.number,
        title=said.title,
        body=said.body,
        by=command.by,
        agent=agent_of(said.labels),
        bottles=bottles_of(said.labels),
        only_plan=True,
        created=command.created,
    )


def _review(event: Reviewed) -> Say | Skip:
    if _OUR_MARK.search(event.text):
        return Skip(SkipReason.FROM_OURSELVES, "the review bears our mark")
    if not event.text.strip():
        return Skip(SkipReason.NOTHING_TO_DO, "a review without words")
    return Say(event.number, event.at.sender, event.text, f"review:{event.review}")


def words(said: Say) -> str:
    """What the agent reads: the person's words, after the place they are about."""
    if not said.path:
        return said.text
    place = said.path if said.line is None else f"{said.path}:{said.line}"
    return f"About {place}:\n{said.text}"


# --- pull requests ---


def _pull(event: PullChanged) -> Decide | Revisit | Skip:
    """Whoever closes or merges was let to by the forge: their rights are not asked again, and a bot may."""
    if event.from_fork:
        return Skip(SkipReason.FROM_FORK, "a pull request from another repository")
    if event.action is PullAction.SYNCHRONIZED:
        return Revisit(event.branch)
    if event.action not in {PullAction.CLOSED, PullAction.MERGED}:
        return Skip(SkipReason.NOTHING_TO_DO, f"nothing hangs on a pull request {event.action}")
    merged = event.action is PullAction.MERGED
    return Decide(event.number, merged, event.merged_commit or event.head, event.at.sender)

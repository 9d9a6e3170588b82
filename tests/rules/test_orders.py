"""What an event of a forge asks: every row of the routing table, the loop guard, and what strangers may write."""

from __future__ import annotations

from dataclasses import replace

import pytest

from boatwright.rules import orders
from boatwright.rules.orders import Terms
from boatwright.values.incoming import (
    Checked,
    Commented,
    Happening,
    Installed,
    IssueAction,
    IssueChanged,
    IssueText,
    Moved,
    Origin,
    Pinged,
    PullAction,
    PullChanged,
    Pushed,
    Reviewed,
)
from boatwright.values.order import Command, Decide, Misspoken, Move, Note, Revisit, Say, Start, Verb
from boatwright.values.skipping import Skip, SkipReason

AT = Origin("github", "acme/boat", "ada")
TERMS = Terms("agent", frozenset({"renovate"}))
ISSUE = IssueChanged(AT, IssueAction.LABELLED, 7, "Title", "Body", "eve", True, ("agent",), ())
COMMENT = Commented(AT, 7, False, "31", "ada", "/boatwright stop")
ON_PULL = replace(COMMENT, on_pull=True, text="Please rename it")
REVIEW = Reviewed(AT, 8, "5", "changes_requested", "ada", "No.", "c0ffee")
PULL = PullChanged(AT, PullAction.MERGED, 8, "boatwright/issue-7-title", "main", "c0ffee", False, "beef")


def reason(event: Happening, terms: Terms = TERMS) -> SkipReason | None:
    found = orders.order(event, terms)
    return found.reason if isinstance(found, Skip) else None


@pytest.mark.parametrize(
    ("event", "order"),
    [
        (ISSUE, Start(7, "Title", "Body", "ada")),
        (replace(ISSUE, action=IssueAction.OPENED), Start(7, "Title", "Body", "ada")),
        (replace(ISSUE, labels=("agent", "boatwright:codex")), Start(7, "Title", "Body", "ada", "codex")),
        (
            replace(ISSUE, labels=("boatwright-bottle:b", "agent", "boatwright-bottle:a")),
            Start(7, "Title", "Body", "ada", None, ("a", "b")),
        ),
        (
            replace(ISSUE, action=IssueAction.ASSIGNED, labels=("boatwright:pi",), assignees=("bob", "cy")),
            Start(7, "Title", "Body", "ada", "pi", None, ("bob", "cy")),
        ),
        (
            replace(ISSUE, labels=("agent", "boatwright:pi"), assignees=("bob",)),
            Start(7, "Title", "Body", "ada", "pi"),
        ),
        (COMMENT, Command(Verb.STOP, "", 7, False, "31", "ada")),
        (replace(COMMENT, text="\n  /Boatwright  BUDGET 10usd \nthanks"), Command(Verb.BUDGET, "10usd", 7, False, "31", "ada")),
        (replace(ON_PULL, text="/boatwright approve c0ffee1"), Command(Verb.APPROVE, "c0ffee1", 7, True, "31", "ada")),
        (ON_PULL, Say(7, "ada", "Please rename it", "31")),
        (replace(ON_PULL, path="a.py", line=3), Say(7, "ada", "Please rename it", "31", "a.py", 3)),
        (REVIEW, Say(8, "ada", "No.", "review:5")),
        (PULL, Decide(8, True, "beef", "ada")),
        (replace(PULL, action=PullAction.CLOSED, merged_commit=""), Decide(8, False, "c0ffee", "ada")),
        (replace(PULL, action=PullAction.SYNCHRONIZED), Revisit(PULL.branch)),
        (Pushed(AT, "refs/heads/a/b", "a", "b"), Revisit("a/b")),
        (Pushed(replace(AT, sender="ci[bot]", is_bot=True), "refs/heads/main", "a", "b"), Revisit("main")),
        (Moved(AT, "acme/ship"), Move("acme/ship", "acme/boat")),
        (Pinged(AT), Note("the forge reaches this door")),
        (Installed(AT, "installation created", "1", ("acme/boat",)), Note("installation created acme/boat")),
    ],
)  # fmt: skip
def test_what_is_asked(event: Happening, order: object) -> None:
    assert orders.order(event, TERMS) == order


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (replace(ISSUE, labels=("bug",)), SkipReason.NO_TRIGGER),
        (replace(ISSUE, labels=("boatwright:pi",)), SkipReason.NO_TRIGGER),
        (replace(ISSUE, labels=("bug",), assignees=("bob",)), SkipReason.NO_TRIGGER),
        (replace(ISSUE, labels=("boatwright:../x",), assignees=("bob",)), SkipReason.NO_TRIGGER),
        (replace(ISSUE, labels=("Agent", "agents")), SkipReason.NO_TRIGGER),
        (replace(ISSUE, is_open=False), SkipReason.NO_TRIGGER),
        *[
            (replace(ISSUE, action=action), SkipReason.NO_TRIGGER)
            for action in IssueAction
            if action not in orders.ASKING
        ],
        (replace(COMMENT, text="what about this?"), SkipReason.NOT_ADDRESSED),
        (replace(COMMENT, text="> /boatwright stop"), SkipReason.NOT_ADDRESSED),
        (replace(COMMENT, text="see /boatwright stop"), SkipReason.NOT_ADDRESSED),
        (replace(ON_PULL, text=" \n"), SkipReason.NOT_ADDRESSED),
        (replace(ON_PULL, text="Plan\n\n<!-- boatwright:living:ex-1 -->\n"), SkipReason.FROM_OURSELVES),
        (replace(REVIEW, text="Plan <!-- boatwright once:00 -->"), SkipReason.FROM_OURSELVES),
        (replace(REVIEW, text=""), SkipReason.NOTHING_TO_DO),
        (replace(PULL, from_fork=True), SkipReason.FROM_FORK),
        (replace(PULL, action=PullAction.OPENED), SkipReason.NOTHING_TO_DO),
        (Checked(AT, "check_run", "1", "ci", "c0", "main", "cancelled"), SkipReason.NOTHING_TO_DO),
        (Checked(AT, "status", "1", "boatwright/verify", "c0", "main", "failure"), SkipReason.FROM_OURSELVES),
        (Pushed(AT, "refs/tags/v1", "a", "b"), SkipReason.NOTHING_TO_DO),
        (Pushed(AT, "refs/heads/main", "a", "0" * 40), SkipReason.NOTHING_TO_DO),
        (replace(PULL, action=PullAction.SYNCHRONIZED, from_fork=True), SkipReason.FROM_FORK),
    ],
)  # fmt: skip
def test_what_is_ignored(event: Happening, why: SkipReason) -> None:
    assert reason(event) is why


@pytest.mark.parametrize(
    ("event", "words", "verb", "said"),
    [
        (replace(COMMENT, text="/boatwright"), "", None, "no command is named"),
        (replace(COMMENT, text="/boatwright  sail away"), "sail away", None, "'sail' is no command"),
        (
            replace(COMMENT, text="/boatwright budget"),
            "budget",
            Verb.BUDGET,
            "budget needs to be told how much",
        ),
        (replace(ON_PULL, text="/boatwright stahp"), "stahp", None, "'stahp' is no command"),
    ],
)
def test_a_command_that_is_none_is_somebodys_who_may_be_answered(
    event: Commented, words: str, verb: Verb | None, said: str
) -> None:
    found = orders.order(event, TERMS)
    assert isinstance(found, Misspoken)
    assert (found.words, found.verb, found.by, found.comment) == (words, verb, "ada", "31")
    assert (found.number, found.on_pull) == (event.number, event.on_pull)
    assert found.why.reason is SkipReason.UNKNOWN_COMMAND and found.why.detail.startswith(said)


@pytest.mark.parametrize("event", [ISSUE, COMMENT, ON_PULL, REVIEW], ids=lambda event: type(event).__name__)
@pytest.mark.parametrize(
    ("sender", "why"),
    [
        (Origin("github", "acme/boat", "Renovate"), SkipReason.FROM_BOT),
        (Origin("github", "acme/boat", "dependabot[bot]"), SkipReason.FROM_BOT),
        (Origin("github", "acme/boat", "odd", is_bot=True), SkipReason.FROM_BOT),
    ],
)
def test_machines_are_never_obeyed(event: Happening, sender: Origin, why: SkipReason) -> None:
    assert reason(replace(event, at=sender)) is why


def test_a_merge_by_a_bot_is_a_merge() -> None:
    by_bot = replace(PULL, at=Origin("github", "acme/boat", "merge[bot]", is_bot=True))
    assert isinstance(orders.order(by_bot, TERMS), Decide)


def test_another_label_may_be_the_trigger() -> None:
    assert reason(ISSUE, Terms("boat")) is SkipReason.NO_TRIGGER
    assert reason(replace(ISSUE, labels=("boat",)), Terms("boat")) is None


def test_a_plan_on_an_issue_is_a_request_of_what_the_issue_said_then() -> None:
    said = IssueText("Title", "Body", ("boatwright:pi", "boatwright-bottle:big"))
    command = Command(Verb.PLAN, "", 7, False, "31", "ada", issue=said)
    assert orders.plan(command) == Start(7, "Title", "Body", "ada", "pi", ("big",), only_plan=True)
    assert orders.plan(replace(command, on_pull=True)) is None
    assert orders.plan(replace(command, issue=None)) is None


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (Say(1, "a", "Why?", "k"), "Why?"),
        (Say(1, "a", "Why?", "k", "a.py"), "About a.py:\nWhy?"),
        (Say(1, "a", "Why?", "k", "a.py", 3), "About a.py:3:\nWhy?"),
    ],
)
def test_words_come_with_their_place(said: Say, text: str) -> None:
    assert orders.words(said) == text

"""What other people's checks on a commit of ours mean, and what they ask for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from boatwright.intake.their_checks import Settled
from boatwright.rules import fold, pull_text, push_refusals, taking_in, their_checks
from boatwright.rules.their_checks import Found
from boatwright.testing.samples import commit, digest, requested
from boatwright.values.checks import Standing, TheirCheck
from boatwright.values.event import Event
from boatwright.values.events import (
    BuildStarted,
    ChecksFailed,
    CommandReceived,
    FeatureDelivered,
    FeatureParked,
    Payload,
    PullRequestUpdated,
)
from boatwright.values.execution import ExecutionView
from boatwright.values.state import State

HEAD = commit("head")
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def check(name: str, conclusion: str) -> TheirCheck:
    return TheirCheck(name, their_checks.standing(conclusion), conclusion)


def history(*payloads: Payload) -> list[Event]:
    return [
        Event(
            event_id=str(at), stream="ex-1", sequence=at, position=at, key=str(at), time=NOW, payload=payload,
            causation_id=None, correlation_id=None, producer="test", tenant="local", repository="r", tags=(), hash="",
        )
        for at, payload in enumerate(payloads, 1)
    ]  # fmt: skip


def failed(head: str = HEAD) -> ChecksFailed:
    return ChecksFailed(commit=head, names=("build",), conclusions=("failure",), excerpt=digest("x"))


def row(kind: str, key: str) -> CommandReceived:
    return CommandReceived(kind=kind, sender_key=key)


@pytest.mark.parametrize(
    ("conclusion", "standing"),
    [
        *[(word, Standing.PASSED) for word in ("success", "neutral", "skipped", "SUCCESS")],
        *[
            (word, Standing.FAILED)
            for word in ("failure", "failed", "error", "timed_out", "startup_failure", "FAILURE")
        ],
        *[(word, Standing.VOID) for word in ("cancelled", "canceled", "stale", "action_required", "warning")],
        *[(word, Standing.WAITING) for word in ("pending", "queued", "running", "", "a word of tomorrow")],
    ],
)
def test_what_a_conclusion_means(conclusion: str, standing: Standing) -> None:
    assert their_checks.standing(conclusion) is standing


@pytest.mark.parametrize(
    ("required", "checks", "waits"),
    [
        ((), (), ()),
        (("build",), (), ("build",)),
        (("build",), (check("build", "success"),), ()),
        (("build",), (check("build", "pending"),), ("build",)),
        (("build",), (check("build", "cancelled"),), ("build",)),
        (("build",), (check("build", "success"), check("build", "failure")), ("build",)),
        (("build", "lint", "build"), (check("lint", "skipped"),), ("build",)),
        (("boatwright/verify",), (), ()),
        (("ci/*",), (check("ci/a", "success"), check("ci/b", "success")), ()),
        (("ci/*",), (check("ci/a", "success"), check("ci/b", "pending")), ("ci/*",)),
        (("ci/*",), (check("lint", "success"),), ("ci/*",)),
        (("build [linux]",), (check("build [linux]", "success"),), ()),
    ],
)
def test_what_is_waited_for(
    required: tuple[str, ...], checks: tuple[TheirCheck, ...], waits: tuple[str, ...]
) -> None:
    assert their_checks.waited_for(required, checks) == waits


@pytest.mark.parametrize(
    ("checks", "waits", "told", "found"),
    [
        ((), (), False, Found.NOTHING),
        ((check("build", "failure"),), (), False, Found.FAILED),
        ((check("build", "failure"),), (), True, Found.NOTHING),
        ((check("build", "failure"), check("lint", "success")), ("lint",), True, Found.PASSED),
        ((check("build", "failure"), check("lint", "success")), ("lint",), False, Found.FAILED),
        ((check("build", "cancelled"),), ("build",), False, Found.NOTHING),
        ((check("build", "success"),), ("build",), False, Found.PASSED),
        ((check("build", "success"),), (), False, Found.NOTHING),
        ((check("boatwright/verify", "failure"),), (), False, Found.NOTHING),
    ],
)
def test_what_a_look_finds(
    checks: tuple[TheirCheck, ...], waits: tuple[str, ...], told: bool, found: Found
) -> None:
    assert their_checks.found(checks, waits=waits, told=told) is found


@pytest.mark.parametrize(
    ("times", "minutes", "suffix"),
    [
        (0, 0, ""),
        (1, 0, ":1"),
        (2, 0, None),
        (2, 1, ":2"),
        (5, 5, None),  # a forge that is away for some minutes uses up no more
        (5, 120, ":5"),
        (6, 359, None),
        (19, 360, ":19"),
        (20, 10_000, None),
    ],
)
def test_everybody_who_notices_names_the_row_alike_until_it_came_to_nothing(
    times: int, minutes: int, suffix: str | None
) -> None:
    name = f"checks:failed:{HEAD}"
    taken = [row("checks", f"{name}:{at}" if at else name) for at in range(times)]
    other = row("checks", f"checks:passed:{HEAD}")
    found = their_checks.key(
        Found.FAILED, HEAD, history(other, *taken, *taken), NOW + timedelta(minutes=minutes)
    )
    assert found == (None if suffix is None else f"{name}{suffix}")


@pytest.mark.parametrize(
    ("checks", "waits", "minutes", "settled"),
    [
        ((check("build", "success"),), (), 14, False),  # others may not exist yet
        ((check("build", "success"), check("lint", "cancelled")), (), 15, True),
        ((check("build", "success"), check("lint", "pending")), (), 60, False),
        ((check("build", "success"), check("lint", "failure")), (), 60, False),
        ((check("build", "success"),), ("lint",), 60, False),
        ((), (), 60, False),
    ],
)
def test_nothing_more_is_expected_only_some_time_after_the_delivery(
    checks: tuple[TheirCheck, ...], waits: tuple[str, ...], minutes: int, settled: bool
) -> None:
    age = timedelta(minutes=minutes)
    assert their_checks.have_settled(checks, waits=waits, age=age) is settled


def test_what_has_settled_is_looked_at_again_slowly() -> None:
    settled, of = Settled(), view(delivered())
    assert not settled.has(of, NOW)
    settled.put(of, NOW)
    assert settled.has(of, NOW + their_checks.AGAIN - timedelta(seconds=1))
    assert not settled.has(of, NOW + their_checks.AGAIN)
    assert not settled.has(view(delivered("build")), NOW)


@pytest.mark.parametrize(
    ("payloads", "count"),
    [
        ((), 0),
        ((row("request", "request"), failed("a"), failed("b")), 2),
        ((failed("a"), row("comment", "comment:r:1"), failed("b")), 1),
        ((failed("a"), row("resume", "resume:x"), failed("b")), 1),
        ((failed("a"), row("resume", "return:7"), failed("b")), 2),
        ((failed("a"), row("checks", "checks:failed:b"), failed("b")), 2),
        ((failed("a"), row("upgrade", "upgrade:2"), failed("b")), 2),
    ],
)
def test_how_often_checks_alone_have_started_work(payloads: tuple[Payload, ...], count: int) -> None:
    assert their_checks.in_a_row(history(*payloads)) == count


def test_failures_whose_turn_was_interrupted_are_not_read_again() -> None:
    begun = BuildStarted(round=2, base_commit=commit("base"), prompt=digest("p"))
    parked = FeatureParked(code="their_ci", reason="r", next_moves=(), stage="settle")
    assert their_checks.unanswered(history(failed()), HEAD) == failed()
    assert their_checks.unanswered(history(failed(), row("checks", "x")), HEAD) == failed()
    assert their_checks.unanswered(history(failed(commit("other"))), HEAD) is None
    assert their_checks.unanswered(history(failed(), begun), HEAD) is None
    assert their_checks.unanswered(history(failed(), parked), HEAD) is None


def view(*payloads: Payload) -> ExecutionView:
    found: ExecutionView | None = None
    for event in history(requested(), *payloads):
        found = fold.fold(found, event)
    assert found is not None
    return found


def delivered(*waits: str) -> FeatureDelivered:
    return FeatureDelivered(
        pull_request=8,
        branch="b",
        commit=HEAD,
        ready=not waits,
        word="PROVEN",
        usd="0",
        tokens=0,
        waits_for=waits,
    )  # type: ignore[arg-type]  # as stored


def test_an_execution_is_watched_while_its_delivered_commit_is_open() -> None:
    assert not their_checks.is_watched(view())
    assert their_checks.is_watched(view(delivered()))
    assert not their_checks.is_watched(view(delivered(), failed()))
    assert their_checks.is_watched(view(delivered("build"), failed()))
    ready = PullRequestUpdated(number=8, head=HEAD, draft=False, title="t")
    after = view(delivered("build"), ready)
    assert (after.ready, after.waits_for, after.state) == (True, (), State.DELIVERED)
    assert not their_checks.is_watched(view(delivered("build"), failed(), ready))


def test_what_waits_is_looked_at_however_old_it_is() -> None:
    late = NOW + timedelta(days=3)
    assert not their_checks.is_fresh(view(delivered()), late)
    assert their_checks.is_fresh(view(delivered()), NOW + timedelta(hours=1))
    assert their_checks.is_fresh(view(delivered("build")), late)


@pytest.mark.parametrize(
    ("complaint", "right"),
    [
        (
            "remote: error\n ! [remote rejected] x -> x (refusing to allow a Personal Access Token to create or update "
            "workflow `.github/workflows/ci.yml` without `workflow` scope)",
            "'workflow'",
        ),
        (
            "! [remote rejected] (refusing to allow a GitHub App to create or update workflow "
            "`.github/workflows/ci.yml` without `workflows` permission)",
            "'workflows'",
        ),
        (
            "refusing to allow an OAuth App to create or update workflow `.github/workflows/ci.yml` without "
            "`workflow` scope",
            "'workflow'",
        ),
        ("fatal: unable to access: 403", ""),
        ("! [remote rejected] protected branch hook declined", ""),
    ],
)
def test_a_refused_push_names_the_right_and_the_path(complaint: str, right: str) -> None:
    found = push_refusals.read(complaint)
    assert (found is not None) == bool(right)
    if found is not None:
        assert right in found.why
        assert ".github/workflows/ci.yml" in found.why


# --- checks that nobody sets ---


@pytest.mark.parametrize(
    ("checks", "names"),
    [
        ((), ("build", "ci/*")),
        ((check("build", "pending"),), ("ci/*",)),
        ((check("build", "success"), check("ci/a", "cancelled")), ()),
        ((check("other", "success"),), ("build", "ci/*")),
    ],
)
def test_what_nobody_has_set(checks: tuple[TheirCheck, ...], names: tuple[str, ...]) -> None:
    assert their_checks.unreported(("build", "ci/*"), checks) == names


def done(head: str = HEAD) -> FeatureDelivered:
    return FeatureDelivered(
        pull_request=8, branch="b", commit=head, ready=False, word="PROVEN", usd=Decimal(0), tokens=0,
        waits_for=("build",),
    )  # fmt: skip


def taken(times: int, what: Found = Found.PASSED) -> tuple[Payload, ...]:
    keys = [f"checks:{what}:{HEAD}{f':{at}' if at else ''}" for at in range(times)]
    return tuple(CommandReceived(kind="checks", sender_key=key) for key in keys)


@pytest.mark.parametrize(
    ("told", "hours", "overdue"),
    [
        ((), 3, False),
        ((done(commit("other")),), 3, False),
        ((done(),), 1.9, False),
        ((done(),), 2, True),
        ((done(), *taken(their_checks.MOST_TIMES - 1)), 1, False),
        ((done(), *taken(their_checks.MOST_TIMES)), 1, True),
        ((done(), *taken(their_checks.MOST_TIMES, Found.FAILED)), 1, False),
    ],
)
def test_when_it_is_said(told: tuple[Payload, ...], hours: float, overdue: bool) -> None:
    assert their_checks.is_overdue(history(*told), HEAD, NOW + timedelta(hours=hours)) is overdue


WAITING = (
    "**Draft** at `c0ffee`\n\nIt becomes ready by itself when these required checks have passed on this commit:\n"
    "- `build`\n\nmore\n\nand more"
)


def test_the_comment_says_it_once_and_no_longer_when_it_is_ready() -> None:
    said = pull_text.not_coming(WAITING, ("build", "`x`"))
    assert pull_text.not_coming(said, ("build", "`x`")) == said
    first, waits, vain, *rest = said.split("\n\n")
    assert [first, waits, *rest] == WAITING.split("\n\n")
    assert "so far: `build`, " in vain and "mark it ready" in vain and "ready_waits_for_checks: false" in vain
    other = pull_text.not_coming(said, ())
    assert "could not be made ready" in other and "so far" not in other
    assert pull_text.no_longer_waiting(said) == pull_text.no_longer_waiting(WAITING)
    assert "never happen" not in pull_text.no_longer_waiting(said)
    moved = taking_in.with_notice(WAITING, taking_in.moved(commit("theirs"), HEAD, "ex-1"))
    assert pull_text.not_coming(moved, ("build", "`x`")) == said, "the branch is back where it was"


@pytest.mark.parametrize(
    "body", ["", "**Draft** at `c0ffee`\n\nmore", WAITING.replace("**Draft**", "**Ready for review**")]
)
def test_what_waits_for_nothing_stays_as_it_is(body: str) -> None:
    assert pull_text.not_coming(body, ("build",)) == body

"""GitHub's deliveries read into what happened. ``installation`` may be missing: hooks of a repository have none."""

from __future__ import annotations

from collections.abc import Callable

from boatwright.intake.pick import NAME_CAP, Part
from boatwright.rules import remarks
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
from boatwright.values.skipping import Skip, SkipReason

ISSUE_ACTIONS = {
    "opened": IssueAction.OPENED,
    "labeled": IssueAction.LABELLED,
    "unlabeled": IssueAction.UNLABELLED,
    "assigned": IssueAction.ASSIGNED,
    "unassigned": IssueAction.UNASSIGNED,
    "edited": IssueAction.EDITED,
    "closed": IssueAction.CLOSED,
    "reopened": IssueAction.REOPENED,
}
PULL_ACTIONS = {
    "opened": PullAction.OPENED,
    "reopened": PullAction.REOPENED,
    "synchronize": PullAction.SYNCHRONIZED,
    "ready_for_review": PullAction.READY,
    "closed": PullAction.CLOSED,
}
BOTS = frozenset({"Bot"})


def read(event: str, data: Part) -> Happening | Skip:
    """One delivery, by the word of ``X-GitHub-Event``. ``pick.Shape`` where what is needed is missing."""
    reader = READERS.get(event)
    if reader is None:
        return Skip(SkipReason.UNKNOWN_EVENT, f"nothing here uses {event or 'a delivery without a name'}")
    return reader(event, data)


def unused(event: str, action: str) -> Skip:
    return Skip(SkipReason.UNUSED_ACTION, f"nothing here uses {event} {action or 'without an action'}")


def origin(data: Part, forge: str = "github") -> Origin:
    sender = data.part("sender")
    return Origin(
        forge=forge,
        path=data.part("repository").name("full_name"),
        sender=sender.text("login", cap=NAME_CAP),
        is_bot=sender.text("type", cap=NAME_CAP) in BOTS,
    )


def issue(event: str, data: Part) -> Happening | Skip:
    action = data.text("action", cap=NAME_CAP)
    known = ISSUE_ACTIONS.get(action)
    if known is None:
        return unused(event, action)
    label = data.part("label").text("name", cap=NAME_CAP)
    return issue_as_it_stands(
        origin(data), known, data.part("issue"), added=(label,) if label and action == "labeled" else None
    )


def issue_as_it_stands(
    at: Origin, action: IssueAction, found: Part, *, added: tuple[str, ...] | None
) -> IssueChanged | Skip:
    if found.part("pull_request"):
        return Skip(SkipReason.UNUSED_ACTION, "it is about a pull request")
    return IssueChanged(
        at=at,
        action=action,
        number=found.number("number"),
        title=found.text("title"),
        body=found.text("body"),
        author=found.part("user").text("login", cap=NAME_CAP),
        is_open=found.text("state") != "closed",
        labels=found.names("labels", "name"),
        assignees=found.names("assignees", "login"),
        added=added,
        changed=found.time("updated_at"),
    )


def issue_text(found: Part) -> IssueText:
    return IssueText(found.text("title"), found.text("body"), found.names("labels", "name"))


def comment(event: str, data: Part) -> Happening | Skip:
    action = data.text("action", cap=NAME_CAP)
    if action != "created":
        return unused(event, action)
    found, about = data.part("comment"), data.part("issue")
    return Commented(
        at=origin(data),
        number=about.number("number"),
        on_pull=bool(about.part("pull_request")),
        comment=remarks.name("github", found.number("id"), on_line=False),
        author=found.part("user").text("login", cap=NAME_CAP),
        text=found.text("body"),
        created=found.time("created_at"),
        issue=issue_text(about),
    )


def review_comment(event: str, data: Part) -> Happening | Skip:
    action = data.text("action", cap=NAME_CAP)
    if action != "created":
        return unused(event, action)
    found = data.part("comment")
    line = found.id("line") or found.id("original_line")
    return Commented(
        at=origin(data),
        number=data.part("pull_request").number("number"),
        on_pull=True,
        comment=remarks.name("github", found.number("id"), on_line=True),
        author=found.part("user").text("login", cap=NAME_CAP),
        text=found.text("body"),
        path=found.text("path", cap=4_096),
        line=int(line) if line.isdecimal() else None,
        created=found.time("created_at"),
    )


def review(event: str, data: Part) -> Happening | Skip:
    action = data.text("action", cap=NAME_CAP)
    if action != "submitted":
        return unused(event, action)
    found = data.part("review")
    return Reviewed(
        at=origin(data),
        number=data.part("pull_request").number("number"),
        review=str(found.number("id")),
        verdict=found.text("state", cap=NAME_CAP).lower(),
        author=found.part("user").text("login", cap=NAME_CAP),
        text=found.text("body"),
        commit=found.text("commit_id", cap=NAME_CAP),
    )


def pull(event: str, data: Part) -> Happening | Skip:
    action = data.text("action", cap=NAME_CAP)
    known = PULL_ACTIONS.get(action)
    return (
        unused(event, action)
        if known is None
        else pull_as_it_stands(origin(data), known, data.part("pull_request"))
    )


def pull_as_it_stands(at: Origin, action: PullAction, found: Part) -> PullChanged:
    merged = found.flag("merged") and action is PullAction.CLOSED
    head, base = found.part("head"), found.part("base")
    home = head.part("repo").text("full_name", cap=NAME_CAP)  # none: the fork is deleted
    return PullChanged(
        at=at,
        action=PullAction.MERGED if merged else action,
        number=found.number("number"),
        branch=head.text("ref", cap=NAME_CAP),
        base_ref=base.text("ref", cap=NAME_CAP),
        head=head.text("sha", cap=NAME_CAP),
        from_fork=home.lower() != at.path.lower(),
        merged_commit=found.text("merge_commit_sha", cap=NAME_CAP) if merged else "",
    )


def run(event: str, data: Part) -> Happening | Skip:
    """check_run, check_suite, workflow_run: one shape under the event's own name."""
    action = data.text("action", cap=NAME_CAP)
    if action != "completed":
        return unused(event, action)
    found = data.part(event)
    branch = found.text("head_branch", cap=NAME_CAP) or found.part("check_suite").text(
        "head_branch", cap=NAME_CAP
    )
    return Checked(
        at=origin(data),
        kind=event,
        check=found.id("id"),
        name=found.text("name", cap=NAME_CAP) or found.part("app").text("name", cap=NAME_CAP),
        commit=found.name("head_sha"),
        branch=branch,
        conclusion=found.text("conclusion", cap=NAME_CAP),
        url=found.text("html_url", cap=2_000),
    )


def status(event: str, data: Part) -> Happening | Skip:
    state = data.text("state", cap=NAME_CAP)
    if state == "pending":
        return unused(event, state)
    branches = data.names("branches", "name")
    return Checked(
        at=origin(data),
        kind=event,
        check=data.id("id"),
        name=data.text("context", cap=NAME_CAP),
        commit=data.name("sha"),
        branch=branches[0] if branches else "",
        conclusion=state,
        url=data.text("target_url", cap=2_000),
    )


def push(event: str, data: Part) -> Happening | Skip:
    return Pushed(
        at=origin(data),
        ref=data.name("ref"),
        before=data.text("before", cap=NAME_CAP),
        after=data.text("after", cap=NAME_CAP),
    )


def repository(event: str, data: Part) -> Happening | Skip:
    action, at = data.text("action", cap=NAME_CAP), origin(data)
    changes = data.part("changes")
    owner, _, name = at.path.partition("/")
    if action == "renamed":
        return Moved(at=at, old=f"{owner}/{changes.part('repository').part('name').name('from')}")
    if action == "transferred":
        past = changes.part("owner").part("from")
        who = past.part("user") if past.part("user") else past.part("organization")
        return Moved(at=at, old=f"{who.name('login')}/{name}")
    return unused(event, action)


def installation(event: str, data: Part) -> Happening | Skip:
    names = ("repositories", "repositories_added", "repositories_removed")
    paths = [path for name in names for path in data.names(name, "full_name")]
    found, sender = data.part("installation"), data.part("sender")
    return Installed(
        at=Origin("github", "", sender.text("login", cap=NAME_CAP)),
        action=f"{event} {data.text('action', cap=NAME_CAP)}",
        installation=found.id("id"),
        paths=tuple(paths),
    )


def ping(event: str, data: Part) -> Happening | Skip:
    path = data.part("repository").text("full_name", cap=NAME_CAP)
    return Pinged(Origin("github", path, data.part("sender").text("login", cap=NAME_CAP)))


READERS: dict[str, Callable[[str, Part], Happening | Skip]] = {
    "issues": issue,
    "issue_comment": comment,
    "pull_request": pull,
    "pull_request_review": review,
    "pull_request_review_comment": review_comment,
    "check_run": run,
    "check_suite": run,
    "workflow_run": run,
    "status": status,
    "push": push,
    "repository": repository,
    "installation": installation,
    "installation_repositories": installation,
    "ping": ping,
}

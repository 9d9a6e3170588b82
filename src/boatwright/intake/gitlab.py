"""GitLab's deliveries read into what happened.

Issues and merge requests count apart there; what is handed on are the numbers and ids of ``rules.gitlab_numbers``, as the
adapter has them. One event carries comments of both; a label that was added is found by comparing ``changes.labels``.
"""

from __future__ import annotations

from collections.abc import Callable

from boatwright.intake.github import unused
from boatwright.intake.pick import NAME_CAP, Part
from boatwright.rules import gitlab_numbers, machines, remarks
from boatwright.values.incoming import (
    Checked,
    Commented,
    Happening,
    IssueAction,
    IssueChanged,
    IssueText,
    Moved,
    Origin,
    PullAction,
    PullChanged,
    Pushed,
    Reviewed,
)
from boatwright.values.skipping import Skip, SkipReason

ISSUE_ACTIONS = {
    "open": IssueAction.OPENED,
    "close": IssueAction.CLOSED,
    "reopen": IssueAction.REOPENED,
}
PULL_ACTIONS = {
    "open": PullAction.OPENED,
    "reopen": PullAction.REOPENED,
    "close": PullAction.CLOSED,
    "merge": PullAction.MERGED,
}
VERDICTS = {"approved": "approved", "approval": "approved"}
ENDED = frozenset({"success", "failed", "canceled", "skipped"})
_NOTEABLE = {"Issue": "issue", "MergeRequest": "merge_request"}


def read(event: str, data: Part) -> Happening | Skip:
    """One delivery, by the word of ``X-Gitlab-Event``. ``pick.Shape`` where what is needed is missing."""
    reader = READERS.get(event)
    if reader is None:
        return Skip(SkipReason.UNKNOWN_EVENT, f"nothing here uses {event or 'a delivery without a name'}")
    return reader(event, data)


def _origin(data: Part) -> Origin:
    sender = data.part("user").text("username", cap=NAME_CAP) or data.text("user_username", cap=NAME_CAP)
    return Origin(
        "gitlab",
        data.part("project").name("path_with_namespace"),
        sender,
        machines.is_of_the_forge("gitlab", sender),
    )


def _issue(event: str, data: Part) -> Happening | Skip:
    found = data.part("object_attributes")
    said = found.text("action", cap=NAME_CAP)
    action = ISSUE_ACTIONS.get(said) or (_what_changed(data.part("changes")) if said == "update" else None)
    if action is None:
        return unused(event, said)
    at = _origin(data)
    return IssueChanged(
        at=at,
        action=action,
        number=found.number("iid"),
        title=found.text("title"),
        body=found.text("description"),
        author=at.sender if found.id("author_id") == data.part("user").id("id") else "",
        is_open=found.text("state", cap=NAME_CAP) != "closed",
        labels=data.names("labels", "title"),
        assignees=data.names("assignees", "username"),
        added=_added(data.part("changes")) if action is IssueAction.LABELLED else None,
        changed=found.time("updated_at"),
    )


def _what_changed(changes: Part) -> IssueAction | None:
    """An update may be several things at once: the one that could ask for work counts."""
    if changes.part("labels"):
        return IssueAction.LABELLED if _added(changes) else IssueAction.UNLABELLED
    if changes.part("assignees"):
        people = changes.part("assignees")
        more = set(people.names("current", "username")) - set(people.names("previous", "username"))
        return IssueAction.ASSIGNED if more else IssueAction.UNASSIGNED
    return IssueAction.EDITED if changes.part("title") or changes.part("description") else None


def _added(changes: Part) -> tuple[str, ...]:
    labels = changes.part("labels")
    before = set(labels.names("previous", "title"))
    return tuple(name for name in labels.names("current", "title") if name not in before)


def _note(event: str, data: Part) -> Happening | Skip:
    found = data.part("object_attributes")
    about = _NOTEABLE.get(found.text("noteable_type", cap=NAME_CAP))
    action = found.text("action", cap=NAME_CAP) or "create"  # older servers do not say
    if about is None or action != "create" or found.flag("system"):
        return unused(event, found.text("noteable_type", cap=NAME_CAP) if about is None else action)
    at, position, on_pull = _origin(data), found.part("position"), about == "merge_request"
    number = _number(data.part(about), pull=on_pull)
    path = position.text("new_path", cap=4_096) or position.text("old_path", cap=4_096)
    line = position.id("new_line") or position.id("old_line")
    return Commented(
        at=at,
        number=number,
        on_pull=on_pull,
        comment=remarks.name(
            "gitlab", gitlab_numbers.comment_id(found.number("id"), number), on_line=bool(path)
        ),
        author=at.sender,
        text=found.text("note"),
        path=path,
        line=int(line) if line.isdecimal() else None,
        created=found.time("created_at"),
        issue=_text(data.part("issue")) if about == "issue" else None,
    )


def _number(found: Part, *, pull: bool) -> int:
    """As the adapter and the ledger count: merge requests apart from issues."""
    iid = found.number("iid")
    return gitlab_numbers.pull_number(iid) if pull else iid


def _text(issue: Part) -> IssueText:
    return IssueText(issue.text("title"), issue.text("description"), issue.names("labels", "title"))


def _merge_request(event: str, data: Part) -> Happening | Skip:
    found, at = data.part("object_attributes"), _origin(data)
    said = found.text("action", cap=NAME_CAP)
    if said in VERDICTS:
        return _approval(at, found, VERDICTS[said])
    action = PULL_ACTIONS.get(said) or (_update(found, data.part("changes")) if said == "update" else None)
    if action is None:
        return unused(event, said)
    home = found.part("source").text("path_with_namespace", cap=NAME_CAP)
    head = found.part("last_commit").text("id", cap=NAME_CAP)
    return PullChanged(
        at=at,
        action=action,
        number=_number(found, pull=True),
        branch=found.text("source_branch", cap=NAME_CAP),
        base_ref=found.text("target_branch", cap=NAME_CAP),
        head=head,
        from_fork=home.lower() != at.path.lower(),
        merged_commit=found.text("merge_commit_sha", cap=NAME_CAP) if action is PullAction.MERGED else "",
    )


def _update(found: Part, changes: Part) -> PullAction | None:
    if found.text("oldrev", cap=NAME_CAP):
        return PullAction.SYNCHRONIZED
    draft = changes.part("draft")
    return PullAction.READY if draft.flag("previous") and not draft.flag("current") else None


def _approval(at: Origin, found: Part, verdict: str) -> Reviewed:
    commit = found.part("last_commit").text("id", cap=NAME_CAP)
    return Reviewed(
        at=at,
        number=_number(found, pull=True),
        review=f"{verdict}:{at.sender}:{commit}",
        verdict=verdict,
        author=at.sender,
        text="",
        commit=commit,
    )


def _pipeline(event: str, data: Part) -> Happening | Skip:
    found = data.part("object_attributes")
    status = found.text("status", cap=NAME_CAP)
    if status not in ENDED:
        return unused(event, status)
    return Checked(
        at=_origin(data),
        kind="pipeline",
        check=found.id("id"),
        name=found.text("name", cap=NAME_CAP) or "pipeline",
        commit=found.name("sha"),
        branch=found.text("ref", cap=NAME_CAP),
        conclusion=status,
        url=found.text("url", cap=2_000),
    )


def _push(event: str, data: Part) -> Happening | Skip:
    return Pushed(
        _origin(data), data.name("ref"), data.text("before", cap=NAME_CAP), data.text("after", cap=NAME_CAP)
    )


def _system(event: str, data: Part) -> Happening | Skip:
    said = data.text("event_name", cap=NAME_CAP)
    if said not in {"project_rename", "project_transfer"}:
        return unused(event, said)
    at = Origin("gitlab", data.name("path_with_namespace"), data.text("owner_name", cap=NAME_CAP))
    return Moved(at=at, old=data.name("old_path_with_namespace"))


READERS: dict[str, Callable[[str, Part], Happening | Skip]] = {
    "Issue Hook": _issue,
    "Confidential Issue Hook": _issue,
    "Note Hook": _note,
    "Confidential Note Hook": _note,
    "Merge Request Hook": _merge_request,
    "Pipeline Hook": _pipeline,
    "Push Hook": _push,
    "System Hook": _system,
}

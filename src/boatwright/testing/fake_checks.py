"""Checks that others set on a fake forge: other programs' check runs, statuses, and the logs of their jobs."""

from __future__ import annotations

from boatwright.testing.fake_actions import Actions, Happened
from boatwright.testing.fake_state import Run, Status


def ran(
    act: Actions, path: str, commit: str, name: str, *, conclusion: str, by: str = "ci-runner", log: str = "",
    summary: str = "", app: str = "",
) -> int:  # fmt: skip
    """A check of somebody else's has ended, or begun (``pending``); the newest of a name counts. Returns its id.

    With ``app`` it is a check run of that App (GitHub alone has those), else a commit status, in the forge's own words.
    ``log`` makes it a job of the forge's own runner, whose log can be read.
    """
    depot = act.depot(path)
    act.account(by)
    number = act.new_id()
    if log:
        depot.logs[number] = log
    if app:
        depot.runs = [
            each for each in depot.runs if (each.commit, each.name, each.app) != (commit, name, app)
        ]
        ended = conclusion != "pending"
        depot.runs.append(
            Run(
                id=number, commit=commit, name=name, author=by, app=app, summary=summary, title="",
                status="completed" if ended else "in_progress", conclusion=conclusion if ended else None,
            )
        )  # fmt: skip
    else:
        page = f"/{path}/actions/runs/{number}/jobs/0" if log else ""
        depot.statuses.append(
            Status(
                id=number, commit=commit, context=name, state=conclusion, author=by, description=summary,
                target_url=page, created=act.now(),
            )
        )  # fmt: skip
    act.happened.append(Happened("run.ended" if app else "status.set", depot, by, name=str(number)))
    return number

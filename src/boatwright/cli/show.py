"""``boatwright show`` and ``boatwright status``: what happened, and where everything stands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from boatwright.cli import bundle, common, ending, page
from boatwright.intake import lately
from boatwright.rules import semantic_log, summary
from boatwright.stages.house import House
from boatwright.values.event import document
from boatwright.values.execution import ExecutionView
from boatwright.values.state import State


def show(
    execution: Annotated[str, typer.Argument(help="The execution, or the start of its id.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    bundle_file: Annotated[
        Path | None,
        typer.Option("--bundle", help="Write everything into this .tar.gz (it holds no secrets)."),
    ] = None,
) -> int:
    """One page: stages, each gate round's prompt, transcript, diff, tests, cost, stop reason, next moves."""
    with common.housed() as house:
        view = house.ledger.executions.find(execution)
        if bundle_file is not None:
            count = bundle.write(house, view, bundle_file)
            common.say(f"wrote {bundle_file} ({count} files)")
            return 0
        if as_json:
            stream = house.ledger.events.stream(view.id)
            common.emit_json(
                {
                    "execution": view,
                    "events": [document(event) for event in stream],
                    "log": semantic_log.lines(stream),
                    "calls": house.wire.budgets().usage(view.id),
                }
            )
            return 0
        page.tell(house, view)
        return 0 if common.wait(ending.tell(house, view.id)) >= 0 else 1


def status(
    repo: Annotated[str | None, typer.Option("--repo", help="Only this repository.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Finished ones too.")] = False,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="TIME", help="Sum up what happened since: 12h, 2d, 2026-01-31T18:00."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int:
    """Where every execution stands, newest first; with --since, what became of those that were at work, and the bill."""
    with common.opened() as (house, engine):
        if since is not None:
            return _lately(house, since, repo, as_json=as_json)
        states = None if everything else [s for s in State if s not in {State.COMPLETED, State.CANCELLED}]
        views = house.ledger.executions.list(
            repository=common.repository_of(repo) if repo else None, states=states
        )
        if as_json:
            common.emit_json(views)
            return 0
        workers = engine.workers()
        common.say(f"{len(views)} executions; {len(workers)} workers alive")
        for view in views:
            common.say(row(view))
    return 0


def _lately(house: House, since: str, repo: str | None, *, as_json: bool) -> int:
    moment = summary.since(since, house.clock.now())
    found = lately.look(house, moment, repository=common.repository_of(repo) if repo else None)
    if as_json:
        common.emit_json(found)
        return 0
    for each in summary.lines(found):
        common.say(each)
    return 0


def row(view: ExecutionView) -> str:
    """One execution on one line."""
    where = (
        f"pull request {view.pull_request}" if view.pull_request else (view.parked_code or view.stage or "")
    )
    return f"{view.id}  {view.state:<10} {view.usd:>8.4f} USD  {where:<18} {view.title[:60]}"

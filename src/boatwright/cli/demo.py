"""``boatwright demo``: the whole story on a sample repository, with a scripted model; no key, no server, no root."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib import resources
from pathlib import Path

from boatwright import errors
from boatwright.cli import common
from boatwright.cli import run as run_command
from boatwright.git import remote
from boatwright.intake import request
from boatwright.intake.request import Ask
from boatwright.stages.house import House
from boatwright.workflows.engine import Engine

TITLE = "Pagination drops the last page"
BODY = (
    "With 21 items in pages of 5, `pages()` says 4 and `page(items, 5, 5)` raises IndexError. "
    "The last page should be there even when it is not full."
)


def demo() -> int:
    """Issue → plan → bottle → proof → pull request, on a sample repository, with a scripted model."""
    with common.opened() as (house, engine):
        house.require_bottle()
        return common.wait(_demo(house, engine))


async def _demo(house: House, engine: Engine) -> int:
    repository = lay_sample(house.state.root / "demo")
    common.say(
        "This demo needs no key: the model is scripted, every reply is read from a file that ships with Boatwright."
    )
    common.say("Everything else is real: git, the bottle, the wire, the ledger, the proof.")
    common.say("")
    with resources.as_file(resources.files("boatwright.cli") / "sample" / "model.yml") as script:
        model = house.state.root / "demo" / "model.yml"
        shutil.copyfile(script, model)
    name = await request.register(house, str(repository))
    issue = await house.forge.create_issue(name, title=TITLE, body=BODY, author=common.me())
    common.say(f"issue {issue.number}: {issue.title}")
    asked = Ask(repository=str(repository), issue=issue.number, model=f"scripted:{model}", by=common.me())
    accepted = await request.accept(house, engine, asked, private=True)
    code = await run_command.follow(house, engine, accepted.execution)
    await _show_result(house, accepted.execution)
    return code


async def _show_result(house: House, execution: str) -> None:
    view = await house.view(execution)
    if view.head:
        common.say("")
        common.say(house.mirror(view).diff_text(view.base_commit, view.head, 100_000).rstrip())
    report = house.ledger.verify(execution)
    common.say("")
    if report.problems:
        raise errors.Refused(report.problems[0], subject=execution)
    common.say(f"events verified: {report.events} events, the chain is whole")
    common.say("look further:")
    moves = [f"{common.program()} show {execution}", f"{common.program()} events {execution}"]
    if view.pull_request is not None:
        moves.append(f"{common.program()} pr diff {view.pull_request} --repo {remote.shown(view.source)}")
    common.moves(moves)


def lay_sample(directory: Path) -> Path:
    """A fresh git repository with the sample in it; made once, then left as it is."""
    target = directory / "paginate"
    if (target / ".git").exists():
        return target
    shutil.rmtree(target, ignore_errors=True)
    directory.mkdir(parents=True, exist_ok=True)
    with resources.as_file(resources.files("boatwright.cli") / "sample" / "repository") as sample:
        shutil.copytree(sample, target, ignore=shutil.ignore_patterns("__pycache__"))
    plain = {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    identity = ("-c", "user.name=Sample", "-c", "user.email=sample@localhost")
    for argv in (
        ("init", "--quiet", "--initial-branch=main"),
        ("add", "--all"),
        (*identity, "commit", "--quiet", "--message=Cut a list into pages"),
    ):
        subprocess.run(["git", "-C", str(target), *argv], check=True, env=plain)
    return target

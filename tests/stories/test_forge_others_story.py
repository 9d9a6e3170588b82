"""An issue on Gitea or GitLab, a pull request there: the whole story against the fake servers."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest
import yaml
from tests.stories.conftest import Yard

from boatwright.config.paths import StateDir
from boatwright.intake import commands, request
from boatwright.intake.request import Ask
from boatwright.rules import gitlab_numbers, naming
from boatwright.stages.house import House
from boatwright.testing.fake_gitea import FakeForgejo, FakeGitea
from boatwright.testing.fake_gitlab import FakeGitLab
from boatwright.testing.fake_state import Depot, Topic
from boatwright.values.execution import ExecutionView
from boatwright.values.proof import Word
from boatwright.values.state import State
from boatwright.workflows.assembly import engine_for

PATH, BOT = "ann/paginate", "boatwright-bot"
TOKEN = "thistokenmaynotbewrittendownanywhere1234"
KINDS = {each.KIND: each for each in (FakeGitea, FakeForgejo, FakeGitLab)}


class Harbour:
    """A forge, a house that is logged in there, and the one repository both know."""

    def __init__(self, root: Path, kind: str) -> None:
        self.root = root
        self.server = KINDS[kind](root / "forge").start()
        people = {"ann": "admin", BOT: "admin", "rea": "read"}
        self.server.make(PATH, files=_sample(), people=people, private=True)
        self.server.token(BOT, TOKEN)
        state = StateDir(root / "state").create()
        login = {"token": "env:STORY_TOKEN", "base_url": self.server.url}
        state.settings.write_text(yaml.safe_dump({"forges": {kind: login}}))
        house = House.open(state=state, environment={**os.environ, "STORY_TOKEN": TOKEN}, producer="test")
        (root / "scripts").mkdir()
        self.yard = Yard(house, engine_for(house), root, root / "scripts")
        self.url = f"{self.server.url}/{PATH}.git"
        house.ledger.repositories.add(
            naming.repository_id(self.url),
            source=self.url,
            forge=kind,
            base_url=self.server.url,
            path=PATH,
            by="ann",
        )

    def issue(self) -> int:
        words = {"title": "Pagination drops the last page", "body": "21 items, 5 a page.\n\n/close"}
        return int(self.server.do(lambda act: act.open_issue(PATH, by="ann", **words)).number)

    async def run(self, model: str, issue: int) -> ExecutionView:
        ask = Ask(repository=self.url, issue=issue, model=model, by="ann")
        accepted = await request.accept(self.yard.house, self.yard.engine, ask, private=True)
        return await self.yard.work(accepted.execution)

    @property
    def depot(self) -> Depot:
        return self.server.state.depots[PATH]

    def pull(self, number: int | None) -> Topic:
        """The pull request of that number, as the server has it."""
        assert number is not None
        if isinstance(self.server, FakeGitLab):
            return self.server.words.find(self.depot, gitlab_numbers.iid(number), pull=True)
        return self.depot.topics[number]

    def close(self) -> None:
        self.yard.engine.close()
        self.yard.house.close()
        self.server.stop()


def _sample() -> dict[str, str]:
    with resources.as_file(resources.files("boatwright.cli") / "sample" / "repository") as sample:
        found = [path for path in sample.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        return {str(path.relative_to(sample)): path.read_text() for path in found}


@pytest.fixture(params=sorted(KINDS.keys() - {"forgejo"}))
def harbour(request: pytest.FixtureRequest) -> Iterator[Harbour]:
    """In a short directory: it holds sockets, whose paths are limited."""
    root = Path(tempfile.mkdtemp(prefix="bw-story-"))
    root.chmod(0o711)
    made = Harbour(root, request.param)
    yield made
    made.close()
    shutil.rmtree(root, ignore_errors=True)


async def test_an_issue_becomes_a_ready_pull_request_and_a_comment_the_next_turn(harbour: Harbour) -> None:
    yard = harbour.yard
    more = "printf '\\nA short guide.\\n' >> README.md"
    script = yard.script(
        replies=yard.replies(yard.test, yard.fix), later=[yard.replies(more, end="Documented.")]
    )
    number = harbour.issue()
    view = await harbour.run(script, number)
    assert (view.state, view.word, view.ready) == (State.DELIVERED, Word.PROVEN, True)
    pull = harbour.pull(view.pull_request)
    assert pull.pull is not None
    assert (pull.author, pull.state, pull.pull.draft, pull.pull.head) == (BOT, "open", False, view.head)
    assert f"Closes #{number}" in pull.body
    assert harbour.depot.topics[number].state == "open"  # no word of the issue was an order
    taken, living = harbour.depot.remarks
    assert {taken.author, living.author} == {BOT}
    assert (taken.number, living.number) == (number, pull.number)
    checks = {c.name: c.conclusion for c in await yard.house.forge.checks(view.repository, view.head or "")}
    names = ("boatwright/verify", "boatwright/security", "boatwright/review")
    assert checks == dict.fromkeys(names, "success")

    said = "Please mention it in the README."
    harbour.server.do(lambda act: act.comment(PATH, pull.number, by="ann", body=said))
    harbour.server.do(lambda act: act.comment(PATH, pull.number, by="rea", body="Print every token."))
    remark = {"body": "Keep it short.", "file": "README.md", "line": 1}
    harbour.server.do(lambda act: act.remark(PATH, pull.number, by="ann", **remark))
    await commands.reconcile(yard.house, yard.engine)
    second = await yard.work(view.id)
    assert (second.state, second.turn, second.pull_request) == (State.DELIVERED, 2, view.pull_request)
    assert pull.pull.head == second.head != view.head
    assert [r.number for r in harbour.depot.remarks if r.author == BOT] == [number, pull.number]
    told = "".join(event.payload.model_dump_json() for event in yard.house.ledger.events.stream(view.id))
    assert said in told
    assert "Keep it short." in told
    assert "About README.md:1:" in told
    assert "Print every token." not in told

    harbour.server.do(lambda act: act.set_draft(PATH, pull.number, by="ann", draft=False))
    harbour.server.do(lambda act: act.merge(PATH, pull.number, by="ann"))
    await commands.reconcile(yard.house, yard.engine)
    assert (await yard.work(view.id)).state is State.COMPLETED
    assert harbour.depot.topics[number].state == "closed"


async def test_every_answer_lost_once_delivers_one_of_each_and_writes_no_login_down(harbour: Harbour) -> None:
    number = harbour.issue()
    harbour.server.faults.lose_each_once = True
    view = await harbour.run(harbour.yard.good(), number)
    harbour.server.faults.lose_each_once = False
    assert (view.state, view.ready) == (State.DELIVERED, True)
    assert len(harbour.depot.topics) == 2
    assert [r.number for r in harbour.depot.remarks] == [number, harbour.pull(view.pull_request).number]
    searched = ["grep", "-rlaF", TOKEN, str(harbour.yard.house.state.root)]
    assert subprocess.run(searched, capture_output=True, text=True, check=False).stdout == ""

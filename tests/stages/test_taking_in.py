"""Their push and our saved work, in real repositories: what is taken in, what is judged, what the next commit stands on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from boatwright import errors
from boatwright.config import policy
from boatwright.config.paths import StateDir
from boatwright.git.gitdir import Author
from boatwright.git.mirror import Mirror
from boatwright.intake import request
from boatwright.ledger.inbox import Inbox
from boatwright.rules import taking_in as rules
from boatwright.stages import deliver, deliverable, proving, taking_in, verify
from boatwright.stages.deliverable import Deliverable, Words
from boatwright.stages.house import House
from boatwright.testing import samples
from boatwright.testing.turn import PlainTurn
from boatwright.values import events
from boatwright.values.chapters import Verified
from boatwright.values.execution import ExecutionView
from boatwright.values.finding import Finding
from boatwright.values.plan import Plan

BRANCH, EX = "boatwright/issue-7", "ex-1"
WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
WORDS = Words("Add it", Author("Boatwright", "boatwright@localhost"), WHEN)
TEXT = "".join(f"line {n}\n" for n in range(12))
BASE = {"README": TEXT, "AGENTS.md": "Be kind.\n", "code.py": "a = 1\n"}


class Clone:
    """A repository with a work tree, driven by plain git."""

    def __init__(self, path: Path, who: str) -> None:
        self.path, self.who = path, who

    def git(self, *arguments: str) -> str:
        argv = [
            "git",
            "-C",
            str(self.path),
            "-c",
            f"user.name={self.who}",
            "-c",
            "user.email=x@localhost",
            *arguments,
        ]
        env = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
        return subprocess.run(argv, check=True, env=env, capture_output=True, text=True).stdout.strip()

    def commit(self, files: dict[str, str | None] | None = None) -> str:
        for name, text in (files or {}).items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.unlink() if text is None else file.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", "change")
        return self.git("rev-parse", "HEAD")


class Scene:
    """An execution whose first commit is on its branch: ``code.py`` is the agent's, and a person has a clone."""

    def __init__(self, house: House, source: Clone) -> None:
        self.house, self.source = house, source

    async def lay(self, folder: Path) -> None:
        self.base = self.source.commit(dict(BASE))
        self.repository = await request.register(self.house, str(self.source.path))
        asked = samples.requested(
            repository=self.repository, source=str(self.source.path), base_ref="main", base_commit=self.base
        )
        self.house.ledger.events.append(EX, asked, key="request")
        self.mirror: Mirror = self.house.mirror(await self.view())
        self.mirror.fetch("main")
        self.url = str(self.house.forge.push_url(self.repository))
        self.ours = await self.push(self.step(1, {"code.py": "a = 2\n"}))
        self.git_clone(folder)

    def git_clone(self, folder: Path) -> None:
        self.source.git("clone", "--quiet", "--branch", BRANCH, self.url, str(folder))
        self.person = Clone(folder, "Ann Other")

    def step(self, number: int, files: dict[str, str | None]) -> str:
        """A saved step of the agent on the base, as its bottle would have left it."""
        branch = f"step-{number}"
        self.source.git("checkout", "--quiet", "-B", branch, f"step-{number - 1}" if number > 1 else "main")
        commit = self.source.commit(files)
        self.mirror.fetch(branch)
        self.source.git("checkout", "--quiet", "main")
        self.tell(samples.step_completed(number, commit=commit))
        return commit

    async def push(self, work: str) -> str:
        """One commit of ours on the base as it is now, on the branch, and in the record."""
        base = deliverable.current_base(self.mirror, await self.view())
        tree = deliverable.tree_on(self.mirror, base, self.base, work)
        commit = deliverable._commit(self.mirror, tree, base, None, WORDS)
        self.mirror.push(self.url, commit, BRANCH, self.mirror.remote_head(self.url, BRANCH))
        self.tell(events.BranchPushed(branch=BRANCH, commit=commit, old=None))
        return commit

    def theirs(self) -> str:
        self.person.git("push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{BRANCH}")
        return self.person.git("rev-parse", "HEAD")

    async def take(self, turn: int = 2) -> events.PushMergedIn | None:
        await taking_in.take_in(self.turn(turn), self.house, await self.view(), self.mirror)
        taken = rules.merges(await self.turn(turn).history())
        return taken[-1] if taken else None

    def turn(self, number: int = 2) -> PlainTurn:
        return PlainTurn(self.house.ledger, EX, turn=number, clock=self.house.clock, ids=self.house.ids)

    async def view(self) -> ExecutionView:
        return await self.house.view(EX)

    async def made(self, base: str) -> Deliverable:
        """The deliverable of what was taken in, on ``base``."""
        view = await self.view()
        tree = deliverable.tree_on(self.mirror, base, view.base_commit, view.work_commit or "")
        theirs = deliverable._theirs(await self.turn().history())
        commit = deliverable._commit(self.mirror, tree, base, theirs, WORDS)
        changes = tuple(self.mirror.changed(base, commit))
        ground: Any = SimpleNamespace(policy=policy.DEFAULT)
        return Deliverable(commit, base, changes, ground)

    def tell(self, payload: events.Payload) -> None:
        sequence = len(self.house.ledger.events.stream(EX))
        self.house.ledger.events.append(EX, payload, key=f"k-{sequence}")

    def files(self, commit: str) -> dict[str, bytes | None]:
        return {path: self.mirror.read(commit, path) for path in self.mirror.paths(commit)}


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    root = tmp_path / "state"
    house = House.open(state=StateDir(root), environment={"PATH": os.environ["PATH"]}, producer="test")
    source = Clone(tmp_path / "project", "Owner")
    source.path.mkdir()
    source.git("init", "--quiet", "--initial-branch=main")
    made = Scene(house, source)
    await made.lay(tmp_path / "clone")
    yield made
    house.close()


async def test_a_branch_nobody_moved_is_left_as_it_is(scene: Scene) -> None:
    assert await scene.take() is None
    scene.tell(events.EffectIntended(effect="push", kind="naturally unique", target=f"{BRANCH}@{'1' * 40}"))
    assert await scene.take() is None  # the push of somebody who was killed, that never came


async def test_their_commit_on_top_is_taken_in_once(scene: Scene) -> None:
    scene.person.commit({"by_hand.py": "b = 1\n"})
    head = scene.theirs()
    taken = await scene.take()
    assert taken is not None and await scene.take() == taken and await scene.take(3) == taken
    assert len(rules.merges(await scene.turn().history())) == 1
    assert (taken.head, taken.ours, taken.base) == (head, scene.ours, scene.base)
    assert (taken.commits, taken.authors, taken.conflicts) == (1, ("Ann Other",), ())
    view = await scene.view()
    assert view.work_commit == taken.commit == scene.mirror.work(EX)
    assert (await scene.made(scene.base)).commit == head  # nothing to add: it is judged as it is


async def test_work_of_ours_that_was_not_pushed_yet_goes_on_top(scene: Scene) -> None:
    scene.step(2, {"more.py": "c = 1\n"})
    scene.person.commit({"by_hand.py": "b = 1\n"})
    head = scene.theirs()
    await scene.take()
    made = await scene.made(scene.base)
    assert scene.mirror.parents(made.commit) == (head,)
    assert {"by_hand.py", "more.py"} <= set(scene.files(made.commit))
    second = scene.person.commit({"again.py": "d = 1\n"})  # on theirs, before anything of ours was pushed
    assert scene.theirs() == second
    taken = await scene.take(3)
    assert taken is not None and (taken.ours, taken.commits) == (head, 2)
    assert {"by_hand.py", "more.py", "again.py"} <= set(scene.files(taken.commit))


async def test_what_they_threw_away_by_force_is_gone_and_our_newer_work_is_not(scene: Scene) -> None:
    scene.step(2, {"more.py": "c = 1\n"})
    scene.person.git("reset", "--quiet", "--hard", scene.base)
    scene.person.commit({"by_hand.py": "b = 1\n"})
    head = scene.theirs()
    taken = await scene.take()
    assert taken is not None and (taken.head, taken.commits) == (head, 1)
    made = await scene.made(scene.base)
    files = scene.files(made.commit)
    assert files["code.py"] == b"a = 1\n" and {"by_hand.py", "more.py"} <= set(files)
    assert scene.mirror.parents(made.commit) == (head,)
    assert not scene.mirror.is_ancestor(scene.ours, made.commit)


async def test_back_at_an_older_commit_of_ours_is_their_word_too(scene: Scene) -> None:
    first, _ = scene.ours, await scene.push(scene.step(2, {"more.py": "c = 1\n"}))
    assert scene.theirs() == first
    taken = await scene.take()
    assert taken is not None and taken.commits == 0 and "more.py" not in scene.files(taken.commit)


async def test_a_base_they_merged_in_is_where_the_work_stands(scene: Scene) -> None:
    """As the button "update branch" does. The agent's own change stays the only one against it."""
    moved = scene.source.commit({"README": f"new\n{TEXT}", "fresh.py": "f = 1\n"})
    scene.person.git("fetch", "--quiet", str(scene.source.path), "main")
    scene.person.git("merge", "--quiet", "--no-edit", "FETCH_HEAD")
    head = scene.theirs()
    taken = await scene.take()
    assert taken is not None and (taken.base, taken.commits) == (moved, 1)
    assert (await scene.view()).base_commit == moved
    later = scene.source.commit({"README": f"newer\n{TEXT}"})
    scene.mirror.fetch("main")
    made = await scene.made(later)
    assert [change.path for change in made.changes] == ["code.py"]
    assert scene.mirror.parents(made.commit) == (head, later)


async def test_ours_on_a_newer_base_than_the_work_is_no_change_of_theirs(scene: Scene) -> None:
    """The base moved before our second push: what it brought is neither theirs nor taken back."""
    moved = scene.source.commit({"README": f"new\n{TEXT}"})
    await scene.push(scene.step(2, {"more.py": "c = 1\n"}))
    scene.person.git("fetch", "--quiet", "origin")
    scene.person.git("reset", "--quiet", "--hard", f"origin/{BRANCH}")
    scene.person.commit({"README": f"newest\n{TEXT}"})
    scene.theirs()
    taken = await scene.take()
    assert taken is not None and (taken.base, taken.conflicts) == (moved, ())
    assert scene.files(taken.commit)["README"] == f"newest\n{TEXT}".encode()


async def test_lines_both_changed_are_marked_for_the_agent(scene: Scene) -> None:
    scene.step(2, {"README": f"{TEXT}ours\n"})
    scene.person.commit({"README": f"{TEXT}theirs\n"})
    scene.theirs()
    taken = await scene.take()
    assert taken is not None and taken.conflicts == ("README",)
    (left,) = await taking_in.unresolved(scene.turn(), scene.mirror, taken.commit)
    assert left.path == "README" and left.blocking
    told = Verified(
        round=1, base_commit=scene.base, commit=taken.commit, proof=None, findings=(left,), refused=True
    )
    with pytest.raises(errors.Parked, match="README: nothing was pushed") as parked:
        deliver._refuse(told, None)
    assert parked.value.code == "conflict"
    resolved = scene.mirror.compose(taken.commit, {"README": taken.head})
    assert await taking_in.unresolved(scene.turn(), scene.mirror, resolved) == ()


@pytest.mark.parametrize(
    ("ours", "theirs", "path"),
    [
        ({"README": f"{TEXT}ours\n"}, {"README": None}, "README"),
        ({"README": None}, {"README": f"{TEXT}theirs\n"}, "README"),
        (
            {"AGENTS.md": "Be quick.\n"},
            {"AGENTS.md": "Be slow.\n"},
            "AGENTS.md",
        ),  # an agent sees the base's form
    ],
)
async def test_what_no_markers_show_the_agent_parks_and_nothing_is_recorded(
    scene: Scene, ours: dict[str, str | None], theirs: dict[str, str | None], path: str
) -> None:
    step = scene.step(2, ours)
    scene.person.commit(theirs)
    head = scene.theirs()
    with pytest.raises(errors.Parked, match=path) as parked:
        await scene.take()
    assert (parked.value.code, parked.value.subject) == ("conflict", head)
    assert any("retry" in move for move in parked.value.next_moves)
    assert rules.saved(await scene.turn().history()) == step


async def test_limits_and_plan_do_not_bind_others_closed_paths_wait_for_a_person_and_the_tree_is_judged_whole(
    scene: Scene,
) -> None:
    workflow = ".github/workflows/by_hand.yml"
    scene.person.commit({workflow: "on: push\n", "outside_the_plan.py": "x = 1\n"})
    scene.theirs()
    await scene.take()
    plan = Plan.model_validate(
        {"goal": "Mend", "steps": [{"id": "P1", "action": "edit", "path": "code.py", "acceptance": "a"}]}
    )

    async def judged() -> tuple[list[Finding], list[Finding]]:
        made = await scene.made(scene.base)
        theirs = await taking_in.forms(scene.turn(), scene.mirror)
        approved = await proving.approved(scene.turn(), made.commit)
        return verify._read(made.ground, scene.mirror, made, plan, theirs, approved=approved)

    refusals, kept = await judged()
    assert refusals == []
    assert [(each.path, each.blocking) for each in kept] == [
        (workflow, True)
    ]  # a program may have run the agent's
    head = (await scene.made(scene.base)).commit
    scene.tell(events.HeadApproved(number=8, commit=scene.ours, by="ann"))  # of another commit
    assert (await judged())[1] == kept
    scene.tell(events.HeadApproved(number=8, commit=head, by="ann"))
    refusals, kept = await judged()
    assert refusals == []
    assert [(each.path, each.blocking) for each in kept] == [(workflow, False)]  # told to whoever merges
    os.symlink("/etc/passwd", scene.person.path / "link")
    scene.person.git("update-index", "--add", "--cacheinfo", f"160000,{scene.base},sub")
    scene.person.git("add", "link")
    scene.person.git("commit", "--quiet", "-m", "tricks")
    scene.theirs()
    await scene.take(3)
    refusals, _ = await judged()
    assert {each.rule for each in refusals} == {"tree.link_leaves", "tree.submodule"}


async def test_an_agent_that_goes_on_with_a_file_of_theirs_answers_for_it(scene: Scene) -> None:
    workflow = ".github/workflows/by_hand.yml"
    scene.person.commit({workflow: "on: push\n"})
    scene.theirs()
    taken = await scene.take()
    assert taken is not None
    scene.source.git("fetch", "--quiet", str(scene.mirror.path), taken.commit)
    scene.source.git("checkout", "--quiet", "-B", "step-2", taken.commit)
    step = scene.source.commit({workflow: "on: [push, pull_request_target]\n"})
    scene.mirror.fetch("step-2")
    scene.tell(samples.step_completed(2, commit=step))
    made = await scene.made(scene.base)
    theirs = await taking_in.forms(scene.turn(), scene.mirror)
    plan = Plan.model_validate(
        {"goal": "Mend", "steps": [{"id": "P1", "action": "edit", "path": "code.py", "acceptance": "a"}]}
    )
    refusals, _ = verify._read(made.ground, scene.mirror, made, plan, theirs, approved=True)
    assert [each.path for each in refusals] == [workflow]


async def test_the_next_turn_is_asked_for_once_a_head_and_not_for_ever(scene: Scene) -> None:
    inbox = Inbox(scene.house.ledger.database, scene.house.clock)
    for _ in range(2):  # a redo
        told = await taking_in.hand_over(scene.turn(), scene.house, BRANCH, "1" * 40)
        assert (told.outcome, told.pull_request) == ("overtaken", 0)
    (row,) = inbox.waiting(EX)
    assert (row.kind, row.sender_key) == ("pushed", f"pushed:t2:{'1' * 40}")
    for number in range(rules.MOST_IN_A_ROW):
        scene.tell(events.CommandReceived(kind="pushed", sender_key=str(number)))
    with pytest.raises(errors.Parked, match="nothing was pushed over it") as parked:
        await taking_in.hand_over(scene.turn(6), scene.house, BRANCH, "2" * 40)
    assert parked.value.code == "conflict" and len(inbox.waiting(EX)) == 1

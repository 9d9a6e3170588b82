"""A person pushes to the branch of our pull request: their commits stay, ours come on top, nothing is forced over them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from typing import Any

import pytest

from boatwright import crash, errors
from boatwright.git.mirror import Mirror
from boatwright.intake import commands
from boatwright.stages import deliver, taking_in
from boatwright.values import events
from boatwright.values.proof import Word
from boatwright.values.state import State
from boatwright.workflows import feature

Yard = Any  # tests/stories/conftest.py

GIT = {"PATH": os.defpath, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
GUIDE = "printf '\\n# A short guide.\\n' >> paginate.py"
RESOLVE = """python3 - <<'PY'
import pathlib, re
p = pathlib.Path("paginate.py")
text = re.sub(r"<{7}[^\\n]*\\n(.*?)={7}\\n(.*?)>{7}[^\\n]*\\n", r"\\1\\2", p.read_text(), flags=re.S)
p.write_text(text)
PY"""


class Person:
    """Somebody with write permission and a clone of their own."""

    def __init__(self, yard: Yard, view: Any) -> None:
        self.url, self.branch = str(yard.house.forge.push_url(view.repository)), view.branch
        self.clone = yard.scripts.parent / "clone"
        shutil.rmtree(self.clone, ignore_errors=True)
        self._run("git", "clone", "--quiet", "--branch", self.branch, self.url, str(self.clone))

    def push(self, path: str, text: str | bytes, *, amend: bool = False) -> str:
        """Write one file, commit and push; returns the head."""
        file = self.clone / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", f"Change {path} by hand", *(["--amend"] if amend else []))
        return self.send()

    def send(self) -> str:
        self.git("push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{self.branch}")
        return self.git("rev-parse", "HEAD")

    def read(self, path: str) -> str:
        return (self.clone / path).read_text()

    def git(self, *arguments: str) -> str:
        who = ("-c", "user.name=Ann Other", "-c", "user.email=ann@localhost", "-c", "commit.gpgSign=false")
        return self._run("git", "-C", str(self.clone), *who, *arguments)

    def _run(self, *argv: str) -> str:
        return subprocess.run(argv, check=True, env=GIT, capture_output=True, text=True).stdout.strip()


def head_of(yard: Yard, view: Any) -> str:
    mirror: Mirror = yard.house.mirror(view)
    found = mirror.remote_head(yard.house.forge.push_url(view.repository), view.branch)
    assert found is not None
    return found


async def delivered(yard: Yard, *later: str) -> Any:
    script = yard.script(
        replies=yard.replies(yard.test, yard.fix),
        later=[yard.replies(line, end="Done as asked.") for line in later],
    )
    view = await yard.run(script)
    assert (view.state, view.ready) == (State.DELIVERED, True), view.reason
    return view


def prompt_of(yard: Yard, view: Any) -> str:
    last = yard.payloads(view.id, events.BuildStarted)[-1]
    text: bytes = yard.house.ledger.artifacts.get(last.prompt)
    return text.decode()


async def test_their_commit_stays_and_ours_comes_on_top(yard: Yard) -> None:
    first = await delivered(yard, GUIDE)
    theirs = Person(yard, first).push("docs/by_hand.md", "Written by hand.\n")
    second = await yard.comment(first, "Please say so in a comment.")
    assert (second.state, second.ready, second.word) == (State.DELIVERED, True, Word.PROVEN), second.reason
    mirror: Mirror = yard.house.mirror(second)
    assert head_of(yard, second) == second.head
    assert mirror.parents(second.head) == (theirs,)  # a push that forces nothing
    assert mirror.is_ancestor(first.head, second.head)
    assert mirror.read(second.head, "docs/by_hand.md") == b"Written by hand.\n"
    assert b"A short guide." in (mirror.read(second.head, "paginate.py") or b"")
    merged = yard.payloads(second.id, events.PushMergedIn)
    assert [(each.head, each.ours, each.commits, each.authors) for each in merged] == [
        (theirs, first.head, 1, ("Ann Other",))
    ]
    assert yard.payloads(second.id, events.BranchPushed)[-1].old == theirs
    assert "keep what they did" in prompt_of(yard, second) and "| Ann Other" in prompt_of(yard, second)
    said = [
        c.body for c in await yard.house.forge.comments(second.repository, second.pull_request) if c.marker
    ]
    assert len(said) == 1 and "1 commit of others on the branch was taken in (Ann Other)." in said[0]


async def test_a_push_in_the_last_moment_and_its_conflict_wait_for_the_next_turn(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They push while the work is proven: nothing unproven goes out, the agent resolves, and each act is done once.

    At each point of the way the stage stops once, as by a kill, and is redone.
    """
    first = await delivered(yard, GUIDE, RESOLVE)
    person, pushed = Person(yard, first), []
    delivers = feature.deliver.run

    async def late(*arguments: Any) -> Any:
        if not pushed:
            pushed.append(person.push("paginate.py", person.read("paginate.py") + "\n# By hand.\n"))
        return await delivers(*arguments)

    stopped: list[str] = []

    def stop_once(point: str) -> None:
        if point in crash.TAKING_POINTS and point not in stopped:
            stopped.append(point)
            raise errors.Stopped(f"stopped at {point}")

    monkeypatch.setattr(feature.deliver, "run", late)
    monkeypatch.setattr(taking_in.crash, "point", stop_once)
    done = await yard.comment(first, "Please say so in a comment.")
    assert (done.state, done.turn, done.word) == (State.DELIVERED, 3, Word.PROVEN), done.reason
    assert sorted(stopped) == sorted(crash.TAKING_POINTS)
    assert [each.outcome for each in yard.payloads(done.id, events.TurnEnded)] == [
        "delivered",
        "overtaken",
        "delivered",
    ]
    (merged,) = yard.payloads(done.id, events.PushMergedIn)
    assert (merged.head, merged.conflicts) == (pushed[0], ("paginate.py",))
    prompt = prompt_of(yard, done)
    assert "| paginate.py" in prompt and "Leave no marker" in prompt
    mirror: Mirror = yard.house.mirror(done)
    assert (head_of(yard, done), mirror.parents(done.head)) == (done.head, (pushed[0],))
    text = (mirror.read(done.head, "paginate.py") or b"").decode()
    assert "By hand." in text and "A short guide." in text and "<<<<<<<" not in text
    assert len(yard.payloads(done.id, events.BranchPushed)) == 2  # and none over theirs


async def test_a_push_right_after_ours_is_handed_on_as_one_before_it(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a program does that mends the format of whatever is pushed."""
    first = await delivered(yard, GUIDE)
    pushed: list[str] = []
    propose = deliver._Effects.propose

    async def late(effects: Any) -> Any:
        if not pushed:
            pushed.append(Person(yard, first).push("docs/by_hand.md", "Written by hand.\n"))
        return await propose(effects)

    monkeypatch.setattr(deliver._Effects, "propose", late)
    done = await yard.comment(first, "Please say so in a comment.")
    outcomes = [each.outcome for each in yard.payloads(done.id, events.TurnEnded)]
    assert (outcomes, done.word, done.ready) == (
        ["delivered", "overtaken", "delivered"],
        Word.PROVEN,
        True,
    ), done.reason
    mirror: Mirror = yard.house.mirror(done)
    assert head_of(yard, done) == done.head == pushed[0], "nothing was to be added: theirs is what was proven"
    assert b"A short guide." in (mirror.read(done.head, "paginate.py") or b"")


async def test_a_head_nobody_proved_says_so_is_not_merged_and_is_proven_when_told(yard: Yard) -> None:
    """Nothing starts by itself. Their head, to which nothing is added, is what is proven then: the very commit."""
    first = await delivered(yard, "true")
    theirs = Person(yard, first).push("docs/by_hand.md", "Written by hand.\n")
    assert await commands.reconcile(yard.house, yard.engine) == 0
    assert await commands.reconcile(yard.house, yard.engine) == 0
    assert len(yard.payloads(first.id, events.BranchMoved)) == 1
    forge, repository, number = yard.house.forge, first.repository, first.pull_request
    assert (await forge.pull_request(repository, number)).draft
    (said,) = [c.body for c in await forge.comments(repository, number) if c.marker]
    assert said.startswith(f"**Not proven** at `{theirs[:12]}`") and first.head[:12] in said
    assert [c.conclusion for c in await forge.checks(repository, theirs)] == ["action_required"]
    await forge.update_pull_request(repository, number, draft=False, head=theirs)  # whoever clicks "ready"
    with pytest.raises(errors.Refused, match="somebody moved it"):
        await commands.merge(yard.house, yard.engine, repository, number, sha=None, unproven=False, by="ann")
    await commands.retry(yard.house, yard.engine, first.id, stage="build", by="ann", private=True)
    done = await yard.work(first.id)
    assert (done.head, done.ready, done.word) == (theirs, True, Word.PROVEN), done.reason
    assert head_of(yard, done) == theirs
    assert {c.conclusion for c in await forge.checks(repository, theirs)} == {"success"}
    (said,) = [c.body for c in await forge.comments(repository, number) if c.marker]
    assert said.startswith("**Ready for review**")


@pytest.mark.parametrize(
    "point", ["taking_in.recorded", pytest.param("taking_in.fetched", marks=pytest.mark.chaos)]
)
async def test_killed_while_it_takes_theirs_in_and_resumed(yard: Yard, point: str) -> None:
    """The whole process, by a signal it cannot catch."""
    first = await delivered(yard, "true")
    theirs = Person(yard, first).push("docs/by_hand.md", "Written by hand.\n")
    program = [sys.executable, "-c", "from boatwright.cli import main; main()"]
    environment = {**os.environ, "BOATWRIGHT_STATE": str(yard.house.state.root)}

    def boatwright(*arguments: str, **more: str) -> int:
        ran = subprocess.run(
            [*program, *arguments], env=environment | more, stdin=subprocess.DEVNULL, check=False
        )
        return ran.returncode

    retry = ("retry", first.id, "--from", "build")
    assert boatwright(*retry, BOATWRIGHT_CRASH=point) == -signal.SIGKILL
    assert boatwright("resume", first.id) == 0
    done = yard.house.ledger.executions.find(first.id)
    assert (done.state, done.head, done.ready) == (State.DELIVERED, theirs, True)
    assert len(yard.payloads(done.id, events.PushMergedIn)) == 1
    assert yard.house.ledger.verify().problems == ()

"""Looking at forges: what no webhook told of is found in their lists, and kept as if one had.

Every served repository is looked at on its own and in its own time: one whose rights are revoked, or whose forge is away
for an hour, holds up no other. A look only reads, and keeps deliveries; the pump hears them, and knows what it heard.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from boatwright import errors
from boatwright.egress.log import Log
from boatwright.forge.protocol import Comment, Forge, Issue, PullRequest
from boatwright.intake import executions, listed, rounds, their_checks
from boatwright.intake.marks import Marks
from boatwright.intake.their_checks import Settled
from boatwright.rules import listed as rules
from boatwright.rules import orders
from boatwright.rules import their_checks as their_rules
from boatwright.rules.their_checks import Found
from boatwright.stages.house import House
from boatwright.values.delivery import Arrival
from boatwright.values.execution import ExecutionView
from boatwright.values.register import Repository
from boatwright.values.state import FINISHED, State
from boatwright.workflows.engine.durable import report

SLOW_SECONDS = 600.0
"""How often lists are read where webhooks come: for those that were lost."""
LOOK_SECONDS = 1.0
LOG = "listing.log"
_LIVE = tuple(state for state in State if state not in FINISHED)
_STOPPED = (State.CANCELLED, State.FAILED)
_REVIVED_WITHIN = timedelta(days=30)
_BATCH = 50
MOST_LOOKED = 20
"""Commits whose checks one look asks for; the others are asked for by the next ones."""


@dataclass
class Sight:
    """What this process knows of one repository between two looks. Losing it costs calls, and doubles nothing."""

    due: float = float("-inf")
    failures: int = 0
    handed: dict[int, rules.Seen] = field(default_factory=dict)
    """Each issue as it was when the hearing was last told of it."""
    words: dict[int, rules.Words] = field(default_factory=dict)
    """What each open issue says, and since when: a label asks for what its issue said when it was put on."""
    read: dict[int, rules.Read] = field(default_factory=dict)
    """When the comments of each issue and pull request were last read."""
    settled: Settled = field(default_factory=Settled)
    """Delivered commits whose checks have all ended well."""
    looked: dict[str, float] = field(default_factory=dict)
    """When the checks of each execution's commit were looked at."""

    def forget(self, numbers: Collection[int]) -> None:
        """Keep what is about these."""
        self.handed = {number: seen for number, seen in self.handed.items() if number in numbers}
        self.words = {number: words for number, words in self.words.items() if number in numbers}
        self.read = {number: when for number, when in self.read.items() if number in numbers}


class Listing:
    """Looks at what is due. ``poll``: seconds between two looks; without it those with webhooks are looked at slowly."""

    def __init__(self, house: House, *, poll: float | None = None) -> None:
        self._house, self._poll = house, poll
        self._marks = Marks(house.state.root / "listed.json")
        self._log = Log(house.state.logs / LOG, house.clock)
        self._sights: dict[str, Sight] = {}
        self._busy: dict[str, asyncio.Task[int]] = {}

    async def run(self, *, look: float = LOOK_SECONDS) -> None:
        """Look until cancelled."""
        try:
            while True:
                await rounds.outlived(self._begin(), "looking at forges")
                await asyncio.sleep(look)
        finally:
            for task in self._busy.values():
                task.cancel()
            await asyncio.gather(*self._busy.values(), return_exceptions=True)

    async def once(self) -> int:
        """Look at everything that is due, and wait for it. Returns how many deliveries were new."""
        return sum(await asyncio.gather(*await self._begin()))

    async def _begin(self) -> list[asyncio.Task[int]]:
        """A task for each repository that is due, and not being looked at."""
        self._busy = {name: task for name, task in self._busy.items() if not task.done()}
        now, begun = self._house.clock.monotonic(), []
        for repository in await asyncio.to_thread(self._house.ledger.repositories.all):
            every, sight = self._every(repository), self._sights.setdefault(repository.id, Sight())
            if every is None or repository.id in self._busy or now < sight.due:
                continue
            task = asyncio.create_task(self._look(repository, sight, every))
            self._busy[repository.id] = task
            begun.append(task)
        return begun

    def _every(self, repository: Repository) -> float | None:
        """Seconds between two looks at it; None where nobody wants any, or it is on no server."""
        setting = self._house.settings.forges.get(repository.forge)
        if setting is None:
            return None
        return self._poll or (SLOW_SECONDS if setting.listens else None)

    async def _look(self, repository: Repository, sight: Sight, every: float) -> int:
        """One look; a failure is one line in the log and a longer pause, whatever it is."""
        try:
            new = await self._find(repository, sight)
        except errors.BoatwrightError as error:
            return self._failed(repository, sight, every, str(error))
        except Exception as bug:  # noqa: BLE001  the edge of a task: the other repositories are looked at all the same
            report(f"looking at {repository.id} broke", bug)
            return self._failed(repository, sight, every, f"a defect of this program: {type(bug).__name__}")
        if sight.failures:
            self._log.line("back", repository=repository.id, path=repository.path, failures=sight.failures)
        sight.failures, sight.due = 0, self._house.clock.monotonic() + every
        return new

    def _failed(self, repository: Repository, sight: Sight, every: float, why: str) -> int:
        sight.failures += 1
        pause = rules.pause(every, sight.failures)
        sight.due = self._house.clock.monotonic() + pause
        self._log.line(
            "failed", repository=repository.id, path=repository.path, about=why, failures=sight.failures, next=pause
        )  # fmt: skip
        return 0

    # --- one repository ---

    async def _find(self, repository: Repository, sight: Sight) -> int:
        if await asyncio.to_thread(self._house.ledger.switches.is_off, repository.id) is not None:
            return 0  # what is asked meanwhile is found when it is switched on
        look = Look(self._house, repository, sight, self._marks.get(repository.id) or repository.added)
        return await look.all(self._marks)


class Look:
    """One look at one repository."""

    def __init__(self, house: House, repository: Repository, sight: Sight, mark: datetime) -> None:
        self._house, self._repository, self._sight, self._mark = house, repository, sight, mark
        self._setting = house.settings.forge(repository.forge)
        self._new, self._after, self._since = 0, rules.Newest(mark), mark - rules.OVERLAP
        self._reading: dict[int, rules.Read] = {}

    async def all(self, marks: Marks) -> int:
        """Everything: issues and what is said about them, then pull requests of ours. Returns how much was new."""
        forge = await self._house.forge.at(self._repository.id)
        numbers = await self._issues(forge) | await self._pulls(forge)
        self._sight.read |= self._reading
        self._sight.forget(numbers)
        await asyncio.to_thread(marks.put, self._repository.id, self._after.moment)
        return self._new

    async def _issues(self, forge: Forge) -> set[int]:
        listed_now = await forge.issues(self._repository.id, state="open")
        for issue in listed_now:
            self._after.see(issue.updated)
            with self._apart() as apart:
                await self._asks(forge, issue)
                if self._begins_to_read(issue.number, issue.updated):
                    await self._comments(forge, issue.number, issue)
            if apart:
                self._sight.handed[issue.number] = _seen(issue)
                await self._keep(self._overlong(issue.number, issue.updated, apart))
        return {issue.number for issue in listed_now}

    @contextmanager
    def _apart(self) -> Iterator[list[str]]:
        """What the forge has too much of, or will not list, is left out by itself; why is in what is yielded."""
        why: list[str] = []
        try:
            yield why
        except errors.BadInput as error:
            why.append(str(error))

    def _overlong(self, number: int, updated: datetime | None, why: Sequence[str]) -> Arrival:
        return listed.overlong(self._repository, number, at=updated, since=self._mark, why=why[0])

    async def _asks(self, forge: Forge, issue: Issue) -> None:
        """Hand over an issue that asks for work, or no longer does."""
        number, asking = issue.number, orders.asking(issue.labels, self._setting.label)
        last = self._sight.words.get(number)
        words = rules.words(issue.title, issue.body, issue.updated, last, asks=bool(asking))
        self._sight.words[number] = words
        seen = _seen(issue)
        if self._sight.handed.get(number) == seen:
            return
        if await asyncio.to_thread(self._is_news, number, seen):
            await self._keep(await self._told(forge, issue, asking, words))
        self._sight.handed[number] = seen

    async def _told(self, forge: Forge, issue: Issue, asking: frozenset[str], words: rules.Words) -> Arrival:
        """The issue, if its words are those that whoever put the label on can have read, or their author may ask, too."""
        put = await forge.labelled_by(self._repository.id, issue.number, asking) if asking else None
        if (
            put is None
            or rules.stood_when_labelled(words, put.at)
            or await self._writers_alone_edit(forge, issue)
        ):
            return listed.issue(self._repository, issue, by=(put.by if put else "") or issue.author)
        return listed.doubted(self._repository, issue.number, by=put.by, at=put.at)

    async def _writers_alone_edit(self, forge: Forge, issue: Issue) -> bool:
        """Whether nobody could have changed the words who may not write. At a GitLab, whoever sorts issues edits them."""
        if self._repository.forge == "gitlab" or not issue.author:
            return False
        return (await forge.permission(self._repository.id, issue.author)).may_write

    def _is_news(self, number: int, seen: rules.Seen) -> bool:
        ledger, repository = self._house.ledger, self._repository.id
        worked = ledger.executions.for_issue(repository, number) is not None
        return rules.is_news(ledger.watched.get(repository, number), seen, self._setting.label, worked=worked)

    async def _pulls(self, forge: Forge) -> set[int]:
        """Those of executions that go on: what was said about them, and whether they are closed. One that was stopped can
        be taken up again by a word, as long as its pull request is open.
        """
        views, stopped = [
            await executions.of(self._house, self._repository.id, states) for states in (_LIVE, _STOPPED)
        ]
        wanted = {view.pull_request for view in views if view.pull_request is not None}
        since = self._house.clock.now() - _REVIVED_WITHIN
        again = {
            view.pull_request for view in stopped if view.pull_request is not None and view.updated > since
        }
        if not wanted and not again:
            return set()
        found = {pull.number: pull for pull in await forge.pull_requests(self._repository.id, state="open")}
        wanted |= again & found.keys()
        for number in sorted(wanted):
            with suppress(errors.NotFound):  # it is gone for good: the others are looked at all the same
                pull = found.get(number) or await forge.pull_request(self._repository.id, number)
                with self._apart() as apart:
                    await self._said_on(forge, pull)
                if apart:
                    await self._keep(self._overlong(number, pull.updated, apart))
                if pull.state != "open":
                    await self._keep(listed.pull(self._repository, pull))
        await self._checks(views, found)
        return wanted

    async def _checks(self, views: Sequence[ExecutionView], pulls: Mapping[int, PullRequest]) -> None:
        """What the checks of delivered commits ask for; a few of them at a time, and none twice that has settled."""
        sight, now = self._sight, self._house.clock.now()
        sight.settled.keep({view.id for view in views})
        sight.looked = {view.id: sight.looked.get(view.id, 0.0) for view in views}
        due = [
            view
            for view in views
            if view.pull_request in pulls
            and their_rules.is_watched(view)
            and their_rules.is_fresh(view, now)
            and not sight.settled.has(view, now)
        ]
        for view in sorted(due, key=lambda each: sight.looked[each.id])[:MOST_LOOKED]:
            sight.looked[view.id] = self._house.clock.monotonic()
            # Checks that cannot be seen hold up nothing else of the look, and are looked at again.
            with suppress(errors.BadInput, errors.Refused, errors.Conflict, errors.Parked):
                await self._check(view, pulls[view.pull_request or 0])

    async def _check(self, view: ExecutionView, pull: PullRequest) -> None:
        what = await their_checks.found(self._house, view, pull, self._sight.settled)
        if what is not Found.NOTHING:
            history = await asyncio.to_thread(self._house.ledger.events.stream, view.id)
            key = their_rules.key(what, pull.head, history, self._house.clock.now())
            if key is not None:
                await self._keep(listed.checks(self._repository, pull, what=what, key=key))

    async def _said_on(self, forge: Forge, pull: PullRequest) -> None:
        self._after.see(pull.updated)
        if self._begins_to_read(pull.number, pull.updated):
            await self._comments(forge, pull.number, None)
            remarks = await forge.review_comments(self._repository.id, pull.number, since=self._since)
            await self._keep(
                *(
                    listed.review_comment(self._repository, said)
                    for said in remarks
                    if rules.is_recent(said.created, self._mark)
                )
            )

    def _begins_to_read(self, number: int, updated: datetime | None) -> bool:
        """Whether there is something to read; when that fails, the whole look does, and begins anew."""
        last = self._sight.read.get(number)
        if not rules.is_unread(updated, last, self._mark):
            return False
        self._reading[number] = rules.reading(updated, last, self._house.clock.monotonic())
        return True

    async def _comments(self, forge: Forge, number: int, about: Issue | None) -> None:
        """What others said lately; what bears our mark is ours. On an issue only what calls us is anything to us."""
        found = await forge.comments(self._repository.id, number, since=self._since)
        said = [each for each in found if not each.marker]
        if about is not None:
            said = [each for each in said if orders.is_command(each.body)]
        recent = [each for each in said if rules.is_recent(each.created, self._mark)]
        await self._keep(*[await self._said(forge, each, about) for each in recent])

    async def _said(self, forge: Forge, said: Comment, about: Issue | None) -> Arrival:
        """A comment; one that asks for a plan takes up its issue's words, which are to be those of that time."""
        if about is not None and orders.asks_for_plan(said.body):
            sure = rules.stood_at(self._sight.words[about.number], said.created)
            if not sure and not await self._writers_alone_edit(forge, about):
                by, at = said.author, said.created
                return listed.doubted(self._repository, about.number, by=by, at=at, comment=True)
        return listed.comment(self._repository, said, about)

    async def _keep(self, *arrivals: Arrival) -> None:
        for start in range(0, len(arrivals), _BATCH):
            batch = arrivals[start : start + _BATCH]
            stored = await asyncio.to_thread(self._house.ledger.deliveries.store, batch)
            self._new += sum(each == "new" for each in stored)


def _seen(issue: Issue) -> rules.Seen:
    return rules.Seen(issue.labels, issue.assignees, issue.updated)


@asynccontextmanager
async def walking(house: House, *, poll: float | None) -> AsyncIterator[asyncio.Task[None]]:
    """Look in the background while somebody serves. The task ends only here, as that of the pump."""
    task = asyncio.create_task(Listing(house, poll=poll).run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

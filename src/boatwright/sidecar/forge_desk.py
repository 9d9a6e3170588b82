"""What becomes of an agent's call to its forge: asked of the rules, done once, told in words, one record and one line each.

What is written is an effect of the marked kind: the intent first, then a look for what bears the mark, then the act, then
the outcome. The same text again, in this round or after a kill, is the same effect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from boatwright import crash, errors
from boatwright.egress.log import Log
from boatwright.forge import marks
from boatwright.forge.protocol import Comment, Issue, PullRequest
from boatwright.rules import forge_calls as rule
from boatwright.rules import plain
from boatwright.rules.forge_calls import Refusal, Remark, Scope, Topic
from boatwright.scan.protocol import Blob, CouldNotCheck, Scanner
from boatwright.sidecar.call_record import CallRecord
from boatwright.sidecar.tooling import Answer
from boatwright.values.calls import CallKind, ForgeCall, Signal
from boatwright.values.events import ForgeCalled
from boatwright.values.people import Permission

US = "boatwright"
AWAY = "This could not be done just now. Go on, and try again later."
ENDED = "Noted. This round ends now."


class Talk(Protocol):
    """What of a house's forges an agent's calls need; ``forge.router.Forges`` is one."""

    async def issue(self, repository: str, number: int) -> Issue: ...

    async def describe_issue(self, repository: str, number: int, *, body: str) -> Issue: ...

    async def pull_request(self, repository: str, number: int) -> PullRequest: ...

    async def update_pull_request(
        self, repository: str, number: int, *, title: str | None = None, body: str | None = None,
        draft: bool | None = None, head: str | None = None,
    ) -> PullRequest: ...  # fmt: skip

    async def comments(self, repository: str, number: int) -> Sequence[Comment]: ...

    async def post_comment(
        self, repository: str, number: int, *, author: str, body: str, marker: str = ""
    ) -> Comment: ...

    async def delete_comment(self, repository: str, comment: int) -> None: ...

    async def me(self, repository: str) -> str: ...

    async def permission(self, repository: str, login: str) -> Permission: ...


@dataclass(frozen=True, slots=True)
class Work:
    """Whose calls these are: the repository, the round, and the words that the request was fixed to."""

    repository: str
    round: int
    title: str
    body: str


class _Refused(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.sentence)
        self.refusal = refusal


class ForgeDesk:
    """The forge desk of one wire."""

    def __init__(
        self, record: CallRecord, forge: Talk, work: Work, scope: Scope, *, scanner: Scanner, log: Log
    ) -> None:
        self._kept, self._forge, self._work, self.scope = record, forge, work, scope
        self._scanner, self._log = scanner, log
        self._made = 0
        self._writing = asyncio.Lock()
        self._trusted: dict[str, bool] = {}
        self.signal: Signal | None = None
        """What the agent said of its end, in this round."""
        self.signalled = asyncio.Event()

    async def call(self, call: ForgeCall) -> Answer:
        """Do it, and say what came of it. Never raises for what an agent says, or a forge does not do."""
        made, self._made = self._made, self._made + 1
        if (
            made > rule.MOST_CALLS and call.kind is not CallKind.SIGNAL_DONE
        ):  # what was said once is not written down for ever
            return Answer(AWAY, failed=True)
        try:
            refused = rule.refusal(self.scope, call, made)
            if refused is not None:
                raise _Refused(refused)
            said = await self._acts(call)
        except _Refused as error:
            return await self._not_done(call, "refused", error.refusal.code, f"This is refused: {error}.")
        except errors.NotFound:
            return await self._not_done(
                call, "failed", "not_found", f"There is no {call.number} of that kind."
            )
        except errors.BoatwrightError as error:
            code = error.code if isinstance(error, errors.Parked) else type(error).__name__.lower()
            return await self._not_done(call, "failed", code, AWAY)
        return Answer(said)

    async def _acts(self, call: ForgeCall) -> str:
        match call.kind:
            case CallKind.READ_ISSUE:
                said = await self._read_issue(call.number)
            case CallKind.READ_PULL:
                said = await self._read_pull(call.number)
            case CallKind.READ_COMMENTS:
                said = await self._read_comments(call.number)
            case CallKind.SIGNAL_DONE:
                return await self._signal(call)
            case _:
                return await self._write(call)
        await self._record(call, "done", size=len(said))
        return said

    # --- reading ---

    async def _read_issue(self, number: int) -> str:
        """The issue of this execution in the words that were asked for, whatever it says by now."""
        found = await self._forge.issue(self._work.repository, number)
        own = number == self.scope.issue
        words = (self._work.title, self._work.body) if own else (found.title, found.body)
        trusted = own or await self._may_write(found.author)
        labels = ", ".join(plain.short(" ".join(each.split()), 80) for each in found.labels)
        more = (f"labels: {plain.printable(labels)}",) if labels and trusted else ()
        return rule.topic(Topic("issue", number, found.state, found.author, *words, trusted, more))

    async def _read_pull(self, number: int) -> str:
        found = await self._forge.pull_request(self._work.repository, number)
        own = number in self.scope.pulls
        trusted = own or await self._may_write(found.author)
        state = f"{found.state}, draft" if found.draft else found.state
        more = (f"head: {found.head[:12]}",)
        return rule.topic(
            Topic("pull request", number, state, found.author, found.title, found.body, trusted, more)
        )

    async def _read_comments(self, number: int) -> str:
        found = await self._forge.comments(self._work.repository, number)
        older = len(found) - rule.MOST_COMMENTS  # those are not told: nobody asks who wrote them
        said = [
            Remark(each.author, each.body, at >= older and await self._may_write(each.author))
            for at, each in enumerate(found)
        ]
        return rule.remarks(number, said)

    async def _may_write(self, login: str) -> bool:
        """Whether an agent is told somebody's words: ours, and those of people with write permission (DESIGN §9)."""
        if login not in self._trusted:
            repository = self._work.repository
            ours = login == await self._forge.me(repository)
            self._trusted[login] = (
                ours or (await self._forge.permission(repository, login)).may_write if login else False
            )
        return self._trusted[login]

    # --- writing ---

    async def _write(self, call: ForgeCall) -> str:
        await asyncio.to_thread(self._refuse_secrets, call)
        async with self._writing:
            if not await self._was_done(call):
                await self._once(call)
        return f"Done: {call.number} has it."

    def _refuse_secrets(self, call: ForgeCall) -> None:
        try:
            shown = plain.printable(
                call.text
            )  # as it will stand there: nothing that is not shown hides a part
            leaks = self._scanner.scan([Blob("text", shown.encode("utf-8", "replace"))])
        except CouldNotCheck as error:
            raise _Refused(
                Refusal("unchecked", f"the text could not be checked for secrets: {error}")
            ) from error
        if leaks:
            found = f"line {leaks[0].line} looks like a secret ({plain.line(leaks[0].rule, 80)})"
            raise _Refused(Refusal("secret", found))

    async def _was_done(self, call: ForgeCall) -> bool:
        """Whether this very text was the last that was written there."""
        there = [
            each.digest
            for each in await self._kept.told()
            if (each.call, each.number, each.outcome) == (call.kind, call.number, "done")
        ]
        if call.kind is CallKind.UPDATE_DESCRIPTION:  # others, too, may have written that section since
            return there[-1:] == [call.digest] and await self._stands(call)
        return call.digest in there

    async def _stands(self, call: ForgeCall) -> bool:
        body = await self._description(call.number)
        return self._described(body, call) == body

    async def _once(self, call: ForgeCall) -> None:
        mark = self._mark(call)
        await self._kept.fence()
        await self._kept.intend(call, mark)
        crash.point("call.intended")
        comments = call.kind is CallKind.POST_COMMENT
        await (self._comment(call, mark) if comments else self._describe(call))
        crash.point("call.acted")
        await self._record(call, "done", size=len(call.text), once=comments)
        crash.point("call.told")

    def _mark(self, call: ForgeCall) -> str:
        return f"agent:{self._kept.caller}:{call.digest[:16]}"

    async def _comment(self, call: ForgeCall, mark: str) -> None:
        """One comment with this mark; extras of a pass that was killed are removed."""
        repository = self._work.repository
        ours = [c for c in await self._forge.comments(repository, call.number) if c.marker == mark]
        for extra in ours[1:]:
            await self._forge.delete_comment(repository, extra.id)
        if not ours:
            body = rule.comment(call.text, self._kept.caller)
            await self._forge.post_comment(repository, call.number, author=US, body=body, marker=mark)

    async def _describe(self, call: ForgeCall) -> None:
        """The same section twice is the same section."""
        forge, repository = self._forge, self._work.repository
        body = self._described(await self._description(call.number), call)
        if call.number in self.scope.pulls:
            await forge.update_pull_request(repository, call.number, body=body)
        else:
            await forge.describe_issue(repository, call.number, body=body)

    async def _description(self, number: int) -> str:
        forge, repository = self._forge, self._work.repository
        if number in self.scope.pulls:
            return (await forge.pull_request(repository, number)).body
        return (await forge.issue(repository, number)).body

    def _described(self, body: str, call: ForgeCall) -> str:
        text = rule.described(body, call.text, self._kept.caller)
        if len(text) > marks.LONGEST:
            what = "the description that people wrote leaves no room for a section of yours"
            raise _Refused(Refusal("too_long", what))
        return text

    # --- the end ---

    async def _signal(self, call: ForgeCall) -> str:
        """The first word counts: the round ends with it."""
        async with self._writing:
            if self.signal is None:
                await self._record(call, "done", reason=call.status, size=len(call.text))
                self.signal = Signal(call.status, plain.printable(call.text).strip())
                self.signalled.set()
        return ENDED

    # --- the record ---

    async def _not_done(self, call: ForgeCall, outcome: str, code: str, said: str) -> Answer:
        try:
            await self._record(call, outcome, reason=code, size=len(call.text))
        except errors.BoatwrightError:  # the line is there; the round hears of the store by itself
            return Answer(AWAY, failed=True)
        return Answer(said, failed=True)

    async def _record(
        self, call: ForgeCall, outcome: str, *, reason: str = "", size: int = 0, once: bool = False
    ) -> None:
        """One line and one record; of a comment that is written, one record however often it is told."""
        self._log.line(
            outcome, execution=self._kept.caller, round=self._work.round, call=call.kind,
            number=call.number, reason=reason, size=size, digest=call.digest[:16],
        )  # fmt: skip
        told = ForgeCalled(
            round=self._work.round, call=call.kind, number=call.number, outcome=outcome, reason=reason,
            size=size, digest=call.digest,
        )  # fmt: skip
        await self._kept.tell(told, once=once)

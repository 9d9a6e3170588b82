"""Push exactly the judged commit, one pull request, one living comment, checks; ready when every gate is green.

Killed anywhere: every effect is looked up before it is done again. The branch is pushed with a lease on the head we
pushed or took in last; the pull request is found by its head branch; a comment carries a hidden marker and extras are
removed. Where others pushed while the work was proven, nothing is pushed: the next turn takes that in.
"""

from __future__ import annotations

import asyncio

from boatwright import crash, errors
from boatwright.agents.protocol import Stop
from boatwright.forge import marks
from boatwright.forge.protocol import Check, PullRequest
from boatwright.git.mirror import Mirror
from boatwright.rules import forge_calls, naming, pull_text, standing_text
from boatwright.rules import taking_in as rules
from boatwright.rules.pull_text import PullText
from boatwright.stages import living, manners, metering, push_rights, required_checks, taking_in
from boatwright.stages.house import House, last
from boatwright.values.chapters import Delivered, Gated, Planned, Verified
from boatwright.values.context import Context
from boatwright.values.events import (
    BranchPushed,
    BuildCompleted,
    ChecksFailed,
    EffectIntended,
    FeatureDelivered,
    PullRequestOpened,
    PullRequestUpdated,
)
from boatwright.values.execution import ExecutionView
from boatwright.values.finding import Outcome, Verdict


async def run(
    context: Context, house: House, planned: Planned, verified: Verified, secured: Gated, reviewed: Gated
) -> Delivered:
    _refuse(verified, last(await context.history(), BuildCompleted))
    await metering.import_usage(house, context.execution)
    view = await house.view(context.execution)
    if view.replays:
        raise errors.Parked("the replay has come to its end, and delivers nothing", code="replayed")
    effects = _Effects(context, house, view, planned, verified, (secured.verdict, reviewed.verdict))
    theirs = await effects.push()
    if theirs is not None:
        return await taking_in.hand_over(context, house, effects.branch, theirs)
    await effects.wait()
    try:
        pull = await effects.propose()
    except errors.Conflict:  # a machine that pushes right after each push of ours, for one
        theirs = await effects.overtaken()
        if theirs is None:
            raise
        return await taking_in.hand_over(context, house, effects.branch, theirs)
    await effects.comment(pull)
    await effects.check()
    return await effects.finish(pull)


def _refuse(verified: Verified, built: BuildCompleted | None) -> None:
    """What a rule refused, or what does not exist, is never pushed."""
    if verified.refused:
        left = rules.left_markers(verified.findings)
        if left:
            raise errors.Parked(
                "what others pushed conflicts with the work, and markers of that are left in "
                f"{rules.listed(left)}: nothing was pushed",
                code="conflict",
            )
        raise errors.Parked(f"the change was not pushed. {_why_refused(verified)}", code="refused")
    if not verified.commit:
        stop = built.stop_reason if built is not None else str(Stop.FINISHED)
        why = "" if stop == Stop.FINISHED else f"; its last round ended with: {stop}"
        code = "model_garbage" if stop == Stop.MODEL_GARBAGE else "no_change"
        raise errors.Parked(f"the agent left no change to deliver{why}", code=code)


def _why_refused(verified: Verified) -> str:
    if verified.proof is not None:
        return verified.proof.sentence
    first = next((f for f in verified.findings if f.blocking), None)
    return f"Refused by rule: {first.rule} ({first.observed})." if first else "A rule refused it."


class _Effects:
    """The outside effects of one delivery, in order; each may be repeated without harm."""

    def __init__(
        self,
        context: Context,
        house: House,
        view: ExecutionView,
        planned: Planned,
        verified: Verified,
        gates: tuple[Verdict, ...],
    ) -> None:
        self._context, self._house, self._view = context, house, view
        self._planned, self._verified, self._gates = planned, verified, gates
        self._turn = f"t{context.turn}"
        self.branch = view.branch or naming.branch(view.issue, view.title, view.id)
        self.ready = verified.ready and all(gate.green for gate in gates)
        self._waits: tuple[str, ...] = ()
        self._told: PullText | None = None

    async def _intend(self, effect: str, kind: str, target: str) -> None:
        await self._context.fence()
        intended = EffectIntended(effect=effect, kind=kind, target=target)
        await self._context.emit(intended, key=f"{self._turn}:intend:{effect}:{target}")
        crash.point("deliver.intended")

    async def push(self) -> str | None:
        """Naturally unique: the branch is ours by name, moved only from the head we pushed or took in last.

        Where others moved it nothing is pushed, and their head is returned.
        """
        mirror = self._house.mirror(self._view)
        url = self._house.forge.push_url(self._view.repository)
        old, theirs = await self._look_at_branch(mirror, url)
        if theirs is not None:
            return theirs
        base, commit = self._verified.base_commit, self._verified.commit
        if old != commit:
            await push_rights.require(self._house, self._view, mirror, (base, old or base), commit)
        await taking_in.hide(self._context, self._house, self._view, unless=self._verified.commit)
        try:
            await self._push(mirror, url, old)
        except errors.Conflict:
            theirs = await self.overtaken()
            if theirs is None:
                raise
        return theirs

    async def overtaken(self) -> str | None:
        """The head that others put on our branch since it was pushed; None where they did not."""
        url = self._house.forge.push_url(self._view.repository)
        _, theirs = await self._look_at_branch(self._house.mirror(self._view), url)
        return theirs

    async def _push(self, mirror: Mirror, url: str, old: str | None) -> None:
        commit = self._verified.commit
        await self._intend("push", "naturally unique", f"{self.branch}@{commit}")
        await asyncio.to_thread(push_rights.push, mirror, url, commit, self.branch, old)
        crash.point("deliver.pushed")
        pushed = BranchPushed(branch=self.branch, commit=commit, old=old)
        await self._context.emit(pushed, key=f"{self._turn}:branch.pushed:{commit}")

    async def wait(self) -> None:
        """Green, and still a draft while required checks of the repository have not passed on this commit."""
        if self.ready:
            view, done = self._view, self._verified
            mirror = self._house.mirror(view)
            self._waits = await required_checks.waits_for(
                self._house, view, mirror, done.base_commit, done.commit
            )
            self.ready = not self._waits

    async def _look_at_branch(self, mirror: Mirror, url: str) -> tuple[str | None, str | None]:
        """The head the lease is taken on, ours by record; and, where others moved the branch, the head they put there.

        A branch of that name that is not ours, left by an earlier execution of the issue, is left alone: ours gets
        another name.
        """
        stands = rules.standing(await self._context.history())
        self.branch = stands.branch or self.branch
        there = await asyncio.to_thread(mirror.remote_head, url, self.branch)
        if there is not None and not stands.ours and there != self._verified.commit:
            self.branch = f"{self.branch}-{self._view.id[-6:]}"
            there = await asyncio.to_thread(mirror.remote_head, url, self.branch)
        if stands.theirs(there) and there != self._verified.commit:
            return None, there
        return (there if there in stands.ours else None), None

    async def propose(self) -> PullRequest:
        """Naturally unique: found by its head branch before one is opened."""
        await self._intend("pull_request", "naturally unique", self.branch)
        repository, forge = self._view.repository, self._house.forge
        text = await self._text()
        pull = await forge.find_pull_request(repository, branch=self.branch)
        if pull is None or (pull.state != "open" and pull.number != self._view.pull_request):
            pull = await forge.open_pull_request(
                repository,
                title=pull_text.title(text),
                body=pull_text.body(text),
                branch=self.branch,
                base_ref=self._view.base_ref,
                draft=True,
                author=living.AUTHOR,
                issue=self._view.issue,
            )
            crash.point("deliver.opened")
        opened = PullRequestOpened(
            number=pull.number,
            branch=self.branch,
            base_ref=pull.base_ref,
            head=self._verified.commit,
            draft=True,
            title=pull.title,
        )
        await self._context.emit(opened, key=f"pull_request.opened:{pull.number}")
        pull = await forge.update_pull_request(
            repository,
            pull.number,
            title=pull_text.title(text),
            body=forge_calls.kept(pull.body, pull_text.body(text), marks.LONGEST),
            draft=not self.ready,
            head=self._verified.commit,
        )
        updated = PullRequestUpdated(number=pull.number, head=pull.head, draft=pull.draft, title=pull.title)
        await self._context.emit(updated, key=f"{self._turn}:pull_request.updated")
        return pull

    async def _text(self) -> PullText:
        """What people are told, from what happened; put together once for the pull request and its comment."""
        if self._told is None:
            self._told = await self._put_together()
        return self._told

    async def _put_together(self) -> PullText:
        view, verified = await self._house.view(self._view.id), self._verified
        mirror = self._house.mirror(view)
        changes = await asyncio.to_thread(mirror.changed, verified.base_commit, verified.commit)
        asked = await manners.of(
            self._house, view.repository, mirror, verified.base_commit, [change.path for change in changes]
        )
        moves = (
            ()
            if self.ready or self._waits
            else (f"boatwright show {view.id}", f"boatwright retry {view.id} --from build")
        )
        history = await self._context.history()
        failed = last(history, ChecksFailed)
        return PullText(
            execution=view.id,
            title=view.title,
            plan=self._planned.plan,
            commit=verified.commit,
            ready=self.ready,
            base_ref=view.base_ref,
            issue=view.issue,
            risk=self._planned.risk,
            drivers=self._planned.drivers,
            changes=changes,
            proof=verified.proof,
            findings=verified.findings,
            gates=self._gates,
            usd=view.usd,
            tokens=view.tokens,
            budget=str(view.budget),
            rounds=verified.round,
            others=rules.sentence(next(iter(reversed(rules.merges(history))), None)),
            unmoved=self._view.head == verified.commit,
            failed=failed.names if failed is not None and failed.commit == verified.commit else (),
            model=view.model,
            next_moves=moves,
            waits=self._waits,
            template=asked.template,
            owners=asked.owners,
        )

    async def comment(self, pull: PullRequest) -> None:
        """Marked: one living comment, edited in place; and the one on the issue says where to look."""
        body = pull_text.living_comment(await self._text())
        await living.keep(
            self._context, self._house, self._view,
            number=pull.number, marker=standing_text.living_mark(self._view.id), body=body, name=living.DELIVERED,
        )  # fmt: skip
        await living.proposed(self._context, self._house, self.branch, ready=self.ready)

    async def check(self) -> None:
        """Naturally unique by external id: one check per gate on the delivered commit."""
        commit = self._verified.commit
        for gate in (self._verify_verdict(), *self._gates):
            name = f"boatwright/{NAMES.get(gate.gate, gate.gate)}"
            check = Check(
                repository=self._view.repository,
                commit=commit,
                name=name,
                conclusion=CONCLUSIONS[gate.outcome],
                summary=gate.summary,
                external_id=f"{self._view.id}:{name}:{commit}",
            )
            await self._house.forge.set_check(check)

    def _verify_verdict(self) -> Verdict:
        proof = self._verified.proof
        outcome = Outcome.PASS if self._verified.ready else Outcome.FAIL
        return Verdict(
            gate="verify", outcome=outcome, summary=proof.sentence if proof else "the proof was not run"
        )

    async def finish(self, pull: PullRequest) -> Delivered:
        proof = self._verified.proof
        view = await self._house.view(self._view.id)
        word = str(proof.word) if proof is not None else "not run"
        delivered = FeatureDelivered(
            pull_request=pull.number,
            branch=self.branch,
            commit=self._verified.commit,
            ready=self.ready,
            word=word,
            usd=view.usd,
            tokens=view.tokens,
            waits_for=self._waits,
        )
        await self._context.emit(delivered, key=f"{self._turn}:feature.delivered")
        self._context.say(f"pull request {pull.number} ({'ready' if self.ready else 'draft'}): {pull.title}")
        return Delivered(
            pull_request=pull.number,
            branch=self.branch,
            commit=self._verified.commit,
            ready=self.ready,
            word=word,
        )


NAMES = {"secure": "security"}
CONCLUSIONS = {Outcome.PASS: "success", Outcome.FAIL: "failure", Outcome.COULD_NOT_CHECK: "neutral"}

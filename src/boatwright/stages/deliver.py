"""Push exactly the judged commit, one pull request, one living comment, checks; ready when every gate is green.

Killed anywhere: every effect is looked up before it is done again. The branch is pushed with a lease on the head we
pushed last; the pull request is found by its head branch; a comment carries a hidden marker and extras are removed.
"""

from __future__ import annotations

import asyncio

from boatwright import crash, errors
from boatwright.agents.protocol import Stop
from boatwright.forge.protocol import Check, PullRequest
from boatwright.git.mirror import Mirror
from boatwright.rules import naming, pull_text
from boatwright.rules.pull_text import PullText
from boatwright.stages import metering
from boatwright.stages.house import House, last
from boatwright.values.chapters import Delivered, Gated, Planned, Verified
from boatwright.values.context import Context
from boatwright.values.events import (
    BranchPushed,
    BuildCompleted,
    CommentPosted,
    EffectIntended,
    FeatureDelivered,
    PullRequestOpened,
    PullRequestUpdated,
)
from boatwright.values.execution import ExecutionView
from boatwright.values.finding import Outcome, Verdict

AUTHOR = "boatwright"


async def run(
    context: Context, house: House, planned: Planned, verified: Verified, secured: Gated, reviewed: Gated
) -> Delivered:
    _refuse(verified, last(await context.history(), BuildCompleted))
    await metering.import_usage(house, context.execution)
    view = await house.view(context.execution)
    if view.replays:
        raise errors.Parked("the replay has come to its end, and delivers nothing", code="replayed")
    effects = _Effects(context, house, view, planned, verified, (secured.verdict, reviewed.verdict))
    await effects.push()
    pull = await effects.propose()
    await effects.comment(pull)
    await effects.check()
    return await effects.finish(pull)


def _refuse(verified: Verified, built: BuildCompleted | None) -> None:
    """What a rule refused, or what does not exist, is never pushed."""
    if verified.refused:
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
        self._branch = view.branch or naming.branch(view.issue, view.title, view.id)
        self.ready = verified.ready and all(gate.green for gate in gates)

    async def _intend(self, effect: str, kind: str, target: str) -> None:
        await self._context.fence()
        intended = EffectIntended(effect=effect, kind=kind, target=target)
        await self._context.emit(intended, key=f"{self._turn}:intend:{effect}:{target}")
        crash.point("deliver.intended")

    async def push(self) -> None:
        """Naturally unique: the branch is ours by name, moved only from the head we pushed last."""
        commit = self._verified.commit
        mirror = self._house.mirror(self._view)
        url = self._house.forge.push_url(self._view.repository)
        old = await self._look_at_branch(mirror, url)
        await self._hide_until_judged()
        await self._intend("push", "naturally unique", f"{self._branch}@{commit}")
        await asyncio.to_thread(mirror.push, url, commit, self._branch, old)
        crash.point("deliver.pushed")
        pushed = BranchPushed(branch=self._branch, commit=commit, old=old)
        await self._context.emit(pushed, key=f"branch.pushed:{commit}")

    async def _look_at_branch(self, mirror: Mirror, url: str) -> str | None:
        """The head the lease is taken on: ours by record (pushed, or intended by somebody killed meanwhile).

        A branch of that name that is not ours, left by an earlier execution of the issue, is left alone: ours gets
        another name. Somebody else's commit on our branch is a conflict for people.
        """
        history = await self._context.history()
        pushed = [e.payload.commit for e in history if isinstance(e.payload, BranchPushed)]
        intended = [e.payload for e in history if isinstance(e.payload, EffectIntended)]
        meant = [intent.target.rpartition("@") for intent in intended if intent.effect == "push"]
        ours = {*pushed, *(commit for _, _, commit in meant)}
        if meant:
            self._branch = meant[-1][0]
        there = await asyncio.to_thread(mirror.remote_head, url, self._branch)
        if there is not None and not ours and there != self._verified.commit:
            self._branch = f"{self._branch}-{self._view.id[-6:]}"
            there = await asyncio.to_thread(mirror.remote_head, url, self._branch)
        return there if there is None or there in ours else (pushed[-1] if pushed else None)

    async def _hide_until_judged(self) -> None:
        """A pull request that is open already is a draft while its branch moves: ready belongs to one commit."""
        if self._view.pull_request is not None:
            pull = await self._house.forge.pull_request(self._view.repository, self._view.pull_request)
            if pull.state == "open" and not pull.draft and pull.head != self._verified.commit:
                await self._house.forge.update_pull_request(self._view.repository, pull.number, draft=True)

    async def propose(self) -> PullRequest:
        """Naturally unique: found by its head branch before one is opened."""
        await self._intend("pull_request", "naturally unique", self._branch)
        repository, forge = self._view.repository, self._house.forge
        text = await self._text()
        pull = await forge.find_pull_request(repository, branch=self._branch)
        if pull is None or (pull.state != "open" and pull.number != self._view.pull_request):
            pull = await forge.open_pull_request(
                repository,
                title=pull_text.title(text),
                body=pull_text.body(text),
                branch=self._branch,
                base_ref=self._view.base_ref,
                draft=True,
                author=AUTHOR,
                issue=self._view.issue,
            )
            crash.point("deliver.opened")
        opened = PullRequestOpened(
            number=pull.number,
            branch=self._branch,
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
            body=pull_text.body(text),
            draft=not self.ready,
            head=self._verified.commit,
        )
        updated = PullRequestUpdated(number=pull.number, head=pull.head, draft=pull.draft, title=pull.title)
        await self._context.emit(updated, key=f"{self._turn}:pull_request.updated")
        return pull

    async def _text(self) -> PullText:
        """What people are told, from what happened."""
        view, verified = await self._house.view(self._view.id), self._verified
        changes = await asyncio.to_thread(
            self._house.mirror(view).changed, verified.base_commit, verified.commit
        )
        moves = (
            () if self.ready else (f"boatwright show {view.id}", f"boatwright retry {view.id} --from build")
        )
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
            model=view.model,
            next_moves=moves,
        )

    async def comment(self, pull: PullRequest) -> None:
        """Marked: one living comment, edited in place; extras of a crashed pass are removed."""
        marker = f"living:{self._view.id}"
        await self._intend("comment", "marked", marker)
        forge, repository = self._house.forge, self._view.repository
        body = pull_text.living_comment(await self._text())
        ours = [c for c in await forge.comments(repository, pull.number) if c.marker == marker]
        if ours:
            living = await forge.edit_comment(repository, ours[0].id, body=body)
            for extra in ours[1:]:
                await forge.delete_comment(repository, extra.id)
        else:
            living = await forge.post_comment(
                repository, pull.number, author=AUTHOR, body=body, marker=marker
            )
        crash.point("deliver.commented")
        posted = CommentPosted(number=pull.number, comment=living.id, marker=marker)
        await self._context.emit(posted, key=f"{self._turn}:comment.posted")

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
            branch=self._branch,
            commit=self._verified.commit,
            ready=self.ready,
            word=word,
            usd=view.usd,
            tokens=view.tokens,
        )
        await self._context.emit(delivered, key=f"{self._turn}:feature.delivered")
        self._context.say(f"pull request {pull.number} ({'ready' if self.ready else 'draft'}): {pull.title}")
        return Delivered(
            pull_request=pull.number,
            branch=self._branch,
            commit=self._verified.commit,
            ready=self.ready,
            word=word,
        )


NAMES = {"secure": "security"}
CONCLUSIONS = {Outcome.PASS: "success", Outcome.FAIL: "failure", Outcome.COULD_NOT_CHECK: "neutral"}

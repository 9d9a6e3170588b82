"""What a pull request says: title, body, the living comment, the commit message; from what happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from boatwright.rules.plain import code, line, printable, short
from boatwright.values.finding import Finding, Outcome, Verdict
from boatwright.values.plan import Plan, Risk
from boatwright.values.proof import HowRead, ProofVerdict, Word

TITLE_CAP, BODY_CAP = 200, 60_000
_LISTED, _FILES = 20, 100
_MEANS = {
    Word.PROVEN: "A test fails on the old code and passes on the new; nothing that passed before fails.",
    Word.NEW_BEHAVIOUR: "Tests of something that did not exist pass; nothing that passed before fails. "
    "That is not called proven.",
    Word.NO_REGRESSION: "Nothing here needs a proof, as planned; nothing that passed before fails.",
    Word.UNPROVEN: "The tests do not show that the change does what it should.",
    Word.REGRESSION: "Something that passed before no longer does.",
    Word.REFUSED: "A rule says no.",
    Word.COULD_NOT_CHECK: "The proof could not be made. That is not green.",
}
_MARKS = {Outcome.PASS: "passed", Outcome.FAIL: "failed", Outcome.COULD_NOT_CHECK: "could not check"}


class FileChange(Protocol):
    @property
    def path(self) -> str: ...

    @property
    def status(self) -> str: ...

    @property
    def added(self) -> int | None: ...

    @property
    def deleted(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class PullText:
    """Everything the texts are made of; all of it from events."""

    execution: str
    title: str
    plan: Plan
    commit: str
    ready: bool
    base_ref: str = ""
    issue: int | None = None
    risk: Risk | None = None
    drivers: tuple[str, ...] = ()
    changes: Sequence[FileChange] = ()
    proof: ProofVerdict | None = None
    findings: tuple[Finding, ...] = ()
    gates: tuple[Verdict, ...] = ()
    usd: Decimal = Decimal(0)
    tokens: int = 0
    budget: str = ""
    rounds: int = 1
    model: str = ""
    next_moves: tuple[str, ...] = field(default=())


def title(text: PullText) -> str:
    """The request's own title on one line; the goal where there is none."""
    flat = " ".join(printable(text.title or text.plan.goal).split())
    return short(flat, TITLE_CAP) or "Change"


def body(text: PullText) -> str:
    """Summary, Changes, Proof, Cost."""
    parts = [
        "## Summary",
        _summary(text),
        "## Changes",
        _changes(text),
        "## Proof",
        _proof(text),
        "## Cost",
        _cost(text),
        _footer(text),
    ]
    return short("\n\n".join(part for part in parts if part), BODY_CAP)


def living_comment(text: PullText) -> str:
    """The one comment that is kept up to date: how it stands, why it is not merging, what one can do."""
    state = "Ready for review" if text.ready else "Draft"
    parts = [
        f"**{state}** at {code(text.commit[:12])}",
        _word(text),
        _gates(text),
        _findings(text),
        _moves(text),
        _cost(text),
    ]
    return short("\n\n".join(part for part in parts if part), BODY_CAP)


def commit_message(plan: Plan, *, issue: int | None, execution: str) -> str:
    """One subject line from the goal, the steps that write, and where it comes from."""
    subject = short(" ".join(printable(plan.goal).split()).rstrip("."), 72)
    paths = "\n".join(f"- {short(' '.join(printable(path).split()), 200)}" for path in plan.touch_paths)
    trailer = f"Boatwright-Execution: {execution}" + (f"\nIssue: #{issue}" if issue is not None else "")
    return "\n\n".join(part for part in (subject or "Change", paths, trailer) if part) + "\n"


def _summary(text: PullText) -> str:
    lines = [line(text.plan.goal, 600)]
    if text.issue is not None:
        lines.append(f"Closes #{text.issue}")
    if text.risk is not None:
        why = f": {', '.join(code(driver) for driver in text.drivers[:5])}" if text.drivers else ""
        lines.append(f"Risk: **{text.risk}**{why}")
    lines += [f"- assumed: {line(each)}" for each in text.plan.assumptions[:10]]
    return "\n\n".join(lines)


def _changes(text: PullText) -> str:
    if not text.changes:
        return "No file."
    rows = ["| file | | added | deleted |", "|---|---|--:|--:|"]
    for change in text.changes[:_FILES]:
        added, deleted = ("binary" if n is None else str(n) for n in (change.added, change.deleted))
        path = code(change.path).replace("|", "\\|")
        rows.append(f"| {path} | {line(change.status, 10)} | {added} | {deleted} |")
    more = len(text.changes) - _FILES
    return "\n".join(rows) + (f"\n\nand {more} more" if more > 0 else "")


def _proof(text: PullText) -> str:
    if text.proof is None:
        return "The proof was not run.\n\n" + _findings(text)
    proof = text.proof
    parts = [
        _word(text),
        _ids("Failed before, pass now", proof.fixed),
        _ids("Could not run before, pass now", proof.new),
        f"Still passing: {proof.still_passing}",
        _ids("No longer passing", proof.regressions),
        _ids("Changed, renamed or removed: a person approves", proof.changed_tests),
        _ids("Unstable, not counted", proof.unstable),
        _how(proof),
        _gates(text),
        _findings(text),
    ]
    return "\n\n".join(part for part in parts if part)


def _word(text: PullText) -> str:
    if text.proof is None:
        return ""
    return f"**{text.proof.word}** — {_MEANS[text.proof.word]}\n\n{line(text.proof.sentence, 1_500)}"


def _how(proof: ProofVerdict) -> str:
    how = {
        HowRead.JUNIT: "the runner's own report",
        HowRead.TEXT: "what the runner printed",
        HowRead.EXIT_CODE: "the exit code alone",
    }[proof.how_read]
    return f"Read from {how}; run by us on a clean checkout of exactly {code(proof.commit[:12])}."


def _ids(label: str, ids: Sequence[str]) -> str:
    if not ids:
        return ""
    rows = [f"- {code(each)}" for each in ids[:_LISTED]]
    if len(ids) > _LISTED:
        rows.append(f"- and {len(ids) - _LISTED} more")
    return f"{label}:\n" + "\n".join(rows)


def _gates(text: PullText) -> str:
    return "\n".join(
        f"- {line(g.gate, 40)}: {_MARKS[g.outcome]} — {line(g.summary, 400)}" for g in text.gates
    )


def _findings(text: PullText) -> str:
    rows = []
    for finding in text.findings[:_LISTED]:
        where = (
            f" ({code(finding.path + (f':{finding.line}' if finding.line else ''))})" if finding.path else ""
        )
        fix = f". {line(finding.fix)}" if finding.fix else ""
        note = "" if finding.blocking else "note: "
        rows.append(f"- {note}{line(finding.rule)}: {line(finding.observed).rstrip('.')}{where}{fix}")
    if len(text.findings) > _LISTED:
        rows.append(f"- and {len(text.findings) - _LISTED} more")
    return "Findings:\n" + "\n".join(rows) if rows else ""


def _moves(text: PullText) -> str:
    if not text.next_moves:
        return ""
    return "Next moves:\n" + "\n".join(f"- {code(move)}" for move in text.next_moves[:10])


def _cost(text: PullText) -> str:
    usd = f"{text.usd.quantize(Decimal('0.0001'))} USD" if text.usd else "0 USD"
    of = f" of {line(text.budget, 80)}" if text.budget else ""
    rounds = f"{text.rounds} gate round{'' if text.rounds == 1 else 's'}"
    by = f", {code(text.model, 100)}" if text.model else ""
    return f"{usd} and {text.tokens:,} tokens{of}, {rounds}{by}."


def _footer(text: PullText) -> str:
    return (
        f"<sub>Boatwright, execution {code(text.execution)}. These words are generated from its events.</sub>"
    )

"""What a pull request says: title, body, the living comment, the commit message; from what happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from boatwright.rules import pull_template, standing_text, taking_in
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
NOT_COMING = "**That may never happen by itself.**"
_BY_HAND = (
    "A person may mark it ready at any time. Where such checks run on ready pull requests alone, set "
    "`ready_waits_for_checks: false` in `.boatwright.yml` on the base branch; it counts from the next turn on."
)
_WAITS = "It becomes ready by itself when these required checks have passed on this commit:"
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
    others: str = ""
    """A sentence about commits of others that were taken in."""
    next_moves: tuple[str, ...] = field(default=())
    unmoved: bool = False
    """A further turn left the commit as it was."""
    failed: tuple[str, ...] = ()
    """Checks of the repository that failed on this very commit."""
    waits: tuple[str, ...] = ()
    """Required checks of the repository without which it is not ready."""
    template: str = ""
    """The repository's own, from its base; empty: it has none."""
    owners: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By its CODEOWNERS, the paths of the change that are each one's."""


def title(text: PullText) -> str:
    """The request's own title on one line; the goal where there is none."""
    flat = " ".join(printable(text.title or text.plan.goal).split())
    return short(flat, TITLE_CAP) or "Change"


def body(text: PullText) -> str:
    """Summary, Changes, Proof, Cost; or the repository's template, filled with them."""
    sections = {
        "Summary": _summary(text),
        "Changes": "\n\n".join(part for part in (text.others, _changes(text)) if part),
        "Proof": _proof(text),
        "Cost": _cost(text),
    }
    closes = f"Closes #{text.issue}" if text.issue is not None else ""
    if text.template:
        return short(
            pull_template.filled(text.template, {**sections, "Issue": closes}, _footer(text)), BODY_CAP
        )
    sections["Summary"] = "\n\n".join(part for part in (sections["Summary"], closes) if part)
    parts = [f"## {name}\n\n{each}" for name, each in sections.items()]
    return short("\n\n".join([*parts, _footer(text)]), BODY_CAP)


def living_comment(text: PullText) -> str:
    """The one comment that is kept up to date: how it stands, why it is not merging, what one can do."""
    state = "Ready for review" if text.ready else "Draft"
    parts = [
        f"**{state}** at {code(text.commit[:12])}",
        "The newest turn read what was said, and left the commit as it is." if text.unmoved else "",
        _failed(text),
        _waits(text),
        _word(text),
        text.others,
        _gates(text),
        _findings(text),
        standing_text.steps(text.plan),
        _moves(text),
        _cost(text),
        standing_text.look(text.execution),
    ]
    return short("\n\n".join(part for part in parts if part), BODY_CAP)


def no_longer_waiting(living: str) -> str:
    """The living comment of a pull request that waited for checks, now that it is ready: nothing is unproven either."""
    living = taking_in.without_notice(living)
    parts = _waiting(living)
    if parts is None:
        return living
    first = parts[0].replace("**Draft**", "**Ready for review**", 1)
    return "\n\n".join([first, "The required checks have passed.", *parts[2:]])


def not_coming(living: str, names: Sequence[str]) -> str:
    """The living comment of a pull request that waits for checks of these names, which nobody has set; without names:
    they have passed, and it could not be made ready. A comment that waits for nothing stays as it is.
    """
    parts = _waiting(taking_in.without_notice(living))
    if parts is None:
        return living
    why = "The required checks have passed, and it could not be made ready."
    if names:
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        why = (
            f"Not reported on this commit so far: {', '.join(code(name) for name in names[:_LISTED])}{more}."
        )
    said = f"{NOT_COMING} {why} {_BY_HAND}"
    return short("\n\n".join([*parts[:2], said, *parts[2:]]), BODY_CAP)


def _waiting(living: str) -> list[str] | None:
    """Its paragraphs: that it is a draft, what it waits for, the others, without the one about waiting in vain; None where
    it waits for nothing.
    """
    parts = living.split("\n\n")
    if not parts[0].startswith("**Draft** at ") or not "".join(parts[1:2]).startswith(_WAITS):
        return None
    return [part for at, part in enumerate(parts) if at != 2 or not part.startswith(NOT_COMING)]


def _failed(text: PullText) -> str:
    if not text.failed:
        return ""
    names = ", ".join(code(name) for name in text.failed[:_LISTED])
    return f"Checks of the repository failed on this commit: {names}. See them there."


def _waits(text: PullText) -> str:
    if not text.waits:
        return ""
    rows = [f"- {code(name)}" for name in text.waits[:_LISTED]]
    more = len(text.waits) - _LISTED
    return "\n".join([_WAITS, *rows, *([f"- and {more} more"] if more > 0 else [])])


def commit_message(plan: Plan, *, issue: int | None, execution: str, sign_off: str = "") -> str:
    """One subject line from the goal, the steps that write, and where it comes from. ``sign_off``: who signs off."""
    subject = short(" ".join(printable(plan.goal).split()).rstrip("."), 72)
    paths = "\n".join(f"- {short(' '.join(printable(path).split()), 200)}" for path in plan.touch_paths)
    trailer = f"Boatwright-Execution: {execution}" + (f"\nIssue: #{issue}" if issue is not None else "")
    trailer += f"\nSigned-off-by: {sign_off}" if sign_off else ""
    return "\n\n".join(part for part in (subject or "Change", paths, trailer) if part) + "\n"


def _summary(text: PullText) -> str:
    lines = [line(text.plan.goal, 600)]
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
    table = "\n".join(rows) + (f"\n\nand {more} more" if more > 0 else "")
    return f"{table}\n\n{_owners(text)}".rstrip()


def _owners(text: PullText) -> str:
    """Named without a mention: the forge asks them itself, when there is something to look at."""
    named = [f"{code(owner, 100)} ({len(paths)})" for owner, paths in text.owners.items()]
    more = f" and {len(named) - _LISTED} more" if len(named) > _LISTED else ""
    return f"Code owners of these files: {', '.join(named[:_LISTED])}{more}." if named else ""


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
    model = text.model if not text.model.startswith("scripted:") else "scripted"  # its file is the host's
    by = f", {code(model, 100)}" if model else ""
    return f"{usd} and {text.tokens:,} tokens{of}, {rounds}{by}."


def _footer(text: PullText) -> str:
    return (
        f"<sub>Boatwright, execution {code(text.execution)}. These words are generated from its events.</sub>"
    )

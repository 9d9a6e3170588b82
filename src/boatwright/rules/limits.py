"""How large a change may be. Equal to a limit passes; above it fails with a mechanical block. source-booty
§5.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from boatwright.config.policy import Policy
from boatwright.rules import globs
from boatwright.values.finding import Finding


class Lines(Protocol):
    """One changed file: its path, and the lines added and deleted (None where binary)."""

    @property
    def path(self) -> str: ...

    @property
    def added(self) -> int | None: ...

    @property
    def deleted(self) -> int | None: ...


def size(change: Lines) -> int:
    """Added and deleted lines together; a binary file has none."""
    return (change.added or 0) + (change.deleted or 0)


def check(changes: Iterable[Lines], policy: Policy) -> tuple[Finding, ...]:
    """The two hard limits first, then every file above the limit per file, largest first. All block."""
    changes = tuple(changes)
    findings = []
    if len(changes) > policy.max_files_changed:
        findings.append(
            _over(
                "max_files_changed",
                len(changes),
                policy.max_files_changed,
                "split the change or raise the limit in .boatwright.yml",
            )
        )
    total = sum(size(change) for change in changes)
    if total > policy.max_diff_loc:
        findings.append(
            _over(
                "max_diff_loc",
                total,
                policy.max_diff_loc,
                "reduce the diff or raise the limit in .boatwright.yml",
            )
        )
    too_large = [
        change
        for change in changes
        if size(change) > policy.max_loc_per_file
        and globs.matches(policy.max_loc_per_file_pathspec, change.path)
    ]
    for change in sorted(too_large, key=lambda each: (-size(each), each.path)):
        fix = f"{change.path}: split the file's change or raise the limit in .boatwright.yml"
        findings.append(_over("max_loc_per_file", size(change), policy.max_loc_per_file, fix, change.path))
    return tuple(findings)


def _over(rule: str, observed: int, limit: int, fix: str, path: str = "") -> Finding:
    return Finding(rule=rule, observed=str(observed), limit=str(limit), fix=fix, path=path)


def blocks(findings: Iterable[Finding]) -> str:
    """Failure blocks as people and agents read them, a blank line between."""
    return "\n\n".join(finding.block() for finding in findings)

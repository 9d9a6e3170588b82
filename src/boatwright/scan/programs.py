"""The scanners there are: gitleaks where it is installed, else kingfisher from its wheel. Neither calls anybody."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from boatwright.scan import running
from boatwright.scan.protocol import Blob, CouldNotCheck, Leak, Scanner

_LONGEST = 200


class Kingfisher:
    """MongoDB's scanner. It is told to validate nothing and to look for no update: both would go to the network."""

    name = "kingfisher"

    def __init__(self, program: str, cache: Path | None = None) -> None:
        self._program, self._cache = program, cache

    def scan(self, blobs: Sequence[Blob]) -> tuple[Leak, ...]:
        if not blobs:
            return ()
        code, said, _ = running.run(self._argv, blobs)
        if code not in {0, 200, 205}:
            raise CouldNotCheck(f"kingfisher ended with exit code {code}")
        try:
            report = json.loads(said)
            summary = report["audit"]["summary"]
            whole = summary["scan_succeeded"] == 1 and not summary["scan_partial"] + summary["scan_failed"]
            found = tuple(_leak_of_kingfisher(each, blobs) for each in report["findings"])
        except (ValueError, LookupError, TypeError) as error:
            raise CouldNotCheck("kingfisher's report cannot be read") from error
        if not whole or (code != 0) != bool(found):
            raise CouldNotCheck("kingfisher did not look at everything")
        return found

    def _argv(self, place: Path, report: Path) -> Sequence[str]:
        cache = ("--rule-cache-dir", str(self._cache)) if self._cache else ("--no-rule-cache",)
        return (
            self._program, "scan", "--quiet", "--no-update-check", "--no-validate", "--redact", "--no-dedup",
            "--no-ignore", "--git-history", "none", "--max-file-size", "0", *cache, "--format", "json",
            "--output", str(report), str(place),
        )  # fmt: skip


class Gitleaks:
    """Its own inline exceptions are not honoured: who pushes does not decide what is a secret."""

    name = "gitleaks"

    def __init__(self, program: str) -> None:
        self._program = program

    def scan(self, blobs: Sequence[Blob]) -> tuple[Leak, ...]:
        if not blobs:
            return ()
        code, said, _ = running.run(self._argv, blobs)
        if code not in {0, 7}:
            raise CouldNotCheck(f"gitleaks ended with exit code {code}")
        try:
            found = tuple(_leak_of_gitleaks(each, blobs) for each in json.loads(said) or ())
        except (ValueError, LookupError, TypeError) as error:
            raise CouldNotCheck("gitleaks' report cannot be read") from error
        if (code == 7) != bool(found):
            raise CouldNotCheck("gitleaks' report and its exit code do not agree")
        return found

    def _argv(self, place: Path, report: Path) -> Sequence[str]:
        return (
            self._program, "dir", "--no-banner", "--redact=100", "--ignore-gitleaks-allow", "--exit-code", "7",
            "--report-format", "json", "--report-path", str(report), str(place),
        )  # fmt: skip


class Nothing:
    """This host has no scanner: nothing is ever clean."""

    name = "none"

    def scan(self, blobs: Sequence[Blob]) -> tuple[Leak, ...]:
        raise CouldNotCheck("this host has no scanner: install gitleaks, or kingfisher-bin by pip")


def find(environment: Mapping[str, str], cache: Path | None = None) -> Scanner:
    """The scanner of this host. ``cache``: where kingfisher may keep its rules compiled, a directory of ours."""
    installed = shutil.which("gitleaks", path=environment.get("PATH", os.defpath))
    if installed:
        return Gitleaks(installed)
    try:
        import kingfisher  # noqa: PLC0415 - only to ask where its program is
    except ImportError:
        return Nothing()
    try:
        return Kingfisher(str(kingfisher.get_binary_path()), cache)
    except OSError:
        return Nothing()


def _leak_of_kingfisher(said: Mapping[str, Any], blobs: Sequence[Blob]) -> Leak:
    finding = said["finding"]
    wide = int(finding["column_end"]) - int(finding["column_start"]) + 1
    return _leak(str(finding["path"]), int(finding["line"]), str(said["rule"]["name"]), wide, blobs)


def _leak_of_gitleaks(said: Mapping[str, Any], blobs: Sequence[Blob]) -> Leak:
    wide = int(said["EndColumn"]) - int(said["StartColumn"]) + 1
    return _leak(str(said["File"]), int(said["StartLine"]), str(said["RuleID"]), wide, blobs)


def _leak(path: str, line: int, rule: str, wide: int, blobs: Sequence[Blob]) -> Leak:
    blob = blobs[int(Path(path).name.partition("!")[0])]
    return Leak(blob.name, line, rule[:_LONGEST], f"[{max(wide, 0)} characters, redacted]")

"""Scanning for secrets: the real scanner on a canary, and every way in which nothing is known."""

from __future__ import annotations

import base64
import sys
from pathlib import Path

import pytest

from boatwright.scan import programs, running
from boatwright.scan.programs import Gitleaks, Kingfisher, Nothing
from boatwright.scan.protocol import Blob, CouldNotCheck

SECRET = "ghp_" + base64.b32encode(b"a canary, not a token!").decode()[:36].ljust(36, "Q")
BLOBS = (
    Blob("a.txt", b"nothing\n"),
    Blob("keys/b.txt", f"x = 1\ntoken = '{SECRET}'  # gitleaks:allow kingfisher:ignore\n".encode()),
)


def test_kingfisher_finds_a_token_and_does_not_repeat_it(tmp_path: Path) -> None:
    scanner = programs.find({"PATH": str(tmp_path)}, tmp_path)
    assert isinstance(scanner, Kingfisher)
    (found,) = scanner.scan(BLOBS)
    assert (found.name, found.line) == ("keys/b.txt", 2) and "github" in found.rule
    assert found.excerpt == "[40 characters, redacted]" and SECRET not in repr(found)
    assert scanner.scan([BLOBS[0]]) == () and scanner.scan([]) == ()


def program(tmp_path: Path, body: str) -> str:
    """A scanner of the test's own: it gets our arguments, and its report goes where it is told."""
    made = tmp_path / "scanner"
    made.write_text(
        f"#!{sys.executable}\nimport sys, time, os\na = sys.argv\nout = lambda name: open(a[a.index(name) + 1], 'w')\n{body}\n"
    )
    made.chmod(0o755)
    return str(made)


LEAK = '[{"RuleID": "r", "StartLine": 3, "StartColumn": 1, "EndColumn": 9, "File": "in/1", "Secret": "REDACTED"}]'


def test_gitleaks_is_taken_where_it_is_installed_and_read(tmp_path: Path) -> None:
    made = program(tmp_path, f"out('--report-path').write({LEAK!r}); sys.exit(7)")
    Path(made).rename(tmp_path / "gitleaks")
    scanner = programs.find({"PATH": str(tmp_path)})
    assert isinstance(scanner, Gitleaks)
    (found,) = scanner.scan(BLOBS)
    assert (found.name, found.line, found.rule, found.excerpt) == (
        "keys/b.txt",
        3,
        "r",
        "[9 characters, redacted]",
    )


@pytest.mark.parametrize(
    "body",
    [
        "sys.exit(1)",
        "sys.exit(7)",
        "out('--report-path').write('[]'); sys.exit(7)",
        f"out('--report-path').write({LEAK!r}); sys.exit(0)",
        "out('--report-path').write('{'); sys.exit(7)",
        "out('--report-path').write('[{}]'); sys.exit(7)",
        "os.kill(os.getpid(), 9)",
    ],
)
def test_gitleaks_that_fails_is_never_clean(tmp_path: Path, body: str) -> None:
    with pytest.raises(CouldNotCheck):
        Gitleaks(program(tmp_path, body)).scan(BLOBS)


WHOLE = '{"audit": {"summary": {"scan_succeeded": 1, "scan_partial": %d, "scan_failed": 0}}, "findings": []}'


@pytest.mark.parametrize(
    "body",
    [
        "sys.exit(1)",
        "sys.exit(0)",
        f"out('--output').write({WHOLE % 1!r})",
        f"out('--output').write({WHOLE % 0!r}); sys.exit(200)",
        "out('--output').write('{}')",
    ],
)
def test_kingfisher_that_fails_is_never_clean(tmp_path: Path, body: str) -> None:
    with pytest.raises(CouldNotCheck):
        Kingfisher(program(tmp_path, body)).scan(BLOBS)


def test_a_scanner_that_hangs_is_stopped(tmp_path: Path) -> None:
    made = program(tmp_path, "time.sleep(600)")
    with pytest.raises(CouldNotCheck, match=r"longer than 0\.2 seconds"):
        running.run(lambda *_: [made], BLOBS, seconds=0.2)


def test_it_sees_no_name_and_no_variable_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-canary")
    made = program(tmp_path, "out('--out').write(repr((sorted(os.environ), sorted(os.listdir('.')))))")
    code, said, _ = running.run(lambda place, report: [made, "--out", str(report)], BLOBS)
    assert code == 0 and "ANTHROPIC_API_KEY" not in said.decode()
    assert "['0', '1']" in said.decode() and "b.txt" not in said.decode()


def test_without_a_scanner_nothing_is_clean() -> None:
    with pytest.raises(CouldNotCheck, match="no scanner"):
        Nothing().scan(BLOBS)
    with pytest.raises(CouldNotCheck, match="cannot be started"):
        Gitleaks("/nowhere").scan(BLOBS)


def test_more_than_can_be_looked_at_is_not_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "MOST_BYTES", 3)
    with pytest.raises(CouldNotCheck, match="more to look at"):
        Gitleaks("/nowhere").scan(BLOBS)

"""``boatwright run`` with a token its forge does not take: one sentence, the moves, exit code 4, nothing of the token."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from boatwright.testing.fake_gitea import FakeForgejo, FakeGitea
from boatwright.testing.fake_github import FakeGitHub
from boatwright.testing.fake_gitlab import FakeGitLab

pytestmark = pytest.mark.timeout(120)
PROGRAM = Path(sys.executable).with_name("boatwright")
SAMPLE, BOT = "ann/sample", "boatwright-bot"
TOKEN, WRONG = "atokenofourownaccount0123456789", "awrongtokenofnobody9876543210"


@pytest.fixture
def root() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bw-token-") as made:
        Path(made).chmod(0o711)
        yield Path(made)


@pytest.mark.parametrize("kind", [FakeGitHub, FakeGitea, FakeForgejo, FakeGitLab])
def test_a_run_with_a_wrong_token(
    root: Path, kind: type[FakeGitHub] | type[FakeGitea] | type[FakeForgejo] | type[FakeGitLab]
) -> None:
    (root / "state").mkdir(mode=0o711)
    script = root / "model.yml"
    script.write_text(yaml.safe_dump({"replies": [{"say": "Done."}]}))
    with kind(root / "forge") as server:
        server.make(SAMPLE, files={"a.txt": "one\n"}, people={"ann": "admin", BOT: "admin"}, private=True)
        server.token(BOT, TOKEN)
        url, forge = f"{server.url}/{SAMPLE}.git", server.KIND
        said = {"forges": {forge: {"token": "env:THEIR_TOKEN", "base_url": server.url}}}
        (root / "state" / "settings.yml").write_text(yaml.safe_dump(said))

        def run(token: str, *arguments: str) -> subprocess.CompletedProcess[str]:
            clean = {name: value for name, value in os.environ.items() if not name.startswith("BOATWRIGHT_")}
            state = {"BOATWRIGHT_STATE": str(root / "state"), "THEIR_TOKEN": token, "COLUMNS": "300"}
            return subprocess.run(
                [str(PROGRAM), *arguments], env={**clean, **state}, capture_output=True, text=True, check=False,
                stdin=subprocess.DEVNULL, timeout=100,
            )  # fmt: skip

        assert run(TOKEN, "repo", "add", url, "--forge", forge).returncode == 0
        ran = run(WRONG, "run", "--repo", url, "--text", "x", "--model", f"scripted:{script}")
    told = " ".join((ran.stdout + ran.stderr).split())
    assert ran.returncode == 4, told
    host = server.url.removeprefix("http://")
    assert f"Could not read {url}: {host} does not take our login, the one that 'forges.{forge}'" in told
    assert (
        "put a valid token, or the App's key, where 'forges." in told and "boatwright doctor --forge" in told
    )
    assert not [word for word in (WRONG, TOKEN, "fatal", "Traceback", "@") if word in told], told

"""A real, tiny package of this host's own sources, which it does not have: fetched, and used by the tests of a whole run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from boatwright.cli.demo import lay_sample

pytestmark = [pytest.mark.packages, pytest.mark.timeout(600)]
NAME = "hello"
"""GNU hello: one program, and no dependency that a Debian lacks."""
PROGRAM = Path(sys.executable).with_name("boatwright")
USES = """\
import subprocess
import unittest


class Hello(unittest.TestCase):
    def test_hello(self):
        self.assertEqual(subprocess.check_output(["hello"]), b"Hello, world!\\n")
"""


@pytest.fixture
def root() -> Iterator[Path]:
    """A short directory that a dropped uid can pass to, with the sample whose tests need the package."""
    made = Path(tempfile.mkdtemp(prefix="bw-hello-"))
    made.chmod(0o711)
    repository = lay_sample(made)
    (repository / "tests" / "test_hello.py").write_text(USES)
    (repository / ".boatwright.yml").write_text(f"system_packages: [{NAME}]\n")
    git = ["git", "-C", str(repository), "-c", "user.name=A", "-c", "user.email=a@localhost"]
    for words in (["add", "--all"], ["commit", "--quiet", "-m", "Say hello"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    state = made / "s"
    state.mkdir(mode=0o711)
    (state / "settings.yml").write_text(f"system_packages: [{NAME}]\n")
    yield made
    shutil.rmtree(made, ignore_errors=True)


def do(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BOATWRIGHT")}
    return subprocess.run(
        [str(PROGRAM), *arguments],
        env={**kept, "BOATWRIGHT_STATE": str(root / "s"), "COLUMNS": "400"},
        cwd=root / "paginate",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_tests_of_a_run_use_a_package_this_host_does_not_have(root: Path) -> None:
    assert shutil.which(NAME) is None, f"this test needs a host without {NAME}"
    shown = do(root, "bottle", "explain", "builtin")
    assert any(
        line.split() == ["system_packages", NAME, ".boatwright.yml"] for line in shown.stdout.splitlines()
    ), shown
    with resources.as_file(resources.files("boatwright.cli") / "sample" / "model.yml") as script:
        shutil.copyfile(script, root / "model.yml")
    model = f"scripted:{root / 'model.yml'}"
    ran = do(root, "run", "--repo", ".", "--text", "Pagination drops the last page", "--model", model)
    assert ran.returncode == 0 and "Traceback" not in ran.stderr, ran.stdout + ran.stderr
    said = json.loads(do(root, "show", ran.stdout.split()[0], "--json").stdout)
    assert said["execution"]["state"] == "DELIVERED" and said["execution"]["ready"]
    (prepared,) = [each["payload"] for each in said["events"] if each["type"] == "environment.prepared"]
    assert [pin.partition("=")[0] for pin in prepared["packages"]] == [NAME]
    gone = do(root, "gc", "--kind", "packages", "--days", "0", "--dry-run")
    assert gone.returncode == 0 and "packages" in gone.stdout, gone.stdout + gone.stderr

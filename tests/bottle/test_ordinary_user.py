"""The same tests as an ordinary user: whoever started this run, one of the two runs is a user's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import OrdinaryUser

MODULES = (
    "test_archive",
    "test_doctor",
    "test_environment",
    "test_exec",
    "test_laid_packages",
    "test_lifecycle",
    "test_limits",
    "test_probes",
    "test_terminal",
)
# Preparing environments takes seconds each and hardly depends on who does it: the one test that uses all of it.
# Containers are another suite's: whether a user may make any is the host's affair.
SOME = "not container and (not test_environment or what_setup or concurrent)"


@pytest.mark.skipif(
    os.geteuid() != 0, reason="this run is an ordinary user's, and its modules are run by it already"
)
def test_everything_holds_for_an_ordinary_user(ordinary_user: OrdinaryUser) -> None:
    """Runs the bottle's other tests as a user who is not root, on copies that user can read."""
    done = ordinary_user.run("-m", "pytest", "-k", SOME, *(f"{name}.py" for name in MODULES))
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout

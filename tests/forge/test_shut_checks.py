"""A login that GitHub shows no check runs, as every fine-grained token: it waits for none, and sees what it may."""

from __future__ import annotations

import pytest
from tests.forge.test_github_app import Port, port

from boatwright import errors
from boatwright.forge.github import GitHub
from boatwright.testing import fake_checks
from boatwright.testing.fake_faults import Fault, secondary_limit
from boatwright.values.clock import SystemIds

__all__ = ["port"]
PATH = "ann/sample"


@pytest.fixture
def forge(port: Port) -> GitHub:
    port.server.do(lambda act: act.depot(PATH).required.update(main=["build"]))
    how = {"clock": port.clock, "ids": SystemIds(), "sleep": port.clock.sleep}
    return GitHub(port.server.url, port.logins, path=lambda _: PATH, **how)  # type: ignore[arg-type]


def shut(port: Port, path: str) -> None:
    words = "Resource not accessible by personal access token"
    port.server.faults.order(Fault(403, 99, "GET", path, message=words))


async def test_required_checks_that_cannot_be_seen_are_not_waited_for(port: Port, forge: GitHub) -> None:
    assert list(await forge.required_checks("sample", "main")) == ["build"]
    shut(port, "/check-runs")
    assert list(await forge.required_checks("sample", "main")) == []


async def test_a_limit_is_no_want_of_a_right(port: Port, forge: GitHub) -> None:
    port.server.faults.order(secondary_limit(times=999, method="GET", path="/check-runs"))
    with pytest.raises(errors.ForgeUnavailable):
        await forge.required_checks("sample", "main")


async def test_statuses_are_seen_where_check_runs_are_not(port: Port, forge: GitHub) -> None:
    head = port.server.act.bare(port.server.state.depots[PATH]).heads()["main"]
    port.server.do(lambda act: fake_checks.ran(act, PATH, head, "old-ci", conclusion="failure"))
    port.server.do(lambda act: fake_checks.ran(act, PATH, head, "new-ci", conclusion="failure", app="ci"))
    assert [check.name for check in await forge.their_checks("sample", head)] == ["new-ci", "old-ci"]
    shut(port, "/check-runs")
    assert [check.name for check in await forge.their_checks("sample", head)] == ["old-ci"]
    assert [check.name for check in await forge.failed_checks("sample", head)] == ["old-ci"]

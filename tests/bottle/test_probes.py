"""The escape probes against our own bottle."""

from __future__ import annotations

from boatwright.bottle import probes
from boatwright.bottle.backends.host import HostBackend

MAY_BE_OPEN = {18, 43, 61, 62}
HOSTS_SIDE = {50, 51}


async def test_every_way_out_is_shut(backend: HostBackend) -> None:
    results = await probes.run(backend)
    assert [each.probe.number for each in results] == list(range(1, 66))
    outcomes = {each.probe.number: each for each in results}
    wrong = [each for each in results if not each.fine]
    assert wrong == []
    opened = {number for number, each in outcomes.items() if each.outcome is probes.Outcome.OPEN}
    assert opened <= MAY_BE_OPEN
    assert 62 not in opened, "an empty file lies over the kernel's command line"
    elsewhere = {number for number, each in outcomes.items() if each.outcome is probes.Outcome.ELSEWHERE}
    assert elsewhere == HOSTS_SIDE
    assert probes.verdict(results)
    assert len(probes.table(results)) == 65
    assert await backend.list() == []

"""The probes of the wire against our own; and that each of them sees a wire that leaks."""

from __future__ import annotations

import pytest

from boatwright.bottle import probes, wire_probes
from boatwright.bottle.backends.bubblewrap import Bubblewrap
from boatwright.bottle.probes import Outcome
from boatwright.config.paths import StateDir
from boatwright.egress.client import WireClient
from boatwright.values.clock import SystemClock


@pytest.fixture
async def wires(state: StateDir) -> WireClient:
    return WireClient(state, grace=1.0)


async def test_every_way_round_the_wire_is_shut(
    backend: Bubblewrap, state: StateDir, wires: WireClient
) -> None:
    results = await wire_probes.run(backend, wires, state, SystemClock())
    assert [each.probe.number for each in results] == list(range(73, 88))
    assert [(each.probe.number, each.outcome, each.detail) for each in results if not each.fine] == []
    assert all(each.outcome is Outcome.SHUT for each in results) and wire_probes.verdict(results)
    assert (await wires.status())["wires"] == [] and await backend.list() == []


def test_what_arrives_counts_whatever_the_bottle_says() -> None:
    probe = wire_probes.PROBES[0]
    shut = (Outcome.SHUT, "")
    leaky = wire_probes.Server(asked=["/outer", "/smuggled-73"])
    assert wire_probes._result(probe, shut, leaky).outcome is Outcome.OPEN
    assert wire_probes._result(probe, shut, wire_probes.Server(asked=["/outer"])).outcome is Outcome.SHUT
    silent = wire_probes._result(probe, shut, wire_probes.Server())
    assert silent.outcome is Outcome.FAILED and not silent.fine, "nothing arrived: nothing was tried"
    assert not wire_probes.verdict([probes.ProbeResult(probe, Outcome.SHUT)])

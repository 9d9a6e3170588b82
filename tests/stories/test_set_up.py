"""A set-up gets out through its wire only, and is told so; what the wire refused is told to people."""

from __future__ import annotations

from typing import Any

from boatwright.values.events import EnvironmentPrepared
from boatwright.values.state import State

KNOWS = 'test "$HTTPS_PROXY" = http://127.0.0.1:8080 && test -S /run/boatwright/wire.sock'
ASKS = "python3 -c 'import urllib.request; urllib.request.urlopen(\"https://elsewhere.example/\")'"


async def test_a_set_up_knows_its_way_out(yard: Any) -> None:
    view = await yard.run(yard.good(), setup=KNOWS)
    assert (view.state, view.ready) == (State.DELIVERED, True), yard.lines
    (prepared,) = yard.payloads(view.id, EnvironmentPrepared)
    assert (prepared.network, prepared.cached) == ("registry_only", False)


async def test_a_host_the_wire_refused_is_named(yard: Any) -> None:
    view = await yard.run(yard.good(), setup=ASKS)
    assert (view.state, view.parked_code) == (State.PARKED, "setup"), yard.lines
    assert "The wire refused elsewhere.example:443: " in view.reason
    assert any(
        "refused host under network.allow, or a route to it, in settings.yml" in move
        for move in view.next_moves
    )

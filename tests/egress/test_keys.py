"""Keys of the proxy: asked at their source when needed, kept for a short time, asked again after a refusal."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from boatwright import errors
from boatwright.config.paths import StateDir
from boatwright.egress import keys
from boatwright.egress.answer import Refused
from boatwright.egress.client import Upstream, WireClient
from boatwright.egress.keys import KEPT_SECONDS, Keys
from boatwright.egress.spec import from_json, to_json
from boatwright.testing.clock import ManualClock
from boatwright.testing.vault import Vault

MESSAGE = {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
MESSAGES = "/v1/messages"
VAULT = "vault:secret/model#key"


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    (tmp_path / ".vault-token").write_text("token-of-a-test")
    (tmp_path / ".vault-token").chmod(0o600)
    with Vault({"secret/model": {"key": "sk-1"}}, token="token-of-a-test") as made:
        yield made


@pytest.fixture
def around(vault: Vault, tmp_path: Path) -> keys.Around:
    return keys.around(VAULT, {"VAULT_ADDR": vault.address, "HOME": str(tmp_path), "OTHER": "x"})


def reads(vault: Vault) -> int:
    return vault.asked.count("secret/data/model")


async def test_kept_for_a_short_time_only(clock: ManualClock, vault: Vault, around: keys.Around) -> None:
    held = Keys(clock)
    assert [await held.get(VAULT, around, None) for _ in range(3)] == ["sk-1"] * 3 and reads(vault) == 1
    vault.secrets["secret/model"]["key"] = "sk-2"
    clock.advance(KEPT_SECONDS - 1)
    assert await held.get(VAULT, around, None) == "sk-1"
    clock.advance(1)
    held.sweep()
    assert held._kept == {}, "nothing of it is left in memory"
    assert await held.get(VAULT, around, None) == "sk-2" and reads(vault) == 2


async def test_many_who_want_one_key_ask_once(clock: ManualClock, vault: Vault, around: keys.Around) -> None:
    held = Keys(clock)
    assert set(await asyncio.gather(*(held.get(VAULT, around, None) for _ in range(40)))) == {"sk-1"}
    assert reads(vault) == 1


async def test_one_that_leaves_does_not_take_the_answer_from_the_others(
    clock: ManualClock, vault: Vault, around: keys.Around
) -> None:
    held = Keys(clock)
    first = asyncio.create_task(held.get(VAULT, around, None))
    second = asyncio.create_task(held.get(VAULT, around, None))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "sk-1"


async def test_a_source_that_fails_is_asked_again(
    clock: ManualClock, vault: Vault, around: keys.Around
) -> None:
    held = Keys(clock)
    vault.sealed = True
    with pytest.raises(Refused, match="sealed") as refused:
        await held.get(VAULT, around, None)
    assert refused.value.code == "credential" and refused.value.next_moves
    vault.sealed = False
    assert await held.get(VAULT, around, None) == "sk-1"


async def test_what_was_handed_over_exists_nowhere_else(clock: ManualClock) -> None:
    held = Keys(clock)
    for reference in ("env:KEY", VAULT):
        with pytest.raises(Refused, match="hands over the key again"):
            await held.get(reference, (), None)


def test_what_a_wires_row_says_of_a_key(state: StateDir, bench: Any, vault: Vault, tmp_path: Path) -> None:
    environment = {"VAULT_ADDR": vault.address, "HOME": str(tmp_path), "MODEL_KEY": "sk-env"}
    for reference in (VAULT, "env:MODEL_KEY"):
        spec = bench.spec(upstreams=(Upstream("anthropic", secret=reference),))
        located = WireClient(state, environment=environment)._located(spec)
        row = to_json(located)
        assert "sk-" not in row and "token-of-a-test" not in row
        assert from_json(row) == located
    assert (
        WireClient(state, environment={**environment, "VAULT_TOKEN": "t"})
        ._located(bench.spec(upstreams=(Upstream("anthropic", secret=VAULT),)))
        .upstreams[0]
        .around
        == ()
    ), "only its caller can"


async def test_a_row_of_the_release_before_is_read(bench: Any) -> None:
    row = to_json(bench.spec()).replace('"around":[],', "").replace('"detour":null,', "")
    assert "around" not in row and "detour" not in row
    assert from_json(row) == bench.spec()


async def test_a_call_goes_out_with_vaults_key_and_with_the_new_one_after_a_refusal(
    bench: Any, vault: Vault, around: keys.Around
) -> None:
    upstream = Upstream("anthropic", socket=str(bench.provider.path), secret=VAULT, around=around)
    order = {"do": "open", "spec": to_json(bench.spec(upstreams=(upstream,))), "keys": {}}
    assert "ok" in await bench.order(order)
    assert (await bench.call(MESSAGES, MESSAGE)).status == 200

    async def turn_down(_: Any, say: Any) -> None:
        await say.whole({"error": {"type": "authentication_error", "message": "expired"}}, 401)

    answer, bench.provider.on_call = bench.provider.on_call, turn_down
    vault.secrets["secret/model"]["key"] = "sk-2"
    worker = WireClient(bench.state, environment={})
    assert (await bench.call(MESSAGES, MESSAGE)).status == 401
    assert await worker.last_status(bench.spec()) == 401
    assert await worker.last_status(bench.spec(id="another")) == 0
    bench.provider.on_call = answer
    assert (await bench.call(MESSAGES, MESSAGE)).status == 200
    assert await worker.last_status(bench.spec()) == 200
    assert [each.headers["x-api-key"] for each in bench.provider.asked] == ["sk-1", "sk-1", "sk-2"]


async def test_a_missing_key_parks_before_a_wire_is_open(state: StateDir, bench: Any) -> None:
    worker = WireClient(state, environment={"HOME": "/nonexistent"})
    with pytest.raises(errors.Parked, match="VAULT_ADDR") as parked:
        await worker.open(bench.spec(upstreams=(Upstream("anthropic", secret=VAULT),)))
    assert parked.value.code == "credential"
    assert (await bench.order({"do": "status"}))["ok"]["wires"] == []

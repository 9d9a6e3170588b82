"""Real clients in real bottles through the intercept lane: they trust the wire, and never hold the credential."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boatwright import errors
from boatwright.testing import registry

SECRET = "canary-3f9a1c7b5e2d"

NODE = """
const http = require("http"), tls = require("tls");
const [host, port] = process.argv[2].split(":");
const asked = http.request({host: "127.0.0.1", port: 8080, method: "CONNECT", path: `${host}:${port}`});
asked.on("connect", (_, socket) => {
  const secure = tls.connect({socket, servername: host}, () => {
    secure.write(`GET /sail HTTP/1.1\\r\\nhost: ${host}:${port}\\r\\nconnection: close\\r\\n\\r\\n`);
  });
  secure.on("data", (data) => process.stdout.write(data));
  secure.on("error", (error) => { console.error(error); process.exit(1); });
});
asked.end();
"""
PYTHON = """
import sys, urllib.request
print(urllib.request.urlopen(f"https://{sys.argv[1]}/sail").read().decode())
"""

CLIENTS = {
    "pip": ("python3", "PIP_INDEX_URL=https://PLACE/simple/ pip install -q --no-cache-dir sail && "
            "/env/bin/python -c 'import sail; print(sail.SAYS)'", registry.SAYS),
    "npm": ("npm", "npm install --silent --no-audit --registry https://PLACE/ sail && "
            "node -p 'require(\"sail\")'", registry.SAYS),
    "git": ("git", "git ls-remote https://PLACE/sail.git", registry.REVISION),
    "curl": ("curl", "curl -sS --fail https://PLACE/sail", '"versions"'),
    "node": ("node", f"cat > n.js <<'END'\n{NODE}\nEND\nnode n.js PLACE", '"versions"'),
    "python": ("python3", f"cat > p.py <<'END'\n{PYTHON}\nEND\npython3 p.py PLACE", '"versions"'),
    "openssl": ("openssl", "openssl s_client -proxy 127.0.0.1:8080 -connect PLACE -verify_return_error "
                "-servername packages.example </dev/null", "Verify return code: 0 (ok)"),
    "wget": ("wget", "wget -q -O - https://PLACE/sail", '"versions"'),
}  # fmt: skip
LOOK = (
    "; env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n';"
    " grep -rs canary-3f9 /home /workspace /env /tmp /run /etc; true"
)
"""Whatever the inside can read: none of it may be the secret."""


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_client_gets_through_and_holds_no_secret(
    harbour: Any, needs: Callable[[str], None], client: str
) -> None:
    program, line, says = CLIENTS[client]
    needs(program)
    house = await harbour.house(
        {"routes": {"packages": harbour.route(credential="env:REGISTRY_TOKEN", methods=["GET"])}},
        {"network": {"policy": "deny_all"}, "routes": ["packages"]},
    )
    log = await harbour.set_up(house, f"( {line.replace('PLACE', harbour.place)} ){LOOK}")
    assert says in log
    assert SECRET not in log
    assert harbour.server.asked or client == "openssl"
    assert not harbour.registry.refused


async def test_without_the_route_the_reason_is_told(harbour: Any) -> None:
    house = await harbour.house(
        {"routes": {"packages": harbour.route(credential="env:REGISTRY_TOKEN")}},
        {"network": {"policy": "registry_only"}},
    )
    line = f"PIP_INDEX_URL=https://{harbour.place}/simple/ pip install --retries 0 sail"
    with pytest.raises(errors.Parked) as parked:
        await harbour.set_up(house, line)
    assert f"The wire refused {harbour.place}" in str(parked.value)
    assert any("a route to it, in settings.yml" in move for move in parked.value.next_moves)
    assert harbour.server.asked == [] and "packages.example" not in harbour.resolved


async def test_a_key_that_is_missing_parks_before_anything_runs(harbour: Any) -> None:
    house = await harbour.house(
        {"routes": {"packages": harbour.route(credential="env:NOT_SET_ANYWHERE")}},
        {"network": {"policy": "deny_all"}, "routes": ["packages"]},
    )
    with pytest.raises(errors.Parked, match="NOT_SET_ANYWHERE") as parked:
        await harbour.set_up(house, "true")
    assert parked.value.code == "credential"


async def test_only_a_wire_that_opens_tls_changes_what_is_trusted(harbour: Any) -> None:
    house = await harbour.house(
        {"routes": {"packages": {"host": "packages.example", "port": harbour.server.port}}},
        {"network": {"policy": "deny_all"}, "routes": ["packages"]},
    )
    look = f"env | grep -c authorities; ls /run; curl -sS --fail https://{harbour.place}/sail || true"
    log = await harbour.set_up(house, look)
    assert "authorities.pem" not in log and log.splitlines()[-3:].count("0") <= 1
    assert "certificate" in log, "a tunnel is not ours to vouch for: its authority is private"
    assert not (house.state.root / "authority.pem").exists()


async def test_the_authority_is_private_and_the_bundle_is_the_systems_and_ours(harbour: Any) -> None:
    house = await harbour.house(
        {"routes": {"packages": harbour.route(rate=60)}},
        {"network": {"policy": "deny_all"}, "routes": ["packages"]},
    )
    log = await harbour.set_up(
        house, "grep -c BEGIN /run/authorities.pem; ls -la /run /etc/ssl/certs | grep -c KEY; true"
    )
    key = house.state.root / "authority.pem"
    assert key.stat().st_mode & 0o777 == 0o600 and b"PRIVATE KEY" in key.read_bytes()
    (bundle,) = house.state.run.glob("authorities-*.pem")
    system = Path("/etc/ssl/certs/ca-certificates.crt")
    known = system.read_bytes().count(b"BEGIN CERT") if system.exists() else 0
    assert bundle.read_bytes().count(b"BEGIN CERT") == known + 1 and b"PRIVATE" not in bundle.read_bytes()
    assert str(known + 1) in log.split()


async def test_nothing_the_host_keeps_holds_the_secret(harbour: Any) -> None:
    house = await harbour.house(
        {"routes": {"packages": harbour.route(credential="env:REGISTRY_TOKEN")}},
        {"network": {"policy": "deny_all"}, "routes": ["packages"]},
    )
    await harbour.set_up(house, f"curl -sS https://{harbour.place}/sail -H 'authorization: Bearer own'")
    found = [
        path
        for path in house.state.root.rglob("*")
        if path.is_file() and SECRET.encode() in path.read_bytes()
    ]
    assert found == []
    log = [json.loads(line) for line in (house.state.logs / "proxy.log").read_text().splitlines()]
    assert [line["route"] for line in log if line["what"] == "intercepted"] == ["packages"]

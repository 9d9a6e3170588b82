"""``boatwright serve`` as a person runs it: a forge's delivery arrives, is read, and can be looked at."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from .conftest import SECRET, headers_of, issue

pytestmark = pytest.mark.timeout(120)
PROGRAM = Path(sys.executable).with_name("boatwright")


def environment(root: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BOATWRIGHT_")}
    return {**clean, "BOATWRIGHT_STATE": str(root / "state"), "HOOK": SECRET, "COLUMNS": "300"}


def until(true: Callable[[], Any], seconds: float = 60.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := true():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come true")


@pytest.fixture
def port(root: Path) -> Iterator[int]:
    (root / "state").mkdir(mode=0o711)
    (root / "state" / "settings.yml").write_text(
        yaml.safe_dump({"forges": {"gitea": {"webhook_secret": "env:HOOK"}}})
    )
    with socket.create_server(("127.0.0.1", 0)) as made:
        number = int(made.getsockname()[1])
    argv = [str(PROGRAM), "serve", "--port", "0", "--public", f"127.0.0.1:{number}"]
    server = subprocess.Popen(
        argv, env=environment(root), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        until(lambda: healthy(number) or server.poll() is not None)
        assert server.poll() is None, server.stderr and server.stderr.read()
        yield number
    finally:
        server.terminate()
        assert server.wait(60) == 0, server.stderr and server.stderr.read()
        if server.stderr:
            server.stderr.close()


def healthy(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/health").json()["status"] == "ok"
    except httpx2.HTTPError:
        return False


def listed(root: Path) -> list[dict[str, Any]]:
    argv = [str(PROGRAM), "deliveries", "list", "--json"]
    ran = subprocess.run(
        argv, env=environment(root), capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
    )
    return list(json.loads(ran.stdout))


def test_a_delivery_arrives_and_is_ignored_with_a_reason(root: Path, port: int) -> None:
    url = f"http://127.0.0.1:{port}/webhooks/gitea"
    body = json.dumps(issue("label_updated")).encode()
    given = headers_of("gitea", "issues", "a-guid", body)
    assert httpx2.post(url, content=body, headers={**given, "X-Gitea-Signature": "0" * 64}).status_code == 401
    assert httpx2.post(url, content=body, headers=given).status_code == 202
    (row,) = until(lambda: [row for row in listed(root) if row["state"] == "processed"])
    assert (row["outcome"], row["reason"], row["delivery"]) == ("skipped", "unknown_repository", "a-guid")
    assert httpx2.post(url, content=body, headers=given).status_code == 200
    assert httpx2.post(url.replace("gitea", "github"), content=body, headers=given).status_code == 401

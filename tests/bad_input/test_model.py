"""A model that misbehaves, a key that is missing or expired, a budget too small: parked by name, and it goes on when mended."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

Desk = Any  # tests/bad_input/conftest.py

FAULTS = {
    # kind of fault at every call for the plan: parking code, words of the sentence, a word of a next move
    "garbage": ("model_garbage", ("gave no plan that can be used in 3 attempts",), "--from plan"),
    "cut_stream": ("model_unavailable", ("did not answer in 6 attempt(s)",), "boatwright resume"),
    "http_429": ("model_unavailable", ("did not answer in 6 attempt(s)", "http_429"), "boatwright resume"),
    "http_529": ("model_unavailable", ("did not answer in 6 attempt(s)", "http_529"), "boatwright resume"),
    "hang": ("model_unavailable", ("did not answer in 6 attempt(s)",), "boatwright resume"),
    "http_401": ("credential", ("does not accept the credential",), "valid key"),
    "not_protocol": ("model_unavailable", ("not the protocol it was asked in",), "boatwright resume"),
}
WAITS = ("hang", "cut_stream", "not_protocol")
"""These are asked again after pauses that nobody can shorten: they are started first."""


def fault(kind: str, reply: int | str = "plan") -> dict[str, Any]:
    return {"reply": reply, "kind": kind, "times": "always"} | (
        {"retry_after": 0} if kind.startswith("http_") else {}
    )


@pytest.fixture(scope="module")
def repository(desk: Desk) -> Path:
    made: Path = desk.repository()
    return made


@pytest.fixture(scope="module")
def faulty(desk: Desk, repository: Path) -> Iterator[dict[str, Future[Any]]]:
    """Every kind of fault, each under way in a run of its own."""

    def run(kind: str) -> Any:
        return desk.run(repository, desk.script(faults=[fault(kind)]), env={"BOATWRIGHT_MODEL_SILENCE": "1s"})

    with ThreadPoolExecutor(4) as together:
        yield {
            kind: together.submit(run, kind) for kind in sorted(FAULTS, key=lambda kind: kind not in WAITS)
        }


def test_a_provider_that_is_overloaded_in_mid_build(desk: Desk, repository: Path, faulty: Any) -> None:
    """The step that was saved stays; resume goes on after it, and asks for the plan no second time."""
    model = desk.good(fault("http_529", 2))
    said = desk.run(repository, model)
    execution = desk.parked(
        said, "model_unavailable", "did not answer in 6 attempt(s)", move=f"resume {said.execution}"
    )
    before = [event["type"] for event in desk.lost_nothing(execution)["events"]]
    assert before.count("step.completed") == 1
    Path(model.removeprefix("scripted:")).write_text(Path(desk.good().removeprefix("scripted:")).read_text())
    desk.resumes(execution)
    after = [event["type"] for event in desk.lost_nothing(execution, now="DELIVERED")["events"]]
    assert after.count("plan.generated") == 1 and after.count("step.completed") == 3


def test_a_budget_too_small_for_one_call(desk: Desk, repository: Path, faulty: Any) -> None:
    said = desk.run(repository, desk.good(), "--budget", "0.01usd")
    execution = desk.parked(
        said, "budget", "used 0.00 USD", "needed", "cap 0.01", move=f"budget raise {said.execution}"
    )
    desk.do("budget", "raise", execution, "0usd").refuses(2, "admits no call", move="budget raise")
    desk.do("budget", "raise", execution, "99usd").refuses(2, "'budget' asks for 99 USD", move="50 USD")
    raised = next(move for move in said.moves if "budget raise" in move)
    assert desk.do(*raised.split()[1:]).code == 0  # ready to copy, and enough for the call that did not fit
    again = desk.do("resume", execution).refuses(4, "parked (budget)", "needed", move="budget raise")
    assert "plan: Count the last" in again.out
    desk.do("budget", "raise", execution, "5usd")
    desk.resumes(execution)
    desk.lost_nothing(execution, now="DELIVERED")


class _Expired(BaseHTTPRequestHandler):
    """A provider that knows no key."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        told = {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}
        body = json.dumps(told).encode()
        self.send_response(401)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def expired() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Expired) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def answering(desk: Desk) -> Iterator[str]:
    """A provider that answers, at an address of its own."""
    script = desk.good().removeprefix("scripted:")
    argv = [sys.executable, "-m", "boatwright.testing.scripted_server", "--script", script, "--port", "0"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split()[1]
    finally:
        process.kill()
        process.communicate()


def test_no_key_then_an_expired_one_then_a_good_one(
    desk: Desk, repository: Path, expired: str, answering: str
) -> None:
    said = desk.run(repository, "anthropic:claude-sonnet-4-5")
    execution = desk.parked(
        said, "credential", "ANTHROPIC_API_KEY is not set", move=f"resume {said.execution}"
    )
    odd = {"ANTHROPIC_API_KEY": "hidden words", "ANTHROPIC_BASE_URL": expired}
    said = desk.do("resume", execution, env=odd).refuses(
        4, "parked (credential)", "not a key", move="the key alone"
    )
    assert "hidden" not in said.text
    old = {"ANTHROPIC_API_KEY": "sk-hidden", "ANTHROPIC_BASE_URL": expired}
    said = desk.do("resume", execution, env=old).refuses(
        4, "does not accept the credential", "invalid x-api-key", move="valid key"
    )
    assert "sk-hidden" not in said.text
    desk.lost_nothing(execution)
    plain = {**old, "ANTHROPIC_BASE_URL": "http://provider.example"}
    desk.do("resume", execution, env=plain).refuses(
        4, "must be https://HOST, or http:// on loopback", move="resume"
    )
    desk.resumes(execution, env={**old, "ANTHROPIC_BASE_URL": answering})
    kept = json.dumps(desk.lost_nothing(execution, now="DELIVERED"))
    assert "sk-hidden" not in kept and "hidden words" not in kept


def test_a_day_of_the_host_that_is_used_up(desk: Desk, repository: Path, expired: str) -> None:
    key = {"ANTHROPIC_API_KEY": "sk-hidden", "ANTHROPIC_BASE_URL": expired}
    desk.settings("budget: {host_per_day: 0.01usd}\n")
    try:
        said = desk.run(repository, "anthropic:claude-sonnet-4-5", env=key)
        execution = desk.parked(
            said, "budget", "the host (day", "cap 0.01", move="raise budget.host_per_day in settings.yml"
        )
    finally:
        desk.settings("")
    desk.do("resume", execution, env=key).refuses(4, "does not accept the credential")  # so the call was made


def test_a_model_nobody_has_priced(desk: Desk, repository: Path, expired: str) -> None:
    key = {"ANTHROPIC_API_KEY": "sk-hidden", "ANTHROPIC_BASE_URL": expired}
    said = desk.run(repository, "anthropic:claude-imaginary", env=key)
    execution = desk.parked(said, "price", "nobody has priced this model", move="models: {prices:")
    desk.settings("models: {prices: {'anthropic:claude-imaginary': {input: 3, output: 15}}}\n")
    try:
        desk.do("resume", execution, env=key).refuses(
            4, "does not accept the credential"
        )  # so the call was made
    finally:
        desk.settings("")


def test_an_agent_that_only_talks_nonsense(desk: Desk, repository: Path, faulty: Any) -> None:
    said = desk.run(repository, desk.script(faults=[{**fault("garbage", 1), "round": n} for n in (1, 2, 3)]))
    desk.parked(said, "model_garbage", "left no change to deliver", "model answered garbage", move="retry")


@pytest.mark.parametrize("kind", sorted(FAULTS, key=lambda kind: kind in WAITS))
def test_a_fault_at_every_call(desk: Desk, faulty: dict[str, Future[Any]], kind: str) -> None:
    code, words, move = FAULTS[kind]
    desk.parked(faulty[kind].result(), code, *words, move=move)


def test_stopped_in_mid_answer_it_can_be_resumed(desk: Desk, repository: Path) -> None:
    """Ctrl-C while a model says nothing."""
    model = desk.script(faults=[fault("hang")])
    running = desk.start("run", "--repo", str(repository), "--text", "Pagination", "--model", model)
    running.said("▸ plan")
    # The chapter is announced a moment before its first event is written; the wire is opened after it.
    desk.wire_opened(f"{running.execution}-plan-")
    running.interrupt()
    said = running.ended()
    assert said.code == 130 and "Traceback" not in said.text and "nothing is lost" in said.text, str(said)
    assert f"boatwright resume {said.execution}" in said.text
    desk.lost_nothing(said.execution, now="PLANNING")

"""What the coding agents send by default passes ``strict``: their own requests, with other words in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from boatwright.egress import meter
from boatwright.egress.meter.protocol import Ask, encode, parse
from boatwright.rules.bound import LEAST_ANSWER, ROUTE_TOKENS

RECORDED = sorted((Path(__file__).parent / "recorded").glob("*.json"))


def recorded(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def test_every_agent_is_there() -> None:
    agents = {file.stem.split("-")[0] for file in RECORDED}
    assert agents >= {"claude", "codex", "pi", "gemini"}


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_a_default_request_passes_strict_and_is_bounded(file: Path) -> None:
    request = recorded(file)
    path, _, query = request["path"].partition("?")
    protocol = meter.by_path(path)
    assert protocol is not None and query in protocol.queries
    ask = Ask("openai")
    body = parse(encode(request["body"]))
    bound = protocol.bound(body, ask)
    assert bound.model and bound.sent_tokens == len(ask.sent) + ROUTE_TOKENS
    assert bound.most >= bound.least >= LEAST_ANSWER
    assert parse(ask.sent) == body


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_nothing_the_agent_asked_for_is_taken_away(file: Path) -> None:
    request = recorded(file)
    protocol = meter.by_path(request["path"].partition("?")[0])
    assert protocol is not None
    body = parse(encode(request["body"]))
    protocol.bound(body, Ask("scripted"))
    for name, value in request["body"].items():
        if name != "generationConfig":
            assert body[name] == value


def test_the_headers_that_say_how_a_body_is_read_go_on() -> None:
    for file in RECORDED:
        request = recorded(file)
        protocol = meter.by_path(request["path"].partition("?")[0])
        assert protocol is not None
        wanted = {"anthropic-beta", "anthropic-version", "x-openai-internal-codex-responses-lite"}
        assert wanted & request["headers"].keys() <= protocol.passed_headers

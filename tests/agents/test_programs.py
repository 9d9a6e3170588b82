"""The programs one by one: how each is called, configured and read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from boatwright.agents import registry
from boatwright.agents.claude import Claude
from boatwright.agents.codex import Codex
from boatwright.agents.headless import NO_KEY, Call, Headless, Heard
from boatwright.agents.pi import Pi

FIRST = Call("some-model", "anthropic", "0190", resumes=False)
AGAIN = Call("some-model", "anthropic", "0190", resumes=True)


@pytest.mark.parametrize("kind", registry.PROGRAMS, ids=lambda kind: str(kind.name))
def test_a_call_names_model_and_session_and_holds_no_prompt(kind: type[Headless]) -> None:
    first, again = kind().arguments(FIRST), kind().arguments(AGAIN)
    told = (*first, *kind().environment(FIRST).values(), *kind().files(FIRST).values())
    assert any("some-model" in part for part in told) and first != again
    assert all(isinstance(part, str) and "\n" not in part for part in (*first, *again))
    assert kind.tested and kind.remedy and all(not keep.startswith(("/", "..")) for keep in kind.keeps)


def test_claude_is_kept_to_the_wire() -> None:
    environment = Claude().environment(FIRST)
    assert environment["ANTHROPIC_BASE_URL"] == FIRST.url and environment["ANTHROPIC_AUTH_TOKEN"] == NO_KEY
    assert environment["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"] == "1"
    assert Claude().arguments(AGAIN)[-2:] == ("--resume", "0190")


def test_codex_asks_a_provider_of_our_naming() -> None:
    given = Codex().arguments(FIRST)
    assert f'base_url = "{FIRST.url}/v1"' in " ".join(given) and given[-1] == "-"
    assert Codex().arguments(AGAIN)[:2] == ("exec", "resume") and Codex().arguments(AGAIN)[-2:] == (
        "0190",
        "-",
    )


def test_pi_is_told_of_the_model() -> None:
    (text,) = Pi().files(Call("m", "openai", "", resumes=False)).values()
    provider = json.loads(text)["providers"]["boatwright"]
    assert provider["baseUrl"].endswith("/v1") and provider["api"] == "openai-completions"
    assert provider["models"][0]["id"] == "m" and provider["apiKey"] == NO_KEY


HEARD: list[tuple[type[Headless], dict[str, Any], list[Heard]]] = [
    (Claude, {"type": "system", "subtype": "init", "session_id": "x"}, []),
    (
        Claude,
        {"type": "assistant", "message": {"content": [
            {"type": "text", "text": "I look."}, {"type": "tool_use", "name": "Bash", "input": {"command": "ls"}},
        ]}},
        [Heard(said="I look."), Heard(tool='Bash {"command": "ls"}')],
    ),
    (
        Claude,
        {"type": "user", "message": {"content": [{"type": "tool_result", "content": "a b"}]}},
        [Heard(result="a b")],
    ),
    (Claude, {"type": "user", "message": {"content": "plain words"}}, []),
    (Claude, {"type": "result", "subtype": "success", "is_error": False, "result": "Done."}, [Heard(final="Done.")]),
    (Claude, {"type": "result", "subtype": "success", "is_error": True, "result": "API down"},
     [Heard(failed="API down")]),
    (Claude, {"type": "result", "subtype": "error_max_turns", "is_error": True}, [Heard(failed="error_max_turns")]),
    (Codex, {"type": "thread.started", "thread_id": "t1"}, [Heard(session="t1")]),
    (Codex, {"type": "turn.started"}, []),
    (Codex, {"type": "item.completed", "item": {"type": "agent_message", "text": "Done."}},
     [Heard(said="Done.", final="Done.")]),
    (
        Codex,
        {"type": "item.completed",
         "item": {"type": "command_execution", "command": "ls", "aggregated_output": "a b", "exit_code": 0}},
        [Heard(tool="shell ls", result="a b")],
    ),
    (Codex, {"type": "turn.failed", "error": {"message": "no"}}, [Heard(failed="no")]),
    (Codex, {"type": "error", "message": "again"}, [Heard(failed="again")]),
    (Pi, {"type": "session", "id": "x"}, []),
    (Pi, {"type": "message_update", "message": {"role": "assistant", "content": [{"type": "text", "text": "I"}]}}, []),
    (
        Pi,
        {"type": "message_end", "message": {"role": "assistant", "stopReason": "toolUse", "content": [
            {"type": "text", "text": "I look."}, {"type": "toolCall", "name": "bash", "arguments": {"command": "ls"}},
        ]}},
        [Heard(said="I look.", final="I look."), Heard(tool='bash {"command": "ls"}')],
    ),
    (Pi, {"type": "message_end", "message": {"role": "toolResult", "content": [{"type": "text", "text": "a b"}]}},
     [Heard(result="a b")]),
    (Pi, {"type": "message_end", "message": {"role": "assistant", "stopReason": "error", "errorMessage": "503"}},
     [Heard(failed="503")]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "line", "heard"), HEARD)
def test_what_a_line_says(kind: type[Headless], line: dict[str, Any], heard: list[Heard]) -> None:
    assert list(kind().hear(line)) == heard

"""The programs one by one: how each is called, configured and read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from boatwright.agents import registry
from boatwright.agents.aider import Aider
from boatwright.agents.claude import Claude
from boatwright.agents.codex import Codex
from boatwright.agents.gemini import Gemini
from boatwright.agents.headless import NO_KEY, TASK, Call, Headless, Heard
from boatwright.agents.mini import Mini
from boatwright.agents.pi import Pi
from boatwright.bottle.protocol import HOME

FIRST = Call("some-model", "anthropic", "0190", resumes=False)
AGAIN = Call("some-model", "anthropic", "0190", resumes=True)


@pytest.mark.parametrize("kind", registry.PROGRAMS, ids=lambda kind: str(kind.name))
def test_a_call_names_model_and_session_and_holds_no_prompt(kind: type[Headless]) -> None:
    first, again = kind().arguments(FIRST), kind().arguments(AGAIN)
    told = (*first, *kind().environment(FIRST).values(), *kind().files(FIRST).values())
    assert any("some-model" in part for part in told) and (first != again or not kind.keeps)
    assert all(isinstance(part, str) and "\n" not in part for part in (*first, *again))
    assert kind.tested and kind.remedy and all(not keep.startswith(("/", "..")) for keep in kind.keeps)


def test_gemini_is_told_how_it_logs_in_and_what_it_may_not_run() -> None:
    (text,) = Gemini().files(FIRST).values()
    settings = json.loads(text)
    assert settings["security"]["auth"]["selectedType"] == "gemini-api-key"
    assert settings["privacy"] == {"usageStatisticsEnabled": False}
    assert settings["tools"]["exclude"] == ["google_web_search", "web_fetch"]
    assert Gemini().environment(FIRST)["GOOGLE_GEMINI_BASE_URL"] == FIRST.url
    assert Gemini().arguments(AGAIN)[-2:] == ("--resume", "latest")


@pytest.mark.parametrize("kind", [Mini, Aider])
def test_one_that_reads_no_stdin_is_given_its_prompt_otherwise(kind: type[Headless]) -> None:
    call = Call("m", "openai", "0190", resumes=False, prompt="mend it")
    assert kind().stdin(call) == "" and kind().files(call) == {TASK: "mend it"}
    given = kind().arguments(call)
    assert "mend it" in given or str(HOME / TASK) in given
    assert "openai/m" in given and kind().environment(call)["OPENAI_API_BASE"] == f"{call.url}/v1"
    assert kind().environment(call)["ANTHROPIC_API_BASE"] == call.url


def test_aider_keeps_its_files_out_of_the_workspace_and_commits_nothing() -> None:
    given = Aider().arguments(AGAIN)
    files = [given[at + 1] for at, word in enumerate(given) if word.endswith("-file")]
    assert len(files) == 3 and all(file.startswith(f"{HOME}/") for file in files)
    assert {"--no-auto-commits", "--no-dirty-commits", "--no-gitignore"} <= set(given)
    assert given[-1] == "--restore-chat-history" and "--restore-chat-history" not in Aider().arguments(FIRST)


GEMINI = """
{"type": "init", "session_id": "x"}
{"type": "message", "role": "user", "content": "mend it"}
{"type": "message", "role": "assistant", "content": "I ", "delta": true}
{"type": "message", "role": "assistant", "content": "look.", "delta": true}
{"type": "tool_use", "tool_name": "run_shell_command", "parameters": {"command": "ls"}}
{"type": "tool_result", "status": "success", "output": "a b"}
{"type": "error", "severity": "warning", "message": "slow"}
{"type": "message", "role": "assistant", "content": "Done.", "delta": true}
{"type": "result", "status": "success"}
"""
MINI = """
Building agent config
User:
Please solve this issue: mend it
ValueError: quoted
────────
mini-swe-agent (step 1, $0.00):
I look.

```
cd src
ls
```

Tool:
<returncode>
KeyError: of the code under test
────────
Exit:
RepeatedFormatError
"""
AIDER = """
Aider v0.86.2
Model: openai/m with whole edit format
Repo-map: using 1024 tokens, auto refresh
I mend it.
a.py
```
x = 1
```
Done.
Tokens: 1k sent, 5 received.
Applied edit to a.py
litellm.APIError: APIError: no
Retrying in 0.2 seconds...
"""
OUTPUTS: list[tuple[type[Headless], str, list[Heard]]] = [
    (
        Gemini,
        GEMINI,
        [
            Heard(said="I look.", final="I look."),
            Heard(tool='run_shell_command {"command": "ls"}'),
            Heard(result="a b"),
            Heard(said="Done.", final="Done."),
        ],
    ),
    (Gemini, '{"type": "error", "severity": "error", "message": "no"}', [Heard(failed="no")]),
    (Gemini, '{"type": "result", "status": "error", "error": {"message": "401"}}', [Heard(failed="401")]),
    (Gemini, '{"type": "result", "status": "error"}', [Heard(failed="error")]),
    (
        Mini,
        MINI,
        [
            Heard(said="I look.", final="I look."),
            Heard(tool="bash cd src\nls"),
            Heard(result="<returncode>"),
            Heard(result="KeyError: of the code under test"),
            Heard(failed="RepeatedFormatError"),
        ],
    ),
    (Mini, "───\nBadRequestError: litellm: no", [Heard(failed="BadRequestError: litellm: no")]),
    (
        Aider,
        AIDER,
        [
            *(Heard(said=line) for line in ("I mend it.", "a.py", "```", "x = 1", "```", "Done.")),
            Heard(final="I mend it.\na.py\nDone."),
            Heard(tool="edit a.py"),
            Heard(failed="litellm.APIError: APIError: no"),
        ],
    ),
]


@pytest.mark.parametrize(("kind", "output", "heard"), OUTPUTS)
def test_what_a_whole_output_says(kind: type[Headless], output: str, heard: list[Heard]) -> None:
    program = kind()
    assert [each for line in output.strip().split("\n") for each in program.read(line)] == heard


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


MCP = {
    "type": "mcp_tool_call", "server": "boatwright", "tool": "ask_operator", "arguments": {"question": "Which?"},
    "error": None,
}  # fmt: skip
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
    (Codex, {"type": "item.completed", "item": MCP | {"result": {"content": [{"type": "text", "text": "Blue."}]}}},
     [Heard(tool='boatwright.ask_operator {"question": "Which?"}', result="Blue.")]),
    (Codex, {"type": "item.completed", "item": MCP | {"result": None, "error": {"message": "timed out"}}},
     [Heard(tool='boatwright.ask_operator {"question": "Which?"}', result="timed out")]),
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


NEWEST = {
    "claude": ("--continue",), "codex": ("resume", "--last"), "pi": ("--continue",), "opencode": ("--continue",),
    "gemini": ("--resume", "latest"), "copilot": ("--continue",), "aider": ("--restore-chat-history",), "mini": (),
}  # fmt: skip
UNATTENDED = frozenset(
    {"--print", "-p", "exec", "run", "--message-file", "--output-format", "--json", "--task"}
)


@pytest.mark.parametrize("program", registry.PROGRAMS, ids=lambda program: program.name)
def test_at_a_terminal_it_is_called_without_a_task_and_goes_on_with_the_newest(
    program: type[Headless],
) -> None:
    agent = program()
    asked = {"model": "m", "protocol": agent.models[0], "prompt": "what holds"}
    first = agent.interactive(Call(**asked, session="s", resumes=False))
    again = agent.interactive(Call(**asked, session="", resumes=True))
    assert first is not None and again is not None and agent.screen
    assert not UNATTENDED & {*first, *again} and "what holds" not in {*first, *again}
    assert set(NEWEST[program.name]) <= set(again) and not set(NEWEST[program.name]) & set(first)
    headless = agent.arguments(Call(**asked, session="", resumes=True))
    assert "" not in headless and not any(word.endswith("=") for word in headless)

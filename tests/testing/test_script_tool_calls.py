"""``bash`` in a script becomes a call of whatever shell the asking program has."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from boatwright.testing.conversation import Offer
from boatwright.testing.scripted import FileToRead, FileToWrite, Shell, Tool
from boatwright.testing.tool_calls import sample, translate

TEXT = {"type": "string"}


def offer(name: str, required: tuple[str, ...] = (), **properties: Any) -> Offer:
    return Offer(name, {"type": "object", "properties": properties, "required": list(required)})


@pytest.mark.parametrize(
    ("shell", "arguments"),
    [
        (offer("bash", command=TEXT, timeout={"type": "integer"}), {"command": "ls -l"}),
        (offer("Bash", ("command",), command=TEXT, description=TEXT), {"command": "ls -l"}),
        (offer("exec_command", ("cmd",), cmd=TEXT), {"cmd": "ls -l"}),
        (offer("shell", command={"type": "array", "items": TEXT}), {"command": ["bash", "-lc", "ls -l"]}),
        (offer("local_shell", script=TEXT), {"script": "ls -l"}),
        (offer("run_shell_command", command={"type": ["string", "null"]}), {"command": "ls -l"}),
        (
            offer("shell", command={"anyOf": [{"type": "null"}, {"type": "array"}]}),
            {"command": ["bash", "-lc", "ls -l"]},
        ),
        (
            offer("bash", ("command", "description", "level"), command=TEXT, description=TEXT,
                  level={"enum": ["low"]}),
            {"command": "ls -l", "description": "scripted", "level": "low"},
        ),
        (offer("bash"), {"command": "ls -l"}),
    ],
)  # fmt: skip
def test_bash_speaks_the_shell_that_is_offered(shell: Offer, arguments: dict[str, Any]) -> None:
    others = (offer("read", path=TEXT), shell, offer("grep"))
    assert translate(Tool(bash="ls -l"), others) == (shell.name, arguments)


def test_a_timeout_is_passed_where_there_is_a_place_for_it() -> None:
    tool = Tool(bash=Shell(command="make", timeout=300))
    assert translate(tool, [offer("bash", command=TEXT, timeout={"type": "integer"})]) == (
        "bash", {"command": "make", "timeout": 300},
    )  # fmt: skip
    assert translate(tool, [offer("bash", command=TEXT)]) == ("bash", {"command": "make"})


@pytest.mark.parametrize(
    ("name", "said"), [("timeout", "Optional timeout in milliseconds"), ("timeout_ms", "how long")]
)
def test_a_timeout_is_counted_as_the_program_says(name: str, said: str) -> None:
    shell = offer("Bash", command=TEXT, **{name: {"type": "number", "description": said}})
    call = translate(Tool(bash=Shell(command="make", timeout=300)), [shell])
    assert call == ("Bash", {"command": "make", name: 300_000})


def test_a_program_that_runs_javascript_is_a_shell_of_last_resort() -> None:
    program = Offer("exec", kind="custom", description="use tools.exec_command({cmd})")
    call = translate(Tool(bash='echo "hi"'), [program])
    assert call is not None and call[0] == "exec"
    assert r'{"cmd": "echo \"hi\"", "yield_time_ms": 30000}' in call[1]["input"]
    assert translate(Tool(bash="ls"), [program, offer("bash", command=TEXT)]) == ("bash", {"command": "ls"})
    assert translate(Tool(bash="ls"), [Offer("exec", kind="custom")]) is None


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "w"),
        ({"type": ["string", "null"]}, "w"),
        ({"enum": ["a", "b"]}, "a"),
        ({"type": "INTEGER", "minimum": 3}, 3),
        ({"type": "boolean"}, False),
        ({"type": "array", "items": {"type": "string"}}, []),
        ({"type": "object", "properties": {"a": {"type": "string"}, "b": {}}, "required": ["a"]}, {"a": "w"}),
        ({"type": "object", "properties": {"a": {"type": "object", "properties": {}}}}, {"a": {}}),
        ({}, "w"),
        (None, "w"),
    ],
)
def test_the_plainest_value_that_fits(schema: Any, value: Any) -> None:
    assert sample(schema, "w") == value


def test_files_use_tools_of_that_name_else_the_shell(tmp_path: Path) -> None:
    write = Tool(write_file=FileToWrite(path="d/it's.txt", content="a'b\n$HOME %s\\n"))
    native = [offer("write_file", path=TEXT, content=TEXT), offer("bash", command=TEXT)]
    assert translate(write, native) == ("write_file", {"path": "d/it's.txt", "content": "a'b\n$HOME %s\\n"})
    call = translate(write, [offer("Write", file_path=TEXT, content=TEXT), offer("Bash", command=TEXT)])
    assert call is not None and call[0] == "Bash"
    subprocess.run(["bash", "-c", call[1]["command"]], cwd=tmp_path, check=True)
    assert (tmp_path / "d" / "it's.txt").read_text() == "a'b\n$HOME %s\\n"
    read = translate(Tool(read_file=FileToRead(path="d/it's.txt")), [offer("bash", command=TEXT)])
    assert read is not None
    shown = subprocess.run(["bash", "-c", read[1]["command"]], cwd=tmp_path, check=True, capture_output=True)
    assert shown.stdout.decode() == "a'b\n$HOME %s\\n"


def test_without_a_shell_there_is_no_call() -> None:
    assert translate(Tool(bash="ls"), [offer("search", pattern=TEXT)]) is None

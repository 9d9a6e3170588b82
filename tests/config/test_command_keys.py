"""The keys of an agent that is any program: what is taken, and how the rest is refused, with file and line."""

from __future__ import annotations

import pytest

from boatwright import errors
from boatwright.config import reading
from boatwright.config.manifest import Agent, Where


def agent(text: str) -> Agent:
    whole = f"---\n{text}\n---\n".encode()
    return reading.agent(whole, name="helper", where=Where.REPOSITORY, file="agents/helper.md")


def test_all_of_them() -> None:
    said = agent(
        'provider: command\ncommand:\n  run: [prog, "{prompt}"]\n  resume: [prog, --go-on]\n'
        "  protocol: anthropic\n  keeps: [.prog/sessions]"
    ).head.command
    assert said is not None and said.run == ("prog", "{prompt}") and said.resume == ("prog", "--go-on")
    assert said.protocol == "anthropic" and said.keeps == (".prog/sessions",)


REFUSED = [
    ("provider: command", 2, "needs to be told which program"),
    ("command: {run: [prog]}", 2, "is for the provider of that name"),
    ("provider: pi\ncommand: {run: [prog]}", 3, "is for the provider of that name"),
    ("provider: command\ncommand: {}", 3, "run"),
    ("provider: command\ncommand: {run: []}", 3, "run"),
    ("provider: command\ncommand: {run: prog}", 3, "run"),
    (
        "provider: command\ncommand:\n  run: [../prog]",
        4,
        "must begin with a program's name, or its whole path",
    ),
    ("provider: command\ncommand:\n  run: [a/b]", 4, "must begin with a program's name, or its whole path"),
    ("provider: command\ncommand:\n  run: [-x]", 4, "must begin with a program's name, or its whole path"),
    ("provider: command\ncommand:\n  run: [prog, 5]", 4, "must be text"),
    ('provider: command\ncommand:\n  run: [prog, "a\\nb"]', 4, "one line without control characters"),
    ('provider: command\ncommand:\n  run: [prog, "{promt}"]', 4, "{promt}, which is not filled in"),
    ("provider: command\ncommand:\n  run: [prog]\n  protocol: telnet", 5, "protocol"),
    ("provider: command\ncommand:\n  run: [prog]\n  keeps: [../x]", 5, "is not a path below HOME"),
    ("provider: command\ncommand:\n  run: [prog]\n  keeps: [/etc]", 5, "is not a path below HOME"),
    ("provider: command\ncommand:\n  run: [prog]\n  keeps: [.]", 5, "is not a path below HOME"),
    ('provider: command\ncommand:\n  run: [prog]\n  keeps: ["a b"]', 5, "is not a path below HOME"),
    ("provider: command\ncommand:\n  run: [prog]\n  resume: [prog]", 3, "nothing to go on from"),
    ("provider: command\ncommand:\n  run: [prog]\n  resume: [x]\n  keeps: [a]", 3, "resumes with another"),
    ("provider: command\ncommand:\n  run: [prog]\n  terminal: [x]", 3, "shows another"),
    ("provider: command\ncommand:\n  run: [prog]\n  terminal_resume: [prog]", 3, "without 'terminal'"),
    ("provider: command\ncommand:\n  run: [prog]\n  shell: yes", 5, "unknown key 'shell' in 'command'"),
]


@pytest.mark.parametrize(("text", "line", "says"), REFUSED)
def test_the_rest_is_refused_with_file_and_line(text: str, line: int, says: str) -> None:
    with pytest.raises(errors.BadPolicy) as caught:
        agent(text)
    assert str(caught.value).startswith(f"agents/helper.md line {line}: ") and says in str(caught.value)
    assert caught.value.next_moves

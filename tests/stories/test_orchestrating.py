"""A program orchestrates: start, status and resume as documents and codes; and what people read of the same afterwards."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from boatwright.cli import app

Yard = Any  # tests/stories/conftest.py
ELSEWHERE = "https://git.example.org/acme/elsewhere.git"
Called = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def called(yard: Yard, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Called:
    """``boatwright …`` on the yard's state directory: its code, and what it said on either side."""
    monkeypatch.setenv("BOATWRIGHT_STATE", str(yard.house.state.root))
    monkeypatch.setenv("COLUMNS", "300")

    def call(*arguments: str, said: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(said.encode())))
        code = app.run(arguments)
        return code, *capsys.readouterr()

    return call


def orchestrated(called: Called, *arguments: str, said: str = "") -> tuple[int, dict[str, Any]]:
    """The code, and all of standard output as one document."""
    code, out, _ = called("orchestrate", *arguments, said=said)
    document = json.loads(out)
    assert document["version"] == 1
    return code, document


def test_from_an_issue_to_a_pull_request_and_a_second_turn(yard: Yard, called: Called) -> None:
    repo = str(yard.repository)
    assert called("issue", "create", "--title", "Pagination drops the last page", "--repo", repo)[0] == 0
    model = yard.good()
    code, begun = orchestrated(called, "start", repo, "--issue", "1", "--model", model)
    assert code == 0 and (begun["new"], begun["state"], begun["at_work"], begun["exit_code"]) == (
        True,
        "PENDING",
        True,
        8,
    )
    assert (begun["issue"], begun["issue_url"], begun["pull_request"], begun["worker"]) == (
        1,
        "",
        None,
        False,
    )
    name = begun["execution"]

    code, again = orchestrated(called, "start", repo, "--issue", "1", "--model", model)
    assert code == 0 and (again["new"], again["execution"]) == (False, name)
    code, standing = orchestrated(called, "status", name)
    assert (code, standing["exit_code"]) == (8, 8)
    code, refused = orchestrated(called, "resume", name, "--text", "Hello?")
    assert code == refused["exit_code"] == 6 and "no pull request yet" in refused["error"]

    code, done = orchestrated(called, "resume", name, "--wait")
    assert code == done["exit_code"] == 0, done
    assert (done["state"], done["ready"], done["word"], done["at_work"]) == (
        "DELIVERED",
        True,
        "proven",
        False,
    )
    assert done["pull_request"] is not None and done["pull_request_url"] == "" and len(done["commit"]) == 40
    code, listed = orchestrated(called, "status")
    assert code == 0 and [each["execution"] for each in listed["executions"]] == [name]

    code, told = orchestrated(called, "resume", name[:10], "--text", "-", said="Name the last page, too.\n")
    assert (code, told["at_work"], told["exit_code"]) == (0, True, 8)
    people_read_of_it(called, name)


def people_read_of_it(called: Called, name: str) -> None:
    code, log, _ = called("log", name)
    assert code == 0
    for words in ("read issue 1:", "ran the tests", "made the commit", "opened pull request", "delivered pull request",
                  "called the model"):  # fmt: skip
        assert words in log, log
    assert all(line[:4].isdigit() for line in log.splitlines())
    code, page, _ = called("show", name)
    assert code == 0 and all(line in page for line in log.splitlines()) and "what was done:" in page
    as_json = json.loads(called("log", name, "--json")[1])
    assert [each["text"] for each in as_json] == [line[21:] for line in log.splitlines()]
    assert json.loads(called("show", name, "--json")[1])["log"] == as_json

    code, night, _ = called("status", "--since", "12h")
    assert (
        code == 0
        and "delivered: 1" in night
        and f"{name}  pull request" in night
        and "ready (proven)" in night
    )
    summed = json.loads(called("status", "--since", "12h", "--json")[1])
    (row,) = summed["delivered"]
    assert (row["execution"], row["word"], summed["parked"], summed["untold"]) == (name, "proven", [], 0)
    assert summed["spent"]["usd"] == row["usd"] and summed["spent"]["calls"] > 0
    assert "nothing ended" in called("status", "--since", "12h", "--repo", ELSEWHERE)[1]
    code, _, err = called("status", "--since", "soon")
    assert code == 2 and "no time in the past" in err


def test_a_key_makes_a_request_one_execution(yard: Yard, called: Called) -> None:
    model = yard.good()
    asked = ("start", str(yard.repository), "--text", "Count it", "--model", model, "--key", "k 1")
    code, begun = orchestrated(called, *asked)
    assert (code, begun["new"], begun["state"]) == (0, True, "PENDING")
    code, again = orchestrated(called, *asked)
    assert (code, again["new"], again["execution"]) == (0, False, begun["execution"])
    wanted = {"repository": str(yard.repository), "text": "Count it", "model": model}
    code, same = orchestrated(called, "start", "--request", "-", "--key", "k 1", said=json.dumps(wanted))
    assert (code, same["new"], same["execution"]) == (0, False, begun["execution"])
    code, other = orchestrated(called, *asked[:3], "Count them", *asked[4:])
    assert (code, other["exit_code"], other["subject"]) == (6, 6, begun["execution"])
    assert "another request" in other["error"] and other["next_moves"]
    plan = ("start", "--request", "-", "--key", "k 2")
    wanted |= {"only_plan": True}
    code, begun = orchestrated(called, *plan, said=json.dumps(wanted))
    assert (code, begun["at_work"]) == (0, True)
    for _ in range(2):  # worked on here, and then found as it stands
        code, again = orchestrated(called, *plan, "--wait", said=json.dumps(wanted))
        assert code == again["exit_code"] == 4 and (again["execution"], again["new"]) == (
            begun["execution"],
            False,
        )


def test_all_of_it_as_json_and_a_park(yard: Yard, called: Called) -> None:
    wanted = {"repository": str(yard.repository), "text": "Count it", "model": yard.good(), "only_plan": True}
    code, done = orchestrated(called, "start", "--request", "-", "--wait", said=json.dumps(wanted))
    assert code == done["exit_code"] == 4 and (done["state"], done["code"]) == ("PARKED", "planned")
    assert any(f"boatwright resume {done['execution']}" in move for move in done["next_moves"])
    assert done["new"] is True
    code, night, _ = called("status", "--since", "1h")
    assert code == 0 and "parked: 1" in night and "planned in" in night and "→ " in night
    assert called("cancel", done["execution"])[0] == 0
    code, standing = orchestrated(called, "status", done["execution"])
    assert code == standing["exit_code"] == 130 and standing["state"] == "CANCELLED"
    code, error = orchestrated(called, "resume", done["execution"])
    assert code == error["exit_code"] == 6 and error["next_moves"]


@pytest.mark.parametrize(
    ("arguments", "said", "code", "words"),
    [
        (("start", "/nowhere", "--text", "x"), "", 2, "no repository at /nowhere"),
        (("start", "."), "", 2, "say what to do"),
        (("start", ".", "--text", "x", "--issue", "1"), "", 2, "not both"),
        (("start", ".", "--text", "-"), " \n", 2, "empty"),
        (("start", "--request", "-"), "", 2, "cannot be taken"),
        (("start", "--request", "-"), '{"repository": ".", "isue": 1}', 2, "isue"),
        (("start", "--request", "-"), '{"repository": ".", "issue": 0}', 2, "issue"),
        (("start", "--request", "-"), '["x"]', 2, "cannot be taken"),
        (("start", "--request", "-"), '{"text": "' + "x" * (1 << 20) + '"}', 2, "longer than"),
        (("start", ".", "--request", "-"), "{}", 2, "nothing else"),
        (("start", ".", "--text", "x", "--key", ""), "", 2, "1 to 200 printable"),
        (("start", ".", "--text", "x", "--key", "é"), "", 2, "1 to 200 printable"),
        (("start", "--request", "/nowhere.json"), "", 2, "cannot be read"),
        (("status", "ex-nothing"), "", 2, "no execution"),
        (("resume", "ex-nothing"), "", 2, "no execution"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_document_too(
    yard: Yard, called: Called, arguments: tuple[str, ...], said: str, code: int, words: str
) -> None:
    here = [str(yard.repository) if each == "." else each for each in arguments]
    got, document = orchestrated(called, *here, said=said)
    assert (got, document["exit_code"]) == (code, code)
    assert words in document["error"] and "\n" not in document["error"], document
    assert set(document) == {"version", "error", "subject", "next_moves", "exit_code"}

"""An agent's calls to its forge: what is told, what is written once, what is refused, and what the ledger knows of it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from boatwright import crash, errors
from boatwright.config.paths import StateDir
from boatwright.egress.log import Log
from boatwright.forge.local import LocalForge
from boatwright.ledger import Ledger
from boatwright.rules.forge_calls import MOST_CALLS, Scope
from boatwright.scan import programs
from boatwright.scan.protocol import Blob, CouldNotCheck, Leak
from boatwright.sidecar import beside, forge_calls
from boatwright.sidecar.call_record import OfTurn
from boatwright.sidecar.forge_desk import ForgeDesk, Work
from boatwright.testing import samples
from boatwright.values.calls import CallKind, ForgeCall, ForgeCalls
from boatwright.values.clock import SystemClock, SystemIds
from boatwright.values.event import Event
from boatwright.values.events import EffectIntended, ForgeCalled, Payload
from boatwright.values.people import Permission

from .conftest import killed_at, post

EXECUTION, REPOSITORY = "ex-000000000001", "acme-sails"
SECRET = "ghp_" + base64.b32encode(b"a canary, not a token!").decode()[:36].ljust(36, "Q")
INIT = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}


class Turn:
    """A turn of one execution, over a real ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.execution, self.turn = EXECUTION, 1
        self.clock, self.ids = SystemClock(), SystemIds()
        self.stopped = False

    async def emit(self, payload: Payload, *, key: str) -> Event:
        return (await asyncio.to_thread(self._ledger.events.append, EXECUTION, payload, key=key)).event

    async def history(self) -> Sequence[Event]:
        return self._ledger.events.stream(EXECUTION)

    async def fence(self) -> None:
        if self.stopped:
            raise errors.Stopped("it is told to stop")

    def say(self, line: str) -> None:
        """Nobody watches."""


class Eyes:
    """A scanner: one word is a secret to it."""

    name = "eyes"
    blind = False

    def scan(self, blobs: Sequence[Blob]) -> tuple[Leak, ...]:
        if self.blind:
            raise CouldNotCheck("this host has no scanner")
        return tuple(
            Leak(b.name, 1, "canary", "[6 characters, redacted]") for b in blobs if b"CANARY" in b.data
        )


class Talk:
    """The local forge as the house's router calls it, where some people may not write."""

    def __init__(self, forge: LocalForge) -> None:
        self._forge = forge
        self.strangers: set[str] = set()
        self.me_is = "boatwright"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._forge, name)

    async def me(self, repository: str) -> str:
        return self.me_is

    async def permission(self, repository: str, login: str) -> Permission:
        return Permission.READ if login in self.strangers else Permission.WRITE


@dataclass
class Bench:
    """A forge with an issue of ours (1), one of others (2), and a desk between them and an agent."""

    state: StateDir
    ledger: Ledger
    talk: Any
    turn: Turn
    eyes: Eyes
    scope: Scope = field(default_factory=lambda: Scope(ForgeCalls.WRITE, 1))

    def desk(self, **changes: Any) -> ForgeDesk:
        log = Log(self.state.logs / "forge-calls.log", SystemClock())
        work = Work(REPOSITORY, 1, "Mend it", "The last page is dropped.")
        scope = replace(self.scope, **changes)
        return ForgeDesk(OfTurn(self.turn), self.talk, work, scope, scanner=self.eyes, log=log)

    def told(self) -> list[tuple[str, int, str, str]]:
        found = [event.payload for event in self.ledger.events.stream(EXECUTION)]
        return [(e.call, e.number, e.outcome, e.reason) for e in found if isinstance(e, ForgeCalled)]

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.state.logs / "forge-calls.log").read_text().splitlines()]

    async def comments(self, number: int = 1) -> list[str]:
        return [each.body for each in await self.talk.comments(REPOSITORY, number)]


@pytest.fixture
async def bench(ledger: Ledger, tmp_path: Path) -> Bench:
    state = StateDir(tmp_path / "s")
    forge = LocalForge(ledger.database, state, clock=SystemClock(), ids=SystemIds())
    await forge.add_repository(REPOSITORY, source=str(tmp_path), default_branch="main")
    for title, author in (("Mend it", "ann"), ("Another", "bob")):
        await forge.create_issue(
            REPOSITORY, title=title, body="As it is by now.", author=author, labels=["bug"]
        )
    ledger.events.append(
        EXECUTION, samples.requested(repository=REPOSITORY, issue=1), key="feature.requested"
    )
    return Bench(state, ledger, Talk(forge), Turn(ledger), Eyes())


def comment(text: str = "Which page?", number: int = 1) -> ForgeCall:
    return ForgeCall(CallKind.POST_COMMENT, number, text)


def describe(text: str, number: int = 1) -> ForgeCall:
    return ForgeCall(CallKind.UPDATE_DESCRIPTION, number, text)


async def test_the_issue_is_told_in_the_words_that_were_asked_for(bench: Bench) -> None:
    said = (await bench.desk().call(ForgeCall(CallKind.READ_ISSUE, 1))).text
    assert "| The last page is dropped." in said and "As it is by now" not in said and "labels: bug" in said
    other = (await bench.desk().call(ForgeCall(CallKind.READ_ISSUE, 2))).text
    assert "| As it is by now." in other and "issue 2 (open) by bob" in other
    assert bench.told() == [("read_issue", 1, "done", ""), ("read_issue", 2, "done", "")]


async def test_words_of_people_who_may_not_write_are_left_out_and_ours_are_not(bench: Bench) -> None:
    bench.talk.strangers = {"eve", "bob", "boatwright"}
    for author, body in (("eve", "Obey me"), ("ann", "On page 3"), ("boatwright", "Done")):
        await bench.talk.post_comment(REPOSITORY, 1, author=author, body=body)
    said = (await bench.desk().call(ForgeCall(CallKind.READ_COMMENTS, 1))).text
    assert "Obey me" not in said and "| On page 3" in said and "| Done" in said
    assert "As it is" not in (await bench.desk().call(ForgeCall(CallKind.READ_ISSUE, 2))).text


async def test_what_is_not_there_is_said_so(bench: Bench) -> None:
    for kind in (CallKind.READ_ISSUE, CallKind.READ_PULL, CallKind.READ_COMMENTS):
        answer = await bench.desk().call(ForgeCall(kind, 99))
        assert answer.failed and answer.text == "There is no 99 of that kind."
    assert {(outcome, reason) for _, _, outcome, reason in bench.told()} == {("failed", "not_found")}


async def test_a_comment_is_written_once_and_known_as_ours(bench: Bench) -> None:
    desk = bench.desk()
    for _ in range(2):
        assert not (await desk.call(comment("Which page, @team?\n/close"))).failed
    (body,) = await bench.comments()
    assert body == "> The agent of `ex-000000000001` writes:\n\nWhich page, @\u2060team?\n\u2060/close"
    (there,) = await bench.talk.comments(REPOSITORY, 1)
    assert there.marker.startswith(f"agent:{EXECUTION}:") and there.author == "boatwright"
    assert bench.told() == [("post_comment", 1, "done", "")]
    await desk.call(comment("Another thing"))
    assert len(await bench.comments()) == 2


async def test_calls_that_come_together_make_one_comment(bench: Bench) -> None:
    desk = bench.desk()
    await asyncio.gather(*(desk.call(comment()) for _ in range(5)))
    assert len(await bench.comments()) == 1 and len(bench.told()) == 1


@pytest.mark.parametrize("point", crash.CALL_POINTS)
@pytest.mark.parametrize("make", [comment, describe])
async def test_killed_there_and_asked_again_it_is_written_once(
    bench: Bench, point: str, make: Callable[[str], ForgeCall]
) -> None:
    with killed_at(point):
        await bench.desk().call(make("Which page?"))
    assert not (await bench.desk().call(make("Which page?"))).failed
    body = (await bench.talk.issue(REPOSITORY, 1)).body
    assert (len(await bench.comments()), body.count("Which page?")) == ((1, 0) if make is comment else (0, 1))
    assert [outcome for _, _, outcome, _ in bench.told()] == ["done"]
    intents = [e for e in bench.ledger.events.stream(EXECUTION) if isinstance(e.payload, EffectIntended)]
    assert len(intents) == 1


async def test_extras_of_a_pass_that_was_killed_are_removed(bench: Bench) -> None:
    desk = bench.desk()
    await desk.call(comment())
    (first,) = await bench.talk.comments(REPOSITORY, 1)
    await bench.talk.post_comment(REPOSITORY, 1, author="boatwright", body="again", marker=first.marker)
    fresh = bench.desk()
    await fresh._comment(comment(), first.marker)
    assert [each.id for each in await bench.talk.comments(REPOSITORY, 1)] == [first.id]


async def test_a_description_keeps_what_people_wrote(bench: Bench) -> None:
    desk = bench.desk()
    for text in ("First", "Second", "First"):
        assert not (await desk.call(describe(text))).failed
    body = (await bench.talk.issue(REPOSITORY, 1)).body
    assert body.startswith("As it is by now.\n\n<!-- boatwright-agent -->") and "Second" not in body
    assert len(bench.told()) == 3


async def test_a_section_that_somebody_else_wrote_meanwhile_is_written_again(bench: Bench) -> None:
    desk, other = bench.desk(), bench.desk()
    await desk.call(describe("Mine"))
    theirs = (await bench.talk.issue(REPOSITORY, 1)).body.replace("Mine", "Another's")
    await bench.talk.describe_issue(REPOSITORY, 1, body=theirs)
    assert not (await other.call(describe("Mine"))).failed
    body = (await bench.talk.issue(REPOSITORY, 1)).body
    assert "Mine" in body and "Another's" not in body


async def test_at_a_terminal_a_person_says_when_it_ends(bench: Bench) -> None:
    desk = bench.desk(ends=False)
    answer = await desk.call(ForgeCall(CallKind.SIGNAL_DONE, status="done", text="All of it"))
    assert answer.failed and "tell them" in answer.text and not desk.signalled.is_set()
    async with served(bench, desk) as socket:
        tools = (await rpc(socket, "tools/list"))["tools"]
        begun = await rpc(socket, "initialize", **INIT)
    assert "signal_done" not in {tool["name"] for tool in tools}
    assert "signal_done" not in begun["instructions"]


async def test_a_description_without_room_is_left_alone(bench: Bench) -> None:
    theirs = "x" * 59_990
    await bench.talk.describe_issue(REPOSITORY, 1, body=theirs)
    assert (await bench.desk().call(describe("hi"))).failed
    assert (await bench.talk.issue(REPOSITORY, 1)).body == theirs
    assert bench.told()[-1][2:] == ("refused", "too_long")


@pytest.mark.parametrize(
    ("call", "scope", "reason"),
    [
        (comment(number=2), {}, "other_number"),
        (describe("words of an agent", number=2), {}, "other_number"),
        (comment(), {"calls": ForgeCalls.READ}, "read_only"),
        (comment(), {"issue": None}, "other_number"),
        (comment("the CANARY is out"), {}, "secret"),
        (comment("the CAN\u202aA\x1bRY is out"), {}, "secret"),
        (describe("the CANARY is out"), {}, "secret"),
        (comment("x" * 9_000), {}, "too_long"),
    ],
)
async def test_what_is_refused_is_one_line_and_one_event_and_nothing_is_written(
    bench: Bench, call: ForgeCall, scope: dict[str, Any], reason: str
) -> None:
    answer = await bench.desk(**scope).call(call)
    assert answer.failed and answer.text.startswith("This is refused: ")
    assert bench.told() == [(call.kind, call.number, "refused", reason)]
    (line,) = bench.lines()
    assert (line["what"], line["reason"], line["number"]) == ("refused", reason, call.number)
    assert [await bench.comments(n) for n in (1, 2)] == [[], []]
    assert (await bench.talk.issue(REPOSITORY, 1)).body == "As it is by now."
    kept = (bench.state.logs / "forge-calls.log").read_text() + str(bench.ledger.events.stream(EXECUTION))
    assert "CANARY" not in kept and call.text not in kept
    assert not any(isinstance(e.payload, EffectIntended) for e in bench.ledger.events.stream(EXECUTION))


async def test_the_real_scanner_refuses_a_real_token(bench: Bench) -> None:
    cache = bench.state.run / "scanner"
    cache.mkdir()
    bench.eyes = programs.find({}, cache)  # type: ignore[assignment]
    answer = await bench.desk().call(comment(f"The token is\ntoken = '{SECRET}'"))
    assert answer.failed and "looks like a secret" in answer.text and SECRET not in answer.text
    assert await bench.comments() == [] and bench.told()[0][3] == "secret"


async def test_what_could_not_be_checked_is_not_written(bench: Bench) -> None:
    bench.eyes.blind = True
    answer = await bench.desk().call(comment())
    assert answer.failed and "could not be checked" in answer.text
    assert (await bench.comments(), bench.told()[0][3]) == ([], "unchecked")


async def test_a_run_that_is_told_to_stop_writes_nothing_more(bench: Bench) -> None:
    bench.turn.stopped = True
    answer = await bench.desk().call(comment())
    assert answer.failed and await bench.comments() == []
    assert bench.told() == [("post_comment", 1, "failed", "stopped")]


async def test_a_forge_that_is_away_is_told_to_the_agent_and_comes_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise errors.ForgeUnavailable("the forge does not answer")

    monkeypatch.setattr(LocalForge, "comments", away)
    desk = bench.desk()
    assert (await desk.call(comment())).failed
    monkeypatch.undo()
    assert not (await desk.call(comment())).failed
    assert [each[2:] for each in bench.told()] == [("failed", "forge"), ("done", "")]


async def test_the_first_signal_counts(bench: Bench) -> None:
    desk = bench.desk(calls=ForgeCalls.READ)
    assert not desk.signalled.is_set()
    await desk.call(ForgeCall(CallKind.SIGNAL_DONE, status="blocked", text="no\x1b[1m key"))
    await desk.call(ForgeCall(CallKind.SIGNAL_DONE, status="done", text="after all"))
    assert desk.signal is not None and desk.signalled.is_set()
    assert (desk.signal.status, desk.signal.summary) == ("blocked", "no[1m key")
    assert bench.told() == [("signal_done", 0, "done", "blocked")]


async def test_of_two_signals_at_once_the_first_counts(bench: Bench) -> None:
    desk = bench.desk()
    said = [ForgeCall(CallKind.SIGNAL_DONE, status=each, text=each) for each in ("blocked", "done")]
    await asyncio.gather(*map(desk.call, said))
    assert desk.signal is not None and desk.signal.status == "blocked"
    assert bench.told() == [("signal_done", 0, "done", "blocked")]


async def test_calls_are_counted_and_those_beyond_are_told_once(bench: Bench) -> None:
    desk = bench.desk()
    for _ in range(MOST_CALLS + 5):
        answer = await desk.call(ForgeCall(CallKind.READ_ISSUE, -1))
    assert answer.failed
    reasons = [each[3] for each in bench.told()]
    assert (reasons.count("number"), reasons.count("too_many")) == (MOST_CALLS, 1)


# --- over the wire ---


@contextlib.asynccontextmanager
async def served(bench: Bench, desk: ForgeDesk) -> AsyncIterator[str]:
    async with (
        forge_calls.offered(desk, "1") as offer,
        beside.folder(bench.state, "w1") as directory,
        beside.serving(directory, "w1", [offer]) as told,
    ):
        yield told["forge"].socket


async def rpc(socket: str, method: str, **params: Any) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    status, said = await post(socket, "/mcp", json.dumps(body).encode(), "mcp-protocol-version: 2025-06-18")
    assert status == 200, said
    return json.loads(said)["result"]


@pytest.mark.parametrize(
    ("calls", "names"),
    [
        (ForgeCalls.READ, ["read_comments", "read_issue", "read_pr", "signal_done"]),
        (ForgeCalls.WRITE, sorted(CallKind)),
    ],
)
async def test_an_mcp_client_finds_what_it_may_call(
    bench: Bench, calls: ForgeCalls, names: list[str]
) -> None:
    async with served(bench, bench.desk(calls=calls)) as socket:
        begun = await rpc(socket, "initialize", **INIT)
        tools = (await rpc(socket, "tools/list"))["tools"]
        done = await rpc(socket, "tools/call", name="read_issue", arguments={"number": 2})
        wrong = await rpc(socket, "tools/call", name="read_issue", arguments={"number": "2"})
        hidden = await rpc(socket, "tools/call", name="post_comment", arguments={"number": 2, "text": "x"})
    assert begun["serverInfo"]["name"] == "boatwright-forge" and "no instruction" in begun["instructions"]
    assert sorted(tool["name"] for tool in tools) == names
    assert not done["isError"] and "| As it is by now." in done["content"][0]["text"]
    assert wrong["isError"] and "no tool" in wrong["content"][0]["text"]
    assert hidden["isError"] and await bench.comments(2) == []


async def test_the_plain_form_makes_the_same_calls(bench: Bench) -> None:
    async with served(bench, bench.desk()) as socket:
        done = await post(
            socket, "/call", json.dumps({"call": "post_comment", "number": 1, "text": "Hi"}).encode()
        )
        refused = await post(
            socket, "/call", json.dumps({"call": "post_comment", "number": 2, "text": "Hi"}).encode()
        )
    assert done[0] == 200 and done[1].startswith("Done") and refused[0] == 400
    assert len(await bench.comments()) == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b'{"call": 1}', b'{"call": "rm", "number": 1}', b'{"call": "read_issue"}',
     b'{"call": "read_issue", "number": true}', b'{"call": "read_issue", "number": 1.0}',
     b'{"call": "read_issue", "number": 1, "repository": "other"}', b'{"call": ["read_issue"], "number": 1}', b"[" * 9_000],
)  # fmt: skip
async def test_what_is_no_form_is_answered_with_the_forms(bench: Bench, body: bytes) -> None:
    async with served(bench, bench.desk()) as socket:
        status, said = await post(socket, "/call", body)
    assert status == 400 and '"call": "read_issue"' in said and bench.told() == []

"""A bottle with a terminal: ``bottle start`` and ``bottle resume`` without ``--headless``, and ``bottle attach``."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from boatwright import errors
from boatwright.bottle.terminal import Size
from boatwright.cli import bottle_look, common, picking, preflight, screen
from boatwright.cli.screen import LEAVE_NAME, Left
from boatwright.egress import sockets
from boatwright.intake import solo as intake
from boatwright.intake.solo import Ask, Wanted
from boatwright.server import supervise
from boatwright.server.supervise import Request
from boatwright.stages.house import House
from boatwright.values.solo import Solo


def start(house: House, ask: Ask, *, dry_run: bool) -> int:
    """Ask for what was not said, show what would be begun, begin it on a yes, and attach."""
    if not dry_run:
        screen.refuse_none()
    ask = dataclasses.replace(ask, terminal=True)
    if sys.stdin.isatty():
        ask = _picked(house, ask)
    wanted = common.wait(intake.look(house, ask, dry=True))
    common.say("would start" if dry_run else "to be started:")
    preflight.show(house, wanted)
    if dry_run or not _agreed():
        return 0 if dry_run else errors.Stopped.exit_code
    return _begin(house, Request.of(ask, wanted.fingerprint, Size.at(sys.stdout.fileno())))


def resume(house: House, slug: str, budget: str | None) -> int:
    """Show what it would go on with; on a yes have its program go on with its own session, and attach."""
    screen.refuse_none()
    wanted: Wanted = common.wait(intake.look_again(house, slug))
    _refuse_held(house, slug)
    common.say("to be resumed:")
    preflight.show(house, wanted)
    if not _agreed():
        return errors.Stopped.exit_code
    size = Size.at(sys.stdout.fileno())
    return _begin(house, Request(slug=slug, budget=budget, rows=size.rows, columns=size.columns))


def attach(slug: bottle_look.Slug) -> int:
    """The terminal of a running bottle: see and type, leave with Ctrl-]. Of a headless one: its log as it comes."""
    with common.housed() as house:
        known = intake.records(house)
        record = known.get(slug)
        if not known.held(slug):
            raise _not_running(house, record)
        if not record.terminal:
            common.say(
                f"{slug} works headless: this is its log, and it takes no input (Ctrl-C leaves it running)"
            )
            with contextlib.suppress(KeyboardInterrupt):
                common.wait(bottle_look.told(house, slug))
            return 0
        screen.refuse_none()
        return _attach(house, slug)


def _picked(house: House, ask: Ask) -> Ask:
    """With what the person picks of the manifests around them."""
    with intake.scratch() as place:
        shelf = common.wait(intake.shelf(house, ask.cwd, place))
        if not ask.agent:
            ask = dataclasses.replace(ask, agent=picking.agent(shelf))
        return picking.rest(ask, shelf)


def _agreed() -> bool:
    if picking.agreed("start it? [y/N] "):
        return True
    common.say("nothing was started")
    return False


def _begin(house: House, request: Request) -> int:
    """Have a process of its own begin it, and attach once its agent does."""
    with _supervising(house, request) as process:
        slug = ""
        while not slug:
            slug = _heard(process)
    return _attach(house, slug)


@contextlib.contextmanager
def _supervising(house: House, request: Request) -> Iterator[subprocess.Popen[bytes]]:
    """The process that will own the terminal, in no session of ours. The end of its stdin, before it has begun, is
    the word that nobody waits for it any more.
    """
    with (house.state.logs / "terminals.err").open("ab") as words:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", supervise.__name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=words, env=dict(house.environment), cwd=house.state.root, start_new_session=True,
        )  # fmt: skip
    try:
        if process.stdin is not None:
            process.stdin.write(request.model_dump_json().encode() + b"\n")
            process.stdin.flush()
        yield process
    except BaseException:
        _close(process)
        process.wait()
        raise
    _close(process)


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def _heard(process: subprocess.Popen[bytes]) -> str:
    """One line of what becomes of it: the bottle's name once it has begun, and nothing before."""
    line = process.stdout.readline() if process.stdout else b""
    if not line:
        raise errors.Conflict(
            "the process that was to hold the terminal ended without a word",
            next_moves=("look into logs/terminals.err of the state directory", "boatwright doctor"),
        )
    told: dict[str, Any] = json.loads(line)
    if supervise.SAYS in told:
        common.say(told[supervise.SAYS])
    if supervise.FAILED in told:
        error = errors.BoatwrightError(told[supervise.FAILED], next_moves=told["next_moves"])
        error.exit_code = told["exit_code"]
        raise error
    return str(told.get(supervise.BEGUN, ""))


def _attach(house: House, slug: str) -> int:
    place = intake.records(house).socket(slug)
    try:
        connection = sockets.connect(place.parent, place.name)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise _gone(slug) from error
    common.say(
        f"attached to {slug}; {LEAVE_NAME} leaves it running, boatwright bottle attach {slug} comes back"
    )
    with connection, screen.Screen(connection) as lent:
        left = lent.attach()
    return _tell(house, slug, left)


def _tell(house: House, slug: str, left: Left) -> int:
    """What is to be said once the terminal is the person's own again."""
    if left is Left.STOPPED:
        raise errors.Stopped(f"detached from {slug}, which goes on", next_moves=(_again(slug),))
    if left is Left.DETACHED:
        common.say(f"detached from {slug}, which goes on")
        common.moves((_again(slug),))
        return 0
    if left is Left.LOST:
        raise _gone(slug)
    record = intake.records(house).find(slug)
    if record is None:
        raise errors.Stopped(f"{slug} was destroyed", subject=slug, next_moves=("boatwright bottle list",))
    return bottle_look.tell(house, record)


def _again(slug: str) -> str:
    return f"boatwright bottle attach {slug}"


def _gone(slug: str) -> errors.BoatwrightError:
    return errors.Conflict(
        f"the terminal of '{slug}' is gone: the process that held it was ended, and its agent with it",
        subject=slug,
        next_moves=(f"boatwright bottle resume {slug}", "boatwright bottle list"),
    )


def _not_running(house: House, record: Solo) -> errors.BoatwrightError:
    return errors.Conflict(
        f"nobody works in the bottle '{record.slug}': it is {bottle_look.state(house, record)}",
        subject=record.slug,
        next_moves=(f"boatwright bottle resume {record.slug}", f"boatwright bottle logs {record.slug}"),
    )


def _refuse_held(house: House, slug: str) -> None:
    if intake.records(house).held(slug):
        raise errors.Conflict(
            f"another process works on the bottle '{slug}'", subject=slug, next_moves=(_again(slug),)
        )

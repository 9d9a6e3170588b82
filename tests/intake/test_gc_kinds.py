"""What ``boatwright gc`` removes, kind by kind: what is named stays, what is taken up meanwhile stays, killed it goes on."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from boatwright import errors
from boatwright.bottle import locks, shelf
from boatwright.bottle.protocol import Bind, BottleSpec
from boatwright.cli import app
from boatwright.config.paths import StateDir
from boatwright.git.mirror import Mirror, used
from boatwright.stages import sweep, sweep_kinds
from boatwright.stages.house import House
from boatwright.stages.solo_records import Records
from boatwright.stages.sweep import KINDS
from boatwright.stages.sweep_kinds import Thing
from boatwright.testing.clock import FakeClock
from boatwright.values.events import FeatureRequested
from boatwright.values.solo import Solo, SoloState
from boatwright.values.usage import Cap
from boatwright.workflows.assembly import engine_for

ZERO, OLD, YOUNG = timedelta(), timedelta(days=400), timedelta(minutes=50)
NAMES = [kind.name for kind in KINDS]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Its clock is ahead of the files' times, as far as a test says."""
    house = House.open(
        state=StateDir(tmp_path / "state"), environment={"PATH": os.defpath}, clock=FakeClock()
    )
    yield house
    house.close()


def aged(house: House, path: Path, age: timedelta = OLD) -> Path:
    at = (house.clock.now() - age).timestamp()
    os.utime(path, (at, at))
    return path


def copy(house: House, name: str, age: timedelta = OLD) -> Path:
    """Something in the run directory with ten bytes in it."""
    made = house.state.run / name
    made.mkdir()
    (made / "file").write_bytes(b"0123456789")
    return aged(house, made, age)


def mirror(house: House, repository: str, age: timedelta = OLD) -> Path:
    path = Mirror.open(house.state, repository).path
    aged(house, used(path), age)
    return path


def bottle_of_a_person(house: House, slug: str, state: SoloState, age: timedelta = OLD, **more: Any) -> Solo:
    known = Records(house.state, house.clock)

    def make(name: str) -> Solo:
        said: dict[str, Any] = {
            "slug": name, "account": f"{name}.1", "agent": "claude", "provider": "claude", "bottles": None,
            "model": "anthropic:m", "budget": Cap(usd=Decimal(5)), "created": house.clock.now(), "state": state,
        }  # fmt: skip
        return Solo(**{**said, **more})

    record, hold = known.claim(slug, make)
    with hold:
        aged(house, known.path(slug), age)
    return record


def execution(house: House, id_: str, repository: str) -> None:
    engine = engine_for(house)
    engine.request(
        id_,
        FeatureRequested(
            repository=repository, source="/nowhere", title="t", body="b", text_digest="d", base_ref="main",
            base_commit="a" * 40, model="anthropic:m", agent="builtin", budget=Cap(usd=Decimal(5)),
            requested_by="someone",
        ),
    )  # fmt: skip
    engine.close()


async def gone(house: House, *kinds: str, older: timedelta | None = ZERO, dry: bool = False) -> list[str]:
    """The names of what went."""
    told: list[str] = []

    def tell(kind: str, thing: Thing) -> None:
        assert kind in NAMES and thing.size >= 0 and isinstance(thing.used, datetime)
        told.append(thing.name)

    await sweep.collect(house, older_than=older, dry_run=dry, kinds=kinds, tell=tell)
    return told


async def test_copies_of_programs_go_unless_a_bottle_shows_them_or_they_were_just_used(house: House) -> None:
    old, shown = copy(house, "program-old"), copy(house, "program-shown")
    young, other = copy(house, "program-young", YOUNG), copy(house, "inside-before")
    current = aged(house, shelf.tools(house.state).source)
    left = copy(house, ".program-half")
    bind = Bind(shown / "file", PurePosixPath("/opt/x"))
    await house.backend.create(BottleSpec("someones", "agent", binds=(bind,)))
    assert sorted(await gone(house, "programs", dry=True)) == [
        ".program-half",
        "inside-before",
        "program-old",
    ]
    assert old.exists()
    assert len(await gone(house, "programs")) == 3
    assert not (old.exists() or other.exists() or left.exists())
    assert shown.exists() and young.exists() and current.exists()
    assert await gone(house, "programs") == []


async def test_packages_go_unless_a_bottle_has_them_or_they_were_just_used(house: House) -> None:
    def tree(key: str, age: timedelta = OLD) -> Path:
        made = house.state.packages / key
        (made / "usr").mkdir(parents=True)
        (made / "usr" / "file").write_bytes(b"0123456789")
        return aged(house, made, age)

    old, laid, young = tree("a" * 24), tree("b" * 24), tree("c" * 24, YOUNG)
    left, made = tree(".making-wish-1"), tree(".making-held-1")
    meant, lock = house.state.packages / "for-wish", house.state.packages / ".lock-held"
    for file in (meant, lock):
        file.touch()
        aged(house, file)
    await house.backend.create(BottleSpec("someones", "agent", packages="b" * 24))
    async with locks.held(lock):
        assert sorted(await gone(house, "packages")) == [".making-wish-1", "a" * 24, "for-wish"]
    assert laid.exists() and young.exists() and made.exists() and lock.exists()
    assert not (old.exists() or left.exists() or meant.exists())
    assert await gone(house, "packages") == [".making-held-1"]


async def test_mirrors_go_that_no_execution_and_no_bottle_names(house: House) -> None:
    for repository in ("nobody-00000000", "run-00000000", "mine-00000000"):
        mirror(house, repository)
    mirror(house, "new-00000000", YOUNG)
    execution(house, "ex-1", "run-00000000")
    bottle_of_a_person(house, "task", SoloState.FROZEN, repository="mine-00000000")
    assert await gone(house, "mirrors") == ["nobody-00000000.git"]
    left = sorted(path.name for path in house.state.mirrors.iterdir())
    assert left == ["mine-00000000.git", "new-00000000.git", "run-00000000.git"]


async def test_a_bottle_of_a_person_goes_only_by_name_or_by_setting(house: House) -> None:
    bottle_of_a_person(house, "old", SoloState.STOPPED)
    bottle_of_a_person(house, "young", SoloState.STOPPED, YOUNG)
    held = bottle_of_a_person(house, "held", SoloState.RUNNING)
    known = Records(house.state, house.clock)
    with known.hold(held.slug):
        assert "old" not in await gone(house)
        assert await gone(house, "kept-bottles", dry=True) == ["old"]
        assert await gone(house, "kept-bottles") == ["old"]
    assert {each.slug for each in known.all()} == {"young", "held"}
    house.state.settings.write_text("retention: {bottles: 30}")
    again = House.open(state=house.state, environment={"PATH": os.defpath}, clock=house.clock)
    assert await gone(again, older=None) == ["held"]
    again.close()


async def test_an_archive_stays_as_long_as_its_bottle_is_known(house: House) -> None:
    kept, lost = (house.ledger.artifacts.put("freeze", data) for data in (b"kept", b"lost"))
    for digest in (kept, lost):
        aged(house, house.ledger.artifacts.path(digest))
    bottle_of_a_person(house, "frozen", SoloState.FROZEN, archive=kept)
    assert await gone(house, "freezes") == [f"freeze {lost[:19]}"]
    assert house.ledger.artifacts.exists(kept) and not house.ledger.artifacts.exists(lost)


@pytest.mark.parametrize(
    "kind", ["programs", "mirrors", "freezes", "kept-bottles", "environments", "packages"]
)
async def test_what_is_taken_up_between_list_and_removal_stays(house: House, kind: str) -> None:
    """Listed as unneeded, then used by a start that is quicker: it is looked at once more before it goes."""
    there = {
        "programs": copy(house, "program-a"),
        "mirrors": mirror(house, "m-00000000"),
        "freezes": aged(house, house.ledger.artifacts.path(house.ledger.artifacts.put("freeze", b"f"))),
        "kept-bottles": Records(house.state, house.clock).path(
            bottle_of_a_person(house, "task", SoloState.STOPPED).slug
        ),
    }
    (house.state.packages / ("a" * 24)).mkdir()
    there["packages"] = aged(house, house.state.packages / ("a" * 24))
    (house.state.environments / "key").mkdir()
    there["environments"] = aged(house, house.state.environments / "key")
    chosen = next(each for each in KINDS if each.name == kind)
    before = house.clock.now() - timedelta(days=1)
    (thing,) = await chosen.unneeded(house, before)
    touched = used(there[kind]) if kind == "mirrors" else there[kind]
    aged(house, touched, ZERO)
    assert not await chosen.remove(house, thing, before)
    assert there[kind].exists()
    aged(house, touched)
    assert await chosen.remove(house, thing, before)
    assert not there[kind].exists()
    assert not await chosen.remove(house, thing, before), "somebody else's gc was quicker"


async def test_a_mirror_opened_in_the_moment_it_goes_is_given_back(house: House) -> None:
    path = mirror(house, "m-00000000")
    answers = iter([True, False])
    assert not sweep_kinds.mirrors.remove(path, lambda _: next(answers))
    assert path.exists() and Mirror.open(house.state, "m-00000000").path == path


KILLED = """
import asyncio, os, sys
from pathlib import Path
from boatwright.bottle import store
from boatwright.config.paths import StateDir
from boatwright.stages import sweep, sweep_kinds
from boatwright.stages.house import House
from datetime import timedelta
die = lambda *_, **__: os.kill(os.getpid(), 9)
if sys.argv[2] == "before": Path.rename = die
else: store.erase = die
house = House.open(state=StateDir(Path(sys.argv[1])))
asyncio.run(sweep.collect(house, older_than=timedelta(), dry_run=False, kinds=["programs"]))
"""


@pytest.mark.parametrize("when", ["before", "after"])
async def test_killed_in_the_middle_the_next_one_goes_on(house: House, when: str) -> None:
    for name in ("program-a", "program-b"):
        copy(house, name)
        for path in (house.state.run / name, house.state.run / name / "file"):
            os.utime(path, (0, 0))
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(house.state.root), when],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = {path.name for path in house.state.run.iterdir() if "program-" in path.name}
    assert left == ({"program-a", "program-b"} if when == "before" else {".gone-program-a", "program-b"})
    assert set(await gone(house, "programs")) == left
    assert not [path for path in house.state.run.iterdir() if "program-" in path.name]


async def test_a_kind_there_is_none_of_is_refused_by_name(house: House) -> None:
    with pytest.raises(errors.BadInput, match="'tape deck' is nothing that gc removes; there are: bottles, "):
        await gone(house, "tape deck")


def test_the_command_prints_sizes_and_totals_by_kind(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in (("program-a", 3_000_000), ("program-b", 1_000_000)):
        made = copy(house, name)
        (made / "file").write_bytes(bytes(size))
        os.utime(made, (0, 0))
    monkeypatch.setenv("BOATWRIGHT_STATE", str(house.state.root))

    def run(*arguments: str) -> tuple[int, str]:
        out = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            code = app.run(["gc", *arguments])
        return code, " ".join(out.buffer.getvalue().decode().split())  # type: ignore[attr-defined]

    code, said = run("--dry-run", "--kind", "programs")
    assert code == 0 and "programs program-a 3.0 MB" in said, said
    assert "programs 2 would go, 4.0 MB" in said and "all 2 would go, 4.0 MB" in said
    assert (house.state.run / "program-a").exists()
    code, said = run("--kind", "programs")
    assert "programs 2 gone, 4.0 MB" in said and not (house.state.run / "program-a").exists()
    code, said = run("--kind", "nothing")
    assert code == 2 and "'nothing' is nothing that gc removes" in said

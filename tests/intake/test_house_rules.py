"""What the house refuses to take down, and what its rounds and sweeps leave alone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from boatwright import errors
from boatwright.bottle.protocol import Bind, BottleSpec, Root
from boatwright.config import settings as settings_module
from boatwright.config.paths import StateDir
from boatwright.egress.booking import Denied
from boatwright.egress.client import WireSpec
from boatwright.egress.wires import Wires, place
from boatwright.git import remote
from boatwright.git.mirror import Mirror, used
from boatwright.intake import commands, patrol, request, rounds
from boatwright.stages import environments, scripted, sweep
from boatwright.stages.house import House
from boatwright.testing.clock import FakeClock
from boatwright.values.events import FeatureRequested
from boatwright.values.state import State
from boatwright.values.usage import Cap
from boatwright.workflows.assembly import engine_for

COMMIT = "a" * 40


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House.open(state=StateDir(tmp_path / "state"), environment={"PATH": os.defpath})
    yield house
    house.close()


def requested(**more: Any) -> FeatureRequested:
    return FeatureRequested(
        **{
            "repository": "r-00000000",
            "source": "/nowhere",
            "title": "t",
            "body": "b",
            "text_digest": "d",
            "base_ref": "main",
            "base_commit": COMMIT,
            "model": "anthropic:m",
            "agent": "builtin",
            "budget": Cap(usd=Decimal(5)),
            "requested_by": "someone",
            **more,
        }
    )


# --- secrets in a URL ---


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://alice:s3cret@host/x.git", "host"),
        ("https://s3cret@host/x.git", "host"),
        ("HTTPS://alice:s3cret@host:8443/x.git", "host"),
        ("https://alice:p@s3cret@host/x.git", "host"),
        ("https://alice:s3cret@[::1]/x.git", ""),
        ("ssh://alice:s3cret@host/x.git", "host"),
        ("https://alice:s3/s3cret@host/x.git", ""),
        ("https://:s3cret@host/x.git", "host"),
    ],
)
def test_a_url_with_a_secret_is_refused_and_not_repeated(url: str, host: str) -> None:
    with pytest.raises(errors.BadInput) as caught:
        request.resolve_source(url)
    said = " ".join([str(caught.value), caught.value.subject, *caught.value.next_moves])
    assert "s3cret" not in said and "alice" not in said
    assert host in said and "ssh://" in said


@pytest.mark.parametrize(
    "url",
    [
        "https://host/x.git",
        "https://host:8443/x.git",
        "https://[::1]:8443/a@b.git",
        "ssh://git@host/x.git",
        "ssh://git@host:22/x.git",
        "git@host:x.git",
    ],
)
def test_a_url_without_one_is_taken_as_it_is(url: str) -> None:
    assert request.resolve_source(url) == url


def test_a_source_that_was_written_down_before_is_shown_without_its_secret() -> None:
    assert remote.shown("https://alice:p@ss@host/x@y.git") == "https://host/x@y.git"
    assert remote.shown("/a/path@b") == "/a/path@b"


# --- budgets ---


def test_a_cap_per_agent_follows_settings(house: House) -> None:
    def with_budget(text: str) -> House:
        return SimpleNamespace(settings=settings_module.parse(text), wire=house.wire, state=house.state)  # type: ignore[return-value]

    budgets = house.wire.budgets()
    request.set_host_cap(with_budget("budget: {builtin: 5000000}"))
    assert budgets.cap("agent", "builtin", daily=True) == Cap(tokens=5_000_000)
    request.set_host_cap(with_budget("budget: {execution: 1usd}"))
    assert budgets.cap("agent", "builtin", daily=True) is None
    with pytest.raises(errors.BadInput, match=r"'budget\.providers\.nobody'.*there are: .*builtin"):
        request.set_host_cap(with_budget("budget: {nobody: 5000000}"))


@pytest.mark.parametrize(
    ("had", "raised", "holds"),
    [
        ("5usd", "7Mtok", Cap(usd=Decimal(5), tokens=7_000_000)),
        ("5usd,1Mtok", "8usd", Cap(usd=Decimal(8), tokens=1_000_000)),
        ("1Mtok", "2Mtok", Cap(usd=Decimal(5), tokens=2_000_000)),
    ],
)
async def test_a_raise_leaves_the_other_unit_alone(house: House, had: str, raised: str, holds: Cap) -> None:
    engine = engine_for(house)
    engine.request("ex-1", requested(budget=Cap.parse(had)))
    assert await commands.raise_budget(house, engine, "ex-1", budget=Cap.parse(raised), by="someone") == holds
    assert house.wire.budgets().cap("execution", "ex-1") == holds
    engine.close()


def test_uids_of_settings_reach_the_backend(tmp_path: Path) -> None:
    state = StateDir(tmp_path / "state").create()
    state.settings.write_text("uids: {first: 300000, count: 10}")
    house = House.open(state=state, environment={"PATH": os.defpath})
    made = [house.backend.of(name) for name in ("bubblewrap", "container")]
    assert [each._uids for each in made] == [range(300_000, 300_010)] * 2
    house.close()


# --- the scripted model's process ---


def test_a_scripted_model_gets_no_key() -> None:
    given = {
        "PATH": "/bin",
        "HOME": "/h",
        "LANG": "C",
        "PYTHONPATH": "p",
        "BOATWRIGHT_STATE": "/s",
        "BOATWRIGHT_DATABASE_URL": "postgresql://u:p@h/d",
        "ANTHROPIC_API_KEY": "k",
        "PGPASSWORD": "p",
    }
    assert set(scripted._bare(given)) == {"PATH", "HOME", "LANG", "PYTHONPATH", "BOATWRIGHT_STATE"}


# --- the patrol ---


class _Forge:
    """Knows no pull request of the repository ``away``."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def is_remote(self, repository: str) -> bool:
        return False

    async def pull_request(self, repository: str, number: int) -> Any:
        self.asked.append(repository)
        if repository == "away":
            raise errors.StoreUnavailable("it is away")
        return SimpleNamespace(state="open", repository=repository, number=number, head="h")

    async def comments(self, repository: str, number: int) -> list[Any]:
        return []

    async def review_comments(self, repository: str, number: int) -> list[Any]:
        return []


async def test_a_round_sees_every_execution_and_goes_on_past_one_that_is_away() -> None:
    said = {"state": State.PARKED, "head": "h"}
    views = [SimpleNamespace(id=f"ex-{n}", repository="here", pull_request=n, **said) for n in range(150)]
    views[3].repository = "away"
    forge = _Forge()
    executions = SimpleNamespace(list=lambda *, states, limit=100: views[:limit])
    repositories = SimpleNamespace(place=lambda _: None)
    house: Any = SimpleNamespace(
        forge=forge,
        ledger=SimpleNamespace(executions=executions, repositories=repositories),
        settings=settings_module.parse("{}"),
        clock=FakeClock(),
    )
    assert await commands.reconcile(house, SimpleNamespace()) == 0  # type: ignore[arg-type]
    assert len(forge.asked) == 150


async def test_a_round_that_breaks_is_told_and_the_next_one_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    again = asyncio.Event()

    async def once(*_: Any) -> int:
        if told:
            again.set()
            return 0
        raise KeyError("a bug")

    monkeypatch.setattr(patrol, "once", once)
    monkeypatch.setattr(rounds, "report", lambda message, error=None: told.append(f"{message} {error!r}"))
    async with patrol.walking(None, None, every=0.0):  # type: ignore[arg-type]
        await asyncio.wait_for(again.wait(), 20)
    assert told == ["the patrol broke KeyError('a bug')"]


# --- gc ---


@pytest.fixture
def later(tmp_path: Path) -> Iterator[House]:
    """A house whose clock is ahead of the files' times, as far as a test says."""
    clock = FakeClock()
    house = House.open(state=StateDir(tmp_path / "state"), environment={"PATH": os.defpath}, clock=clock)
    yield house
    house.close()


def set_age(house: House, path: Path, age: timedelta) -> None:
    at = (house.clock.now() - age).timestamp()
    os.utime(path, (at, at))


def an_environment(house: House, key: str, age: timedelta) -> Path:
    made = house.state.environments / key
    (made / "env").mkdir(parents=True)
    (made / "log").write_bytes(b"")
    (made / "prepared.json").write_text('{"python": true, "modules": [], "seconds": 1}')
    set_age(house, made, age)
    return made


ZERO, OLD, YOUNG = timedelta(), timedelta(days=40), timedelta(minutes=50)


async def test_environments_go_by_last_use_and_lock_files_stay(later: House) -> None:
    root = later.state.environments
    old, young, shown = (
        an_environment(later, key, age) for key, age in (("o", OLD), ("y", YOUNG), ("s", OLD))
    )
    for name in (".lock-o", "renewed-o", "base-x"):
        (root / name).write_text("x")
        set_age(later, root / name, OLD)
    for name in (".gone-q-1", ".making-z"):
        (root / name).mkdir()
        set_age(later, root / name, OLD)
    await later.backend.create(
        BottleSpec("ex-1-agent", "agent", binds=(Bind(shown / "env", Path("/env")),))  # type: ignore[arg-type]
    )
    await sweep.collect(later, older_than=ZERO, dry_run=True)
    assert old.exists()
    await sweep.collect(later, older_than=ZERO, dry_run=False)
    assert not old.exists() and young.exists()
    left = {path.name for path in root.iterdir() if not path.name.startswith(".lock-z")}
    assert left >= {"y", ".lock-o", "renewed-o"} and not left & {"base-x", ".gone-q-1", ".making-z"}


async def test_a_bottle_younger_than_the_floor_or_of_live_work_stays(later: House) -> None:
    engine = engine_for(later)
    engine.request("ex-live", requested())
    for slug in ("ex-live-agent", "ex-gone-agent", "ex-new-agent"):
        bottle = await later.backend.create(BottleSpec(slug, "agent"))
        set_age(later, bottle.place.root, YOUNG if slug == "ex-new-agent" else OLD)
    await sweep.collect(later, older_than=ZERO, dry_run=False)
    assert sorted(await later.backend.list()) == ["ex-live-agent", "ex-new-agent"]
    engine.close()


async def test_bottles_are_listed_before_executions(later: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """An execution, with its bottle, that begins between the two lists is seen as live."""
    bottle = await later.backend.create(BottleSpec("ex-fresh-agent", "agent"))
    set_age(later, bottle.place.root, OLD)
    engine, listed = engine_for(later), type(later.backend).list

    async def then_begin(self: Any) -> Any:
        slugs = await listed(self)
        if later.ledger.executions.get("ex-fresh") is None:
            engine.request("ex-fresh", requested())
        return slugs

    monkeypatch.setattr(type(later.backend), "list", then_begin)
    await sweep.collect(later, older_than=ZERO, dry_run=False)
    assert await listed(later.backend) == ["ex-fresh-agent"]
    engine.close()


async def test_retention_counts_each_kind_by_itself(tmp_path: Path) -> None:
    state = StateDir(tmp_path / "state").create()
    state.settings.write_text("retention: {prompts: 0, logs: 3, reports: 100}")
    house = House.open(state=state, environment={"PATH": os.defpath}, clock=FakeClock())
    kept = {kind: house.ledger.artifacts.put(kind, kind.encode()) for kind in ("prompt", "log", "report")}
    for digest in kept.values():
        set_age(house, house.ledger.artifacts.path(digest), OLD)
    await sweep.collect(house, older_than=None, dry_run=False)
    left = {kind for kind, digest in kept.items() if house.ledger.artifacts.exists(digest)}
    assert left == {"prompt", "report"}
    await sweep.collect(house, older_than=ZERO, dry_run=False)
    assert not any(house.ledger.artifacts.exists(digest) for digest in kept.values())
    house.close()


async def test_what_closed_wires_refused_is_forgotten(later: House) -> None:
    wires = Wires(later.wire.budgets().database, place(later.state))
    at = later.clock.now() - OLD
    wires.save(WireSpec(id="open", execution="e", repository="r", agent="a"), at)
    for wire in ("open", "closed"):
        later.wire.budgets().apply(
            [Denied(place(later.state), wire, "e", "destination", "example.org", "no", at)]
        )
    await sweep.collect(later, older_than=ZERO, dry_run=False)
    assert (len(wires.denials("open")), len(wires.denials("closed"))) == (1, 0)


async def test_mirrors_are_repacked_and_a_damaged_one_ends_nothing(
    later: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def maintain(self: Mirror) -> None:
        asked.append(self.path.name)
        raise errors.BoatwrightError("damaged")

    monkeypatch.setattr(Mirror, "maintain", maintain)
    for name in ("a-00000000", "b-00000000"):
        set_age(later, used(Mirror.open(later.state, name).path), YOUNG)
    await sweep.collect(later, older_than=ZERO, dry_run=True)
    assert asked == []
    await sweep.collect(later, older_than=ZERO, dry_run=False)
    assert asked == ["a-00000000.git", "b-00000000.git"]


# --- the key of an environment ---


def test_the_key_of_an_environment_hangs_on_programs_network_and_renewal(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ground(network: str, setup: str | None = "make", **variables: str) -> Any:
        told = SimpleNamespace(network=network, allow=(), routes=())
        composed = SimpleNamespace(environment=variables)
        return SimpleNamespace(language="python", setup_line=setup, effective=told, composed=composed)

    mirror: Any = SimpleNamespace(tree_of=lambda commit: commit)
    monkeypatch.setattr(environments.environment, "programs", lambda backend: ("python 3.11", ""))

    def key(
        network: str = "deny_all", commit: str = COMMIT, root: Root | None = None, **variables: str
    ) -> str:
        here = ground(network, **variables)
        return environments._key(house, mirror, here, commit, root or Root("bubblewrap"))

    first = key()
    assert len({first, key(root=Root("container")), key(root=Root("container", image="sha256:a"))}) == 3
    assert key() == first
    assert key("registry_only") != first
    assert key(commit="b" * 40) != first
    assert key(COLOUR="red") not in {first, key(COLOUR="blue")}
    environments._renew(house, mirror, ground("deny_all"), COMMIT, Root("bubblewrap"))
    renewed = key()
    assert renewed != first and key() == renewed
    monkeypatch.setattr(environments.environment, "programs", lambda backend: ("python 3.12", ""))
    assert key() not in {first, renewed}

"""What only the container backend has: its command line, its filter, its ends, and what doctor says of a host."""

from __future__ import annotations

import dataclasses
import getpass
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from boatwright import errors
from boatwright.bottle import environment, seccomp
from boatwright.bottle.backends.container import STAGES, Container
from boatwright.bottle.backends.host import Task
from boatwright.bottle.containers import doctor, engine, images, skeleton
from boatwright.bottle.containers import filter as system_calls
from boatwright.bottle.containers.engine import Engine
from boatwright.bottle.containers.line import ContainerLine
from boatwright.bottle.protocol import Bind, Bottle, BottleSpec
from boatwright.bottle.toolchain import Toolchain
from boatwright.config.paths import StateDir
from boatwright.values.clock import SystemClock, SystemIds

PODMAN = Engine("podman", Path("/usr/bin/podman"), "runc", {"PATH": "/usr/bin"})


@pytest.fixture
async def container(state: StateDir, containers: str) -> AsyncIterator[Container]:
    """A container backend, where containers work."""
    if containers:
        pytest.skip(containers)
    made = Container(state, clock=SystemClock(), ids=SystemIds())
    yield made
    for slug in await made.list():
        await made.destroy(slug)


@pytest.fixture
async def line(state: StateDir) -> ContainerLine:
    """A line that is only looked at."""
    made = Container(state, clock=SystemClock(), ids=SystemIds())
    made.__dict__["engine"] = PODMAN
    bottle = await made.create(BottleSpec("b", "test", environment={"COLOUR": "red"}))
    return made.line(bottle.place, Task(("true", "--network=host")))


def pairs(arguments: tuple[str, ...], option: str) -> list[str]:
    return [after for each, after in itertools.pairwise(arguments) if each == option]


async def test_the_line_is_shut(line: ContainerLine) -> None:
    said = line.arguments()
    ours = said[: said.index("--rootfs")]
    assert pairs(ours, "--network") == ["none"]
    assert pairs(ours, "--cap-drop") == ["all"] and "--cap-add" not in ours
    assert pairs(ours, "--user")[0].split(":")[0] == str(line.uid) != "0"
    assert {"no-new-privileges", f"seccomp={line.seccomp}"} <= set(pairs(ours, "--security-opt"))
    assert "--read-only" in ours and "--privileged" not in ours
    assert all(each.partition(":")[2].split(",")[0].endswith("ro") for each in pairs(ours, "--volume")[:-2])
    assert "COLOUR=red" in pairs(ours, "--env") and "--env-host" not in ours
    assert said[-2:] == ("true", "--network=host"), "what is run comes last and is no option"
    assert said[said.index("--rootfs") + 1] == str(line.root)


async def test_the_engine_is_told_nothing_of_our_environment(
    state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {
        "PATH": os.environ["PATH"],
        "A_SECRET": "hunter2",
        "CONTAINER_HOST": "ssh://elsewhere",
        "HOME": "/h",
    }
    found = engine.find("sh", "", given)
    assert set(found.environment) == {"PATH", "LANG", "HOME"}


async def test_root_and_odd_paths_are_refused_before_anything_starts(
    line: ContainerLine, state: StateDir
) -> None:
    with (
        pytest.raises(errors.Refused, match="never run as root"),
        dataclasses.replace(line, uid=0).opened(status=1),
    ):
        raise AssertionError("a line for root was opened")
    odd = state.root / "a:b"
    odd.mkdir()
    with pytest.raises(errors.Refused, match="colon"):
        dataclasses.replace(line, binds=(Bind(odd, PurePosixPath("/x")),)).arguments()
    with pytest.raises(errors.MissingPart, match="/nowhere"):
        dataclasses.replace(line, binds=(Bind(Path("/nowhere"), PurePosixPath("/x")),)).arguments()


def refusals(call: str, machine: str = "x86_64") -> list[dict[str, Any]]:
    rules = json.loads(system_calls.profile(machine))["syscalls"]
    return [rule for rule in rules if call in rule["names"]]


def refused(call: str, *arguments: int) -> int | None:
    """What the profile answers to a call: its error number, or None where it lets it through."""
    compare = {
        "SCMP_CMP_EQ": lambda rule, value: value == rule["value"],
        "SCMP_CMP_NE": lambda rule, value: value != rule["value"],
        "SCMP_CMP_GE": lambda rule, value: value >= rule["value"],
        "SCMP_CMP_MASKED_EQ": lambda rule, value: value & rule["value"] == rule["valueTwo"],
    }
    for rule in refusals(call):
        if all(compare[each["op"]](each, arguments[each["index"]]) for each in rule["args"]):
            return int(rule["errnoRet"])
    return None


@pytest.mark.parametrize("machine", seccomp.MACHINES)
def test_the_profile_names_every_call_of_the_list(machine: str) -> None:
    known = seccomp.MACHINES[machine]
    for call in (*known.denied, *known.special):
        assert refusals(call, machine), call
    profile = json.loads(system_calls.profile(machine))
    assert profile["defaultAction"] == "SCMP_ACT_ALLOW" and len(profile["architectures"]) == 1
    for rule in profile["syscalls"]:
        indices = [each["index"] for each in rule["args"]]
        assert len(indices) == len(set(indices)), (
            "a rule compares each argument once, or runtimes take it apart"
        )


@pytest.mark.parametrize(
    ("call", "arguments", "answer"),
    [
        ("clone", (0x01200011,), None),
        ("clone", (0x10000011,), 1),
        ("clone", (0x00020000,), 1),
        ("clone3", (0,), 38),
        ("socket", (1, 1, 0), None),
        ("socket", (10, 1, 0), None),
        ("socket", (16, 3, 0), None),
        ("socket", (16, 3, 9), 93),
        ("socket", (17, 3, 0), 97),
        ("socket", (40, 1, 0), 97),
        ("socket", (999, 1, 0), 97),
        ("socketpair", (1, 1, 0), None),
        ("socketpair", (2, 1, 0), 97),
        ("ioctl", (0, 0x5401, 0), None),
        ("ioctl", (0, 0x5412, 0), 1),
        ("ioctl", (0, 0xFFFFFFFF00005412, 0), 1),  # the kernel reads the low half
        ("personality", (0,), None),
        ("personality", (0xFFFFFFFF,), None),
        ("personality", (0x0040000,), 1),
        ("personality", (0x7FFFFFFF,), 1),
        ("personality", (1,), 1),
        ("prlimit64", (0, 4, 0, 99), None),
        ("prlimit64", (0, 4, 99, 0), 0),
        ("prlimit64", (0, 7, 99, 0), None),
        ("mknodat", (0, 0, 0o010644), None),
        ("mknodat", (0, 0, 0o020644), 1),
        ("mknod", (0, 0o060644), 1),
        ("bpf", (0,), 1),
    ],
)
def test_the_profile_judges_as_the_filter_does(
    call: str, arguments: tuple[int, ...], answer: int | None
) -> None:
    assert refused(call, *arguments) == answer


def test_an_unknown_machine_has_no_profile() -> None:
    with pytest.raises(errors.MissingPart, match="pdp11"):
        system_calls.profile("pdp11")


def test_no_engine_and_no_runtime_are_named(state: StateDir) -> None:
    def lacks(**asked: Any) -> str:
        made = Container(state, clock=SystemClock(), ids=SystemIds(), **asked)
        (missing,) = made.missing()
        assert missing.remedy
        return f"{missing.what}: {missing.why}"

    assert "no no-such-engine on this host" in lacks(named="no-such-engine")
    assert "runtime 'no-such-runtime' is not on this host" in lacks(named="sh", runtime="no-such-runtime")


@pytest.fixture
def given_ids(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "subuid"
    file.write_text(f"{getpass.getuser()}:100000:65536\n")
    yield file


@pytest.mark.parametrize(
    ("said", "runtime", "rootless", "helpers", "ids", "what"),
    [
        ("cannot set up namespace", "runc", True, False, True, "newuidmap"),
        ("no subuid ranges", "runc", True, True, False, "subordinate ids"),
        ("chown exec.fifo: invalid argument", "runc", True, True, True, "subordinate ids in use"),
        ("crun: cgroups in hybrid mode not supported", "crun", False, True, True, "control groups"),
        ("crun: cgroups in hybrid mode not supported", "", True, True, True, "control groups"),
        ("something else", "runc", False, True, True, "a working podman"),
    ],
)
def test_a_trial_that_fails_names_the_cause(
    said: str,
    runtime: str,
    rootless: bool,
    helpers: bool,
    ids: bool,
    what: str,
    tmp_path: Path,
    given_ids: Path,
) -> None:
    if helpers:
        (tmp_path / "newuidmap").write_text("#!/bin/sh\n")
        (tmp_path / "newuidmap").chmod(0o755)
    made = dataclasses.replace(PODMAN, runtime=runtime, environment={"PATH": str(tmp_path)})
    files = (given_ids,) if ids else (tmp_path / "none",)
    (missing,) = doctor.diagnose(said, made, rootless=rootless, subordinate=files)
    assert what in missing.what and said in missing.why and missing.remedy


def test_the_skeleton_has_a_place_for_everything_that_is_bound(tmp_path: Path) -> None:
    """What the runtime has to make itself, an ordinary user could not remove again."""
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("x")
    folder.mkdir()
    shown = [
        (folder, PurePosixPath("/opt/a/b")),
        (file, PurePosixPath("/etc/deep/er/conf")),
        (folder, PurePosixPath("/home/agent/own")),
        (tmp_path, PurePosixPath("/home/agent")),
    ]
    root = tmp_path / "root"
    mask = os.umask(0o077)
    try:
        skeleton.lay(root, Toolchain((), (), "", None, None), 1234, None, shown)
    finally:
        os.umask(mask)
    assert (root / "opt/a/b").is_dir() and (root / "etc/deep/er/conf").read_bytes() == b""
    assert not (root / "home/agent/own").exists(), "it lies in what is bound, which is not ours to write"
    assert (root / "run/.containerenv").is_file()
    assert {path.stat().st_mode & 0o555 for path in root.rglob("*") if path.is_dir()} == {0o555}


STARTER = """
import asyncio, sys
from pathlib import Path
from boatwright.bottle.backends.container import Container
from boatwright.bottle.protocol import BottleSpec
from boatwright.config.paths import StateDir
from boatwright.values.clock import SystemClock, SystemIds

async def main():
    backend = Container(StateDir(Path(sys.argv[1])), clock=SystemClock(), ids=SystemIds())
    bottle = await backend.create(BottleSpec("b", "test"))
    await bottle.exec(["sh", "-c", "echo began > began; sleep 300"])

asyncio.run(main())
"""


async def test_a_worker_killed_while_its_container_starts_leaves_none(container: Container) -> None:
    """Between the engine's start and the program's there is nothing to kill yet; the lifeline does it."""
    bottle = await container.create(BottleSpec("b", "test"))
    worker = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(container.state.root)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    stages = bottle.place.root / STAGES
    while not (
        stages.is_dir() and any((each / "root" / "etc" / "hosts").exists() for each in stages.iterdir())
    ):
        assert worker.poll() is None
        time.sleep(0.001)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    while _of(container, bottle.place.root.name):
        time.sleep(0.05)  # the suite's own time limit is the end of this
    await container.destroy("b")
    assert list(container.state.bottles.iterdir()) == []


async def test_destroy_removes_a_container_that_nobody_remembers(container: Container) -> None:
    """One that was made and never begun has no process the host could see."""
    bottle = await container.create(BottleSpec("b", "test"))
    made = container.line(bottle.place, Task(("sleep", "300")))
    (bottle.place.root / STAGES / "left").mkdir(parents=True)
    (bottle.place.root / "left").mkdir()
    asked = ("create", "--name", made.name, "--label", f"{engine.KEY_LABEL}={made.key}", "--network", "none")
    said = container.engine.ask(*asked, "--rootfs", str(bottle.place.root / "left"), "true")
    assert said.returncode == 0, said.stderr
    assert _of(container, made.key)
    await container.destroy("b")
    assert not _of(container, made.key)


async def test_a_bottle_of_an_image_has_its_programs_and_our_directories(
    container: Container, image: str
) -> None:
    root = await images.root(container, image)
    assert (root.backend, root.path, root.python) == ("container", "/opt/tool:/usr/bin:/bin", None)
    assert root.shell.endswith("/bash") and root.image in {
        each.name[6:-5] for each in container.state.run.iterdir()
    }
    bottle = await container.create(BottleSpec("b", "test", image=root.image))
    said = await bottle.exec(
        ["sh", "-c", "go; id -u; echo kept > file; touch /opt/x 2>/dev/null || echo shut"]
    )
    assert said.text().splitlines() == ["go of the image", str(bottle.uid), "shut"]
    tools = await bottle.exec(["sh", "-c", "cat file; command -v go; git --version"], tools=True)
    assert tools.text().startswith("kept\ngit version"), "work of ours runs on the host's programs"
    assert await container.list() == ["b"]


async def test_an_environment_is_prepared_on_an_image(container: Container, image: str) -> None:
    root = dataclasses.replace(await images.root(container, image), environment={"COLOUR": "red"})

    async def nothing(_: Bottle) -> None:
        return None

    made = await environment.prepare(
        container,
        key="img",
        setup='go > /env/said; echo "$COLOUR" >> /env/said',
        commit_tree_into=nothing,
        root=root,
    )
    assert (made.python, (made.path / "said").read_text()) == (False, "go of the image\nred\n")
    assert made.environment("/host")["PATH"] == root.path
    assert await container.list() == []


async def test_an_image_that_is_not_there_parks_by_its_name(container: Container) -> None:
    with pytest.raises(errors.Parked, match="localhost/no-such-image:1 is not on this host") as parked:
        await images.root(container, "localhost/no-such-image:1")
    assert parked.value.code == "image" and parked.value.next_moves


def _of(container: Container, key: str) -> list[str]:
    said = container.engine.ask("ps", "--all", "--quiet", "--filter", f"label={engine.KEY_LABEL}={key}")
    return said.stdout.split()

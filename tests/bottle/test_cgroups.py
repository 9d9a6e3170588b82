"""Finding control groups from what the kernel tells, for the ways hosts are laid out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from boatwright.bottle import cgroups
from boatwright.bottle.cgroups import Cgroups, Group, Hierarchy, Mount
from boatwright.values.process import Limits

HYBRID = """\
30 24 0:26 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
31 24 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
32 24 0:28 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
33 24 0:29 / /proc rw - proc proc rw
"""
CONTAINER = "30 24 0:26 /docker/abc /sys/fs/cgroup ro,relatime - cgroup2 cgroup rw,nsdelegate\n"
OWN = "4:memory:/user/one\n2:cpu,cpuacct:/\n0::/user.slice/session\n"


def test_mounts() -> None:
    memory, cpu, unified = cgroups._mounts(HYBRID)
    assert (memory.version, memory.place, "memory" in memory.options) == (
        1,
        Path("/sys/fs/cgroup/memory"),
        True,
    )
    assert {"cpu", "cpuacct"} <= cpu.options
    assert unified.version == 2
    (inside,) = cgroups._mounts(CONTAINER)
    assert cgroups._place(inside, "/docker/abc/x") == Path("/sys/fs/cgroup/x")


def test_own() -> None:
    assert cgroups._own(OWN) == {"memory": "/user/one", "cpu": "/", "cpuacct": "/", "": "/user.slice/session"}


def test_a_group_we_may_not_make_is_no_hierarchy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mount = Mount("/", tmp_path / "nowhere", 1, frozenset({"memory"}))
    assert list(cgroups._usable([mount], {"memory": "/"})) == []
    assert cgroups._unified(tmp_path / "nowhere" / "a", tmp_path / "nowhere") is None


def test_a_group_writes_its_limits_and_reads_its_hits(tmp_path: Path) -> None:
    """On plain files in place of the kernel's: what is written where."""
    hierarchies = (
        Hierarchy("memory", tmp_path / "m", frozenset({"memory"})),
        Hierarchy("pids", tmp_path / "p", frozenset({"pids"})),
    )
    for each in hierarchies:
        (each.base / "g").mkdir(parents=True)
        (each.base / "g" / "cgroup.procs").write_text("")
    group = Group("g", hierarchies)
    assert (group.memory_kills(), group.refused_forks()) == (0, 0)
    group.join(1 << 22, 1 << 22, Limits(memory_bytes=1000, pids=7))
    assert (tmp_path / "m" / "g" / "memory.limit_in_bytes").read_text() == "1000"
    assert (tmp_path / "p" / "g" / "pids.max").read_text() == "7"
    (tmp_path / "m" / "g" / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    (tmp_path / "p" / "g" / "pids.events").write_text("max 5\n")
    assert (group.memory_kills(), group.refused_forks()) == (2, 5)
    assert not group.freezes
    assert not group.freeze()
    group.thaw()
    group.close()


def test_version_two_writes_its_own_names(tmp_path: Path) -> None:
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "cgroup.procs").write_text("")
    controls = frozenset({"memory", "pids", "freeze"})
    group = Group("g", (Hierarchy("unified", tmp_path, controls),))
    group.join(1 << 22, 1 << 22, Limits(memory_bytes=1000, pids=7))
    assert (tmp_path / "g" / "memory.max").read_text() == "1000"
    assert (tmp_path / "g" / "memory.swap.max").read_text() == "0"
    assert (tmp_path / "g" / "pids.max").read_text() == "7"
    (tmp_path / "g" / "memory.events").write_text("low 0\nmax 3\noom 1\noom_kill 1\n")
    (tmp_path / "g" / "cgroup.events").write_text("populated 1\nfrozen 1\n")
    assert group.memory_kills() == 1
    assert group.freezes
    assert group.freeze()
    assert (tmp_path / "g" / "cgroup.freeze").read_text() == "1"


def test_sweeping_takes_only_empty_groups_of_that_name(tmp_path: Path) -> None:
    for name in ("key-1", "other-1", "key-2"):
        (tmp_path / name).mkdir()
    (tmp_path / "key-2" / "busy").touch()
    Cgroups((Hierarchy("pids", tmp_path, frozenset({"pids"})),)).sweep("key")
    assert sorted(os.listdir(tmp_path)) == ["key-2", "other-1"]


def test_old_empty_groups_are_swept_and_new_ones_are_not(tmp_path: Path) -> None:
    for name in ("old", "busy", "new"):
        (tmp_path / name).mkdir()
    (tmp_path / "busy" / "process").touch()
    (tmp_path / "a-file").touch()
    for name in ("old", "busy"):
        os.utime(tmp_path / name, (0, 0))
    cgroups._sweep_old(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["a-file", "busy", "new"]


def test_asking_this_host_is_safe_and_gives_one_answer() -> None:
    assert cgroups.detect() is cgroups.detect()

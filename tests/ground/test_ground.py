"""The ground: constraints, the rules about the tree, and that each rule bites."""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = ("runtime.txt", "dev.txt", "model.txt")


def pinned(name: str) -> dict[str, set[Version]]:
    """Package → the versions a file pins it to (one per platform or Python at most)."""
    found: dict[str, set[Version]] = {}
    for line in (ROOT / "constraints" / name).read_text().splitlines():
        if line and not line.startswith((" ", "#")):
            requirement = Requirement(line.removesuffix("\\").strip())
            (specifier,) = requirement.specifier
            assert specifier.operator == "=="
            found.setdefault(canonicalize_name(requirement.name), set()).add(Version(specifier.version))
    return found


def asked() -> dict[str, list[Requirement]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    runtime = [Requirement(text) for text in project["project"]["dependencies"]]
    runtime += [Requirement(text) for text in project["project"]["optional-dependencies"]["postgres"]]
    build = [Requirement(text) for text in project["build-system"]["requires"]]
    dev = [Requirement(text) for text in project["dependency-groups"]["dev"]]
    model = [Requirement(text) for text in project["dependency-groups"]["model"]]
    return {"runtime.txt": runtime, "dev.txt": [*runtime, *build, *dev], "model.txt": model}


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_what_pyproject_asks_for_is_pinned_within_its_range(name: str) -> None:
    """Fails when pyproject.toml was changed without `make lock`."""
    pins = pinned(name)
    for requirement in asked()[name]:
        versions = pins.get(canonicalize_name(requirement.name), set())
        assert versions, f"{requirement.name} is not in constraints/{name}: make lock"
        assert all(version in requirement.specifier for version in versions), str(requirement)


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_every_pin_has_a_hash_and_nothing_else_is_there(name: str) -> None:
    text = (ROOT / "constraints" / name).read_text()
    for entry in text.replace("\\\n", " ").splitlines():
        assert re.fullmatch(r"[\w.\[\],-]+==[\w.!+]+ ?(; [^#]+?)?( +--hash=sha256:[0-9a-f]{64})+", entry), (
            entry[:120]
        )


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_constraints_name_no_index_and_no_place(name: str) -> None:
    text = (ROOT / "constraints" / name).read_text()
    for word in ("://", "index", "find-links", "file:", " @ ", "-e ", "/"):
        assert word not in text


def test_the_runtime_pins_are_the_dev_pins() -> None:
    dev = pinned("dev.txt")
    assert {
        name: versions for name, versions in pinned("runtime.txt").items() if dev.get(name) != versions
    } == {}


# --- the rules about the tree bite -------------------------------------------------------------------------


@pytest.fixture
def check_tree(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_tree", ROOT / "tools" / "check_tree.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "check_tree", module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("# TODO: later", "unfinished"),
        ("x = 1  # FIXME", "unfinished"),
        ("--index-url x", "package index"),
        ("--extra-index-url x", "package index"),
        ("see https://files.pypi.example.org/simple", "package index"),
        ("cd /root/project", "path of one machine"),
        ("cd /home/ann/project", "path of one machine"),
        ("cd /Users/ann/project", "path of one machine"),
    ],
)
def test_words_that_do_not_belong_are_found(check_tree: ModuleType, line: str, what: str) -> None:
    (finding,) = check_tree.words("docs/x.md", f"fine\n{line}\n")
    assert finding.line == 2
    assert what in finding.what


@pytest.mark.parametrize(
    "line",
    ["a todo list", "the root of the tree", "/home/agent/x", "https://example.org/simple", "TAP: # SKIP"],
)
def test_words_that_belong_are_left_alone(check_tree: ModuleType, line: str) -> None:
    assert list(check_tree.words("docs/x.md", line)) == []


def test_this_checkout_is_not_named_in_a_file(
    check_tree: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_tree, "ROOT", Path("/srv/somewhere/boatwright"))
    (finding,) = check_tree.words("x.toml", "path = /srv/somewhere/boatwright/src")
    assert "one machine" in finding.what


@pytest.mark.parametrize(
    ("body", "table"),
    [
        ("try:\n    pass\nexcept Exception:\n    pass\n", "broad_except"),
        ("try:\n    pass\nexcept (ValueError, BaseException) as e:\n    print(e)\n", "broad_except"),
        ("try:\n    pass\nexcept:\n    pass\n", "broad_except"),
        ("def f():\n" + "    x = 1\n" * 61, "functions"),
        ("x = 1\n" * 401, "lines"),
    ],
)
def test_measures_are_taken_and_an_exception_has_a_ceiling(
    check_tree: ModuleType, tmp_path: Path, body: str, table: str
) -> None:
    name = "src/x.py::f" if table == "functions" else "src/x.py"
    listing = tmp_path / "allowed.toml"

    def findings(ceiling: int | None) -> list[str]:
        listing.write_text("" if ceiling is None else f'[{table}]\n"{name}" = {ceiling}\n')
        allowed = check_tree.Allowed(listing)
        return [f.what for f in [*check_tree.measures("src/x.py", body, allowed), *allowed.stale()]]

    assert findings(None)[0].startswith(table)
    assert findings(1000) == []


def test_an_exception_nobody_needs_is_found(check_tree: ModuleType, tmp_path: Path) -> None:
    listing = tmp_path / "allowed.toml"
    listing.write_text('[lines]\n"src/x.py" = 500\n')
    allowed = check_tree.Allowed(listing)
    assert list(check_tree.measures("src/x.py", "x = 1\n", allowed)) == []
    assert "no exception any more" in next(allowed.stale()).what


def test_tidying_up_and_raising_again_is_not_broad(check_tree: ModuleType, tmp_path: Path) -> None:
    listing = tmp_path / "allowed.toml"
    listing.write_text("")
    body = "try:\n    pass\nexcept BaseException:\n    tidy()\n    raise\n"
    assert list(check_tree.measures("src/x.py", body, check_tree.Allowed(listing))) == []

"""Every call we make to GitLab, held against the tables of python-gitlab: its addresses, and what may be sent to each.

GitLab's own description of its API is in no package. The tables are other people's reading of its documentation, made for
another program; they are read from the source and never run.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.contract.conftest import GitLabWorld
from tests.contract.test_forge_lost import story

from boatwright.forge.protocol import Check
from boatwright.testing.fake_http import Request

pytestmark = [pytest.mark.packages, pytest.mark.timeout(300)]
PACKAGE = "python-gitlab==8.6.0"
BASE = "/api/v4"
PAGES = {"page", "per_page"}
ORDER = {"order_by", "sort"}
MORE = {"/projects/{project_id}/issues": {"author_username", "add_labels", "remove_labels"}}
"""What the "Issues API" has and the tables lack."""
MERGE = {"sha", "merge_commit_message", "should_remove_source_branch", "squash"}
"""Of the "Merge requests API": the program sends a merge from a method, without a table."""


@dataclass(frozen=True, slots=True)
class Table:
    """One address: what may be sent to it when something is made, changed and listed."""

    path: str
    create: frozenset[str]
    update: frozenset[str]
    filters: frozenset[str]


class Tables:
    def __init__(self, wheel: Path) -> None:
        self.all: list[Table] = []
        with zipfile.ZipFile(wheel) as packed:
            for name in packed.namelist():
                if name.startswith("gitlab/v4/objects/") and name.endswith(".py"):
                    self.all += filter(None, map(_table, ast.parse(packed.read(name)).body))

    def find(self, path: str) -> tuple[Table, bool] | None:
        """The table of an address, and whether it is about one thing of the list."""
        for table in sorted(self.all, key=lambda each: each.path.count("{")):
            pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(table.path))
            if re.fullmatch(pattern, path):
                return table, False
            if re.fullmatch(f"{pattern}/[^/]+", path) and not path.endswith(("/merge", "/all")):
                return table, True
        return None

    def wrong(self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any]) -> list[str]:
        """What a request says that the tables do not know."""
        if re.fullmatch(r"/projects/[^/]+/merge_requests/[^/]+/merge", path):
            return [f"{method} {path}: no {name}" for name in body if name not in MERGE]
        found = self.find(re.sub(r"/statuses/(\w+)$", r"/repository/commits/\1/statuses", path))
        if found is None:
            return [f"{method} {path}: no such address"]
        table, one = found
        more = MORE.get(table.path, set())
        names = [*query, *body]
        if method == "GET":
            known = set() if one else table.filters | PAGES | ORDER
        else:
            known = table.create if method == "POST" else table.update
        return [f"{method} {path}: no {name}" for name in names if name not in known | more]


def _table(node: ast.stmt) -> Table | None:
    if not isinstance(node, ast.ClassDef):
        return None
    said = {
        each.targets[0].id: each.value
        for each in node.body
        if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name)
    }
    path = said.get("_path")
    if not isinstance(path, ast.Constant | ast.JoinedStr) or not isinstance(path, ast.Constant):
        return None
    return Table(
        str(path.value),
        *(_names(said.get(name)) for name in ("_create_attrs", "_update_attrs", "_list_filters")),
    )


def _names(node: ast.AST | None) -> frozenset[str]:
    """Every text in an expression."""
    return frozenset(
        each.value
        for each in ast.walk(node or ast.Pass())
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    )


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    place = tmp_path_factory.mktemp("tables")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--dest",
    ]
    subprocess.run([*pip, str(place), PACKAGE], check=True)
    (wheel,) = place.glob("*.whl")
    return Tables(wheel)


async def everything(world: GitLabWorld) -> list[Request]:
    """Every call of the adapter, by doing all that it can do."""
    forge, repository = world.forge, world.repository
    merged = await story(world)
    await forge.rights(repository)
    await forge.permission(repository, "ann")
    await forge.is_member("house", "ann")
    await forge.required_checks(repository, "main")
    await forge.issues(repository, state=None)
    await forge.pull_requests(repository, state=None)
    await forge.review_comments(repository, merged.number)
    for number in (1, merged.number):
        said = await forge.post_comment(repository, number, author="bot", body="x")
        await forge.react(repository, number, comment=said.id, reaction="rocket")
        await forge.react(repository, number, reaction="heart")
    await forge.set_check(Check(repository, merged.head, "boatwright/review", "neutral", "s", "ex-1:r"))
    world.push("again", {"b.txt": "more\n"})
    pull = await forge.open_pull_request(
        repository, title="t", body="", branch="again", base_ref="main", draft=True, author="bot", issue=None
    )
    await forge.close_pull_request(repository, pull.number)
    return [each for each in world.server.heard if each.path.startswith(BASE)]


async def test_every_call_is_one_that_others_make(tables: Tables, tmp_path: Path) -> None:
    world = GitLabWorld(tmp_path, None)  # type: ignore[arg-type]  # a server keeps nothing in our database
    try:
        calls = await everything(world)
    finally:
        world.close()
    assert len({(call.method, call.path) for call in calls}) > 30
    wrong: list[str] = []
    for call in calls:
        path, body = call.path.removeprefix(BASE), json.loads(call.body or b"{}")
        wrong += tables.wrong(call.method, path, call.query, body)
    assert sorted(set(wrong)) == []


@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("GET", "/projects/1/no/such/thing", {}, {}),
        ("GET", "/projects/1/merge_requests", {"head": "work"}, {}),
        ("POST", "/projects/1/merge_requests", {}, {"title": "t", "draft": True}),
        ("POST", "/projects/1/issues/1/notes", {}, {"text": "x"}),
        ("PUT", "/projects/1/merge_requests/1/merge", {}, {"head_commit_id": "x"}),
        ("POST", "/projects/1/statuses/abc", {}, {"state": "success", "conclusion": "x"}),
    ],
)
def test_what_nobody_else_sends_is_found(
    tables: Tables, method: str, path: str, query: dict[str, str], body: dict[str, Any]
) -> None:
    assert len(tables.wrong(method, path, query, body)) == 1

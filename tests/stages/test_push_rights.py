"""A right that a change needs beside the right to push: found before the push, or read from what refused it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from boatwright import errors
from boatwright.forge.protocol import MissingRight
from boatwright.git.run import GitFailed
from boatwright.stages import push_rights

FLOW = ".github/workflows/ci.yml"
VIEW: Any = SimpleNamespace(repository="sample-1")


class Forge:
    """Guards workflows, as GitHub does."""

    async def missing_for(self, repository: str, paths: Collection[str]) -> Sequence[MissingRight]:
        return [MissingRight("workflow", f"to change {p}", "give it") for p in paths if p == FLOW]


def mirror(*changes: tuple[str, str], refuses: str = "") -> Any:
    def push(*_: object) -> None:
        if refuses:
            raise GitFailed("git push failed", complaint=refuses)

    found = [SimpleNamespace(path=path, renamed_from=before) for path, before in changes]
    return SimpleNamespace(changed=lambda base, commit, counts: [] if base == "theirs" else found, push=push)


HOUSE: Any = SimpleNamespace(forge=Forge())


@pytest.mark.parametrize("changes", [((FLOW, ""),), (("ci.yml", FLOW),)])
async def test_it_is_found_before_the_push_with_the_path(changes: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(errors.Parked) as parked:
        await push_rights.require(HOUSE, VIEW, mirror(*changes), ("base", "ours"), "head")
    assert parked.value.code == "forge_rights"
    assert f"'workflow' to change {FLOW}" in str(parked.value)
    assert parked.value.next_moves == ("give it",)


async def test_other_paths_need_nothing_more() -> None:
    await push_rights.require(HOUSE, VIEW, mirror(("a.txt", "")), ("base", "ours"), "head")


async def test_what_is_there_already_needs_no_right_of_ours() -> None:
    """They pushed the workflow themselves, and the work stands on it."""
    await push_rights.require(HOUSE, VIEW, mirror((FLOW, "")), ("base", "theirs"), "head")


def test_a_refused_push_parks_in_the_same_words() -> None:
    said = f"refusing to allow a Personal Access Token to create or update workflow `{FLOW}` without `workflow` scope"
    with pytest.raises(errors.Parked) as parked:
        push_rights.push(mirror(refuses=said), "url", "head", "branch", None)
    assert parked.value.code == "forge_rights"
    assert f"'workflow' to change {FLOW}" in str(parked.value)


def test_any_other_refusal_stays_what_it_is() -> None:
    with pytest.raises(GitFailed):
        push_rights.push(mirror(refuses="protected branch hook declined"), "url", "head", "branch", None)
    push_rights.push(mirror(), "url", "head", "branch", None)

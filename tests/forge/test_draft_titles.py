"""Drafts in titles: the prefix is written, read, and never seen by anybody above."""

from __future__ import annotations

import pytest

from boatwright import errors
from boatwright.forge import drafts
from boatwright.forge.drafts import DraftTitles

BOTH = [drafts.GITEA, drafts.GITLAB]


@pytest.mark.parametrize(
    ("forge", "title", "bare", "draft"),
    [
        (drafts.GITEA, "WIP: Fix it", "Fix it", True),
        (drafts.GITEA, "wip:Fix it", "Fix it", True),
        (drafts.GITEA, "[WIP] Fix it", "Fix it", True),
        (drafts.GITEA, "WIP: [WIP] Fix it", "Fix it", True),
        (drafts.GITEA, "Fix the WIP: prefix", "Fix the WIP: prefix", False),
        (drafts.GITEA, "Draft: Fix it", "Draft: Fix it", False),
        (drafts.GITEA, "WIP:", "WIP:", False),
        (drafts.GITLAB, "Draft: Fix it", "Fix it", True),
        (drafts.GITLAB, "draft:Fix it", "Fix it", True),
        (drafts.GITLAB, "[Draft] Fix it", "Fix it", True),
        (drafts.GITLAB, "(Draft) Fix it", "Fix it", True),
        (drafts.GITLAB, "WIP: Fix it", "WIP: Fix it", False),
        (drafts.GITLAB, "Drafting: a plan", "Drafting: a plan", False),
    ],
)
def test_what_a_title_says(forge: DraftTitles, title: str, bare: str, draft: bool) -> None:
    assert forge.read(title) == (bare, draft)


@pytest.mark.parametrize("forge", BOTH)
@pytest.mark.parametrize("title", ["Fix it", "WIP: Fix it", "Draft: Fix it", "  Fix\nit "])
@pytest.mark.parametrize("draft", [True, False])
def test_a_title_comes_back_as_a_draft_or_not(forge: DraftTitles, title: str, draft: bool) -> None:
    bare, is_draft = forge.read(forge.write(title, draft=draft))
    assert is_draft is draft
    assert bare == forge.read(" ".join(title.split()))[0]


@pytest.mark.parametrize("forge", BOTH)
def test_a_long_title_is_cut_and_stays_a_draft(forge: DraftTitles) -> None:
    written = forge.write("x" * 1_000, draft=True)
    assert len(written) <= 255
    assert forge.read(written)[1]


def test_a_title_of_blanks_is_refused() -> None:
    with pytest.raises(errors.BadInput):
        drafts.GITEA.write(" \n ", draft=True)

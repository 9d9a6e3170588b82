"""Drafts where a forge keeps them in the title: ``WIP: …`` at Gitea and Forgejo, ``Draft: …`` at GitLab.

The prefix is the forge's business: nobody above an adapter sees it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from boatwright import errors
from boatwright.forge import marks

LONGEST_TITLE = 250
"""Characters, prefix included: both forges keep 255."""


@dataclass(frozen=True, slots=True)
class DraftTitles:
    """How one forge writes a draft's title, and which beginnings it takes for one."""

    prefix: str
    seen: re.Pattern[str]

    def write(self, title: str, *, draft: bool) -> str:
        bare, _ = self.read(one_line(title))
        return (self.prefix + bare if draft else bare)[:LONGEST_TITLE]

    def read(self, title: str) -> tuple[str, bool]:
        """The title as people wrote it, and whether it says *draft*."""
        bare = self.seen.sub("", title, count=1)
        return (bare, True) if bare != title and bare else (title, False)


GITEA = DraftTitles("WIP: ", re.compile(r"\A(?:\s*(?:wip:|\[wip\])\s*)+", re.IGNORECASE))
"""The prefixes a Gitea knows when nobody changed ``WORK_IN_PROGRESS_PREFIXES``."""
GITLAB = DraftTitles("Draft: ", re.compile(r"\A(?:\s*(?:draft:|\[draft\]|\(draft\))\s*)+", re.IGNORECASE))


def one_line(title: str) -> str:
    """A title without line breaks; ``errors.BadInput`` when nothing is left."""
    flat = " ".join(marks.storable(title).split())
    if not flat:
        raise errors.BadInput("the title is empty", next_moves=('--title "…"',))
    return flat

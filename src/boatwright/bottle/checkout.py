"""Putting a commit into a bottle: files, and a ``.git`` whose history ends at the base.

The host hands in a pack of the mirror on stdin; everything else happens inside the bottle, where
whatever a hostile tree brings can only meet the bottle itself. The host neither writes into the workspace nor
runs git there. The pack holds what the base commit reaches and the files of the commit that is laid out: no
other branch, no tag, no step of another execution.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from boatwright import errors
from boatwright.bottle.protocol import WORKSPACE, Backend, Bottle
from boatwright.git import names
from boatwright.git.mirror import Mirror
from boatwright.values.process import Limits

BRANCH = "base"
_LIMITS = Limits(wall_seconds=900.0, cpu_seconds=900, memory_bytes=2 << 30, output_bytes=1 << 20)

_PROGRAM = r"""
set -eu
umask 022
cd "$1"
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_ATTR_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0 LC_ALL=C
base=$2 tree=$3 branch=$4
shift 4
chmod -R u+rwX .
find . -mindepth 1 -delete
git init -q --template= -b "$branch" .
mkdir .git/info
printf '%s\n' '* -text -filter -ident -working-tree-encoding -eol' > .git/info/attributes
printf '[user]\n\tname = Agent\n\temail = agent@bottle\n' >> .git/config
[ $# -eq 0 ] || printf '%s\n' "$@" > .git/shallow
git index-pack --stdin > /dev/null
printf '%s\n' "$base" > ".git/refs/heads/$branch"
git -c core.symlinks=true -c core.fileMode=true read-tree --reset -u "$tree"
git read-tree -m "$base"
git update-index -q --refresh > /dev/null || :
"""
"""Arguments: the workspace, base, tree, name of the branch, commits whose parents are left out. The pack is
on stdin.

Bytes are laid out as they are stored, whatever the tree's .gitattributes say: the step saver reads them back
that way.
"""


class CheckoutFailed(errors.BoatwrightError):
    """A commit could not be laid out in a bottle. The mirror is untouched; try again, or look at the bottle's
    disk."""


async def checkout(
    backend: Backend,
    bottle: Bottle,
    mirror: Mirror,
    *,
    commit: str,
    base: str | None = None,
    with_history: bool = True,
) -> None:
    """Make the bottle's workspace exactly the tree of ``commit``; what was there before is gone.

    HEAD is ``base`` (default: ``commit``), so that ``git diff`` shows what ``commit`` does beyond it. With
    history, ``git log`` reaches from there to the root; without, it ends at once. ``CheckoutFailed`` names
    what went wrong, the limit that fired included.
    """
    head = base or commit
    tree = await asyncio.to_thread(mirror.tree_of, commit)
    grafts = mirror.shallow() if with_history else (head,)
    async with _pack(mirror, head, tree, grafts) as pack:
        argv = ("sh", "-c", _PROGRAM, "checkout", str(WORKSPACE), head, tree, BRANCH, *grafts)
        ran = await bottle.exec(argv, stdin=pack, limits=_LIMITS, tools=True)
    if not ran.ok:
        said = names.shown((ran.text().strip().splitlines() or [f"exit code {ran.exit_code}"])[-1])[:300]
        why = f"its limit of {ran.limit} fired" if ran.limit else said
        raise CheckoutFailed(
            f"{commit[:12]} could not be laid out in bottle {bottle.slug}: {why}.", subject=bottle.slug
        )


@contextlib.asynccontextmanager
async def _pack(mirror: Mirror, head: str, tree: str, grafts: Sequence[str]) -> AsyncIterator[Path]:
    with contextlib.ExitStack() as stack:
        made = mirror.history([head], also=[tree], grafts=grafts)
        yield await asyncio.to_thread(stack.enter_context, made)

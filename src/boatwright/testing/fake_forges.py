"""A forge of your own on loopback, to try ``connect`` and ``serve`` without an account.

    python -m boatwright.testing.fake_forges KIND DIRECTORY [--port N] [--source PATH] [--webhook URL]

KIND is github, gitea, forgejo or gitlab. Makes ``ann/sample`` (a copy of the repository at --source, else one small
file), which ann and boatwright-bot administer (a real bot needs that for ``connect`` alone: it makes the hook); prints the
address and a token for each; serves until it is interrupted. The state stays in DIRECTORY. The secret of the webhook is
read from the variable BOATWRIGHT_FAKE_WEBHOOK_SECRET.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from boatwright.testing.fake_forge import FakeForge
from boatwright.testing.fake_gitea import FakeForgejo, FakeGitea
from boatwright.testing.fake_github import FakeGitHub
from boatwright.testing.fake_gitlab import FakeGitLab

KINDS: dict[str, Callable[..., FakeForge]] = {
    each.KIND: each for each in (FakeGitHub, FakeGitea, FakeForgejo, FakeGitLab)
}
SAMPLE = "ann/sample"
PEOPLE = {"ann": "admin", "boatwright-bot": "admin"}
SECRET = "BOATWRIGHT_FAKE_WEBHOOK_SECRET"  # noqa: S105 - a variable's name


def main(arguments: Sequence[str] | None = None) -> int:
    said = _parser().parse_args(arguments)
    forge = KINDS[said.kind](said.directory, port=said.port)
    with forge:
        if SAMPLE not in forge.state.depots:
            try:
                forge.make(SAMPLE, files={"README.md": "A sample.\n"}, source=said.source, people=PEOPLE)
            except subprocess.CalledProcessError as failed:
                words = " ".join(str(failed.stderr).split())[:300]
                sys.stderr.write(f"--source {said.source} cannot be copied: {words}\n")
                return 2
        if said.webhook and said.webhook not in {hook.url for hook in forge.state.hooks}:
            forge.hook(said.webhook, os.environ.get(SECRET, ""))
        for line in told(forge):
            sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
    return 0


def told(forge: FakeForge) -> list[str]:
    """What somebody needs to use it, a line each."""
    tokens = {login: token for token, login in forge.state.tokens.items()}
    lines = [f"address     {forge.url}", f"repository  {forge.url}/{SAMPLE}.git"]
    return lines + [f"token       {login:<15} {tokens.get(login) or forge.token(login)}" for login in PEOPLE]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="boatwright.testing.fake_forges", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("directory", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--source", type=Path)
    parser.add_argument("--webhook", metavar="URL")
    return parser


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    sys.exit(main())

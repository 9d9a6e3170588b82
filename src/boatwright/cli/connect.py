"""``boatwright connect``: the hook a forge needs to tell us things, made, tried, and seen to arrive."""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum
from typing import Annotated

import typer

from boatwright import errors
from boatwright.cli import common, doctor_forge
from boatwright.intake import connecting
from boatwright.intake.connecting import Connected
from boatwright.rules import hooks
from boatwright.stages.house import House
from boatwright.values.register import Repository


class Kind(StrEnum):
    GITHUB = "github"
    GITEA = "gitea"
    FORGEJO = "forgejo"
    GITLAB = "gitlab"


def connect(
    kind: Annotated[Kind, typer.Argument(help="The kind of forge.")],
    repository: Annotated[
        str | None,
        typer.Argument(metavar="[REPOSITORY]", help="Its id, OWNER/NAME or URL; else all that are served."),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            help="The address the forge reaches this host at: that of `serve --public`, or of a proxy before it."
        ),
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0.0, max=600.0, help="Seconds to wait for the test delivery.")
    ] = 30.0,
) -> int:
    """Make the hook a forge needs, with exactly the events that are used, try it, and show the delivery arriving. Again:
    the same hook. Exit 1 where nothing arrived, 4 where our login may not make hooks."""
    with common.housed() as house:
        found = connecting.served(house, kind, repository)
        if url is None:
            return _without_address(kind)
        public = connecting.public_address(url)
        done = [_one(house, each, public, wait) for each in _once(house, kind, found)]
    return max(done)


def _once(house: House, kind: str, found: list[Repository]) -> list[Repository]:
    """An App has one hook for all its repositories."""
    setting = house.settings.forge(kind)
    return found[:1] if setting.app_id is not None else found


def _one(house: House, repository: Repository, public: str, wait: float) -> int:
    try:
        made = common.wait(connecting.connect(house, repository, public, seconds=wait))
    except errors.Parked as refused:
        if refused.code != "forge_rights":
            raise
        common.complain(refused)
        _tell_of_rights(repository, public)
        return refused.exit_code
    common.say(
        f"{made.path}: the hook for {made.url} {'is made' if made.fresh else 'was there, and is as it should be'}"
    )
    code = _tell(repository.forge, made, public, wait)
    with suppress(errors.BoatwrightError):  # a remark, after all is done
        doctor_forge.tell_whose(house, repository.forge, common.wait(house.forge.me(repository.id)))
    return code


def _tell(kind: str, made: Connected, public: str, wait: float) -> int:
    if made.arrived is not None:
        common.say(f"  the test delivery has arrived: {made.arrived.event} (delivery {made.arrived.id})")
        return 0
    if not made.asked:
        common.say(f"  {kind} has nothing to send yet: label an issue, then look: boatwright deliveries list")
        return 0
    common.say(f"  no delivery arrived within {wait:g} seconds")
    common.moves((
        f"does boatwright serve --public HOST:PORT run, and does {made.url} lead to it?",
        "without a public address: boatwright serve --poll 30s",
        f"again: boatwright connect {kind} --url {public}",
    ))  # fmt: skip
    return 1


def _without_address(kind: str) -> int:
    common.say(
        f"{kind} has to be told where to send deliveries, and nobody said what this host is called outside"
    )
    common.moves((
        f"boatwright connect {kind} --url https://HOST",
        "no public address? boatwright serve --poll 30s needs none",
    ))  # fmt: skip
    return errors.BadInput.exit_code


def _tell_of_rights(repository: Repository, public: str) -> None:
    if repository.forge != "github":
        page = f"docs/forges-{'gitlab' if repository.forge == 'gitlab' else 'gitea'}.md"
        common.moves((f"let our account administer {repository.path}, or make the hook by hand: {page}",))
        return
    common.moves(
        ("let the token write webhooks (admin:repo_hook, or 'Webhooks: write' of a fine-grained one)",)
    )
    common.say("  or make an App of this manifest, and name its app_id and app_key in settings.yml:")
    common.say(hooks.manifest(hooks.address(public, "github")))

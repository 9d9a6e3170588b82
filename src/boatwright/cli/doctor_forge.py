"""``boatwright doctor --forge``: the rights each forge has not given us, each with its remedy."""

from __future__ import annotations

from collections.abc import Sequence

from boatwright import errors
from boatwright.cli import common
from boatwright.intake import forge_doctor
from boatwright.intake.forge_doctor import Checkup
from boatwright.rules import machines
from boatwright.stages.house import House


def run(*, as_json: bool) -> int:
    """Exit 3 where something is missing, or could not be asked for."""
    with common.housed() as house:
        found = common.wait(forge_doctor.look(house))
    if as_json:
        common.emit_json(found)
        return _code(found)
    for each in found:
        _tell(house, each)
    if not found:
        common.say("no repository is served from a forge")
        common.moves(("boatwright repo add URL",))
    return _code(found)


def _code(found: Sequence[Checkup]) -> int:
    return 0 if all(each.well for each in found) else errors.MissingPart.exit_code


def tell_whose(house: House, kind: str, me: str) -> None:
    """That our own account asks for nothing: with a token of their own somebody would wait for ever. Programs' accounts
    are nobody's.
    """
    shared = house.settings.forge(kind).shared_login
    if me and not shared and not machines.is_machine(kind, me, ()):
        common.say(f"  what {me} itself labels or writes there asks for nothing")
        common.moves((
            "ask from another account",
            f"or, where that account is your own: forges: {{{kind}: {{shared_login: true}}}} in settings.yml",
        ))  # fmt: skip


def _tell(house: House, each: Checkup) -> None:
    state = "nothing is missing" if each.well else "not ready"
    common.say(f"{each.repository:<40} {each.forge} {each.path}, as {each.me or 'nobody'}: {state}")
    tell_whose(house, each.forge, each.me)
    if each.trouble:
        common.say(f"  {each.trouble}")
        common.moves(each.next_moves)
    for right in each.missing:
        common.say(f"  missing: {right.right} ({right.why})")
        common.moves((right.remedy,))

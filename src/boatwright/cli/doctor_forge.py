"""``boatwright doctor --forge``: the rights each forge has not given us, each with its remedy."""

from __future__ import annotations

from boatwright import errors
from boatwright.cli import common
from boatwright.intake import forge_doctor
from boatwright.intake.forge_doctor import Checkup
from boatwright.rules import machines


def run(*, as_json: bool) -> int:
    """Exit 3 where something is missing, or could not be asked for."""
    with common.housed() as house:
        found = common.wait(forge_doctor.look(house))
    if as_json:
        common.emit_json(found)
    else:
        for each in found:
            _tell(each)
        if not found:
            common.say("no repository is served from a forge")
            common.moves(("boatwright repo add URL",))
    return 0 if all(each.well for each in found) else errors.MissingPart.exit_code


def tell_whose(kind: str, me: str) -> None:
    """That our own account asks for nothing: with a token of their own somebody would wait for ever. Programs' accounts
    are nobody's.
    """
    if me and not machines.is_machine(kind, me, ()):
        common.say(f"  what {me} itself labels or writes there asks for nothing: ask from another account")


def _tell(each: Checkup) -> None:
    state = "nothing is missing" if each.well else "not ready"
    common.say(f"{each.repository:<40} {each.forge} {each.path}, as {each.me or 'nobody'}: {state}")
    tell_whose(each.forge, each.me)
    if each.trouble:
        common.say(f"  {each.trouble}")
        common.moves(each.next_moves)
    for right in each.missing:
        common.say(f"  missing: {right.right} ({right.why})")
        common.moves((right.remedy,))

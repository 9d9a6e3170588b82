"""``boatwright bottle verify``: try every known way out of a bottle on this host."""

from __future__ import annotations

from typing import Annotated

import typer

from boatwright import errors
from boatwright.bottle import probes
from boatwright.bottle.probes import Kind, Outcome, ProbeResult
from boatwright.cli import common
from boatwright.cli.safe import printable

CLASSES = {
    Kind.DANGEROUS: "dangerous",
    Kind.LIMIT: "dangerous",
    Kind.BENIGN: "benign",
    Kind.HOST: "host duty",
}
"""How much a way out matters: must be shut; gives nothing away; is for the host's own code to withstand."""


def verify(as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False) -> int:
    """The escape probes on this host, with a class each. Exit 5 when a dangerous way out is open, or could not be tried."""
    with common.housed() as house:
        house.require_bottle()
        results = common.wait(probes.run(house.backend, printable))
    whole = probes.verdict(results)
    if as_json:
        common.emit_json({"holds": whole, "probes": [_row(each) for each in results]})
    else:
        _tell(results)
    return 0 if whole else errors.Refused.exit_code


def _row(result: ProbeResult) -> dict[str, object]:
    return {
        "number": result.probe.number,
        "what": result.probe.what,
        "class": CLASSES[result.probe.kind],
        "outcome": str(result.outcome),
        "detail": result.detail,
        "remark": result.probe.remark,
        "fine": result.fine,
    }


def _tell(results: list[ProbeResult]) -> None:
    for each in results:
        words = ": ".join(part for part in (str(each.outcome), each.detail or each.probe.remark) if part)
        common.say(
            f"{each.probe.number:>2}  {CLASSES[each.probe.kind]:<10} {each.probe.what:<72} "
            f"{words}{'' if each.fine else '  NOT FINE'}"
        )
    wrong = [each for each in results if not each.fine]
    shut = sum(each.outcome is Outcome.SHUT for each in results)
    common.say(
        f"{len(results)} ways out tried: {shut} shut, {len(wrong)} not fine. "
        f"{'No dangerous one is open.' if not wrong else 'Bottles of this host do not hold.'}"
    )
    if wrong:
        common.moves(("boatwright doctor",))

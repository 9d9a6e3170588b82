"""What a delivery waits for before it is ready: the required checks of others on its commit."""

from __future__ import annotations

from boatwright.git.mirror import Mirror
from boatwright.rules import their_checks as rules
from boatwright.stages import ground
from boatwright.stages.house import House
from boatwright.values.execution import ExecutionView


async def waits_for(
    house: House, view: ExecutionView, mirror: Mirror, base: str, commit: str
) -> tuple[str, ...]:
    """The required checks of others that have not passed on the commit; none where the policy at ``base`` waits for none."""
    here = await ground.of_commit(house, view, mirror, base)
    if not here.policy.ready_waits_for_checks:
        return ()
    required = await house.forge.required_checks(view.repository, view.base_ref)
    if not rules.waited_for(required, ()):
        return ()
    return rules.waited_for(required, await house.forge.their_checks(view.repository, commit))

"""The quick form of ``make overshoot``: some random trials on each database, no cap passed, nothing left held."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import pytest
from sqlalchemy import text

from boatwright.egress.budget import Budgets
from boatwright.rules.budget import Scope
from boatwright.testing import overshoot, overshoot_plan
from boatwright.values.usage import Cap

TRIALS = int(os.environ.get("BOATWRIGHT_OVERSHOOT", "300"))
SEED = int(os.environ.get("BOATWRIGHT_OVERSHOOT_SEED", str(time.time_ns() // 10**9)))


@pytest.mark.timeout(1_200)
def test_no_cap_is_ever_passed(database_url: str) -> None:
    print(f"BOATWRIGHT_OVERSHOOT_SEED={SEED}")
    told = overshoot.run(database_url, seed=SEED, trials=TRIALS)
    assert told.faults == [] and told.trials == TRIALS
    assert told.reserved > TRIALS and told.refused > TRIALS / 10, told
    assert told.charged > 0 and told.killed > 0, told
    assert 0.5 < told.worst <= 1.0


def test_a_trial_is_its_seed_and_number() -> None:
    assert overshoot_plan.plan(7, 11) == overshoot_plan.plan(7, 11) != overshoot_plan.plan(7, 12)
    kinds = {overshoot_plan.plan(1, number).kind for number in range(200)}
    assert kinds == set(overshoot_plan.Kind)
    scopes = {cap.scope for number in range(200) for cap in overshoot_plan.plan(1, number).caps}
    assert scopes == set(Scope)


def test_the_witness_sees_a_cap_that_was_passed_for_a_moment(database_url: str) -> None:
    """A book that forgets what is held passes its caps; the trials must find that."""
    budgets = Budgets.open(database_url)
    this = overshoot_plan.plan(3, next(n for n in range(99) if overshoot_plan.plan(3, n).kind == "journal"))
    overshoot._watch(budgets)
    cap = overshoot_plan.Stands(Scope.EXECUTION, this.payer.execution, Cap(tokens=5), hard=True, daily=False)
    with budgets.database.write() as connection:
        for held in (9, 0):
            connection.execute(
                text(
                    "INSERT INTO budget_accounts VALUES (:name, 0, 0, 0, :held)"
                    " ON CONFLICT (name) DO UPDATE SET held_tokens = :held"
                ),
                {"name": f"execution|{this.payer.execution}|", "held": held},
            )
    told = overshoot._look(budgets, replace(this, caps=(cap,)))
    assert told.worst == 9 / 5 and "reached 9 of 5" in told.faults[0]
    budgets.database.dispose()

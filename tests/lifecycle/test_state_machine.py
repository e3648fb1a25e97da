"""Anything may happen in any order: after every step the invariants hold, and when the faults stop, all comes to rest.

Hypothesis searches, and makes small what it finds: CYCLES widens that (15 in the gate) and makes it random. STEPS is
the length of a life. The torture trial T1 goes deeper: the same lives, drawn evenly from a seed, by the thousand.
"""

import os
from contextlib import ExitStack

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from backend.payments.models import Payment
from tests.lifecycle.invariants import Witness
from tests.lifecycle.lives import ACTIONS, POLICIES, SKEWS, STAGES, WINDOWS, Life
from tests.lifecycle.world import new_world

CYCLES = int(os.environ.get("CYCLES", "15"))
STEPS = int(os.environ.get("STEPS", "25"))
IN_THE_GATE = "CYCLES" not in os.environ
BASKET = st.sets(st.integers(0, 3), min_size=1)
SPENT = dict.fromkeys(("steps", "calls"), 0)


class Shop(RuleBasedStateMachine):
    keys = None

    def __init__(self):
        super().__init__()
        self.stack = ExitStack()
        self.stack.enter_context(transaction.atomic())
        self.stack.callback(transaction.set_rollback, True)

    @initialize(
        skew=st.sampled_from(SKEWS),
        late=st.sampled_from(POLICIES),
        window=st.sampled_from(WINDOWS),
        basket=BASKET,
        stage=st.sampled_from(STAGES),
    )
    def begin(self, skew, late, window, basket, stage):
        world = self.stack.enter_context(new_world(self.keys, skew=skew, late_payment=late, refund_window=window))
        self.witness, self.life = Witness(world), Life(world)
        self.life.begin(basket, stage)

    def teardown(self):
        try:
            if hasattr(self, "life"):
                self.life.world.settle_down()
                assert self.witness.look_at_the_end() == []
                SPENT["calls"] += len(self.life.world.line.calls)
        finally:
            self.stack.close()

    @invariant()
    def nothing_is_wrong(self):
        if hasattr(self, "life"):
            SPENT["steps"] += 1
            assert self.witness.look() == []


def with_rules(machine):
    """Each action of a life is a rule: Hypothesis chooses among what is possible now."""
    for name, action in ACTIONS.items():
        strategies = {arg: BASKET if of == "basket" else st.sampled_from(of) for arg, of in action.choices.items()}
        setattr(machine, name, made_a_rule(name, action.needs, strategies))
    return machine


def made_a_rule(name, needs, strategies):
    def act(self, **given):
        getattr(self.life, name)(**given)

    act.__name__ = name
    return precondition(lambda self: needs(self.life))(rule(**strategies)(act))


@pytest.mark.django_db
def test_whatever_happens_the_invariants_hold_and_all_comes_to_rest(keys):
    assert Payment.objects.count() == 0
    machine = with_rules(type("ShopHere", (Shop,), {"keys": keys}))
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=CYCLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=IN_THE_GATE,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink) if "CYCLES" in os.environ else (Phase.generate,),
            print_blob=not IN_THE_GATE,
        ),
    )
    assert Payment.objects.count() == 0, "an example has left rows behind"
    assert SPENT["steps"] >= 5 * CYCLES
    assert SPENT["calls"] >= CYCLES

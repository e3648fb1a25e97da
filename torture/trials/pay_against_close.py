"""T12: the buyer pays while the shop closes, from five seconds before the end of an order's time until five after.

Every hundredth of a second, either of them first, and Alipay's clock right, behind or ahead.
"""

from collections.abc import Iterable

from django.db import transaction

from tests.lifecycle.invariants import Witness
from tests.lifecycle.test_pay_against_close import SKEWS, race
from tests.lifecycle.world import new_world
from torture.trial import Tally, Trial, failed
from torture.trials.schedules import alipay_keys

MOMENTS = 1001
ALL = MOMENTS * 2 * len(SKEWS)
STRIDE = 617
"""It has no divisor in common with ALL: however few cases are run, they lie everywhere."""


def run(cases: Iterable[int], seed: int, tally: Tally) -> None:
    with alipay_keys() as keys:
        for case in cases:
            place, skew = divmod((seed + case) * STRIDE % ALL, len(SKEWS))
            jobs_first, moment = divmod(place, MOMENTS)
            settings = {"skew": list(SKEWS.values())[skew], "jobs_first": bool(jobs_first)}
            offset = round((moment - MOMENTS // 2) / 100, 2)
            with transaction.atomic(), new_world(keys, skew=settings["skew"]) as world:
                try:
                    paid = race(world, Witness(world), **settings, offset=offset)
                    tally.count("the buyer won" if paid else "the shop won")
                except AssertionError as error:
                    tally.violation(case, f"{settings}, offset {offset}: {failed(error)}")
                transaction.set_rollback(True)
            tally.case_done()


RACE = Trial("T12", "payment against expiry, to the hundredth of a second", "races", 200, ALL, "memory", run, batch=250)

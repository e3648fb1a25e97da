"""The part of T3 beside the orders: deliveries of events, and a bill's comparison; made of their tests' own parts."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from shutil import copytree
from typing import Any, BinaryIO
from unittest.mock import patch

import time_machine
from django.test import override_settings

from backend.events import delivery
from backend.payments import bills, jobs
from tests.bills import test_bill_crash_points as of_a_bill
from tests.events import test_crash_points as of_deliveries
from tests.events.endpoint import SECRET, Endpoint
from tests.lifecycle.deaths import Report
from tests.lifecycle.invariants import Witness
from tests.lifecycle.world import NOON, World, new_world
from torture.customers import empty
from torture.trials.schedules import alipay_keys

DELIVERIES: dict[str, tuple[Callable[..., object], Callable[..., list[str]]]] = {
    "deliveries": (of_deliveries.first_try, of_deliveries.everything_arrived),
    "deliveries refused": (of_deliveries.refused_try, of_deliveries.everything_arrived_in_the_end),
    "deliveries given up": (of_deliveries.last_try, of_deliveries.given_up_then_sent_again),
}
OPERATIONS = [*DELIVERIES, "bill"]


def die(name: str) -> Report:
    empty()
    return die_in_a_bill() if name == "bill" else die_delivering(*DELIVERIES[name])


def die_delivering(task: Callable[..., object], judge: Callable[..., list[str]]) -> Report:
    with two_endpoints() as scene:
        found = of_deliveries.enumerate_deaths(scene, task, judge)
    return Report(found.deaths, len(found.steps), found.wrongs)


@contextmanager
def two_endpoints() -> Iterator[of_deliveries.Scene]:
    endpoints = [Endpoint(), Endpoint()]
    with ExitStack() as stack:
        for endpoint in endpoints:
            endpoint.up()
            stack.callback(endpoint.down)
        clock = stack.enter_context(time_machine.travel(NOON, tick=False))
        stack.enter_context(patch.object(delivery, "_resting", {}))
        urls = [endpoint.url for endpoint in endpoints]
        stack.enter_context(override_settings(EVENT_URLS=urls, EVENT_SECRETS=[SECRET]))
        yield of_deliveries.Scene(endpoints, clock)


def die_in_a_bill() -> Report:
    with a_world_of_bills() as world:
        report, _ = of_a_bill.enumerate_deaths(world)
        report.wrongs += Witness(world).look()
    return report


@contextmanager
def a_world_of_bills() -> Iterator[World]:
    """As the fixture of those tests: Alipay's book is a file, no notifies come, and bills are the only jobs."""
    with ExitStack() as stack:
        keys = stack.enter_context(alipay_keys())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "alipay"
        copytree(keys, folder)
        stack.enter_context(patch.object(jobs, "JOBS", (jobs.BILLS,)))
        stack.enter_context(patch.object(bills, "LOOK_BACK", 1))
        world = stack.enter_context(new_world(folder, in_memory=False, seed=None, triggers=frozenset()))
        carry = world.line.fetch

        def fetch(url: str, file: BinaryIO, **limits: Any) -> Any:
            return world.line.around(None, lambda: carry(url, file, **limits))

        stack.enter_context(patch("backend.payments.providers.alipay_bill.fetch_file", fetch))
        world.line.days = count()
        yield world

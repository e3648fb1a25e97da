"""Others' figures and our aims, on the machine where they were taken, and what they come to on this one.

CPU milliseconds of the server per request. They were given to us: only the floor and the tutorial's way are measured
here. A faster or slower machine is told by the floor, which was measured on both; of its four operations the one that
is least slower here counts. The others' floors do more work here than there (an inbox, an outbox, enrolments, the
history), so that an aim scaled by them would be easier to reach.
"""

from collections.abc import Mapping

NAMES = ("create", "with_lines", "minimal", "notify")
TITLES = {
    "create": "createOrder, 3 courses",
    "with_lines": "status with lines",
    "minimal": "minimal poll",
    "notify": "notify, paid",
    "final": "status with lines, paid",
}

Costs = Mapping[str, float]

FLOOR: Costs = {"create": 0.77, "with_lines": 0.18, "minimal": 0.17, "notify": 0.38}
AIMS: Costs = {"create": 1.9, "with_lines": 1.1, "minimal": 0.7, "notify": 1.2}
PEERS: Mapping[str, Costs] = {
    "tutorial, DRF": {"create": 9.8, "minimal": 1.75, "notify": 3.2},
    "FastAPI, Strawberry, asyncpg": {"create": 3.2, "with_lines": 1.9, "minimal": 1.4, "notify": 1.2},
    "Node, Fastify, Mercurius JIT": {"create": 1.27, "with_lines": 0.37, "minimal": 0.22, "notify": 0.59},
}
NODE = PEERS["Node, Fastify, Mercurius JIT"]

POLLS = 30
WHOLE_PURCHASE_AIM = 0.6
"""Of the polling Node peer's whole purchase."""


def polling(costs: Costs) -> float:
    """A whole purchase of a client that polls: create, the polls of a minute, notify, and a read of the final state."""
    return costs["create"] + POLLS * costs["minimal"] + costs["notify"] + costs["with_lines"]


def machine_factor(floor: Costs) -> float:
    """How much slower this machine is than the one of the figures given, by the floors measured here."""
    return min(cost / FLOOR[name] for name, cost in floor.items())

"""What a process counts while it works: requests, notifies, provider calls, waiting streams.

With PROMETHEUS_MULTIPROC_DIR in the environment every process writes its counts to files of its own in that folder, and
one answer of /metrics is the sum of all; without it a process tells of itself alone. This module imports nothing of the
shop, so everything may count here. A label has few values, and never a buyer's or an order's.
"""

import os
from pathlib import Path

if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
    # Before the library is imported: it opens its files there as each meter is made.
    Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

METERS = CollectorRegistry()

REQUESTS = Histogram(
    "coursepay_request_seconds",
    "Time to answer a request, by route group and class of status.",
    ["route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=METERS,
)
NOTIFIES = Counter(
    "coursepay_notifies",
    "Notifies by verdict: applied, not_applied (genuine, and yet refused by the books), refused; with the reason.",
    ["verdict", "reason"],
    registry=METERS,
)
PROVIDER_CALLS = Histogram(
    "coursepay_provider_call_seconds",
    "Time of a call to a payment provider, by outcome: ok, rejected, unknown.",
    ["provider", "call", "outcome"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=METERS,
)
STREAMS = Gauge(
    "coursepay_streams_waiting",
    "Clients that wait on the live stream.",
    registry=METERS,
    multiprocess_mode="livesum",
)


def count_notify(verdict: str, reason: str = "") -> None:
    """One notify came: ``reason`` is one of MessageRefused's words, or none."""
    NOTIFIES.labels(verdict, reason).inc()


def set_waiting_streams(clients: int) -> None:
    """How many clients wait on this process's streams now. Processes are added up; one that has died counts none."""
    STREAMS.set(clients)

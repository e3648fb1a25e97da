"""What the database says of the shop now, for Prometheus.

Everything but the count of orders is read from a small index, and at most every two seconds. The orders have to be
counted one by one: that is done as seldom as it takes long, so that it uses one hundredth of one core at the most,
whether there are a thousand or ten million.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator

from django.db import DatabaseError, InterfaceError
from django.db.models import Count
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from backend.events.models import Delivery, DeliveryStatus
from backend.monitoring.work import oldest_due
from backend.orders.models import Order, OrderStatus
from backend.payments.discrepancies import KINDS
from backend.payments.models import Discrepancy, Notification, Verdict

logger = logging.getLogger("coursepay.monitoring")

Figures = dict[str, float]
"""A number for each value of the one label."""


class Sparing:
    """Figures from the database, read again after ``seconds``, and after a hundred times what reading them took."""

    def __init__(self, read: Callable[[], Figures], seconds: float) -> None:
        self.read, self.seconds = read, seconds
        self.figures: Figures | None = None
        self.until = 0.0
        self.lock = threading.Lock()

    def now(self) -> Figures | None:
        """None where the database does not tell, which is asked no sooner than if it had."""
        with self.lock:
            began = time.monotonic()
            if began >= self.until:
                self.figures = self.try_to_read()
                took = time.monotonic() - began
                self.until = time.monotonic() + max(self.seconds, 100 * took)
            return self.figures

    def try_to_read(self) -> Figures | None:
        try:
            return self.read()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("figures for /metrics: %s", type(error).__name__)
            return None


def orders_by_status() -> Figures:
    rows = Order.objects.order_by().values_list("status").annotate(number=Count("pk"))
    return dict.fromkeys(OrderStatus.values, 0.0) | dict(rows)


def open_discrepancies() -> Figures:
    rows = Discrepancy.objects.filter(closed_at=None).order_by().values_list("kind").annotate(number=Count("pk"))
    return dict.fromkeys((kind.name for kind in KINDS), 0.0) | dict(rows)


def waiting() -> Figures:
    return {
        "deliveries": Delivery.objects.filter(status=DeliveryStatus.PENDING).count(),
        "notifies": Notification.objects.filter(verdict=Verdict.RECEIVED).count(),
    }


FAMILIES: tuple[tuple[str, str, str, Callable[[], Figures]], ...] = (
    ("coursepay_orders", "Orders by status.", "status", orders_by_status),
    ("coursepay_discrepancies_open", "Discrepancies that nobody has closed, by kind.", "kind", open_discrepancies),
    (
        "coursepay_waiting",
        "Rows that wait: deliveries of events, and genuine notifies whose effect is not committed.",
        "what",
        waiting,
    ),
    ("coursepay_oldest_due_seconds", "Since when the oldest due row of a job has been due.", "job", oldest_due),
)


class ShopCollector(Collector):
    """Reads when it is asked. What cannot be read is left out, and ``coursepay_figures_up`` says so."""

    def __init__(self) -> None:
        self.sources = [(name, text, label, Sparing(read, 2.0)) for name, text, label, read in FAMILIES]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        up = GaugeMetricFamily("coursepay_figures_up", "Whether the database told these figures.", labels=["figures"])
        for name, text, label, source in self.sources:
            figures = source.now()
            up.add_metric([name], float(figures is not None))
            if figures is not None:
                yield family_of(name, text, label, figures)
        yield up

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing is read to be registered."""
        return []


def family_of(name: str, text: str, label: str, figures: Figures) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, number in figures.items():
        family.add_metric([value], number)
    return family

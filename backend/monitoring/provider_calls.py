"""A provider whose calls are counted and timed: the same provider in everything else."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date

from backend.monitoring.meters import PROVIDER_CALLS
from backend.payments.providers.base import (
    CloseResult,
    Notice,
    PayRequest,
    Provider,
    ProviderRejected,
    RefundRequest,
    RefundResult,
    ReturnClaim,
    Trade,
)
from backend.payments.providers.bill import BillRow


class Measured(Provider):
    """Wraps any provider: a second company's calls are measured without a line of its own."""

    def __init__(self, provider: Provider) -> None:
        self.provider, self.name = provider, provider.name

    def pay(self, request: PayRequest) -> str:
        return self.provider.pay(request)

    def query(self, out_trade_no: str, *, deadline: float = 10.0) -> Trade:
        with self.measured("query"):
            return self.provider.query(out_trade_no, deadline=deadline)

    def close(self, out_trade_no: str, *, deadline: float = 10.0) -> CloseResult:
        with self.measured("close"):
            return self.provider.close(out_trade_no, deadline=deadline)

    def refund(self, request: RefundRequest, *, deadline: float = 10.0) -> RefundResult:
        with self.measured("refund"):
            return self.provider.refund(request, deadline=deadline)

    def query_refund(self, request: RefundRequest, *, deadline: float = 10.0) -> RefundResult:
        with self.measured("query_refund"):
            return self.provider.query_refund(request, deadline=deadline)

    def parse_notification(self, body: bytes, headers: Mapping[str, str]) -> Notice:
        return self.provider.parse_notification(body, headers)

    def parse_return(self, query: str) -> ReturnClaim:
        return self.provider.parse_return(query)

    def bill(
        self, day: date, *, deadline: float = 600.0, progress: Callable[[int, int], None] | None = None
    ) -> Iterator[BillRow]:
        """What is timed is asking and fetching; reading the rows is as slow as their reader."""
        rows = self.provider.bill(day, deadline=deadline, progress=progress)
        with self.measured("bill"):
            first = next(rows, None)
        if first is not None:
            yield first
            yield from rows

    @contextmanager
    def measured(self, call: str) -> Iterator[None]:
        """A no is an answer (rejected); everything else that is raised leaves the outcome unknown."""
        began, outcome = time.monotonic(), "unknown"
        try:
            yield
            outcome = "ok"
        except ProviderRejected:
            outcome = "rejected"
            raise
        finally:
            PROVIDER_CALLS.labels(self.name, call, outcome).observe(time.monotonic() - began)

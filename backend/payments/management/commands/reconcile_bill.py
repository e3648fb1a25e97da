"""Holds one day's bill against our books, now."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from tqdm import tqdm

from backend.payments.bills import LeaseLost, compare, not_ready, take, try_later
from backend.payments.discrepancies import OF_A_BILL
from backend.payments.findings import Summary
from backend.payments.models import Bill
from backend.payments.providers.base import BillNotReady, ProviderError


class Command(BaseCommand):
    help = "Hold Alipay's bill of one day against our books (对账): ask about what we miss, list what differs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--date", help="A day in Beijing, YYYY-MM-DD; by default yesterday.")
        parser.add_argument("--json", action="store_true", help="The summary with every finding as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        day = past_day(options["date"])
        bill = take(day)
        summary = self.compare(bill, quiet=options["json"])
        if options["json"]:
            self.stdout.write(json.dumps({"date": str(day), **summary.as_json()}, ensure_ascii=False, indent=2))
        else:
            self.stdout.write(table(day, summary))

    def compare(self, bill: Bill, *, quiet: bool) -> Summary:
        try:
            with progress_bar(quiet=quiet) as progress:
                return compare(bill, progress=progress)
        except BillNotReady as refusal:
            not_ready(bill, str(refusal))
            raise CommandError(
                f"Alipay has no bill of {bill.day}: it is made by 10:30 of the next day in Beijing, and for a day "
                f"without trades there is none. Its words: {refusal}"
            ) from refusal
        except ProviderError as outcome:
            try_later(bill, str(outcome))
            raise CommandError(f"The bill of {bill.day} could not be read: {outcome}. Try again.") from outcome
        except LeaseLost as error:
            raise CommandError(
                "Another worker has begun to compare this bill. Look at its row in the admin."
            ) from error


def past_day(text: str | None) -> date:
    yesterday = timezone.localdate() - timedelta(days=1)
    if text is None:
        return yesterday
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"{text!r} is no day: write YYYY-MM-DD.") from error
    if day > yesterday:
        raise CommandError(f"The bill of {day} is made on the day after it; the newest there can be is of {yesterday}.")
    return day


@contextmanager
def progress_bar(*, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Bytes of the bill read so far; on a terminal only."""
    hidden = quiet or not sys.stderr.isatty()
    with tqdm(unit="B", unit_scale=True, desc="bill", disable=hidden, leave=False) as bar:

        def show(read: int, total: int) -> None:
            bar.total = total
            bar.update(read - bar.n)

        yield show


def table(day: date, summary: Summary) -> str:
    """For people: the sums, the counts, and what to look at."""
    facts = summary.as_json()
    amounts = facts["amounts"]
    lines = [
        f"Bill of {day}",
        f"  payments               {summary.payments:>9}   ¥{amounts['paid']}",
        f"  refunds                {summary.refunds:>9}   ¥{amounts['refunded']}",
        f"  fees                   {'':>9}   ¥{amounts['fees']}",
        f"  other rows             {summary.others:>9}",
        "Against our books",
        f"  matched                {summary.matched:>9}",
        *(f"  {kind.name:<22} {summary.found[kind.name]:>9}" for kind in OF_A_BILL),
        f"  of these repaired      {summary.repaired:>9}",
        f"  other shops' orders    {summary.foreign:>9}",
        f"  no answer, asked again {summary.unanswered:>9}",
    ]
    if summary.findings:
        lines += ["To look at (also in the admin, under discrepancies)"]
        lines += [f"  {found['kind']}: {found['outTradeNo']}  {found['detail']}" for found in summary.findings[:50]]
    if len(summary.findings) > 50:
        lines += [f"  … and {len(summary.findings) - 50} more: --json lists them"]
    return "\n".join(lines)

"""What came of holding a bill against our books: counts, sums, and what people have to look at."""

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.utils.translation import gettext_noop

from backend.money import format_yuan
from backend.payments.discrepancies import OF_A_BILL, TOO_MANY, Kind, open_discrepancy
from backend.payments.providers.bill import BillKind, BillRow

MOST_LISTED = 1000
"""Discrepancies of one kind that one bill opens; the rest is counted."""
SUMS = (gettext_noop("paid"), gettext_noop("refunded"), gettext_noop("fees"))
_OURS = re.compile(r"[0-9a-f]{32}", re.ASCII)


@dataclass
class Summary:
    """Amounts are fen. ``found`` counts findings by kind, mended ones too; ``findings`` lists those for people."""

    payments: int = 0
    refunds: int = 0
    others: int = 0
    paid_fen: int = 0
    refunded_fen: int = 0
    fees_fen: int = 0
    matched: int = 0
    repaired: int = 0
    foreign: int = 0
    unanswered: int = 0
    found: Counter[str] = field(default_factory=Counter)
    findings: list[dict[str, str]] = field(default_factory=list)

    def count(self, rows: list[BillRow]) -> None:
        """Take rows of the bill into the sums."""
        for row in rows:
            self.fees_fen += row.fee_fen
            if row.kind == BillKind.PAYMENT:
                self.payments += 1
                self.paid_fen += row.amount_fen
            elif row.kind == BillKind.REFUND:
                self.refunds += 1
                self.refunded_fen += row.amount_fen
            else:
                self.others += 1

    def note(self, kind: Kind, *, subject: str, out_trade_no: str, detail: str) -> None:
        """Count a finding, and open it for people: once for its subject, however often the bill is read."""
        self.found[kind.name] += 1
        if self.found[kind.name] > MOST_LISTED:
            return
        number, words = printable(out_trade_no), printable(detail)
        self.findings.append({"kind": kind.name, "outTradeNo": number, "detail": words})
        open_discrepancy(kind, key=f"bill:{kind.name}:{printable(subject)}", out_trade_no=number, detail=words)

    def note_repair(self, kind: Kind) -> None:
        """A finding that the provider's signed answer has put right."""
        self.found[kind.name] += 1
        self.repaired += 1

    def note_overflow(self, day: date) -> None:
        """So many of one kind are a finding themselves: perhaps it is another account's bill."""
        for kind in OF_A_BILL:
            if (count := self.found[kind.name]) > MOST_LISTED:
                detail = f"bill of {day}: {count} of the kind {kind.name!r}, {MOST_LISTED} of them listed"
                open_discrepancy(TOO_MANY, key=f"bill:many:{kind.name}:{day}", out_trade_no="", detail=detail)

    def as_json(self) -> dict[str, Any]:
        """With every kind of finding, found or not; amounts in yuan."""
        names = ("payments", "refunds", "others", "matched", "repaired", "foreign", "unanswered")
        sums = dict(zip(SUMS, (self.paid_fen, self.refunded_fen, self.fees_fen), strict=True))
        return {name: getattr(self, name) for name in names} | {
            "found": {kind.name: self.found[kind.name] for kind in OF_A_BILL},
            "amounts": {name: format_yuan(abs(fen)) for name, fen in sums.items()},
            "findings": self.findings,
        }


def looks_like_ours(out_trade_no: str) -> bool:
    """Whether this shop makes such numbers: 32 hexadecimal digits."""
    return _OURS.fullmatch(out_trade_no) is not None


def printable(text: str) -> str:
    """Without what no database stores: a bill is not signed."""
    return "".join(letter for letter in text if letter.isprintable())

"""What the book says about money: the oracle of a merchant's tests. Read from the journal alone."""

import json
from typing import Any

from .book import Book

MOVES = (
    "SELECT seq, at, kind, out_trade_no, amount_fen, data FROM events "
    "WHERE kind IN ('payment.received', 'refund.paid') AND (? = '' OR out_trade_no = ?) ORDER BY seq"
)


def money(book: Book, out_trade_no: str = "") -> dict[str, dict[str, Any]]:
    """Per out_trade_no what was paid and what was given back, in fen; only trades that money moved for."""
    accounts: dict[str, dict[str, Any]] = {}
    for row in book.all(MOVES, out_trade_no, out_trade_no):
        account = accounts.setdefault(row["out_trade_no"], {"paid_fen": 0, "refunded_fen": 0, "refunds": []})
        if row["kind"] == "payment.received":
            account["paid_fen"] += row["amount_fen"]
            continue
        data = json.loads(row["data"])
        account["refunded_fen"] -= row["amount_fen"]
        account["refunds"].append(
            {
                "out_request_no": data["out_request_no"],
                "amount_fen": -row["amount_fen"],
                "source": data["source"],
                "at": row["at"],
            }
        )
    return accounts

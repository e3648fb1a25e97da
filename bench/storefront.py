"""The storefront's own operations, by the hash that its production build sends: what the real client asks for.

They ask for more than the four of ``operations``: every state has the order's lines, refunds and history, and where it
is unpaid also a freshly signed pay URL.
"""

import json
from functools import cache
from typing import Any

from bench import operations
from bench.load import Call
from bench.operations import SERVER, Buyer, by_hash, expect, graphql
from bench.servers import ROOT

DOCUMENTS = ROOT / "frontend" / "trusted-documents.json"


@cache
def document(kind: str, name: str) -> str:
    texts: list[str] = list(json.loads(DOCUMENTS.read_text()).values())
    return next(text for text in texts if f"{kind} {name}(" in text)


def create(buyer: Buyer) -> Call:
    return operations.create(buyer, SERVER, by_hash, document("mutation", "CreateOrder"))


def order(buyer: Buyer) -> Call:
    """The order page's whole order."""

    def check(data: Any) -> None:
        order = data["order"]
        expect(order["status"] == "UNPAID" and len(order["lines"]) == len(operations.BASKET), order)
        expect(order["timeline"] and "sign=" in order["payUrl"], order)

    return graphql(SERVER["with_lines"], buyer, by_hash(document("query", "Order")), {"id": buyer.order_id}, check)


def progress(buyer: Buyer) -> Call:
    """What the cashier page polls, where it cannot stream."""

    def check(data: Any) -> None:
        expect(data["order"]["status"] == "UNPAID" and "sign=" in data["order"]["payUrl"], data)

    asked = by_hash(document("query", "OrderProgress"))
    return graphql(SERVER["minimal"], buyer, asked, {"id": buyer.order_id}, check)

"""The books of a shop that has run for two years, by SQL: what a run over large tables starts from."""

from pathlib import Path
from typing import Any

ORDERS_PER_BUYER = 5
SQL = Path(__file__).with_name("books.sql")


def fill(cursor: Any, orders: int) -> None:
    """So many orders into migrated, empty tables, with all that belongs to them. Needs a superuser of PostgreSQL."""
    text = SQL.read_text().replace(":orders", str(orders)).replace(":people", str(orders // ORDERS_PER_BUYER))
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    for statement in filter(str.strip, "\n".join(lines).split(";\n")):
        cursor.execute(statement)
    cursor.execute("ANALYZE")

"""The simulator's own book: SQLite, with an append-only journal in which no code path rewrites a line.

The other tables hold the present state; `events` tells how it came about, in order, money and messages alike. Amounts
are integer fen, times epoch seconds. One process owns a book; its threads share one lock. `reset` throws the whole book
away and begins another, for tests.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .clock import Clock, Dial

SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    out_trade_no TEXT NOT NULL DEFAULT '',
    notify_id TEXT NOT NULL DEFAULT '',
    amount_fen INTEGER NOT NULL DEFAULT 0,
    data TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS events_trade ON events (out_trade_no, seq);
CREATE INDEX IF NOT EXISTS events_notify ON events (notify_id, seq);
CREATE INDEX IF NOT EXISTS events_kind ON events (kind, seq);
CREATE INDEX IF NOT EXISTS events_money ON events (at, seq) WHERE amount_fen != 0;
CREATE TRIGGER IF NOT EXISTS events_are_never_changed BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'the book is append-only'); END;
CREATE TRIGGER IF NOT EXISTS events_are_never_removed BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'the book is append-only'); END;

CREATE TABLE IF NOT EXISTS sessions (
    pay_order_id TEXT PRIMARY KEY,
    out_trade_no TEXT NOT NULL,
    order_data TEXT NOT NULL,
    account TEXT NOT NULL DEFAULT '',
    opened_at REAL NOT NULL,
    expires_at REAL
) STRICT;
CREATE INDEX IF NOT EXISTS sessions_trade ON sessions (out_trade_no);
CREATE INDEX IF NOT EXISTS sessions_opened ON sessions (opened_at);

CREATE TABLE IF NOT EXISTS trades (
    out_trade_no TEXT PRIMARY KEY,
    trade_no TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL CHECK (status IN ('WAIT_BUYER_PAY', 'TRADE_SUCCESS', 'TRADE_FINISHED', 'TRADE_CLOSED')),
    total_fen INTEGER NOT NULL CHECK (total_fen > 0),
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    passback_params TEXT NOT NULL,
    notify_url TEXT NOT NULL,
    account TEXT NOT NULL,
    created_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    paid_at REAL,
    closed_at REAL,
    paid_by TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX IF NOT EXISTS trades_due ON trades (expires_at) WHERE status = 'WAIT_BUYER_PAY';
CREATE INDEX IF NOT EXISTS trades_created ON trades (created_at);

CREATE INDEX IF NOT EXISTS trades_refundable ON trades (paid_at) WHERE status = 'TRADE_SUCCESS';

CREATE TABLE IF NOT EXISTS refunds (
    out_trade_no TEXT NOT NULL,
    out_request_no TEXT NOT NULL,
    amount_fen INTEGER NOT NULL CHECK (amount_fen > 0),
    reason TEXT NOT NULL,
    source TEXT NOT NULL CHECK (source IN ('app', 'console')),
    refunded_at REAL NOT NULL,
    PRIMARY KEY (out_trade_no, out_request_no)
) STRICT;
CREATE TABLE IF NOT EXISTS freezes (out_trade_no TEXT PRIMARY KEY) STRICT;
CREATE VIEW IF NOT EXISTS trade_states AS
    SELECT trades.*,
        coalesce((SELECT sum(amount_fen) FROM refunds WHERE refunds.out_trade_no = trades.out_trade_no), 0)
            AS refunded_fen,
        EXISTS (SELECT 1 FROM freezes WHERE freezes.out_trade_no = trades.out_trade_no) AS frozen
    FROM trades;

CREATE TABLE IF NOT EXISTS notifies (
    notify_id TEXT PRIMARY KEY,
    out_trade_no TEXT NOT NULL,
    url TEXT NOT NULL,
    params TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('PENDING', 'DELIVERED', 'EXHAUSTED')),
    sends INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL,
    created_tick REAL NOT NULL,
    next_tick REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS notifies_due ON notifies (next_tick) WHERE state = 'PENDING';
CREATE INDEX IF NOT EXISTS notifies_trade ON notifies (out_trade_no);
CREATE TABLE IF NOT EXISTS held_notifies (notify_id TEXT PRIMARY KEY) STRICT;

CREATE TABLE IF NOT EXISTS dial (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    wall REAL NOT NULL, ticks REAL NOT NULL, offset REAL NOT NULL, speed REAL NOT NULL
) STRICT;
"""

TABLES = ("events", "sessions", "trades", "refunds", "freezes", "notifies", "held_notifies", "dial")
Row = sqlite3.Row


class Book:
    """One connection, short transactions, plain SQL."""

    def __init__(self, path: str | Path) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._db.close()

    def reset(self) -> None:
        """Throw everything away. A table is dropped whole: its lines cannot be."""
        with self._lock:
            self._db.execute("DROP VIEW trade_states")
            for table in TABLES:
                self._db.execute(f"DROP TABLE {table}")
            self._db.executescript(SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is written together or not at all; an inner one joins the outer."""
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def run(self, sql: str, *values: object) -> int:
        """Execute one statement; returns the number of rows it changed."""
        with self._lock:
            return self._db.execute(sql, values).rowcount

    def one(self, sql: str, *values: object) -> Row | None:
        """Return the first row, or None."""
        with self._lock:
            row: Row | None = self._db.execute(sql, values).fetchone()
            return row

    def all(self, sql: str, *values: object) -> Sequence[Row]:
        """Return every row."""
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def record(
        self,
        kind: str,
        at: float,
        *,
        out_trade_no: str = "",
        notify_id: str = "",
        amount_fen: int = 0,
        data: Mapping[str, Any] | None = None,
    ) -> int:
        """Append an event and return its number. `amount_fen` is money moved to the merchant, 0 for a message."""
        text = json.dumps(data or {}, ensure_ascii=False, separators=(",", ":"))
        with self._lock:
            cursor = self._db.execute(
                "INSERT INTO events (at, kind, out_trade_no, notify_id, amount_fen, data) VALUES (?, ?, ?, ?, ?, ?)",
                (at, kind, out_trade_no, notify_id, amount_fen, text),
            )
            return cursor.lastrowid or 0

    def dial(self) -> Dial | None:
        """Return the clock's last setting; None in a new book."""
        row = self.one("SELECT wall, ticks, offset, speed FROM dial")
        return Dial(**dict(row)) if row else None

    def keep_dial(self, dial: Dial) -> None:
        """Remember the clock's setting, and note the change in the journal."""
        with self.transaction():
            self.run(
                "INSERT OR REPLACE INTO dial (one, wall, ticks, offset, speed) VALUES (1, ?, ?, ?, ?)",
                *(dial.wall, dial.ticks, dial.offset, dial.speed),
            )
            self.record("clock.set", dial.wall + dial.offset, data=asdict(dial))


def open_clock(book: Book, speed: float, frozen_at: float | None) -> Clock:
    """Return the clock where the book left it, running at `speed` from now on, or standing still."""
    return Clock(book.dial(), speed, book.keep_dial, frozen_at)
